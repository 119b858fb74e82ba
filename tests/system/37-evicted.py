# SPDX-License-Identifier: MIT
"""A writer is away for longer than its lease, and others go on without it. When it is back it is told, once, by a failed fsync;
what it had written is in a file, and can be put back with the commands that are in it."""
import errno
import glob
import os
import signal
import subprocess

from lab import BLOCK, Opener, check, main, need_fuse, read_at, write_at

ROOT = ("--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", "2s")


def rescue_files():
    return sorted(glob.glob("rescue/*.map"))


def evict(leaf, other, opener, meanwhile=None):
    """The leaf has bytes that nobody else has; others take its blocks while it is away."""
    opener.write(0, b"a", 2 * BLOCK)
    os.kill(leaf.pid, signal.SIGSTOP)
    write_at(other.image(), 0, b"b" * BLOCK, sync=True)
    check(read_at(other.image(), BLOCK, BLOCK) == bytes(BLOCK), "the other reads something else")
    if meanwhile:
        meanwhile()
    os.kill(leaf.pid, signal.SIGCONT)


def told_once(leaf, opener, maps=1):
    answer = opener.do("os.fsync(fd)")
    check(answer == str(errno.EIO), "the bytes are gone, and fsync answered", answer)
    check(opener.do("os.fsync(fd)") == "ok", "EIO is said more than once")
    check(read_at(leaf.image(), 0, 2 * BLOCK) == b"b" * BLOCK + bytes(BLOCK), "the evicted node reads its own bytes")
    rescued = leaf.volume()["rescued"]
    files = rescue_files()
    check(len(files) == maps, "rescue files:", files)
    check(rescued["bytes"] == maps * 2 * BLOCK, "the status says", rescued)
    check(os.path.abspath(rescued["file"]) == os.path.abspath(files[-1])[:-4] + ".img", "the status names", rescued)
    with open("leaf.log") as file:
        log = file.read()
    check("error:" in log and files[-1][:-4] in log and f"{2 * BLOCK} bytes" in log, "the log does not tell what was rescued")
    return files[-1]


def put_back(leaf, path):
    """The commands in the map, as they stand there."""
    with open(path) as file:
        lines = [line[4:] for line in file if line.startswith("#   ")]
    os.symlink(os.path.abspath(leaf.image()), "rescue/VOLUME.img")
    subprocess.run("".join(lines), shell=True, check=True, cwd="rescue", stderr=subprocess.DEVNULL)
    os.unlink("rescue/VOLUME.img")
    check(read_at(leaf.image(), 0, 2 * BLOCK) == b"a" * 2 * BLOCK, "what was put back is not there")
    check(read_at("disk.img", 0, 2 * BLOCK) == b"a" * 2 * BLOCK, "what was put back is not on the disk")


def record():
    with open("disk.img.hvfs") as file:
        return file.read().splitlines()


def test(lab):
    need_fuse()
    lab.create()
    root = lab.serve("root", *ROOT)
    leaf = lab.leaf("leaf", "--writeback", "3600s", "--rescue", "rescue")
    other = lab.leaf("other")
    opener = Opener(lab, leaf.image())
    evict(leaf, other, opener)
    check(sum(line.startswith("evicted ") for line in record()) == 1, "the eviction is not on record:", record())
    path = told_once(leaf, opener)
    put_back(leaf, path)
    # It is on record: also a root that has crashed meanwhile refuses what the leaf still has.
    write_at(other.image(), 0, bytes(2 * BLOCK), sync=True)

    def crash():
        root.kill()
        lab.serve("root", *ROOT)

    evict(leaf, other, opener, crash)
    told_once(leaf, opener, maps=2)
    opener.close()
    lab.stop_all()
    check(not any(line.startswith("evicted ") for line in record()), "a stop in order does not forget evictions")


main(test)
