# SPDX-License-Identifier: MIT
"""A proxy that changes at random what passes, and sends it again: messages that are well formed, of peers that are let in, to real
nodes with all that they have (cookies, news, seals, rights). Nobody dies of it, takes memory without end, or reads what was never
written. What else it can do is in docs/security.md, and not looked at here."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

import wire
from lab import check, is_readable, main, need_fuse
from tree import BLOCK, RUN, Tree, content
from wire import Block

SEED, ROUNDS, EACH = 1, 120, 40
OPCODES = [wire.CONNECT, wire.DISCONNECT, wire.OK, wire.ERR, wire.INVALIDATE, wire.PUSH, wire.HEARTBEAT, wire.FORWARD, wire.GET_COOKIES,
           wire.GET, wire.PUT, wire.FLUSH, wire.LOCK, wire.RECOVER]
ROOM = 300 << 20  # what a node may take more than before


def number(rng, size):
    """Small, large, or anything."""
    return rng.choice((0, 1, rng.randrange(64), (1 << 8 * size) - 1 - rng.randrange(3), rng.randrange(1 << 8 * size)))


def changed_bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data[:rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


def change_field(rng, message, others):
    if message.fields and rng.random() < 0.7:
        name = rng.choice(sorted(message.fields))
        value = message.fields[name]
        message.fields[name] = number(rng, wire.TYPES[name][1]) if isinstance(value, int) else changed_bytes(rng, value)
        return
    if message.fields and rng.random() < 0.3:
        del message.fields[rng.choice(sorted(message.fields))]
        return
    other = rng.choice(others)
    if other.fields:
        name = rng.choice(sorted(other.fields))
        message.fields[name] = other.fields[name]


def change_block(rng, message, others):
    donors = [other for other in others[-50:] if other.blocks]
    if not message.blocks or rng.random() < 0.3:
        message.blocks = list(rng.choice(donors).blocks) if donors else []
        return
    at = rng.randrange(len(message.blocks))
    block = message.blocks[at]
    change = rng.randrange(4)
    if change == 0:
        block = Block(number(rng, 8), block.data, block.verifier)
    elif change == 1:
        block = Block(block.version + rng.randrange(-2, 3) if block.version > 2 else 1, block.data, block.verifier)
    elif change == 2:
        block = Block(block.version, block.data, changed_bytes(rng, block.verifier))
    elif isinstance(block.data, bytes):
        block = Block(block.version, changed_bytes(rng, block.data + bytes(BLOCK))[:BLOCK].ljust(BLOCK, bytes(1)), block.verifier)
    message.blocks[at] = block


def mutated(rng, others):
    message = rng.choice(others).copy()
    for _ in range(rng.randrange(1, 4)):
        change = rng.random()
        if change < 0.5:
            change_field(rng, message, others)
        elif change < 0.8:
            change_block(rng, message, others)
        elif change < 0.9:
            message.opcode = rng.choice(OPCODES)
        else:
            message.flags = rng.randrange(1 << 16) & ~wire.PARAMS
    return message


def reads_what_was_written(tree, name, first, generations):
    try:
        found = tree.disks[name].read(first // RUN)
    except OSError:
        return
    for i in range(RUN):
        block = bytes(found[i * BLOCK:(i + 1) * BLOCK])
        known = [bytes(BLOCK)] + [content(first + i, generation) for generation in range(generations)]
        check(block in known, name, "reads", block[:64], "of block", first + i)


def writes(tree, name, first, generation):
    try:
        tree.write(name, first, generation)
    except OSError:
        pass


def test(lab):
    need_fuse()
    tree, rng = Tree(lab, "--hb-ttl", "5s"), random.Random(SEED)
    nodes = tree.root, tree.proxy, tree.leaf, tree.far, tree.near
    places = [tree.fresh() for _ in range(3)]
    for place in places:
        tree.reads("leaf", place)
        tree.write("leaf", place, 1)
    before = {node: node.memory_peak() for node in nodes}
    for round in range(ROUNDS):
        for between in tree.below, tree.above:
            for direction in "up", "down":
                others = list(between.passed[direction])
                for _ in range(EACH):
                    if between.pairs and others:
                        try:
                            between.send(direction, mutated(rng, others))
                        except IndexError:
                            pass  # it is gone
        place = rng.choice(places)
        if round % 8 == 0:
            writes(tree, "near", place, 2 + round // 8)
        reads_what_was_written(tree, rng.choice(("near", "leaf", "far") if round % 20 == 0 else ("near",)), place, 2 + ROUNDS // 8 + 1)
    for node in nodes:
        check(not is_readable(node.pidfd, 0), node.name, "is gone")
        check(node.status()["node"] == node.name, node.name, "does not answer")
        check(node.memory_peak() - before[node] < ROOM, node.name, "took", (node.memory_peak() - before[node]) >> 20, "MiB more")
    for node in reversed(nodes):
        node.kill()


main(test)
