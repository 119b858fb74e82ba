# SPDX-License-Identifier: MIT
"""The judge of crashes is judged: by stories whose verdict is known, one for each kind of wrong, and by trying every order on
small random histories."""
import itertools
import random

from durable import EIO, NEVER, Loss, Op, check_register, lost_on_disk, windows_of
from lab import check, main

A, B, C, PROXY = ("a", 1), ("b", 1), ("c", 1), ("proxy", 1)


def w(value, start, end, who, error=0):
    return Op("w", 0, value, start, end, who, error)


def r(value, start, end, who):
    return Op("r", 0, value, start, end, who, 0)


def s(start, end, who, error=0):
    return Op("s", None, None, start, end, who, error)


def killed(who, at, inner=False):
    return Loss(who, at, at + 1, True, inner)


def away(who, start, end, killed_at):
    return Loss(who, killed_at, killed_at + 1, True, False, ((start, end),))


# Name, right or wrong, operations, losses.
STORIES = [
    ("a stale read", False, [w(1, 0, 1, A), r(0, 2, 3, B)], []),
    ("a read of what is being written", True, [w(1, 0, 5, A), r(1, 1, 2, B), r(1, 3, 4, C)], []),
    ("new and then old", False, [w(1, 0, 9, A), r(1, 1, 2, B), r(0, 3, 4, C)], []),
    ("a value nobody wrote", False, [w(1, 0, 1, A), r(7, 2, 3, B)], []),
    ("a value from the future", False, [r(1, 0, 1, B), w(1, 2, 3, A)], []),
    ("killed: its write vanishes, and what itself had read of it",
     True, [w(1, 0, 1, A), r(1, 2, 3, A), r(0, 9, 10, B)], [killed(A, 5)]),
    ("killed: several writes vanish, not all",
     True, [w(1, 0, 1, A), w(2, 2, 3, A), w(3, 4, 5, A), r(1, 9, 10, B), r(1, 11, 12, C)], [killed(A, 6)]),
    ("it vanishes before the kill", False, [w(1, 0, 1, A), r(0, 2, 3, B)], [killed(A, 5)]),
    ("given up, and killed before it was told", True, [w(1, 0, 1, A), r(0, 3, 4, B)], [away(A, 2, 4, 5)]),
    ("given up, and killed, but synced before", False, [w(1, 0, 1, A), s(1, 2, A), r(0, 3, 4, B)], [away(A, 2, 4, 5)]),
    ("written after it was away", False, [w(1, 3, 4, A), r(0, 5, 6, B)], [away(A, 1, 2, 8)]),
    ("what vanished comes back", False, [w(1, 0, 1, A), r(0, 9, 10, B), r(1, 11, 12, B)], [killed(A, 5)]),
    ("the write before comes back, too", False,
     [w(1, 0, 1, A), w(2, 2, 3, A), r(1, 9, 10, B), r(0, 11, 12, B), r(1, 13, 14, C)], [killed(A, 5)]),
    ("synced, killed, vanished", False, [w(1, 0, 1, A), s(2, 3, A), r(0, 9, 10, B)], [killed(A, 5)]),
    ("synced too early, killed, vanished", True, [w(1, 1, 3, A), s(2, 4, A), r(0, 9, 10, B)], [killed(A, 5)]),
    ("another one's fsync covers nothing", True, [w(1, 0, 1, A), s(2, 3, B), r(0, 9, 10, B)], [killed(A, 5)]),
    ("a failed fsync covers nothing", True, [w(1, 0, 1, A), s(2, 3, A, 110), r(0, 9, 10, B)], [killed(A, 5)]),
    ("the author lives, the proxy is killed", False, [w(1, 0, 1, A), r(0, 9, 10, B)], [killed(PROXY, 5, inner=True)]),
    ("the next incarnation is alive", False, [w(1, 0, 1, ("a", 2)), r(0, 9, 10, B)], [killed(A, 5)]),
    ("read by another, then its author is killed", False, [w(1, 0, 1, A), r(1, 2, 3, B), r(0, 9, 10, C)], [killed(A, 5)]),
    ("read by another after the kill", False, [w(1, 0, 1, A), r(1, 7, 8, B), r(0, 9, 10, C)], [killed(A, 5)]),
    ("read by another, then author and proxy are killed",
     True, [w(1, 0, 1, A), r(1, 2, 3, B), r(0, 19, 20, C)], [killed(A, 5), killed(PROXY, 7, inner=True)]),
    ("proxy first, then the author",
     True, [w(1, 0, 1, A), r(1, 2, 3, B), r(0, 19, 20, C)], [killed(PROXY, 5, inner=True), killed(A, 7)]),
    ("read by another after both were killed",
     False, [w(1, 0, 1, A), r(1, 12, 13, B), r(0, 19, 20, C)], [killed(A, 5), killed(PROXY, 7, inner=True)]),
    ("written over by another, who is killed: back to the first, not further",
     False, [w(1, 0, 1, A), w(2, 2, 3, B), r(0, 9, 10, C)], [killed(A, 5), killed(B, 5)]),
    ("the same, but the first was lost before the second",
     True, [w(1, 0, 1, A), w(2, 7, 8, B), r(0, 19, 20, C)], [killed(A, 5), killed(B, 9)]),
    ("written over by one who lives", False, [w(1, 0, 1, A), w(2, 2, 3, B), r(1, 9, 10, C)], [killed(A, 5)]),
    ("given up and told", True, [w(1, 0, 1, A), r(0, 5, 6, B), r(0, 9, 10, A), s(11, 12, A, EIO)], []),
    ("given up and told, another has written", True,
     [w(1, 0, 1, A), w(2, 5, 6, B), r(2, 9, 10, A), s(11, 12, A, EIO), s(13, 14, A)], []),
    ("given up and not told", False, [w(1, 0, 1, A), r(0, 5, 6, B), s(11, 12, A)], []),
    ("told by another error", False, [w(1, 0, 1, A), r(0, 5, 6, B), s(11, 12, A, 110)], []),
    ("told to another", False, [w(1, 0, 1, A), r(0, 5, 6, B), s(11, 12, B, EIO)], []),
    ("told, but synced before", False, [w(1, 0, 1, A), s(2, 3, A), r(0, 5, 6, B), s(11, 12, A, EIO)], []),
    ("told, and vanished later", False, [w(1, 0, 1, A), s(11, 12, A, EIO), r(1, 13, 14, A), r(0, 15, 16, B)], []),
    ("a stale read of the given up", False, [w(1, 0, 1, A), r(0, 5, 6, B), r(1, 9, 10, A), s(11, 12, A, EIO)], []),
    ("a fsync beside the one that tells", True, [w(1, 0, 1, A), r(0, 5, 6, B), s(11, 13, A, EIO), s(11, 12, A)], []),
    ("a write that failed appears late", True, [w(1, 0, 1, A, EIO), r(0, 2, 3, B), r(1, 5, 6, B)], []),
    ("a write that failed appears, vanishes", True, [w(1, 0, 1, A, EIO), r(1, 2, 3, A), r(0, 5, 6, B)], []),
    ("a write that failed appears twice", False, [w(1, 0, 1, A, EIO), r(1, 2, 3, A), r(0, 5, 6, B), r(1, 7, 8, B)], []),
    ("a write that never ended", True, [w(1, 0, NEVER, A), r(0, 2, 3, B), r(1, 5, 6, B)], []),
    ("a write that never ended, read and lost", False, [w(1, 0, NEVER, A), r(1, 5, 6, B), r(0, 7, 8, C)], [killed(A, 3)]),
]

# Name, right or wrong, operations, what the disk has at 50.
DISKS = [
    ("synced and there", True, [w(1, 0, 1, A), s(2, 3, A)], 1),
    ("synced and not there", False, [w(1, 0, 1, A), s(2, 3, A)], 0),
    ("not synced", True, [w(1, 0, 1, A)], 0),
    ("written over", True, [w(1, 0, 1, A), s(2, 3, A), w(2, 4, 5, B)], 2),
    ("written over and synced, the old is there", False, [w(1, 0, 1, A), w(2, 4, 5, B), s(6, 7, B)], 1),
    ("the fsync failed", True, [w(1, 0, 1, A), s(2, 3, A, EIO)], 0),
    ("told, and the next fsync succeeds", True, [w(1, 0, 1, A), s(2, 3, A, EIO), s(4, 5, A)], 0),
    ("synced before another fsync failed", False, [w(1, 0, 1, A), s(2, 3, A), s(4, 5, A, EIO)], 0),
    ("the fsync ended later", True, [w(1, 0, 1, A), s(2, 60, A)], 0),
    ("at once with the other", True, [w(1, 0, 9, A), w(2, 1, 8, B), s(10, 11, A), s(10, 11, B)], 1),
    ("at once, but read before", False, [w(1, 0, 9, A), r(1, 2, 3, C), w(2, 4, 8, B), s(10, 11, A), s(10, 11, B)], 1),
]


def known_stories():
    for name, right, ops, losses in STORIES:
        for order in (ops, ops[::-1]):
            complaint = check_register(order, losses)
            check((complaint is None) == right, f"'{name}' is", "right, but:" if right else "wrong", complaint or "")
    for name, right, ops, value in DISKS:
        complaint = lost_on_disk(ops, value, 50)
        check((complaint is None) == right, f"disk '{name}' is", "right, but:" if right else "wrong", complaint or "")


# ---- Trying every order ----

class Twin:
    """The rules once more, as simply as they can be written, for a handful of operations at integer times."""

    LAST = 30

    def __init__(self, ops, losses):
        self.losses = losses
        self.windows = {op.value: windows_of(op, [sync for sync in ops if sync.kind == "s" and sync.who == op.who], losses)
                        for op in ops if op.kind == "w"}
        self.ops = [op for op in ops if op.kind == "w" or op.kind == "r"]

    def is_right(self):
        unknown = [op for op in self.ops if op.end == NEVER]
        known = [op for op in self.ops if op.end != NEVER]
        return any(self.place(known + list(some), [(0, None, [])], 0)
                   for count in range(len(unknown) + 1) for some in itertools.combinations(unknown, count))

    def place(self, left, stack, time):
        """Can these take effect, one after the other, from ${time} on? The stack: (value, writer, starts of who met it)."""
        if not left:
            return True
        latest = min(op.end for op in left)
        for op in left:
            now = max(time, op.start)
            if now <= latest and (op.kind == "w" or op.value == stack[-1][0]):
                if self.place([other for other in left if other is not op], self.after(stack, op), now):
                    return True
        return any(self.may_vanish(stack, now) and self.place(left, stack[:-1], now)
                   for now in range(time, int(min(latest, self.LAST)) + 1))

    @staticmethod
    def after(stack, op):
        met = [(value, who, starts if who == op.who else starts + [op.start]) for value, who, starts in stack]
        return met + [(op.value, op.who, [])] if op.kind == "w" else met

    def may_vanish(self, stack, now):
        value, _, starts = stack[-1]
        if len(stack) == 1 or not any(since <= now <= to for since, to in self.windows[value]):
            return False
        return not starts or any(loss.inner and loss.start <= now and loss.end > max(starts) for loss in self.losses)


def random_history(rng):
    ops, nodes = [], [A, B, PROXY]
    losses = [Loss(who, at, at + rng.randrange(3), True, who == PROXY)
              for who in nodes if rng.random() < 0.5 for at in [rng.randrange(1, 12)]]
    end_of = {loss.who: loss.end for loss in losses}
    writes = 0
    for _ in range(rng.randrange(2, 7)):
        who = rng.choice(nodes)
        start = rng.randrange(end_of.get(who, 16))  # the dead do nothing
        end = start + rng.randrange(6)
        error = 0
        if end > end_of.get(who, 99):
            end, error = NEVER, 107
        kind = rng.random()
        if kind < 0.4:
            writes += 1
            ops.append(w(writes, start, end, who, error))
        elif kind < 0.8 and not error:
            ops.append(Op("r", 0, -1, start, end, who, 0))
        elif not error:
            ops.append(s(start, end, who, rng.choice((0, 0, EIO))))
    return [op._replace(value=rng.randrange(writes + 1)) if op.value == -1 else op for op in ops], losses


def every_order():
    rng = random.Random(6)
    verdicts, vanished = [0, 0], 0
    for _ in range(12000):
        ops, losses = random_history(rng)
        right = Twin(ops, losses).is_right()
        complaint = check_register(ops, losses)
        verdicts[right] += 1
        vanished += right and check_register(ops) is not None
        check((complaint is None) == right, f"every order says {right}, the checker {complaint}:", ops, losses)
    check(min(verdicts) > 1000 and vanished > 100, "the histories are all of one kind:", verdicts, vanished)
    print(f"random histories: {verdicts[1]} right, {vanished} of them since something may vanish, {verdicts[0]} wrong")


def test(lab):
    known_stories()
    every_order()


main(test)
