# SPDX-License-Identifier: MIT
"""A root that sends ahead of sequential readers: a leaf that reads a file from one end to the other gets most of it unasked."""
import random

from lab import check, hvfs, main, need_fuse, read_at, write_at

MIB = 1 << 20
SIZE = 32 * MIB
CHUNK = 128 << 10


def read_all(leaf, data):
    for offset in range(0, SIZE, CHUNK):
        check(read_at(leaf.image(), offset, CHUNK) == data[offset:offset + CHUNK], f"{leaf.name} at {offset}")


def pushed(leaf):
    counters = leaf.volume()["counters"]
    return counters["pushed_in"], counters["pushed_used"], counters["pushed_back"]


def test(lab):
    need_fuse()
    root = lab.root("--push", "4M", size=str(SIZE))
    data = random.Random(49).randbytes(SIZE)
    for offset in range(0, SIZE, MIB):
        write_at(root.image(), offset, data[offset:offset + MIB])
    one = lab.leaf("one", "--readahead", "0")
    read_all(one, data)
    taken, used, back = pushed(one)
    check(used > SIZE // 4096 // 2 and back == 0, f"taken {taken}, used {used}, given back {back}")
    check(root.volume()["counters"]["pushed_out"] >= taken, root.volume()["counters"])
    write_at(root.image(), 4096, b"w" * 4096)
    check(read_at(one.image(), 4096, 4096) == b"w" * 4096, "what the root has written since")
    hvfs("set", "push=0", "--control", root.control)
    two = lab.leaf("two", "--readahead", "0")
    read_all(two, data[:4096] + b"w" * 4096 + data[8192:])
    check(pushed(two) == (0, 0, 0), f"it was to be sent nothing: {pushed(two)}")
    lab.stop_all()


main(test)
