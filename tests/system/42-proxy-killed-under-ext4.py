# SPDX-License-Identifier: MIT
"""A file system on a leaf's loop device, and the proxy above is killed while it is written. The file system notices nothing,
and another leaf that was below the same proxy finds it whole."""
import os
import random

from lab import main, need_filesystem, need_fuse, need_loop, need_program, read_at, run, same_tree, write_tree

LEASE = ("--hb-ttl", "2s")
PATIENCE = ("--io-timeout", "30s")


def write(leaf, lab, proxy):
    device = lab.attach(leaf.image())
    run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
    lab.mount(device, "mnt", "-o", "errors=remount-ro")
    run("cp", "-r", "source/first", "mnt/")
    run("sync", "-f", "mnt")
    # Of these some are in the kernel, some in the leaf, some in the proxy.
    run("cp", "-r", "source/second", "mnt/")
    copy = lab.popen("cp", "-r", "source/third", "mnt/")
    proxy.kill()
    copy.wait()
    run("sync", "-f", "mnt")
    run("cp", "-r", "source/fourth", "mnt/")
    lab.unmount("mnt")
    lab.detach(device)


def read(lab, image):
    run("e2fsck", "-fn", image)
    device = lab.attach(image, "--read-only")
    lab.mount(device, "mnt", "-o", "ro,noload")
    same_tree("source", "mnt")
    lab.unmount("mnt")
    lab.detach(device)


def test(lab):
    need_fuse()
    need_loop()
    need_program("mkfs.ext4", "e2fsck", "diff")
    need_filesystem("ext4")
    for number, name in enumerate(("first", "second", "third", "fourth")):
        os.makedirs(f"source/{name}")
        write_tree(f"source/{name}", random.Random(number))
    root = lab.root(*LEASE, size="256M")
    proxy = lab.proxy("proxy", *LEASE)
    one, two = lab.leaf("one", *PATIENCE, parent="proxy"), lab.leaf("two", *PATIENCE, parent="proxy")
    read_at(two.image(), 0, 1 << 20)  # two has something from the proxy, too
    write(one, lab, proxy)
    read(lab, two.image())
    read(lab, root.image())
    lab.stop_all()
    read(lab, "disk.img")


main(test)
