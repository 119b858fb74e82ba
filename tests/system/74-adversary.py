# SPDX-License-Identifier: MIT
"""Malicious proxies and a malicious child in a tree with a sealed volume: what they try is refused and told, nothing but
what writers wrote is read or stored, and everybody else goes on. docs/security.md lists what is tried here."""
import dataclasses
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

import wire
from attacks import ATTACKS, perform
from forge import FORGERIES
from lab import check, main, need_fuse
from tree import RUN, Tree


class Forged:
    """A hook: the blocks of messages about those from ${first} on are changed. Who asks for each of them alone then gets what was made
    of it."""

    def __init__(self, first, forge, seen):
        self.first, self.forge, self.seen, self.count, self.made = first, forge, seen, 0, {}

    def __call__(self, message):
        if message.opcode == wire.OK and len(message.blocks) == 1 and message.block in self.made:
            message.blocks = [dataclasses.replace(self.made[message.block])]
            return [message]
        if message.opcode in (wire.ERR, wire.CONNECT) or self.first not in message.numbers():
            return None
        if len(message.blocks) < RUN or any(block.data is None for block in message.blocks):
            return None
        self.forge(message.blocks, self.seen)
        self.count += 1
        self.made.update((number, dataclasses.replace(block)) for number, block in zip(message.numbers(), message.blocks))
        return [message]


def forged_down(tree, between, victim, forge):
    """Answers are changed on their way to the victim: who reads gets an error, and the right bytes when it asks again."""
    first, told = tree.fresh(), tree.refusals(victim)
    between.down = hook = Forged(first, forge, tree.seen)
    tree.read_fails("leaf", first)
    check(hook.count > 0, "nothing was forged")
    tree.is_told(victim, told)
    between.honest()
    tree.reads("leaf", first)
    tree.reads("far", first)


def forged_up(tree, between, victim, forge):
    """Writes are changed on their way: their fsync fails, nothing of them is stored; and they are brought by the next one."""
    first, told = tree.fresh(), tree.refusals(victim)
    between.up = hook = Forged(first, forge, tree.seen)
    try:
        tree.write("leaf", first, 1)
    except OSError:
        pass
    else:
        raise AssertionError("fsync says that it was stored")
    check(hook.count > 0, "nothing was forged")
    tree.is_told(victim, told)
    tree.stored(first, 0)
    between.honest()
    tree.disks["leaf"].sync()
    tree.stored(first, 1)
    tree.reads("near", first, 1)
    tree.reads("far", first, 1)


def forgeries(tree):
    for between, attack, victim in ((tree.below, forged_down, "leaf"), (tree.above, forged_down, "proxy"), (tree.below, forged_up, "proxy"),
                                    (tree.above, forged_up, "root")):
        for forge in FORGERIES:
            try:
                attack(tree, between, victim, forge)
            except Exception as error:
                raise AssertionError(f"{attack.__name__}, at the {victim}: {forge.__doc__}") from error
            finally:
                between.honest()
        tree.renew(between)
        tree.all_is_well()


def test(lab):
    need_fuse()
    tree = Tree(lab)
    tree.all_is_well()
    forgeries(tree)
    perform(tree, ATTACKS)


main(test)
