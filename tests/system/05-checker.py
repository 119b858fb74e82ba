# SPDX-License-Identifier: MIT
"""The judge of 15-writers is judged: it agrees with trying every order, on small random histories, right and wrong ones."""
import itertools
import random

from lab import check, main
from linearizable import INITIAL, Op, check_block


def is_order_right(order):
    value = INITIAL
    for op in order:
        if op.kind == "w":
            value = op.value
        elif op.value != value:
            return False
    return True


def respects_time(order):
    return all(order[j].end >= order[i].start for i in range(len(order)) for j in range(i + 1, len(order)))


def brute_force(ops):
    return any(respects_time(order) and is_order_right(order) for order in itertools.permutations(ops))


def random_history(rng):
    count = rng.randrange(1, 7)
    ops = []
    for number in range(count):
        start = rng.randrange(12)
        end = start + rng.randrange(6)
        if rng.random() < 0.5:
            ops.append(Op("w", 0, number + 1, start, end, number))
        else:
            ops.append(Op("r", 0, rng.randrange(count + 1), start, end, number))
    return ops


def test(lab):
    rng = random.Random(5)
    verdicts = [0, 0]
    for _ in range(4000):
        ops = random_history(rng)
        right = brute_force(ops)
        verdicts[right] += 1
        check((check_block(ops) is None) == right, f"brute force says {right}, the checker {check_block(ops)}:", ops)
    check(min(verdicts) > 400, "the histories are all of one kind:", verdicts)


main(test)
