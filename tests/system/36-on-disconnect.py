# SPDX-License-Identifier: MIT
"""What happens to requests that need a parent that is away: they wait, or fail, at once or after a while, as was asked for; what
is in the cache and leased is served in any case."""
import errno
import os
import signal

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, write_at

EIO = str(errno.EIO)


def read(opener, block):
    return opener.do(f"os.pread(fd, {BLOCK}, {block * BLOCK}) is not None")


def cut_off(leaf):
    """The leaf has noticed."""
    check(leaf.volume()["phase"] in ("cut-off", "lapsed"), "the phase is", leaf.volume()["phase"])


def wait_for_parent(leaf, opener, then):
    """A parent is there again, but the leaf may not have noticed yet."""
    hvfs("set", "on-disconnect=wait", "--control", leaf.control)
    check(read(opener, 500) == "ok", "a read fails although it may wait")
    hvfs("set", f"on-disconnect={then}", "--control", leaf.control)


def at_once(lab, root):
    leaf = lab.leaf("strict", "--on-disconnect", "error")
    opener = Opener(lab, leaf.image())
    write_at(leaf.image(), 0, b"a" * BLOCK, sync=True)
    root.kill()
    check(read(opener, 0) == "ok", "what is leased and in the cache is not served")
    check(read(opener, 100) == EIO, "a read that needs the parent waits")
    check(opener.do(f"os.pwrite(fd, b'b' * {BLOCK}, 0) > 0") == "ok", "a write that needs no parent fails")
    check(opener.do("os.fsync(fd)") == EIO, "a fsync that needs the parent waits")
    root = restart(lab)
    wait_for_parent(leaf, opener, "error")
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails although the parent is there")
    check(read(opener, 100) == "ok", "a read fails although the parent is there")
    opener.close()
    leaf.stop()
    return root


def after_a_while(lab, root):
    leaf = lab.leaf("lenient", "--on-disconnect", "error:3s", "--io-timeout", "10m")
    opener = Opener(lab, leaf.image())
    root.kill()
    check(read(opener, 100) == EIO, "a read that waits for longer than was asked for does not fail")
    cut_off(leaf)
    root = restart(lab)
    wait_for_parent(leaf, opener, "error:3s")
    # Not for the short time that a restart takes.
    root.kill()
    root = restart(lab)
    check(read(opener, 200) == "ok", "a read fails while the parent is restarted")
    # Changed while it runs.
    hvfs("set", "on-disconnect=error", "--control", leaf.control)
    root.kill()
    check(read(opener, 300) == EIO, "a read that needs the parent waits")
    hvfs("set", "on-disconnect=wait", "--control", leaf.control)
    root = restart(lab)
    check(read(opener, 300) == "ok", "a read fails although it may wait")
    opener.close()
    leaf.stop()
    return root


def hanging(lab, root):
    """A parent that takes the connection and answers nothing is away, too."""
    leaf = lab.leaf("hung", "--on-disconnect", "error:1s", "--io-timeout", "10m")
    opener = Opener(lab, leaf.image())
    os.kill(root.pid, signal.SIGSTOP)
    try:
        check(read(opener, 100) == EIO, "a read that needs the parent waits")
    finally:
        os.kill(root.pid, signal.SIGCONT)
    check(read(opener, 100) in ("ok", EIO), "read")
    opener.close()
    leaf.stop()


def restart(lab):
    return lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", "2s")


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "2s")
    root = at_once(lab, root)
    root = after_a_while(lab, root)
    hanging(lab, root)
    lab.stop_all()


main(test)
