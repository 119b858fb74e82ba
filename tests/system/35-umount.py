# SPDX-License-Identifier: MIT
"""umount flushes and unmounts: a node without children ends by that, one with children goes on; a mount in use stays, and who
uses it is listed."""
import os

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, need_loop, read_at, wait_readable, write_at, Skip


def gone(lab, node):
    wait_readable(node.pidfd)
    lab.nodes.remove(node)
    check(os.listdir(node.name) == [], "still mounted")


def ends(lab):
    leaf = lab.leaf("leaf", "--writeback", "3600s")
    write_at(leaf.image(), 0, b"a" * BLOCK)
    hvfs("umount", "leaf")
    gone(lab, leaf)
    check(read_at("disk.img", 0, BLOCK) == b"a" * BLOCK, "unmounted, and the disk does not have it")


def busy(lab):
    leaf = lab.leaf("leaf")
    opener = Opener(lab, leaf.image())
    opener.write(BLOCK, b"b", BLOCK)
    answer = hvfs("umount", "--control", leaf.control, status=1)
    check(f"process {opener.process.pid} (python" in answer.stderr and "v.img" in answer.stderr, "who uses it is not listed:", answer.stderr)
    check("stays mounted" in answer.stderr, answer.stderr)
    check(read_at("disk.img", BLOCK, BLOCK) == b"b" * BLOCK, "what was written before is not at the root")
    opener.write(2 * BLOCK, b"c", BLOCK)  # it goes on
    opener.close()
    hvfs("umount", "--control", leaf.control)
    gone(lab, leaf)
    check(read_at("disk.img", 2 * BLOCK, BLOCK) == b"c" * BLOCK, "unmounted, and the disk does not have it")


def attached(lab):
    leaf = lab.leaf("leaf")
    device = lab.attach(leaf.image())
    answer = hvfs("umount", "leaf", status=1)
    check(f"{device} is attached to" in answer.stderr, "the loop device is not listed:", answer.stderr)
    lab.detach(device)
    hvfs("umount", "leaf")
    gone(lab, leaf)


def goes_on(lab, root):
    leaf = lab.leaf("leaf")
    hvfs("umount", "root")
    check(os.listdir("root") == [], "still mounted")
    check(not root.has_ended() and root.status()["mount"] == "", "the root does not go on")
    write_at(leaf.image(), 0, b"d" * BLOCK, sync=True)
    check(read_at("disk.img", 0, BLOCK) == b"d" * BLOCK, "the root does not serve its child any more")
    answer = hvfs("umount", "--control", root.control, status=1)
    check("no mount" in answer.stderr, answer.stderr)
    leaf.stop()


def test(lab):
    need_fuse()
    root = lab.root()
    ends(lab)
    busy(lab)
    try:
        need_loop()
        attached(lab)
    except Skip:
        pass
    goes_on(lab, root)
    lab.stop_all()


main(test)
