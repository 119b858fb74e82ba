# SPDX-License-Identifier: MIT
"""Holes: punched at a leaf, they give back space at the root; discard through a loop device does the same; SEEK_DATA and
SEEK_HOLE never call data a hole."""
import os

from lab import check, main, need_fuse, need_program, read_at, run, write_at

MIB = 1 << 20


def space(path):
    return os.stat(path).st_blocks * 512


def holes_possible():
    """Whether the file system under the store gives space back at all."""
    with open("probe", "wb") as file:
        file.write(b"x" * 4 * MIB)
        os.fsync(file.fileno())
    before = space("probe")
    result = run("fallocate", "-p", "-o", 0, "-l", 4 * MIB, "probe", status=None)
    possible = result.returncode == 0 and space("probe") < before
    os.unlink("probe")
    return possible


def punch(root, leaf):
    data = os.urandom(16 * MIB)
    write_at(leaf.image(), 0, data, sync=True)
    before = space("disk.img")
    check(before >= 16 * MIB, "what was synced takes", before)
    # Unaligned at both ends: parts of blocks become zeros, whole ones holes.
    run("fallocate", "-p", "-o", 4 * MIB + 100, "-l", 8 * MIB, leaf.image())
    expected = data[:4 * MIB + 100] + bytes(8 * MIB) + data[12 * MIB + 100:]
    for node in (leaf, root):
        check(read_at(node.image(), 0, 16 * MIB) == expected, node.name, "reads something else")
    leaf.flush()
    after = space("disk.img")
    check(before - after >= 7 * MIB, f"punching 8 MiB gave back {before - after} bytes")
    check(read_at("disk.img", 0, 16 * MIB) == expected, "the root's disk has something else")
    return expected


def zero_range(leaf):
    write_at(leaf.image(), 40 * MIB, b"q" * MIB)
    run("fallocate", "-z", "-o", 40 * MIB, "-l", MIB, leaf.image())
    check(read_at(leaf.image(), 40 * MIB, MIB) == bytes(MIB), "zero range")


def seek(node, expected):
    """Walk over data and holes: what is called a hole reads as zeros."""
    fd, at, found = os.open(node.image(), os.O_RDONLY), 0, 0
    while at < len(expected):
        hole = min(os.lseek(fd, at, os.SEEK_HOLE), len(expected))
        try:
            data = min(os.lseek(fd, hole, os.SEEK_DATA), len(expected)) if hole < len(expected) else hole
        except OSError:  # ENXIO: no data behind
            data = len(expected)
        check(expected[hole:data] == bytes(data - hole), f"{node.name}: data in the hole {hole} to {data}")
        check(data > at, "SEEK does not advance")
        found += data - hole
        at = data
    os.close(fd)
    return found


def discard_by_loop(lab, leaf):
    device = lab.attach(leaf.image())
    check(run("blockdev", "--getsize64", device).stdout.strip() == str(64 * MIB), "the device's size")
    write_at(device, 20 * MIB, b"d" * 8 * MIB, sync=True)
    before = space("disk.img")
    run("blkdiscard", "-o", 20 * MIB, "-l", 8 * MIB, device)
    lab.detach(device)
    leaf.flush()
    after = space("disk.img")
    check(before - after >= 7 * MIB, f"discarding 8 MiB gave back {before - after} bytes")
    check(read_at(leaf.image(), 20 * MIB, 8 * MIB) == bytes(8 * MIB), "discarded bytes are not zeros")


def test(lab):
    need_fuse()
    need_program("fallocate", "blkdiscard", "blockdev")
    if not holes_possible():
        from lab import skip
        skip(f"the file system of {os.getcwd()} has no holes")
    root = lab.root()
    leaf = lab.leaf("leaf")
    expected = punch(root, leaf)
    zero_range(leaf)
    seek(leaf, expected)
    seek(root, expected)
    if os.geteuid() == 0 and os.path.exists("/dev/loop-control"):
        discard_by_loop(lab, leaf)
    # As long as a child may write, the root can not know better than "all data".
    leaf.stop()
    root.flush()
    check(seek(root, expected) >= 7 * MIB, "the root does not say where its holes are")
    lab.stop_all()


main(test)
