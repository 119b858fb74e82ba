# SPDX-License-Identifier: MIT
"""The file system that a root's storage is on is full: writes are acknowledged until a fsync, which says so each time and loses
nothing; nobody is evicted who can not be put on record; and all goes on by itself when there is room again."""
import errno
import os
import signal

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, need_root, read_at, run

MIB = 1 << 20
FULL = str(errno.ENOSPC)


def fill():
    """Until not one page is left."""
    with open("small/fill", "ab", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * BLOCK)
        except OSError as error:
            check(error.errno == errno.ENOSPC, error)


def root_again(lab):
    return lab.serve("root", "--volume", "v=small/disk.img", "--listen", "unix:root.sock", "--hb-ttl", "1s", "--io-timeout", "20s")


def log_of(name):
    with open(f"{name}.log") as file:
        return file.read()


def fsyncs(lab, root):
    """Returns the root: another one."""
    leaf = lab.leaf("leaf")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"a", 6 * MIB)
    fill()
    for _ in range(2):
        answer = opener.do("os.fsync(fd)")
        check(answer == FULL, "there is no room, and fsync answered", answer)
    check(opener.do(f"os.pread(fd, {BLOCK}, {5 * MIB}) == b'a' * {BLOCK}") == "ok", "what was written is not there any more")
    answer = hvfs("flush", "--control", leaf.control, status=1)
    check("no space left" in answer.stderr, answer.stderr)
    check(log_of("root").count("No space left") <= 2, "the log tells it again and again")
    # A root that stops in vain says what it could not write; the leaf has it, and brings it to the next one.
    answer = hvfs("stop", "--control", root.control, status=1)
    check("not on its storage" in answer.stderr and "no space left" in answer.stderr, answer.stderr)
    lab.nodes.remove(root)
    os.unlink("small/fill")
    root = root_again(lab)
    check(opener.do("os.fsync(fd)") == "ok", "there is room again, and fsync fails")
    check(read_at("small/disk.img", 0, 6 * MIB) == b"a" * 6 * MIB, "the disk has something else")
    opener.close()
    leaf.stop()
    return root


def evictions(lab, root):
    leaf, other = lab.leaf("absent", "--writeback", "3600s"), lab.leaf("other", "--io-timeout", "6s")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"b", BLOCK)
    fill()
    os.kill(leaf.pid, signal.SIGSTOP)
    reader = Opener(lab, other.image())
    read = f"os.pread(fd, {BLOCK}, 0) == b'a' * {BLOCK}"
    answer = reader.do(read)
    check(answer == str(errno.ETIMEDOUT), "a block was taken from somebody who is not on record as evicted:", answer)
    log = log_of("root")
    check("is evicted" not in log, "an eviction that is not on record is told")
    check(log.count("its record can not be written") == 1, "told", log.count("its record can not be written"), "times")
    os.unlink("small/fill")
    check(reader.do(read) == "ok", "there is room again, and the block can not be read")
    check(log_of("root").count("is evicted") == 1, "evicted", log_of("root").count("is evicted"), "times")
    os.kill(leaf.pid, signal.SIGCONT)
    check(opener.do("os.fsync(fd)") == str(errno.EIO), "the evicted one is not told")
    reader.close()
    opener.close()


def test(lab):
    need_fuse()
    need_root()
    os.mkdir("small")
    run("mount", "-t", "tmpfs", "-o", "size=9M", "tmpfs", "small")
    lab.mounts.append("small")
    lab.create("small/disk.img")
    with open("small/fill", "wb") as file:
        file.write(bytes(2 * MIB))
    root = fsyncs(lab, root_again(lab))
    evictions(lab, root)
    lab.stop_all()


main(test)
