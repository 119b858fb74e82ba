# SPDX-License-Identifier: MIT
"""How long it takes, on this machine, until a leaf gets an answer again: after its connection was reset; when its parent is
started anew; when its parent is killed, or falls silent, and it goes to its grandparent. Printed, not judged."""
import statistics
import time

from lab import BLOCK, Opener, check, main, need_fuse, read_at
from netlab import NetLab, need_network

LEASE = ("--hb-ttl", "2s")
WRITTEN, READ = 10, 5000


class Probe:
    """Asks for what only the parent can answer: a block that was never read, and a fsync of one that was written."""

    def __init__(self, lab, leaf):
        self.leaf = leaf
        self.opener = Opener(lab, leaf.image())

    def time(self, fault):
        """From when the fault is made (or what it took away is there again) until both are answered, in ms."""
        self.opener.write(WRITTEN * BLOCK, b"p", BLOCK)
        fault()
        start = time.monotonic()
        read_at(self.leaf.image(), READ * BLOCK, BLOCK)
        read = time.monotonic()
        check(self.opener.do("os.fsync(fd)") == "ok", "a fsync fails")
        check(read_at("disk.img", WRITTEN * BLOCK, BLOCK) == b"p" * BLOCK, "the root's disk has something else")
        return (read - start) * 1000, (time.monotonic() - start) * 1000


def measure(lab, what, fault, restore=lambda: None, count=5):
    """Each time with a new leaf below the proxy: the last one may have gone elsewhere."""
    times = []
    for _ in range(count):
        leaf = lab.again("leaf")
        probe = Probe(lab, leaf)
        times.append(probe.time(fault))
        probe.opener.close()
        leaf.stop()
        restore()
    for name, values in zip(("a read", "a fsync"), zip(*times)):
        print(f"{what}: {name} is answered after {statistics.median(values):.0f} ms"
              f" ({min(values):.0f} to {max(values):.0f})", flush=True)


def test(lab):
    need_fuse()
    need_network()
    lab.root(*LEASE)
    lab.proxy("proxy", *LEASE)
    lab.leaf("leaf", "--readahead", "0", parent="proxy").stop()

    def proxy():
        return next(node for node in lab.nodes if node.name == "proxy")

    measure(lab, "nothing happened", lambda: None)
    measure(lab, "the connection was reset", lambda: lab.reset("leaf", "proxy"), count=10)
    measure(lab, "the parent was stopped and started", lambda: (proxy().stop(), lab.again("proxy")))
    measure(lab, "the parent was killed and started", lambda: (proxy().kill(), lab.again("proxy")))
    measure(lab, "the parent was killed, the grandparent is there", lambda: proxy().kill(), lambda: lab.again("proxy"))
    measure(lab, "the parent fell silent, the grandparent is there", lambda: lab.cut("leaf", "proxy"), lab.heal_all)
    lab.stop_all()


main(test, NetLab)
