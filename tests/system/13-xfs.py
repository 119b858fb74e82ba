# SPDX-License-Identifier: MIT
"""XFS on a leaf's loop device; read back through another leaf and from the root's disk. A read-only device is one."""
import os
import random

from lab import check, main, need_filesystem, need_fuse, need_loop, need_program, run, same_tree, write_tree


def write(lab, leaf):
    device = lab.attach(leaf.image())
    run("mkfs.xfs", "-q", device)
    lab.mount(device, "mnt")
    run("cp", "-r", "source/.", "mnt/")
    # Deleted space is given back through the loop device.
    os.mkdir("mnt/gone")
    write_tree("mnt/gone", random.Random(2), files=20)
    run("rm", "-r", "mnt/gone")
    run("fstrim", "mnt")
    lab.unmount("mnt")
    lab.detach(device)


def read(lab, image):
    device = lab.attach(image, "--read-only")
    check(run("blockdev", "--getro", device).stdout.strip() == "1", "the device can be written")
    lab.mount(device, "mnt", "-o", "ro,norecovery")
    same_tree("source", "mnt")
    lab.unmount("mnt")
    lab.detach(device)


def test(lab):
    need_fuse()
    need_loop()
    need_program("mkfs.xfs", "diff", "blockdev", "fstrim", "xfs_repair")
    need_filesystem("xfs")
    os.mkdir("source")
    write_tree("source", random.Random(13))
    root = lab.root(size="512M")
    one, two = lab.leaf("one"), lab.leaf("two")
    write(lab, one)
    read(lab, two.image())
    read(lab, root.image())
    lab.stop_all()
    run("xfs_repair", "-n", "-f", "disk.img")
    read(lab, "disk.img")


main(test)
