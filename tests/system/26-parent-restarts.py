# SPDX-License-Identifier: MIT
"""A parent is restarted below a mounted file, by kill -9 or in order. What it had taken and not brought to the disk is
sent again by the leaf, and no fsync fails. Whatever fsync answers, the disk agrees."""

from lab import BLOCK, Opener, check, main, need_fuse, read_at

NEVER = ("--writeback", "3600s")  # brings nothing up before it must
LEASE = ("--hb-ttl", "2s")


def start_leaf(lab, parent):
    leaf = lab.leaf("leaf", "--io-timeout", "120s", *NEVER, parent=parent)
    return leaf, Opener(lab, leaf.image())


def take(parent, byte):
    """A read at the parent makes it take the bytes from the leaf. Nothing more: they are in its memory."""
    check(read_at(parent.image(), 0, BLOCK) == byte * BLOCK, "the parent reads something else")


def on_disk(byte, block=0):
    check(read_at("disk.img", block * BLOCK, BLOCK) == byte * BLOCK, f"block {block} of the disk is not {byte}")


def works(opener, byte):
    opener.write(0, byte, BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails again")
    on_disk(byte)


def end(leaf, opener):
    opener.close()
    leaf.stop()


def killed_with_what_it_took(lab, name, restart, parent):
    """The leaf has sent its bytes up; they were in the memory of the dead only."""
    leaf, opener = start_leaf(lab, name)
    works(opener, b"a")
    opener.write(0, b"b", BLOCK)
    take(parent, b"b")
    on_disk(b"a")
    parent.kill()
    parent = restart()
    answer = opener.do("os.fsync(fd)")
    check(answer == "ok", f"{name} died with what it had taken; fsync answered", answer)
    on_disk(b"b")
    works(opener, b"c")
    end(leaf, opener)
    return parent


def killed_with_a_writer_below(lab, name, restart, parent):
    """The leaf is alive and has its bytes: they reach the disk."""
    leaf, opener = start_leaf(lab, name)
    works(opener, b"a")
    opener.write(0, b"b", BLOCK)
    parent.kill()
    parent = restart()
    answer = opener.do("os.fsync(fd)")
    check(answer == "ok", "fsync answered", answer)
    on_disk(b"b")
    check(read_at(leaf.image(), 0, BLOCK) == b"b" * BLOCK, "the leaf and its disk disagree")
    works(opener, b"c")
    end(leaf, opener)
    return parent


def stopped_in_order(lab, name, restart, parent, above=None):
    """Bytes that it had taken, and bytes that the leaf had not sent: all are on the disk when it has ended."""
    leaf, opener = start_leaf(lab, above or name)
    opener.write(0, b"d", BLOCK)
    take(parent, b"d")
    opener.write(BLOCK, b"e", BLOCK)
    parent.stop()
    on_disk(b"d", 0)
    on_disk(b"e", 1)
    parent = restart()
    check(opener.do("os.fsync(fd)") == "ok", f"fsync fails although {name} left in order")
    for node, path in (("the leaf", leaf.image()), ("the disk", "disk.img")):
        check(read_at(path, 0, 2 * BLOCK) == b"d" * BLOCK + b"e" * BLOCK, node, "has lost something")
    works(opener, b"f")
    end(leaf, opener)
    return parent


def test(lab):
    need_fuse()
    lab.create()

    def new_root():
        return lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", *LEASE, *NEVER)

    def new_proxy():
        return lab.proxy("proxy", *LEASE, *NEVER, mount=True)

    root = new_root()
    root = killed_with_what_it_took(lab, "root", new_root, root)
    root = killed_with_a_writer_below(lab, "root", new_root, root)
    root = stopped_in_order(lab, "root", new_root, root)
    proxy = new_proxy()
    proxy = killed_with_what_it_took(lab, "proxy", new_proxy, proxy)
    proxy = killed_with_a_writer_below(lab, "proxy", new_proxy, proxy)
    stopped_in_order(lab, "proxy", new_proxy, proxy)
    stopped_in_order(lab, "root", new_root, root, above="proxy")
    lab.stop_all()


main(test)
