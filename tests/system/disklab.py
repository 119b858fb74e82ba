# SPDX-License-Identifier: MIT
"""What the tests of the cache's level on a disk share: a root with random bytes, a leaf behind a relay that counts what
comes down, and hvfs cache."""
import json
import random
import socket
import threading

from lab import check, hvfs, read_at, write_at

MIB = 1 << 20
SIZE = 32 * MIB
BLOCK = 4096
CHUNK = 128 << 10
CACHE = "mem:8M/disk:leaf.cache:64M"


class Relay:
    """Between a leaf and its parent, counting what comes down."""

    def __init__(self, path, to):
        self.to, self.down = to, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            child, _ = self.socket.accept()
            parent = socket.socket(socket.AF_UNIX)
            parent.connect(self.to)
            threading.Thread(target=self.copy, args=(child, parent, False), daemon=True).start()
            threading.Thread(target=self.copy, args=(parent, child, True), daemon=True).start()

    def copy(self, source, target, is_down):
        try:
            while data := source.recv(1 << 18):
                self.down += len(data) * is_down
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def prepare(lab, seed):
    """The root, the relay below it, and the bytes."""
    root = lab.root("--hb-ttl", "2s", size=str(SIZE))
    relay = Relay("relay.sock", "root.sock")
    data = random.Random(seed).randbytes(SIZE)
    for offset in range(0, SIZE, MIB):
        write_at(root.image(), offset, data[offset:offset + MIB])
    return root, relay, data


class Client:
    """A connection to a node's control socket, which may have a change under way."""

    def __init__(self, node):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(node.control)
        self.lines = self.socket.makefile("rw")

    def begin(self, **request):
        self.lines.write(json.dumps({"command": "cache", **request}) + "\n")
        self.lines.flush()

    def end(self):
        answer = {"moving": 0}
        while "moving" in answer:
            answer = json.loads(self.lines.readline())
        return answer


def read_all(leaf, data):
    for offset in range(0, SIZE, CHUNK):
        check(read_at(leaf.image(), offset, CHUNK) == data[offset:offset + CHUNK], f"{leaf.name} at {offset}")


def disk(node):
    level = node.volume()["cache"][-1]
    check(level["kind"] == "disk", level)
    return level


def leaf(lab, cache=CACHE):
    return lab.leaf("leaf", "--cache", cache, parent="relay")


def again(lab, relay, data, how, cache=CACHE):
    """Start the leaf again, read everything; how many bytes came from the parent."""
    node = leaf(lab, cache)
    found = disk(node)["found"]
    before = relay.down
    read_all(node, data)
    down = relay.down - before
    print(f"{how}: {found} blocks found, {disk(node)['confirmed']} confirmed, {down} bytes came down, "
          f"{100 * down / SIZE:.2f}% of what was read")
    return node, down


def has_all(node):
    """Is everything there, or about to be written?"""
    level = disk(node)
    return level["entries"] + level["victims"] >= SIZE // BLOCK


def fill(node, data, passes=20):
    """Read until everything is there: a block that leaves memory while the disk has as many writes under way as it may
    have is dropped (not_written), and comes with one of the next passes."""
    for _ in range(passes):
        read_all(node, data)
        if disk(node)["entries"] >= SIZE // BLOCK:  # not only about to be written: a stop does not wait for that
            return
    check(False, f"after {passes} passes:", disk(node))


def cache(node, *words, says=None, status=1):
    """hvfs cache, which succeeds, or (${says}) fails, with ${status}, and says so."""
    out = hvfs("cache", *words, "--control", node.control, status=0 if says is None else status)
    check(says is None or says in out.stderr, f"cache {words}: {out.stderr!r} does not say {says!r}")
    return out.stdout
