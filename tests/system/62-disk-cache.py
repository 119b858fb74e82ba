# SPDX-License-Identifier: MIT
"""A cache on a disk: a leaf that is started again reads what it had without getting it from its parent; what is damaged
there is found; a file that is not ours, or in use, is left alone; a disk that is full is given up, and had again."""
import os
import random

from disklab import MIB, SIZE, again, cache, disk, fill, has_all, leaf, prepare, read_all
from lab import HVFS, check, main, need_fuse, run, write_at


def refused(cache, *words, status=1):
    out = run(HVFS, "serve", "--name", "x", "--control", "x.ctl", "--volume", "v", "--parent", "unix:root.sock", "--cache",
              cache, status=status)
    for word in words:
        check(word in out.stderr, f"{cache}: {out.stderr!r} does not say {word!r}")


def warm_restarts(lab, relay, data):
    one = leaf(lab)
    fill(one, data)
    one.stop()
    two, down = again(lab, relay, data, "after a stop")
    check(down < SIZE // 50, f"{down} bytes came down")
    two.kill()
    three, down = again(lab, relay, data, "after kill -9")
    check(down < SIZE // 50, f"{down} bytes came down")
    refused("mem:8M/disk:leaf.cache:64M", "leaf.cache", "in use by process")
    return three


def changed_while_away(lab, relay, data, root, node):
    node.stop()
    write_at(root.image(), 5 * MIB, b"n" * MIB)
    data = data[:5 * MIB] + b"n" * MIB + data[6 * MIB:]
    node, down = again(lab, relay, data, "a 32nd part was written over")
    check(MIB < down < MIB + SIZE // 50, f"{down} bytes came down")
    return node, data


def damaged(lab, relay, data, node):
    node.stop()
    rng = random.Random(1)
    with open("leaf.cache", "r+b") as file:
        size = os.path.getsize("leaf.cache")
        for _ in range(1000):
            file.seek(rng.randrange(2 * MIB, size))
            file.write(rng.randbytes(1))
    node, down = again(lab, relay, data, "1000 bytes of the file were damaged")
    check(disk(node)["damaged"] > 100 and down < 1000 * 4096 * 2, disk(node))
    return node


def foreign_files(node):
    node.stop()
    with open("foreign", "wb") as file:
        file.write(b"somebody's" * 100000)
    refused("mem:8M/disk:foreign:64M", "foreign", "something else")
    check(open("foreign", "rb").read() == b"somebody's" * 100000, "it was left alone")
    os.truncate("leaf.cache", 5 * MIB)
    refused("mem:8M/disk:leaf.cache:64M", "leaf.cache", "was cut")
    refused("mem:8M/disk:.:64M", "neither a file nor a block device")
    refused("disk:leaf.cache:64M", "a level in memory must be above it", status=2)


def full_disk(lab, relay, data):
    """RLIMIT_FSIZE would end the process: a file system that is full."""
    os.mkdir("small")
    if run("mount", "-t", "tmpfs", "-o", "size=4M", "none", "small", status=None).returncode != 0:
        print("no file system of its own: what a full disk does is not tested")
        return
    lab.mounts.append("small")
    refused("mem:8M/disk:small/leaf.cache:64M", "No space left", "ask for less")
    with open("small/leaf.cache", "wb") as file:
        file.truncate(80 * MIB)  # has that size, and no space
    node, down = again(lab, relay, data, "on a disk that is full", "mem:8M/disk:small/leaf.cache:64M")
    check(disk(node)["state"] == "failed" and disk(node)["entries"] == 0 and disk(node)["errors"] > 0, disk(node))
    check("No space left" in open("leaf.log").read(), "the log says it")
    read_all(node, data)
    full_disk_again(node, data)


def full_disk_again(node, data):
    """A level that has failed is had again, live; one that has no room to grow stays as it is."""
    cache(node, "resize", "1", "70M", says="has failed")
    run("mount", "-o", "remount,size=120M", "small")
    cache(node, "remove", "1")
    check(len(node.volume()["cache"]) == 1, node.volume()["cache"])
    cache(node, "add", "disk:small/leaf.cache:64M")
    fill(node, data)
    check(disk(node)["state"] == "steady", disk(node))
    cache(node, "resize", "1", "256M", says="No space left")
    check(os.listdir("small") == ["leaf.cache"] and disk(node)["size"] == 64 * MIB, disk(node))
    check(disk(node)["state"] == "steady" and has_all(node), disk(node))
    read_all(node, data)
    node.stop()


def test(lab):
    need_fuse()
    root, relay, data = prepare(lab, 62)
    node = warm_restarts(lab, relay, data)
    node, data = changed_while_away(lab, relay, data, root, node)
    node = damaged(lab, relay, data, node)
    foreign_files(node)
    full_disk(lab, relay, data)
    lab.stop_all()


main(test)
