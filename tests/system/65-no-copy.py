# SPDX-License-Identifier: MIT
"""Bytes are not copied in memory on their way (S31): from a message to the cache, from there to a child, and to the kernel.
What is written by an application is copied once, where it is written."""
import os

from lab import check, main, need_fuse, read_at, write_at

MIB = 1 << 20
SIZE = 32 * MIB
SOME = SIZE // 50  # of messages that were not foreseen, and of writes that had to wait


def copied(node):
    return node.status()["memory"]["copied_bytes"]


def read_all(node, size):
    for offset in range(0, SIZE, size):
        read_at(node.image(), offset, size)


def test(lab):
    need_fuse()
    root = lab.root(size="32M")
    data = os.urandom(SIZE)
    for offset in range(0, SIZE, MIB):
        write_at(root.image(), offset, data[offset:offset + MIB], sync=True)
    check(SIZE <= copied(root) < SIZE + SOME, "what was written was copied so much at the root:", copied(root))

    before = copied(root)
    proxy = lab.proxy("proxy", "--cache", "mem:64M")
    leaf = lab.leaf("leaf", "--cache", "mem:64M", parent="proxy")
    check(read_at(leaf.image(), 0, SIZE) == data, "the leaf reads something else")
    print(f"of {SIZE} bytes on their first way, copied: {copied(proxy)} at the proxy, {copied(leaf)} at the leaf")
    check(copied(root) == before, "the root copied what it gave:", copied(root) - before)
    for node in proxy, leaf:
        check(copied(node) < SOME, f"{node.name} copied what it received:", copied(node))

    before = copied(leaf)
    read_all(leaf, MIB)
    read_all(leaf, 4096)
    check(copied(leaf) == before, "hits are copied:", copied(leaf) - before)

    before = copied(leaf), copied(proxy), copied(root)
    for offset in range(0, SIZE, MIB):
        write_at(leaf.image(), offset, data[offset:offset + MIB], sync=True)
    after = copied(leaf), copied(proxy), copied(root)
    print("of as many on their way up:", *(b - a for a, b in zip(before, after)))
    check(SIZE <= after[0] - before[0] < SIZE + SOME, "the leaf copied what was written:", after[0] - before[0])
    for i in 1, 2:
        check(after[i] - before[i] < SOME, "copied on the way up:", after[i] - before[i])
    return True


main(test)
