# SPDX-License-Identifier: MIT
"""Readers of a sealed volume ask the root whether what they are given is the newest. As long as all obey it always is, whatever
happens: writers that take turns, roots and proxies that die, leave, come again, a child that goes another way up, rights that are
taken away, caches on disks that are warm after a restart. No node may say that it was given something old, or forged."""
import mmap
import os
import random
import signal
import socket
import time

from disklab import disk
from lab import BLOCK, Direct, check, hvfs, main, need_fuse, until

RUN, PLACES = 4, 256  # blocks of an operation; so many places are used
LEASE = "2s"


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def content(place, turn):
    return f"<{place} {turn}>".ljust(64, ".").encode() * (RUN * BLOCK // 64) if turn % 5 else bytes(RUN * BLOCK)


class ReadOnly(Direct):
    """Of who may not write."""

    def __init__(self, path, block):
        self.fd, self.block, self.page = os.open(path, os.O_RDONLY | os.O_DIRECT), block, mmap.mmap(-1, block)
        self.view = memoryview(self.page)


class Others:
    """A process that writes all the time, at other places, through two leaves, so that there is always something on its way. Nobody
    else has its files open: whoever closes one, as each program does that is started, waits for a fsync."""

    def __init__(self, images):
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid:
            return
        os.closerange(3, 1 << 10)
        rng = random.Random(2)
        while os.getppid() == parent:
            try:
                with open(rng.choice(images), "r+b", buffering=0) as file:
                    for _ in range(40):
                        file.seek((PLACES + rng.randrange(PLACES)) * RUN * BLOCK)
                        file.write(rng.randbytes(RUN * BLOCK))
            except OSError:
                pass
        os._exit(0)

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Tree:
    def __init__(self, lab):
        self.lab, self.port, self.turn, self.rng = lab, port(), 0, random.Random(1)
        hvfs("volume-key", "new", "owner.vkey")
        for role in ("proxy", "reader", "writer"):
            hvfs("volume-key", "export", "owner.vkey", f"{role}.vkey", "--role", role)
        self.prints = {name: hvfs("keygen", f"{name}.key").stdout.strip() for name in ("root", "far")}
        with open("root.acl", "w") as file:
            file.write(f"{self.prints['far']} v read-write\n")
        os.chmod("root.acl", 0o640)
        lab.create("v.img", "64M")
        self.turns = [1] * PLACES
        self.nodes, self.disks = {}, {}
        for start in (self.start_root, self.start_proxy, self.start_warm, self.start_leaf, self.start_reader, self.start_far):
            start()
        for place in range(PLACES):
            self.write("root", place)

    # ---- Nodes ----

    def started(self, name, node):
        self.nodes[name] = node
        if node.mount:
            self.disks[name] = (ReadOnly if name == "reader" else Direct)(node.image(), RUN * BLOCK)

    def ended(self, name, how):
        image = self.disks.pop(name, None)
        if image and how == "stop":
            image.close()
        node = self.nodes.pop(name)
        node.stop() if how == "stop" else node.kill()
        if image and how == "kill":
            try:
                image.close()
            except OSError:
                pass

    def start_root(self):
        self.started("root", self.lab.serve("root", "--volume", "v=v.img", "--volume-key", "v=owner.vkey", "--listen", "unix:root.sock",
                                            "--listen", f"127.0.0.1:{self.port}", "--key", "root.key", "--acl", "root.acl", "--hb-ttl", LEASE))

    def start_proxy(self):
        self.started("proxy", self.lab.proxy("proxy", "--volume-key", "v=proxy.vkey", "--hb-ttl", LEASE, "--cache", "mem:8M"))

    def start_warm(self):
        self.started("warm", self.lab.leaf("warm", "--volume-key", "v=writer.vkey", "--cache", "mem:1M/disk:warm.cache:16M", parent="proxy"))

    def start_leaf(self):
        self.started("leaf", self.lab.leaf("leaf", "--volume-key", "v=writer.vkey", "--parent", "unix:root.sock", parent="proxy"))

    def start_reader(self):
        self.started("reader", self.lab.leaf("reader", "--volume-key", "v=reader.vkey", parent="proxy"))

    def start_far(self):
        self.started("far", self.lab.serve("far", "--volume", "v", "--volume-key", "v=writer.vkey", "--key", "far.key", "--parent",
                                           f"{self.prints['root']}@127.0.0.1:{self.port}"))

    # ---- Blocks ----

    def write(self, name, place):
        self.turns[place] += 1
        self.disks[name].write(place, content(place, self.turns[place]))

    def reads(self, name, place):
        found = self.disks[name].read(place)
        check(found == content(place, self.turns[place]), name, "reads", found[:32], "at", place, "and not", self.turns[place])

    def work(self, seconds=1):
        """Everybody writes and reads, at few places."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            place = self.rng.randrange(PLACES)
            name = self.rng.choice([name for name in self.disks if name != "reader"])
            self.write(name, place)
            if self.rng.random() < 0.1:
                self.disks[name].sync()
            for reader in self.rng.sample(list(self.disks), 2):
                self.reads(reader, place)
                self.reads(reader, self.rng.randrange(PLACES))

    def sync(self):
        for name, one in self.disks.items():
            if name != "reader":
                one.sync()

    def all_is_well(self):
        for name in self.disks:
            for place in range(PLACES):
                self.reads(name, place)
        for name in ("warm", "leaf", "reader", "far"):
            if name in self.nodes:
                until(lambda name=name: self.nodes[name].volume()["news"]["current"], f"{name} has no news")
                heard = self.nodes[name].volume()["news"]["heard_ms"]
                check(heard < 2000, name, "has heard of the root", heard, "ms ago")
        for name, node in self.nodes.items():
            volume = node.volume()
            check(volume["unproven_messages"] == 0, name, "has refused something")
            check("news" not in volume or volume["news"]["outdated"] == 0, name, volume.get("news"))
            with open(f"{name}.log", errors="replace") as file:
                log = file.read()
            for words in ("as it was before", "that is not one of the volume's", "has not signed"):
                check(words not in log, name, "says:", words)


# ---- What happens ----

def turns(tree):
    """nothing"""
    tree.work(3)


def root_leaves(tree):
    """the root leaves in order, and comes back"""
    tree.sync()
    tree.ended("root", "stop")
    tree.start_root()


def root_dies(tree):
    """the root dies, and comes back"""
    tree.sync()
    tree.ended("root", "kill")
    tree.start_root()


def proxy_dies(tree):
    """the proxy dies: one child goes to the root, the others wait for it"""
    tree.sync()
    tree.ended("proxy", "kill")
    tree.reads("leaf", 1)
    tree.start_proxy()


def proxy_leaves(tree):
    """the proxy leaves in order"""
    tree.ended("proxy", "stop")
    tree.write("leaf", 1)
    tree.start_proxy()


def warm_again(tree):
    """a leaf with a cache on a disk is started anew: what others have written meanwhile it does not take from there"""
    for place in range(PLACES):
        tree.reads("warm", place)
    until(lambda: disk(tree.nodes["warm"])["entries"] > PLACES * RUN // 2, "hardly anything is on its disk")
    for how in ("stop", "kill"):
        tree.disks["warm"].sync()
        tree.ended("warm", how)
        for place in range(0, PLACES, 7):
            tree.write("far", place)
        tree.start_warm()
        for place in range(PLACES):
            tree.reads("warm", place)


def right_is_taken(tree):
    """the right of a node is taken away while it reads, and given again"""
    tree.sync()
    tree.reads("far", 1)
    hvfs("deny", "v", tree.prints["far"], "--control", "root.ctl")
    until(lambda: tree.nodes["far"].volume()["parent"]["state"] != "connected", "it is still connected")
    tree.write("leaf", 1)
    hvfs("allow", "v", tree.prints["far"], "read-write", "--control", "root.ctl")
    until(lambda: tree.nodes["far"].volume()["parent"]["state"] == "connected", "it does not come back")


def test(lab):
    need_fuse()
    tree = Tree(lab)
    others = Others([tree.nodes[name].image() for name in ("leaf", "far")])
    for happens in (turns, root_leaves, root_dies, proxy_dies, proxy_leaves, warm_again, right_is_taken, turns):
        try:
            happens(tree)
            tree.work(1)
            tree.all_is_well()
        except Exception as error:
            raise AssertionError(f"{happens.__name__}: {happens.__doc__}") from error
        print(happens.__name__, flush=True)
    others.end()
    for one in tree.disks.values():
        one.close()
    lab.stop_all()


main(test)
