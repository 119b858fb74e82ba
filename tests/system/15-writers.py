# SPDX-License-Identifier: MIT
"""Two leaves and the root write and read the same blocks at once; the history of each block must be that of one disk."""
import os
import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from lab import BLOCK, Direct, check, main, need_fuse, read_at
from linearizable import INITIAL, Op, check_history

BLOCKS = 12
OPS = 5000


def value_of(data):
    """A block is one number, again and again; a block of two numbers is torn."""
    word = data[:8]
    check(data == word * (BLOCK // 8), "a torn block:", sorted({data[i:i + 8] for i in range(0, BLOCK, 8)}))
    return int.from_bytes(word, "little")


def work(who, path, seed):
    rng, image, history = random.Random(seed), Direct(path), []
    for number in range(OPS):
        # Often the same block, so that it moves about.
        block = rng.choice((0, 0, 0, 1, 1)) if rng.random() < 0.5 else rng.randrange(BLOCKS)
        kind = "w" if rng.random() < 0.4 else "r"
        value = (who << 32 | number) + 1
        start = time.monotonic_ns()
        if kind == "w":
            image.write(block, value.to_bytes(8, "little") * (BLOCK // 8))
        else:
            data = image.read(block)
        end = time.monotonic_ns()
        if kind == "r":
            value = value_of(data)
        history.append(Op(kind, block, value, start, end, who))
        if rng.random() < 0.01:
            image.sync()
    return history


def read_disk():
    """What is on the root's disk in the end counts as one more read."""
    now = time.monotonic_ns()
    return [Op("r", block, value_of(read_at("disk.img", block * BLOCK, BLOCK)), now, now + 1, "disk") for block in range(BLOCKS)]


def play(lab, nodes, history):
    with ProcessPoolExecutor(len(nodes), mp_context=get_context("fork")) as pool:
        jobs = [pool.submit(work, who, os.path.abspath(node.image()), who) for who, node in enumerate(nodes)]
        for job in jobs:
            history += job.result()


def test(lab):
    need_fuse()
    root = lab.root()
    lab.proxy("proxy")
    nodes = [root, lab.leaf("one", parent="proxy"), lab.leaf("two"), lab.leaf("three", parent="proxy")]
    history = []
    play(lab, nodes, history)
    lab.stop_all()
    history += read_disk()
    complaint = check_history(history)
    check(complaint is None, complaint)
    check(any(op.kind == "r" and op.value != INITIAL and (op.value - 1) >> 32 != op.who for op in history if op.who != "disk"),
          "nobody ever read what another had written")


main(test)
