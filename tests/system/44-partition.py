# SPDX-License-Identifier: MIT
"""A leaf and its proxy do not hear each other, or one of them does not hear the other, while both reach the root. The leaf goes
to the root with all it has; when it can not reach the root any more it comes back. Nobody gets an error or an old byte."""
from lab import BLOCK, Opener, check, main, need_fuse, read_at
from netlab import NetLab, need_network

LEASE = ("--hb-ttl", "2s")
NEVER = ("--writeback", "3600s")


class Writer:
    """Bytes of its own for each turn, in a row of blocks."""

    def __init__(self, lab, node, start):
        self.node, self.start, self.turn = node, start, 0
        self.opener = Opener(lab, node.image())

    def block(self, number):
        return (self.start + number) * BLOCK

    def write(self, number):
        self.turn += 1
        self.opener.write(self.block(number), bytes([self.turn]), BLOCK)
        return bytes([self.turn]) * BLOCK

    def sync(self, when):
        check(self.opener.do("os.fsync(fd)") == "ok", f"{self.node.name}'s fsync fails {when}")


def agree(nodes, offset, expected, when):
    for node in nodes:
        got = read_at(node.image(), offset, BLOCK)
        check(got == expected, f"{when}, {node.name} reads {got[:4]} instead of {expected[:4]}")


def parent_is(lab, node, name, when):
    parent = node.volume()["parent"]
    check(lab.address(name) in parent["addr"] and parent["state"] == "connected", f"{when}, {node.name}'s parent is", parent)


def goes_to_the_root(lab, nodes, one, two, unheard):
    """One way or both are cut: from ${unheard}, or all."""
    leaf, other = one.node, two.node
    when = f"with {unheard} unheard"
    synced = one.write(0)
    one.sync("before the cut")
    shared = two.write(0)  # the other leaf has written it last, and not synced; it stays below the proxy
    dirty = one.write(1)
    lab.cut(*((leaf.name, "proxy") if unheard == "leaf" else ("proxy", leaf.name)), both=unheard == "both")
    # All this goes on while it moves.
    agree([other], one.block(0), synced, when)
    agree([leaf], two.block(0), shared, when)
    one.sync(when)
    parent_is(lab, leaf, "root", when)
    parent_is(lab, other, "proxy", when)
    agree(nodes, one.block(1), dirty, when)
    later = one.write(1)
    agree(nodes, one.block(1), later, when)
    newer = two.write(0)
    agree(nodes, two.block(0), newer, when)
    one.sync(when)
    two.sync(when)


def comes_back(lab, nodes, one, two):
    leaf = one.node
    dirty = one.write(2)
    lab.heal(leaf.name, "proxy")
    lab.cut(leaf.name, "root")
    one.sync("on its way back")
    parent_is(lab, leaf, "proxy", "back")
    agree(nodes, one.block(2), dirty, "back")
    again = two.write(1)
    agree(nodes, two.block(1), again, "back")
    lab.heal(leaf.name, "root")


def test(lab):
    need_fuse()
    need_network()
    root = lab.root(*LEASE)
    proxy = lab.proxy("proxy", *LEASE, *NEVER)
    leaf, other = lab.leaf("leaf", *NEVER, parent="proxy"), lab.leaf("other", *NEVER, parent="proxy")
    one, two = Writer(lab, leaf, 0), Writer(lab, other, 100)
    for unheard in ("both", "proxy", "leaf"):
        goes_to_the_root(lab, [leaf, other, root], one, two, unheard)
        comes_back(lab, [leaf, other, root], one, two)
    one.opener.close()
    two.opener.close()
    check(not proxy.has_ended(), "the proxy died")
    lab.stop_all()


main(test, NetLab)
