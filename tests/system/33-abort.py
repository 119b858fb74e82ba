# SPDX-License-Identifier: MIT
"""A mount hangs, since the parent does. abort ends what waits, and all that comes, with EIO; the mount can be unmounted, and
other volumes of the node are not touched."""
import errno
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


def test(lab):
    need_fuse()
    lab.create("own.img", "16M")
    root = lab.root("--hb-ttl", "2s")
    leaf = lab.leaf("leaf", "--volume", "own=own.img", "--writeback", "3600s")
    write_at(leaf.image("own"), 0, b"o" * BLOCK, sync=True)
    opener = Opener(lab, leaf.image())
    opener.write(0, b"w", BLOCK)
    os.kill(root.pid, signal.SIGSTOP)
    # It says what it waits for, and in vain; the mount stays.
    answer = hvfs("umount", "leaf", "--timeout", "4s", status=1)
    for words in ("waiting: volume v has bytes that are not at the root (4K)", "parent unix:root.sock can not be reached",
                  "within 4.0s", "stays mounted"):
        check(words in answer.stderr, f"no '{words}' in: {answer.stderr}")
    stuck = [Stuck(lab, program, leaf.image()) for program in (READ, WRITE)]
    answer = hvfs("abort", "nix", "--control", leaf.control, status=1)
    check("nix" in answer.stderr, answer.stderr)
    answer = hvfs("abort", "v", "--control", leaf.control)
    check("volume v is aborted" in answer.stdout and "4K were not at the root" in answer.stdout, answer.stdout)
    for one in stuck:
        one.ended_with_eio()
    check(leaf.volume()["phase"] == "aborted", "the phase is", leaf.volume()["phase"])
    fails(leaf.image(), lambda image: read_at(image, 0, BLOCK))
    fails(leaf.image(), lambda image: write_at(image, 0, b"y" * BLOCK))
    fails(leaf.image(), lambda image: write_at(image, 0, b"y" * BLOCK, sync=True))
    # The other volume is not touched by it.
    write_at(leaf.image("own"), BLOCK, b"p" * BLOCK, sync=True)
    check(read_at("own.img", 0, 2 * BLOCK) == b"o" * BLOCK + b"p" * BLOCK, "the other volume lost something")
    opener.process.kill()
    opener.process.wait()
    # What was not at the root is given up, and was named: that the parent does not answer the good-bye is no failure.
    hvfs("umount", "leaf", "--timeout", "20s")
    check(os.listdir("leaf") == [], "still mounted after umount")
    wait_readable(leaf.pidfd)
    lab.nodes.remove(leaf)
    os.kill(root.pid, signal.SIGCONT)
    root.stop()


main(test)
