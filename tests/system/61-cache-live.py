# SPDX-License-Identifier: MIT
"""The caches of a root, a proxy and a leaf change all the time, levels in memory and on disks, while fio writes with
checksums on the leaf: no request fails, no byte is wrong, and another leaf finds the same.

usage: 61-cache-live.py [--changes N] [--seed S]
"""
import argparse
import collections
import json
import os
import random
import socket
import subprocess
import tempfile

from lab import check, main, need_fuse, need_program

OPTIONS = argparse.ArgumentParser()
OPTIONS.add_argument("--changes", type=int, default=400)
OPTIONS.add_argument("--seed", type=int, default=61)
OPTIONS = OPTIONS.parse_args()

SIZE = 48  # MiB that fio works on
ROUNDS_MIN = 2  # runs of fio
CONNECTIONS = 2  # for each node, so that changes overlap
# What may be said of a change that meets another one, or of a stack that is at a limit.
REFUSALS = ("still changing", "is still leaving", "the last level in memory can not be removed", "levels already", "there is no such level",
            "right would be 0 (the top)", "there is a level on a disk already", "it is leaving", "it is on ", "it is in memory",
            "the last one in memory", "is the lowest, and stays so", "in use by process", "are needed", "being opened")


class Changer:
    """One client of a node's control socket."""

    def __init__(self, node, rng, files):
        self.paths = [os.path.join(files, f"{node.name}.{name}") for name in "ab"]
        self.rng, self.made, self.disks, self.refused = rng, 0, 0, collections.Counter()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(node.control)
        self.lines = self.socket.makefile("rw")

    def level(self):
        return {"size": f"{self.rng.choice((1, 1, 2, 3, 5, 8, 16, 24))}M", "ways": str(self.rng.choice((1, 2, 4, 7, 8, 16, 64, 256))),
                "hash": self.rng.choice(("neighbours", "xxh", "murmur", "fibonacci", "modulo")),
                "policy": self.rng.choice(("lru", "s3fifo", "adaptive"))}

    def on_disk(self):
        """A change of the level on a disk, which is the lowest, if there is one."""
        rng, level, path = self.rng, self.level(), self.rng.choice(self.paths)
        lowest = rng.randrange(1, 4)
        return rng.choice((
            {"action": "add", "level": f"disk:{path}:{level['size']},ways={level['ways']},hash={level['hash']}"},
            {"action": "remove", "position": lowest},
            {"action": "set", "position": lowest, "values": {"size": level["size"], "ways": level["ways"]}},
            {"action": "move", "from": lowest, "medium": path},
            {"action": "move", "from": lowest, "medium": "mem"}))

    def begin(self):
        rng, level = self.rng, self.level()
        some = {key: level[key] for key in rng.sample(list(level), rng.randrange(1, 5))}
        text = f"mem:{level['size']},ways={level['ways']},hash={level['hash']},policy={level['policy']}"
        request = rng.choice((
            {"action": "add", "position": rng.randrange(4), "level": text},
            {"action": "add", "level": text},
            {"action": "remove", "position": rng.randrange(4)},
            {"action": "remove", "position": rng.randrange(3)},
            {"action": "set", "position": rng.randrange(3), "values": some},
            {"action": "set", "position": rng.randrange(3), "values": {"size": level["size"]}},
            {"action": "move", "from": rng.randrange(3), "to": rng.randrange(3)}))
        if rng.randrange(4) == 0:
            request = self.on_disk()
        self.lines.write(json.dumps({"command": "cache", **request}) + "\n")
        self.lines.flush()

    def end(self):
        answer = {"moving": 0}
        while "moving" in answer:
            answer = json.loads(self.lines.readline())
        if "ok" in answer:
            self.made += 1
            self.disks += "disk:" in answer["cache"]
        else:
            reason = [text for text in REFUSALS if text in answer.get("error", "")]
            check(reason, answer)
            self.refused[reason[0]] += 1


def fio(lab, image, number, *more):
    return lab.popen("fio", "--name=live", f"--filename={image}", "--ioengine=libaio", "--direct=1", "--verify=crc32c",
                     "--verify_fatal=1", f"--randseed={number}", "--allow_file_create=0", "--rw=randwrite", "--bsrange=4k-64k",
                     f"--size={SIZE}M", "--iodepth=16", "--do_verify=1", "--verify_backlog=256", "--fsync=200", *more, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test(lab):
    need_fuse()
    need_program("fio")
    rng = random.Random(OPTIONS.seed)
    root = lab.root("--cache", "mem:8M/mem:8M", size="64M")
    proxy = lab.proxy("proxy", "--cache", "mem:2M/mem:4M/mem:8M")
    leaf, other = lab.leaf("leaf", "--cache", "mem:1M/mem:16M", parent="proxy"), lab.leaf("other", parent="proxy")
    files = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else ".")
    lab.directories.append(files)
    changers = [Changer(node, rng, files) for node in (leaf, leaf, proxy, root) for _ in range(CONNECTIONS)]

    rounds = 0
    while rounds < ROUNDS_MIN or sum(changer.made for changer in changers) < OPTIONS.changes:
        rounds += 1
        job = fio(lab, leaf.image(), rounds)
        while job.poll() is None:
            for changer in changers:
                changer.begin()
            for changer in changers:
                changer.end()
        output = job.stdout.read()
        check(job.returncode == 0, "fio failed:", output)
        lab.processes.remove(job)
    print(f"{sum(changer.made for changer in changers)} changes in {rounds} runs of fio, "
          f"after {sum(changer.disks for changer in changers)} of them with a level on a disk; refused:",
          dict(sum((changer.refused for changer in changers), collections.Counter())))
    for node in (leaf, other, root):
        job = fio(lab, node.image(), rounds, "--verify_only=1")
        output = job.communicate()[0]
        check(job.returncode == 0, node.name, "has other bytes:", output)
    for node in (leaf, proxy, root):
        status = node.status()
        check(all(level["state"] == "steady" and level.get("error", "") == "" for level in status["volumes"][0]["cache"]), status)
        check(status["memory"]["beyond"] <= 16 << 20, status["memory"])
    for changer in changers:  # also in the midst of changes a node ends in order
        changer.begin()
    leaf.flush()
    check(leaf.volume()["dirty_bytes"] == 0, leaf.volume())
    lab.stop_all()


main(test)
