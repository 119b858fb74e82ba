# SPDX-License-Identifier: MIT
"""A mount hangs, since the parent does. abort ends what waits, and all that comes, with EIO; the mount can be unmounted, and
other volumes of the node are not touched. What was written and not brought up is kept in a rescue file, and does not come to the
root later."""
import errno
import glob
import os
import signal
import subprocess
import sys

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, read_at, wait_readable, write_at

READ = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR); print('open', flush=True); os.pread(fd, 4096, 1 << 20)"
WRITE = "import os, sys; fd = os.open(sys.argv[1], os.O_RDWR); print('open', flush=True); os.pwrite(fd, b'x' * 4096, 1 << 20)"


class Stuck:
    """A program that waits for the image."""

    def __init__(self, lab, program, image):
        self.process = lab.popen(sys.executable, "-c", program, image, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        check(self.process.stdout.readline() == "open\n", "the image can not be opened")

    def ended_with_eio(self):
        words = self.process.communicate(timeout=60)[1]
        check(f"[Errno {errno.EIO}]" in words, "it ended otherwise:", words)


def fails(image, function):
    try:
        function(image)
    except OSError as error:
        check(error.errno == errno.EIO, "it failed with", error)
        return
    check(False, f"{image} still works")


def umount_in_vain(lab):
    """It says what it waits for, and that the mount stays; after an abort it waits for nothing."""
    os.unlink("disk.img")
    root = lab.root("--hb-ttl", "2s")
    leaf = lab.leaf("leaf", "--writeback", "3600s")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"w", BLOCK)
    os.kill(root.pid, signal.SIGSTOP)
    answer = hvfs("umount", "leaf", "--timeout", "4s", status=1)
    for words in ("waiting: volume v has bytes that are not at the root (4K)", "parent unix:root.sock can not be reached",
                  "within 4.0s", "stays mounted"):
        check(words in answer.stderr, f"no '{words}' in: {answer.stderr}")
    hvfs("abort", "v", "--control", leaf.control)
    opener.process.kill()
    opener.process.wait()
    hvfs("umount", "leaf", "--timeout", "20s")
    wait_readable(leaf.pidfd)
    lab.nodes.remove(leaf)
    os.kill(root.pid, signal.SIGCONT)
    root.stop()


def test(lab):
    need_fuse()
    lab.create("own.img", "16M")
    root = lab.root()
    leaf = lab.leaf("leaf", "--volume", "own=own.img", "--writeback", "3600s", "--rescue", "rescue")
    opener = Opener(lab, leaf.image())  # its close would sync
    opener.write(2 * BLOCK, b"d", 3 * BLOCK)
    check(leaf.volume()["dirty_bytes"] == 3 * BLOCK, "an async write is at the root already")
    write_at(leaf.image("own"), 0, b"o" * BLOCK, sync=True)
    os.kill(root.pid, signal.SIGSTOP)
    stuck = [Stuck(lab, program, leaf.image()) for program in (READ, WRITE)]
    answer = hvfs("abort", "nix", "--control", leaf.control, status=1)
    check("nix" in answer.stderr, answer.stderr)
    answer = hvfs("abort", "v", "--control", leaf.control)
    check("volume v is aborted" in answer.stdout and "12K were not at the root" in answer.stdout, answer.stdout)
    check(leaf.volume()["dirty_bytes"] == 0, "the status says", leaf.volume())
    check(opener.do("os.fsync(fd)") == str(errno.EIO), "a fsync of what is given up succeeds")
    opener.process.kill()
    for one in stuck:
        one.ended_with_eio()
    check(leaf.volume()["phase"] == "aborted", "the phase is", leaf.volume()["phase"])
    fails(leaf.image(), lambda image: read_at(image, 0, BLOCK))
    fails(leaf.image(), lambda image: write_at(image, 0, b"y" * BLOCK))
    fails(leaf.image(), lambda image: write_at(image, 0, b"y" * BLOCK, sync=True))
    # The other volume is not touched by it.
    write_at(leaf.image("own"), BLOCK, b"p" * BLOCK, sync=True)
    check(read_at("own.img", 0, 2 * BLOCK) == b"o" * BLOCK + b"p" * BLOCK, "the other volume lost something")
    # Nothing of it is left to be saved: that the parent does not answer the good-bye is no failure.
    hvfs("umount", "leaf", "--timeout", "20s")
    check(os.listdir("leaf") == [], "still mounted after umount")
    wait_readable(leaf.pidfd)
    lab.nodes.remove(leaf)
    files = glob.glob("rescue/*.img")
    check(len(files) == 1, "rescue files:", files)
    with open(files[0], "rb") as file:
        check(file.read(6 * BLOCK) == bytes(2 * BLOCK) + b"d" * 3 * BLOCK + bytes(BLOCK), "the rescue file has other bytes")
    with open("leaf.log") as file:
        log = file.read()
    check(f"{3 * BLOCK} bytes that were written here are given up" in log and files[0][:-4] in log, "the log does not tell")
    os.kill(root.pid, signal.SIGCONT)
    root.stop()
    check(read_at("disk.img", 2 * BLOCK, 3 * BLOCK) == bytes(3 * BLOCK), "what was given up came to the root")

    umount_in_vain(lab)


main(test)
