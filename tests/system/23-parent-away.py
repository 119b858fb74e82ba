# SPDX-License-Identifier: MIT
"""The parent is gone: requests end with an error after a bounded time, and stop says what could not be brought up. When it
comes back everything goes on; what was not at the root by then is either still there or given up aloud, by a failed fsync."""
import errno
import os
import select
import signal
import socket

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, read_at, wait_readable, write_at


def expect_error(answer):
    check(answer in (str(errno.EIO), str(errno.ETIMEDOUT)), "without a parent, the answer was", answer)


def restart_root(lab):
    return lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", "2s")


def back_in_time(lab, root):
    """A dirty block, then the root is killed and comes back."""
    leaf = lab.leaf("patient", "--io-timeout", "120s")
    write_at(leaf.image(), 0, b"a" * BLOCK, sync=True)
    opener = Opener(lab, leaf.image())
    opener.write(BLOCK, b"b", BLOCK)
    root.kill()
    root = restart_root(lab)
    answer = opener.do("os.fsync(fd)")
    check(answer in ("ok", str(errno.EIO)), "fsync answered", answer)
    expected = b"b" * BLOCK if answer == "ok" else bytes(BLOCK)
    for node in (leaf, root):
        check(read_at(node.image(), 0, 2 * BLOCK) == b"a" * BLOCK + expected, f"fsync answered {answer}; {node.name} reads otherwise")
    # From here on it is as before.
    opener.write(BLOCK, b"c", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "a write after the root came back can not be synced")
    check(read_at("disk.img", 0, 2 * BLOCK) == b"a" * BLOCK + b"c" * BLOCK, "fsync returned, but the root's disk has something else")
    opener.close()
    leaf.stop()
    return root


def never_back(lab, root):
    leaf = lab.leaf("hasty", "--io-timeout", "2s")
    opener = Opener(lab, leaf.image())
    opener.write(10 * BLOCK, b"d", BLOCK)
    root.kill()
    # What is not at the root yet stays dirty, and fsync keeps failing, for as long as the parent is away.
    expect_error(opener.do("os.fsync(fd)"))
    expect_error(opener.do("os.fsync(fd)"))
    expect_error(opener.do(f"os.pread(fd, 10, {20 * BLOCK})"))
    check("root.sock" in hvfs("status", "--control", leaf.control).stdout, "the status does not name the parent")
    another_reason(leaf)
    answer = hvfs("stop", "--control", leaf.control, status=1)
    check("v" in answer.stderr and "not at the root" in answer.stderr, "stop does not say what is lost:", answer.stderr)
    wait_readable(leaf.pidfd)
    lab.nodes.remove(leaf)
    opener.close()
    check(os.listdir("hasty") == [], "still mounted after stop")


def another_reason(leaf):
    """The log says why the parent can not be reached; and again when it is for another reason, but not at each attempt."""
    os.unlink("root.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind("root.sock")
        silent.listen()
        for _ in range(2000):
            with open(f"{leaf.name}.log", encoding="utf-8") as log:
                lines = [line for line in log if "can not be reached" in line]
            if any("within" in line for line in lines):
                break
            select.select([], [], [], 0.01)
        else:
            raise AssertionError(f"nothing about a parent that does not answer: {lines}")
    check(2 <= len(lines) <= 4, "the log tells of the parent", len(lines), "times:", lines)
    os.unlink("root.sock")


def never_there(lab):
    answer = hvfs("serve", "--name", "x", "--control", "x.ctl", "--volume", "v", "--parent", "unix:root.sock", "--io-timeout", "1s",
                  "--daemon", status=1)
    check("root.sock" in answer.stderr, "serve does not name the parent that is away:", answer.stderr)
    check(not os.path.exists("x.ctl"), "a refused node left its control socket")


def stopped_and_continued(lab, root):
    """SIGSTOP for longer than the lease: the leaf may use nothing of what it had without asking again."""
    leaf, other = lab.leaf("sleeper"), lab.leaf("other")
    write_at(leaf.image(), 5 * BLOCK, b"old" * 100, sync=True)
    check(read_at(leaf.image(), 5 * BLOCK, 3) == b"old", "sleeper")
    os.kill(leaf.pid, signal.SIGSTOP)
    # Waits until the sleeper's lease is over.
    write_at(other.image(), 5 * BLOCK, b"new" * 100, sync=True)
    os.kill(leaf.pid, signal.SIGCONT)
    check(read_at(leaf.image(), 5 * BLOCK, 3) == b"new", "the sleeper woke up with a block that was taken from it")
    leaf.stop()
    other.stop()


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "2s")
    root = back_in_time(lab, root)
    stopped_and_continued(lab, root)
    never_back(lab, root)
    never_there(lab)


main(test)
