# SPDX-License-Identifier: MIT
"""What a root leaves beside its storage, and what the next one makes of it: after a crash those who hold something may come
back with it before anybody else is served, for as long as the longest lease ran; after a stop in order there is no wait."""
import os
import time

from lab import BLOCK, Opener, check, main, need_fuse, read_at

LEASE_MS = 2000
GRACE_MS = LEASE_MS + LEASE_MS // 32 + 20
ROOT = ("--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", f"{LEASE_MS}ms")


def record(path="disk.img"):
    with open(path + ".hvfs") as file:
        return dict(line.split(maxsplit=1) for line in file.read().splitlines())


def expect(clean, hb_ttl_ms):
    found = record()
    check((found["clean"], found["hb_ttl_ms"]) == (clean, hb_ttl_ms), "the record is", found)


def log_has(name, words):
    with open(f"{name}.log") as file:
        return words in file.read()


def fresh(lab):
    lab.create()
    expect("1", "0")
    root = lab.serve("root", *ROOT)
    expect("0", str(LEASE_MS))
    check(not log_has("root", "did not leave in order"), "a fresh volume has a grace time")
    root.stop()
    expect("1", "0")


def refused_start(lab):
    """A root that could not start gave no lease: the next one does not wait."""
    lab.create("other.img")
    lab.serve("taken", "--volume", "w=other.img", "--listen", "unix:taken.sock", mount=False)
    try:
        lab.serve("second", "--volume", "v=disk.img", "--listen", "unix:taken.sock", mount=False)
        check(False, "two nodes listen on one socket")
    except AssertionError as refusal:
        check("taken.sock" in str(refusal), refusal)
    root = lab.serve("root", *ROOT)
    check(not log_has("root", "did not leave in order"), "a refused start makes the next one wait")
    root.stop()


def crash(lab):
    """The writer's bytes are brought back; who wants to read waits until nobody else can come."""
    root = lab.serve("root", *ROOT)
    leaf = lab.leaf("leaf", "--writeback", "3600s")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"a", BLOCK)
    root.kill()
    expect("0", str(LEASE_MS))
    start = time.monotonic()
    root = lab.serve("root", *ROOT, "--hb-ttl", "1s")
    check(log_has("root", f"for {GRACE_MS} ms"), "the log does not tell the grace time")
    expect("0", str(LEASE_MS))  # leases of before may still run
    check(read_at(root.image(), 0, BLOCK) == b"a" * BLOCK, "what the leaf had is not there")
    check((time.monotonic() - start) * 1000 >= GRACE_MS, "somebody was served in the grace time")
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    check(read_at("disk.img", 0, BLOCK) == b"a" * BLOCK, "fsync returned, and the disk does not have it")
    opener.close()
    leaf.stop()
    root.stop()
    expect("1", "0")


def stopped_early(lab):
    """A root that is stopped within its grace time does not know who was still to come."""
    lab.serve("root", *ROOT).kill()
    root = lab.serve("root", *ROOT)
    root.stop()
    expect("0", str(LEASE_MS))
    root = lab.serve("root", *ROOT)
    check(read_at(root.image(), 0, BLOCK) == b"a" * BLOCK, "the root reads something else")
    root.stop()
    expect("1", "0")


def grace_end_not_on_record(lab):
    """A root whose record can not be written serves nobody after its grace time either: those who did not come may come to the
    next one."""
    lab.serve("root", *ROOT).kill()
    root = lab.serve("root", *ROOT, "--io-timeout", "5s")
    os.mkdir("disk.img.hvfs.new")
    opener = Opener(lab, root.image())
    check(opener.do("os.pread(fd, 1, 0)") != "ok", "somebody was served though the end of the grace time is not on record")
    check(log_has("root", "the grace time does not end"), "the log does not say what a reader waits for")
    opener.close()
    root.stop()
    check(not log_has("root", "that it was left in order"), "the root thinks that it leaves in order")
    os.rmdir("disk.img.hvfs.new")
    expect("0", str(LEASE_MS))
    root = lab.serve("root", *ROOT)
    check(read_at(root.image(), 0, BLOCK) == b"a" * BLOCK, "the root reads something else")
    root.stop()
    expect("1", "0")


def read_only(lab):
    """Who may not write the storage leaves nothing beside it when it ends in order. When it does not, its readers may go on for
    a lease: who writes next waits for them. It waits itself when there may be writers, and takes nothing of theirs."""
    before = record()
    root = lab.serve("root", *ROOT, "--read-only")
    expect("1", str(LEASE_MS))
    root.stop()
    check(record() == before, "a read-only root left something on record")
    lab.serve("reader", *ROOT, "--read-only").kill()
    root = lab.serve("reader", *ROOT, "--read-only")
    check(not log_has("reader", "did not leave in order"), "readers wait for readers")
    root.stop()
    root = lab.serve("root", *ROOT)
    check(log_has("root", f"for {GRACE_MS + 1} ms"), "a root that writes does not wait for readers")
    leaf = lab.leaf("leaf", "--writeback", "3600s", "--io-timeout", "5s")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"w", BLOCK)
    root.kill()
    start = time.monotonic()
    root = lab.serve("reader", *ROOT, "--read-only")
    check(log_has("reader", "did not leave in order"), "a read-only root does not wait for writers")
    check(read_at(root.image(), 0, BLOCK) == b"a" * BLOCK, "a read-only root took something")
    check((time.monotonic() - start) * 1000 >= GRACE_MS, "somebody was served while writers could go on")
    check(opener.do("os.fsync(fd)") != "ok", "fsync below a read-only root succeeds")
    root.stop()
    root = lab.serve("root", *ROOT)
    check(read_at(root.image(), 0, BLOCK) == b"w" * BLOCK, "what the leaf had is not there")
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    opener.close()
    leaf.stop()
    root.stop()


def damaged(lab):
    with open("disk.img.hvfs") as file:
        text = file.read()
    with open("disk.img.hvfs", "w") as file:
        file.write(text.replace("clean 1", "clean 0"))
    try:
        lab.serve("root", *ROOT)
        check(False, "a damaged record is taken for a good one")
    except AssertionError as refusal:
        check("damaged" in str(refusal), refusal)
    check(not os.path.exists("root.ctl"), "a refused node left its control socket")
    with open("disk.img.hvfs", "w") as file:
        file.write(text)


def test(lab):
    need_fuse()
    fresh(lab)
    refused_start(lab)
    crash(lab)
    stopped_early(lab)
    grace_end_not_on_record(lab)
    read_only(lab)
    damaged(lab)
    lab.stop_all()


main(test)
