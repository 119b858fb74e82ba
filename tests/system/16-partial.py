# SPDX-License-Identifier: MIT
"""Two mounts write small pieces of the same blocks at once, each its own bytes: no write may carry old bytes of the other's."""
import os
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from lab import BLOCK, check, main, need_fuse, read_at

SIZE = 10 * BLOCK
PIECE = 700  # no block is a multiple of it; pieces go to the two in turn, by number
WRITES = 1500


def pieces_of(who):
    return [(start, min(start + PIECE, SIZE)) for start in range(0, SIZE, PIECE) if start // PIECE % 2 == who]


def work(who, path):
    rng, model = random.Random(16 + who), bytearray(SIZE)
    fd = os.open(path, os.O_RDWR)
    pieces = pieces_of(who)
    for _ in range(WRITES):
        start, end = rng.choice(pieces)
        offset = rng.randrange(start, end)
        data = rng.randbytes(rng.randrange(1, end - offset + 1))
        check(os.pwrite(fd, data, offset) == len(data), "a short write")
        model[offset:offset + len(data)] = data
        if rng.random() < 0.2:
            start, end = rng.choice(pieces)
            check(os.pread(fd, end - start, start) == model[start:end], f"bytes {start} to {end} are not what was written here")
    os.close(fd)
    return bytes(model)


def merge(models):
    whole = bytearray(SIZE)
    for who, model in enumerate(models):
        for start, end in pieces_of(who):
            whole[start:end] = model[start:end]
    return bytes(whole)


def first_difference(left, right):
    return next((i for i in range(len(left)) if left[i] != right[i]), None)


def test(lab):
    need_fuse()
    root = lab.root()
    leaves = [lab.leaf("one"), lab.leaf("two")]
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        jobs = [pool.submit(work, who, os.path.abspath(leaf.image())) for who, leaf in enumerate(leaves)]
        whole = merge([job.result() for job in jobs])
    for node in leaves + [root]:
        found = read_at(node.image(), 0, SIZE)
        check(found == whole, f"{node.name} differs at byte {first_difference(found, whole)}")
    lab.stop_all()
    found = read_at("disk.img", 0, SIZE)
    check(found == whole, f"the root's disk differs at byte {first_difference(found, whole)}")


main(test)
