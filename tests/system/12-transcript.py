# SPDX-License-Identifier: MIT
"""The example of the manual, word for word: a file system on a leaf's image is whole on the root's disk after stop."""
import os
import random
import sys

from lab import check, hvfs, main, need_fuse, need_program, run, same_tree, write_tree

TRANSCRIPT = """
create disk.img --size 1G
serve --name root  --volume v=disk.img --listen unix:r.sock --control r.ctl --mount r --daemon
serve --name proxy --volume v --parent unix:r.sock --listen unix:p.sock --control p.ctl --daemon
serve --name leaf  --volume v --parent unix:p.sock --control l.ctl --mount l --daemon
"""


def play():
    os.mkdir("r")
    os.mkdir("l")
    for line in TRANSCRIPT.strip().splitlines():
        hvfs(*line.split())


def write_by_loop(lab):
    run("mkfs.ext4", "-q", "l/v.img")
    device = lab.attach("l/v.img")
    lab.mount(device, "mnt")
    run("cp", "-r", "source/.", "mnt/")
    same_tree("source", "mnt")
    lab.unmount("mnt")
    lab.detach(device)


def write_by_mkfs():
    run("mkfs.ext4", "-q", "-d", "source", "l/v.img")


def read_disk(lab, with_loop):
    """A plain disk image: nothing of ours is needed to read it."""
    run("e2fsck", "-f", "-n", "disk.img")
    if with_loop:
        device = run("losetup", "--find", "--show", "--read-only", "disk.img").stdout.strip()
        lab.devices.append(device)
        lab.mount(device, "mnt2", "-o", "ro")
        same_tree("source", "mnt2")
        lab.unmount("mnt2")
        lab.detach(device)
    os.mkdir("dump")
    run("debugfs", "-R", "rdump / dump", "disk.img")
    same_tree("source", "dump")


def test(lab):
    need_fuse()
    need_program("mkfs.ext4", "debugfs", "e2fsck", "diff")
    with_loop = os.geteuid() == 0 and os.path.exists("/dev/loop-control")
    os.mkdir("source")
    write_tree("source", random.Random(12))
    try:
        play()
        write_by_loop(lab) if with_loop else write_by_mkfs()
        for control in ("l.ctl", "p.ctl", "r.ctl"):
            hvfs("stop", "--control", control)
    finally:
        if sys.exc_info()[0] is not None:
            end_leftovers(lab)
    read_disk(lab, with_loop)
    check(os.listdir("r") == [] and os.listdir("l") == [], "still mounted")


def end_leftovers(lab):
    """The nodes were not started by the lab: have it know them, so that it ends them."""
    from lab import Node
    for control, name in (("r.ctl", "r"), ("p.ctl", None), ("l.ctl", "l")):
        try:
            os.link(control, f"{name or 'p'}-left.ctl")
            lab.nodes.append(Node(lab, f"{name or 'p'}-left", name))
        except OSError:
            pass


main(test)
