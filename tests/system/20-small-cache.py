# SPDX-License-Identifier: MIT
"""Nodes with a cache of 16 MiB serve a volume of 1 TiB: more is written than fits, and memory stays bounded."""
import random

from lab import check, main, need_fuse, read_at, write_at

MIB = 1 << 20
VOLUME = 1 << 40
CHUNKS = 256  # of 1 MiB
MEMORY = 160 * MIB  # of a node, all in all: well below what is written


def test(lab):
    need_fuse()
    small = ("--cache", "mem:16M")
    root = lab.root(*small, size="1T")
    lab.proxy("proxy", *small)
    one, two = lab.leaf("one", *small, parent="proxy"), lab.leaf("two", *small, parent="proxy")
    rng = random.Random(20)
    offsets = [number * 4096 for number in rng.sample(range((VOLUME - MIB) // (4 * MIB)), CHUNKS)]
    offsets = [offset * 1024 for offset in offsets] + [VOLUME - MIB]
    seeds = {offset: number for number, offset in enumerate(offsets)}
    for offset, seed in seeds.items():
        write_at(one.image(), offset, random.Random(seed).randbytes(MIB))
    for node in (two, root, one):
        for offset, seed in seeds.items():
            check(read_at(node.image(), offset, MIB) == random.Random(seed).randbytes(MIB), f"{node.name} at {offset}")
    for node in lab.nodes:
        check(node.memory_peak() < MEMORY, f"{node.name} took {node.memory_peak() >> 20} MiB")
    lab.stop_all()
    for offset, seed in seeds.items():
        check(read_at("disk.img", offset, MIB) == random.Random(seed).randbytes(MIB), f"the root's disk at {offset}")


main(test)
