# SPDX-License-Identifier: MIT
"""A leaf with bytes that are nowhere else is stopped for longer than its lease, and another writes their block. When it goes on
it reads nothing stale, one fsync fails with EIO, what it had is in the rescue directory, and then all is well again."""
import errno
import os
import signal

from lab import BLOCK, Opener, check, main, need_fuse, read_at, write_at

NEVER = ("--writeback", "3600s")  # brings nothing up before it must
LOST, LONELY, UNTOUCHED = 5, 700, 900  # another writes the first; nobody wants the second; the third was never written


def reads(node, block, expected):
    got = read_at(node.image(), block * BLOCK, BLOCK)
    check(got == expected, f"{node.name} reads {got[:10]} from block {block}")


def rescued(leaf, block):
    """What is kept of a block: the map says that it counts, the image has it."""
    status = leaf.volume()["rescued"]
    check(status["bytes"] > 0 and status["file"].startswith(os.path.abspath("rescue")), "the status says", status)
    with open(status["file"][:-4] + ".map") as file:
        offsets = [int(line.split()[0]) for line in file if not line.startswith("#")]
    return read_at(status["file"], block * BLOCK, BLOCK) if block * BLOCK in offsets else None


def sleep_across_the_lease(leaf, other):
    os.kill(leaf.pid, signal.SIGSTOP)
    write_at(other.image(), LOST * BLOCK, b"new" + bytes(BLOCK - 3), sync=True)  # waits until the lease is over
    os.kill(leaf.pid, signal.SIGCONT)


def evicted(lab, root, leaf, other):
    opener = Opener(lab, leaf.image())
    opener.write(LOST * BLOCK, b"o", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "a fsync before all that fails")
    opener.write(LOST * BLOCK, b"l", BLOCK)
    opener.write(LONELY * BLOCK, b"m", BLOCK)
    sleep_across_the_lease(leaf, other)
    reads(leaf, LOST, b"new" + bytes(BLOCK - 3))
    answers = [opener.do("os.fsync(fd)") for _ in range(3)]
    check(answers == [str(errno.EIO), "ok", "ok"], "the fsyncs after that answer", answers)
    check(rescued(leaf, LOST) == b"l" * BLOCK, "what was written over is not in the rescue file")
    # What nobody wanted shared its fate, or is kept; either way all agree on it.
    lonely = read_at(leaf.image(), LONELY * BLOCK, BLOCK)
    kept = b"m" * BLOCK
    check(lonely == kept or lonely == bytes(BLOCK) and rescued(leaf, LONELY) == kept, "a block is lost without a word")
    for node in (other, root):
        reads(node, LONELY, lonely)
        reads(node, LOST, b"new" + bytes(BLOCK - 3))
        reads(node, UNTOUCHED, bytes(BLOCK))
    return opener


def works(leaf, opener, other):
    """As if nothing had been."""
    for number, byte in enumerate((b"x", b"y")):
        opener.write(LOST * BLOCK, byte, BLOCK)
        check(opener.do("os.fsync(fd)") == "ok", "a fsync fails again")
        check(read_at("disk.img", LOST * BLOCK, BLOCK) == byte * BLOCK, "the root's disk has something else")
        write_at(other.image(), (LOST + 1) * BLOCK, byte * BLOCK, sync=True)
        reads(leaf, LOST + 1, byte * BLOCK)
        reads(other, LOST, byte * BLOCK)


def nothing_to_lose(leaf, other):
    """Stopped again, with nothing that was not synced: no fsync fails."""
    opener = Opener(leaf.lab, leaf.image())
    opener.write(LOST * BLOCK, b"s", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "a fsync fails")
    sleep_across_the_lease(leaf, other)
    check(opener.do("os.fsync(fd)") == "ok", "a fsync fails although nothing was lost")
    reads(leaf, LOST, b"new" + bytes(BLOCK - 3))
    opener.close()


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "2s")
    leaf, other = lab.leaf("sleeper", *NEVER, "--rescue", "rescue"), lab.leaf("other")
    opener = evicted(lab, root, leaf, other)
    works(leaf, opener, other)
    opener.close()
    nothing_to_lose(leaf, other)
    lab.stop_all()


main(test)
