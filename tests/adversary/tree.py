# SPDX-License-Identifier: MIT
"""The tree that is attacked, with a malicious proxy above and below an honest one:

    root --+-- (above) -- proxy --+-- (below) -- leaf
           |                      |
          near                   far

What the volume has is known to the test: each block its own bytes, of a version that is counted here. Whatever the two do,
nobody may read anything else, and the root's storage may not have anything else."""
import collections
import errno
import json
import os
import select
from types import SimpleNamespace

import wire
from between import Between
from lab import BLOCK, Direct, check, hvfs, run

RUN = 8            # blocks of one operation
STRIDE = 64        # from one attack's blocks to the next one's: nobody reads ahead that far
SIZE = 256 << 20
REFUSED = "that is not one of the volume's"
IO_TIMEOUT = "4s"


def until(condition, what):
    for _ in range(3000):
        if condition():
            return
        select.select([], [], [], 0.01)
    raise AssertionError(what)


def log_of(name):
    with open(f"{name}.log", errors="replace") as file:
        return file.read()


def content(number, generation=0, volume="v"):
    """Of block ${number}: nothing else has these bytes."""
    return f"<{volume} block {number} written {generation}>".ljust(64, ".").encode() * (BLOCK // 64)


def run_content(first, generation=0, volume="v"):
    """${generation} None: it was never written."""
    if generation is None:
        return bytes(RUN * BLOCK)
    return b"".join(content(number, generation, volume) for number in range(first, first + RUN))


def key_id(name):
    return bytes.fromhex(json.loads(hvfs("volume-key", "show", "--json", name).stdout)["volume"])


def make_keys():
    for volume in ("v", "w"):
        hvfs("volume-key", "new", f"{volume}.owner")
        for role in ("proxy", "reader", "writer"):
            hvfs("volume-key", "export", f"{volume}.owner", f"{volume}.{role}", "--role", role)


class Tree:
    def __init__(self, lab, *flags):
        self.lab, self.next, self.size = lab, 0, SIZE
        self.lease, self.slack = int(flags[flags.index("--hb-ttl") + 1][:-1]) if "--hb-ttl" in flags else 30, 3  # seconds
        make_keys()
        for volume in ("v", "w"):
            lab.create(f"{volume}.img", str(SIZE))
        self.root = lab.serve("root", "--volume", "v=v.img", "--volume", "w=w.img", *self.keys("owner"), "--listen", "unix:root.sock",
                              "--io-timeout", IO_TIMEOUT, "--cache", "mem:8M", "--at-rest", "plain", *flags)
        self.above = Between("above.sock", "root.sock")
        self.proxy = self.serve("proxy", "proxy", "above", "--listen", "unix:proxy.sock", *flags, mount=False)
        self.below = Between("below.sock", "proxy.sock")
        self.below.hides = True  # else its child would leave it
        self.leaf, self.far = self.serve("leaf", "writer", "below"), self.serve("far", "writer", "proxy")
        self.near = self.serve("near", "writer", "root")
        self.disks = {node.name: Direct(node.image(), RUN * BLOCK) for node in (self.root, self.leaf, self.far, self.near)}
        self.links = collections.Counter({"leaf": 1, "proxy": 2, "root": 1})  # that were attacked
        self.seen = self.look()

    @staticmethod
    def keys(role):
        return [word for volume in ("v", "w") for word in ("--volume-key", f"{volume}={volume}.{role}")]

    def serve(self, name, role, parent, *flags, mount=True):
        return self.lab.serve(name, "--volume", "v", "--volume", "w", *self.keys(role), "--parent", f"unix:{parent}.sock", "--readahead", "0",
                              "--io-timeout", "2s" if parent == "below" else IO_TIMEOUT, *flags, mount=mount)

    @staticmethod
    def fails(*words):
        """A node that does not get up, and says why in a line."""
        error = run(*words, status=1).stderr.strip()
        check(error and "\n" not in error, "not one line:", error)

    # ---- Blocks ----

    def fresh(self, filled=True):
        """The first of RUN blocks that nobody has used; ${filled}: with content(…, 0), else never written."""
        self.next += STRIDE
        if filled:
            self.write("root", self.next, 0)
        return self.next

    def many(self, count, filled):
        """The first of so many, a multiple of 256 and at one."""
        first = (self.next + STRIDE + 255) // 256 * 256
        self.next = first + count
        if filled:
            for number in range(first, first + count, RUN):
                self.disks["root"].write(number // RUN, run_content(number))
        return first

    def write(self, name, first, generation):
        self.disks[name].write(first // RUN, run_content(first, generation))
        self.disks[name].sync()

    def reads(self, name, first, generation=0):
        found = self.disks[name].read(first // RUN)
        check(found == run_content(first, generation), name, "reads", found[:64], "of block", first)

    def read_fails(self, name, first):
        """It must: with an error, not with bytes."""
        try:
            found = self.disks[name].read(first // RUN)
        except OSError as error:
            check(error.errno in (errno.EIO, errno.ETIMEDOUT), name, "fails with", error)
            return error.errno
        right = found == run_content(first)
        raise AssertionError(f"{name} reads {'what is right' if right else found[:64]}: of block {first}, which was forged")

    def stored(self, first, generation=0):
        with open("v.img", "rb") as file:
            file.seek(first * BLOCK)
            found = file.read(RUN * BLOCK)
        check(found == run_content(first, generation), "the storage has", found[:64], "as block", first)

    # ---- What the attackers know ----

    def look(self):
        """Blocks that pass by: zeros, one of another place, and one of the other volume, in a message each."""
        places = SimpleNamespace(zeros=self.fresh(filled=False), elsewhere=self.fresh())
        self.other = self.next = self.next + STRIDE
        with open(self.root.image("w"), "r+b") as file:
            file.seek(self.other * BLOCK)
            file.write(run_content(self.other, 0, "w"))
            os.fsync(file.fileno())
        self.disks["leaf"].read(places.zeros // RUN)
        self.reads("leaf", places.elsewhere)
        w = Direct(self.leaf.image("w"), RUN * BLOCK)
        check(w.read(self.other // RUN) == run_content(self.other, 0, "w"), "the leaf reads something else of w")
        w.close()
        # What has passed is forgotten after a while.
        self.ids = {between: tuple(self.answer(run, between).volume_id for run in (places.elsewhere, self.other))
                    for between in (self.below, self.above)}
        self.volume_id, self.other_id = self.ids[self.below]
        return SimpleNamespace(zeros=self.answer(places.zeros).blocks[1], elsewhere=self.answer(places.elsewhere).blocks[1],
                               other_volume=self.answer(self.other).blocks[1], at=places)

    def answer(self, first, between=None):
        """The newest answer to a GET of that run, as it has passed."""
        passed = (between or self.below).passed["down"]
        return next(message for message in reversed(passed) if message.opcode == wire.OK and message.block == first and message.blocks)

    # ---- Victims ----

    def refusals(self, name, volume="v"):
        """How many messages with forged blocks a node has refused."""
        return next(node for node in self.lab.nodes if node.name == name).volume(volume)["unproven_messages"]

    def is_told(self, name, before, text=REFUSED):
        """A refusal is counted, and is in the log: once a minute for each link."""
        until(lambda: self.refusals(name) > before, f"{name} does not count it")
        lines = log_of(name).count(text)
        check(1 <= lines <= self.links[name], f"{name} tells", lines, "times:", self.links[name], "links were attacked")

    def renew(self, between):
        """All links through there are new ones, and their nodes have connected again."""
        name = "leaf" if between is self.below else "proxy"
        count = log_of(name).count(" connected\n")
        between.cut()
        until(lambda: log_of(name).count(" connected\n") > count, f"{name} does not come back")
        self.links.update((name, "proxy" if between is self.below else "root"))

    def all_is_well(self):
        """Everybody is served as if nothing had happened."""
        first = self.fresh()
        for turn, name in enumerate(("leaf", "far", "near"), 1):
            self.write(name, first, turn)
            for reader in self.disks:
                self.reads(reader, first, turn)
        self.stored(first, 3)
