# SPDX-License-Identifier: MIT
"""When a fsync returns: with everything on the root's disk, in the parent's memory, or in this node's, as was asked for."""
import os
import signal

from lab import BLOCK, Opener, check, main, need_fuse, read_at

LATE = ("--writeback", "3600s")


def on_disk(byte, block):
    return read_at("disk.img", block * BLOCK, BLOCK) == byte * BLOCK


def local(lab, root):
    leaf = lab.leaf("local", "--durability", "local", *LATE)
    opener = Opener(lab, leaf.image())
    opener.write(0, b"a", BLOCK)
    os.kill(root.pid, signal.SIGSTOP)
    opener.write(0, b"b", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")  # returns, though nobody else is there
    os.kill(root.pid, signal.SIGCONT)
    check(not on_disk(b"b", 0), "a local fsync went to the disk")
    check(leaf.volume()["dirty_bytes"] == BLOCK, "a local fsync went to the parent")
    opener.close()
    leaf.stop()
    check(on_disk(b"b", 0), "the stop did not bring it to the disk")


def parent(lab, root):
    """The proxy has it, and the root need not be there for that."""
    proxy = lab.proxy("proxy", *LATE)
    leaf = lab.leaf("parent", "--durability", "parent", *LATE, parent="proxy")
    opener = Opener(lab, leaf.image())
    opener.write(BLOCK, b"c", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    os.kill(root.pid, signal.SIGSTOP)
    opener.write(BLOCK, b"d", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    check(leaf.volume()["dirty_bytes"] == 0, "fsync returned, and the parent does not have it")
    os.kill(root.pid, signal.SIGCONT)
    leaf.kill()
    opener.process.kill()
    proxy.stop()
    check(on_disk(b"d", 1), "the parent did not bring it to the disk")


def at_root(lab, root):
    leaf = lab.leaf("careful", *LATE)
    opener = Opener(lab, leaf.image())
    opener.write(2 * BLOCK, b"e", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    check(on_disk(b"e", 2), "fsync returned, and the disk does not have it")
    opener.close()
    leaf.stop()


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "5s", *LATE)
    local(lab, root)
    parent(lab, root)
    at_root(lab, root)
    lab.stop_all()


main(test)
