# SPDX-License-Identifier: MIT
"""A proxy whose directory has room for 1,000 blocks serves a leaf that reads and writes 16,000; another keeps its own."""
import os
import random

from lab import check, main, need_fuse, read_at, write_at

MIB = 1 << 20
SIZE = 64 * MIB
LIMIT = 1000
FULL = ("--directory", str(LIMIT))


def check_directory(node):
    directory = node.status()["directory"]
    check(directory["limit"] == LIMIT, directory)
    check(directory["records"] <= LIMIT + directory["recalled"], f"{node.name}: {directory}")


def test(lab):
    need_fuse()
    lab.root(size=str(SIZE))
    proxy = lab.proxy("proxy", *FULL)
    one, two = lab.leaf("one", parent="proxy"), lab.leaf("two", parent="proxy")
    data = random.Random(48).randbytes(SIZE)
    for offset in range(0, SIZE, MIB):
        write_at(one.image(), offset, data[offset:offset + MIB])
    check(read_at(two.image(), 5 * MIB, 4096) == data[5 * MIB:5 * MIB + 4096], "two's block")
    for offset in range(0, SIZE, MIB):
        check(read_at(one.image(), offset, MIB) == data[offset:offset + MIB], f"one at {offset}")
    check_directory(proxy)
    child = [child for child in proxy.volume()["children"] if child["name"] == "two"][0]
    check(child["blocks_read"] + child["blocks_write"] > 0, "two's block was taken back for one's sake:", child)
    write_at(one.image(), 7 * MIB, b"x" * 4096)
    check(read_at(two.image(), 7 * MIB, 4096) == b"x" * 4096, "two sees what one has written")
    for node in lab.nodes:
        check(node.memory_peak() < 512 * MIB, f"{node.name} took {node.memory_peak() >> 20} MiB")
    lab.stop_all()
    with open("disk.img", "rb") as file:
        check(os.path.getsize("disk.img") == SIZE and file.read(5 * MIB) == data[:5 * MIB], "the root's disk")


main(test)
