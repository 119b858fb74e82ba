# SPDX-License-Identifier: MIT
"""A node whose parent dies or hangs goes on: to the next parent of its list, or to its grandparent, of which it was told. What
was written is not lost on the way, and nobody has to do anything."""
import os
import signal

from lab import BLOCK, Opener, check, main, need_fuse, read_at, write_at

LEASE = ("--hb-ttl", "2s")


def parent_of(node):
    return node.volume()["parent"]


def works(lab, leaf, opener, byte):
    opener.write(0, byte, BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    check(read_at("disk.img", 0, BLOCK) == byte * BLOCK, "fsync returned, and the disk does not have it")


def moved(node, before, after):
    parent = parent_of(node)
    check(after in parent["addr"], f"{node.name} is served by", parent["addr"])
    check(parent["is_other"] and before in parent["configured"], "the status does not say that it is another", parent)
    with open(f"{node.name}.log") as file:
        check("not by the first parent" in file.read(), "the log does not say that it is another")


def by_list(lab):
    proxy = lab.proxy("proxy", *LEASE)
    leaf = lab.leaf("listed", "--parent", "unix:root.sock", "--writeback", "3600s", parent="proxy")
    check(not parent_of(leaf)["is_other"], "the first parent is not taken for the first")
    opener = Opener(lab, leaf.image())
    works(lab, leaf, opener, b"a")
    opener.write(BLOCK, b"b", BLOCK)
    proxy.kill()
    works(lab, leaf, opener, b"c")
    check(read_at("disk.img", BLOCK, BLOCK) == b"b" * BLOCK, "what was dirty when the proxy died is lost")
    moved(leaf, "proxy.sock", "root.sock")
    opener.close()
    leaf.stop()


def by_what_was_told(lab):
    proxy = lab.proxy("proxy", *LEASE)
    leaf = lab.leaf("told", "--writeback", "3600s", parent="proxy")
    opener = Opener(lab, leaf.image())
    works(lab, leaf, opener, b"d")
    check(any("root.sock" in address for address in parent_of(leaf)["ancestors"]), "no node further up is known", parent_of(leaf))
    opener.write(BLOCK, b"e", BLOCK)
    proxy.kill()
    works(lab, leaf, opener, b"f")
    check(read_at("disk.img", BLOCK, BLOCK) == b"e" * BLOCK, "what was dirty when the proxy died is lost")
    moved(leaf, "proxy.sock", "root.sock")
    # The proxy is back, and has another child: both write.
    proxy = lab.proxy("proxy", *LEASE)
    other = lab.leaf("other", parent="proxy")
    write_at(other.image(), 2 * BLOCK, b"g" * BLOCK, sync=True)
    check(read_at(leaf.image(), 2 * BLOCK, BLOCK) == b"g" * BLOCK, "the leaf reads something else")
    works(lab, leaf, opener, b"h")
    check(read_at(other.image(), 0, BLOCK) == b"h" * BLOCK, "the other leaf reads something else")
    opener.close()
    for node in (other, leaf, proxy):
        node.stop()


def hanging(lab):
    """The proxy is alive, takes connections, and answers nothing."""
    proxy = lab.proxy("proxy", *LEASE)
    leaf = lab.leaf("patient", "--writeback", "3600s", parent="proxy")
    opener = Opener(lab, leaf.image())
    works(lab, leaf, opener, b"i")
    opener.write(BLOCK, b"j", BLOCK)
    os.kill(proxy.pid, signal.SIGSTOP)
    try:
        works(lab, leaf, opener, b"k")
        check(read_at("disk.img", BLOCK, BLOCK) == b"j" * BLOCK, "what was dirty when the proxy hung is lost")
        moved(leaf, "proxy.sock", "root.sock")
    finally:
        os.kill(proxy.pid, signal.SIGCONT)
    works(lab, leaf, opener, b"l")
    opener.close()
    leaf.stop()
    proxy.stop()


def test(lab):
    need_fuse()
    lab.root(*LEASE)
    by_list(lab)
    by_what_was_told(lab)
    hanging(lab)
    lab.stop_all()


main(test)
