# SPDX-License-Identifier: MIT
"""The workload and its judge find what is wrong: they pass on one plain file, and fail on two that are not the same disk. Each
other kind of wrong is shown to the judge: what never ends, what is late, errors without a reason, a disk that forgot."""
import errno
import os
import time

import history
from history import BLOCKS, History, Workload, make_block
from lab import check, main, skip
from told import Told

SECOND = 10**9


class File:
    """As a node, with a plain file for its image."""

    def __init__(self, name, path):
        self.name, self.path = name, path
        if not os.path.exists(path):
            with open(path, "wb") as file:
                file.truncate(16 << 20)

    def image(self):
        return self.path


def direct_works():
    try:
        os.close(os.open("one.img", os.O_RDWR | os.O_DIRECT))
    except OSError:
        skip("no O_DIRECT in the directory for temporary files")


def play(lab, *paths):
    judge = History(bound=60)
    workload = Workload(lab, judge, [File(f"n{number}", path) for number, path in enumerate(paths)], rate=2000)
    workload.go()
    time.sleep(1)
    workload.rest()
    count = len(judge.ops)
    wrong = judge.check()
    print(f"{count} operations on {', '.join(paths)}: {len(wrong)} complaints")
    return wrong


def one_disk_or_two(lab):
    File("", "one.img")
    direct_works()
    wrong = play(lab, "one.img", "one.img")
    check(not wrong, "one file is one disk, and yet:", wrong[:1])
    wrong = play(lab, "fresh.img", "other.img")
    check(any("block" in text for text in wrong), "two files passed for one disk")


def told(*ops, complaints=()):
    return {"ops": [list(op) for op in ops], "complaints": list(complaints)}


def judged(story):
    """What is said of a story, which is told to a History of two nodes and a proxy."""
    judge = History(bound=10, inner=("root", "proxy"))
    judge.incarnations.update({"a": 1, "b": 1, "proxy": 1, "root": 1})
    judge.born.update({("a", 1): 0, ("b", 1): 0, ("proxy", 1): 0})
    story(judge)
    return judge.check()


W, R = (("w", 0, 8, 0, SECOND, 0, 1), ("r", 0, 8, 2 * SECOND, 3 * SECOND, 0, 1))
FAILED = ("s", None, None, 60 * SECOND, 61 * SECOND, errno.EIO, 1)
REASON = Told("a", 60 * SECOND, "rescued", None)
AWAY = (["a"], 50 * SECOND, 58 * SECOND)
DISK = dict.fromkeys(BLOCKS, 0)

KINDS = {
    None: [
        lambda judge: judge.add("a", told(W, R)),
        lambda judge: (judge.add("a", told(W, FAILED)), judge.cut_off(*AWAY), judge.tell([REASON])),
        # It was given up while it was away, and killed before it was told; then another one of its name comes up.
        lambda judge: (judge.add("a", told(W)), judge.add("b", told(("r", 0, 0, 4 * SECOND, 5 * SECOND, 0, 1))),
                       judge.killed("a", 9 * SECOND, 9 * SECOND), judge.came_up("a"),
                       judge.cut_off(["a"], 2 * SECOND, 12 * SECOND)),
        lambda judge: (judge.add("a", told(("w", 0, 8, 0, SECOND, errno.ENOTCONN, 1))), judge.killed("a", 0, SECOND)),
    ],
    "never ended": [lambda judge: judge.add("a", told(W, ("r", 0, None, 2 * SECOND, history.NEVER, 0, 1)))],
    "took 11.0 s": [lambda judge: judge.add("a", told(("w", 0, 8, 0, 11 * SECOND, 0, 1)))],
    "without a reason": [
        lambda judge: judge.add("a", told(("r", 0, None, 0, SECOND, errno.EIO, 1))),
        lambda judge: judge.add("a", told(FAILED)),
        # Another leaf was away; over before the last good fsync, another incarnation's.
        lambda judge: (judge.add("a", told(FAILED)), judge.cut_off(["b"], 50 * SECOND, 58 * SECOND)),
        lambda judge: (judge.add("a", told(("s", None, None, 20 * SECOND, 21 * SECOND, 0, 1), FAILED)),
                       judge.cut_off(["a"], 10 * SECOND, 18 * SECOND)),
        lambda judge: (judge.killed("a", 0, SECOND), judge.add("a", told((*FAILED[:6], 2)))),
        # A read or a write is not told of what was given up.
        lambda judge: (judge.add("a", told(("w", 0, 8, 55 * SECOND, 59 * SECOND, errno.EIO, 1))),
                       judge.cut_off(["a"], 50 * SECOND, 58 * SECOND)),
    ],
    "does not say why": [
        lambda judge: (judge.add("a", told(W, FAILED)), judge.cut_off(*AWAY)),
        # Another node's log; before the last fsync; after this one; of the incarnation before.
        lambda judge: (judge.add("a", told(W, FAILED)), judge.cut_off(*AWAY), judge.tell([REASON._replace(name="proxy")])),
        lambda judge: (judge.add("a", told(W, ("s", None, None, 57 * SECOND, 58 * SECOND, errno.EIO, 1), FAILED)),
                       judge.cut_off(*AWAY), judge.tell([REASON._replace(moment=56 * SECOND)])),
        lambda judge: (judge.add("a", told(W, FAILED)), judge.cut_off(*AWAY), judge.tell([REASON._replace(moment=62 * SECOND)])),
        lambda judge: (judge.add("a", told(W, FAILED)), judge.cut_off(*AWAY), judge.tell([REASON]),
                       judge.born.update({("a", 1): 60.5 * SECOND})),
    ],
    "no fsync told": [
        lambda judge: (judge.add("a", told(W, (*FAILED[:5], 0, 1))), judge.tell([REASON._replace(moment=50 * SECOND)])),
    ],
    "can not be": [lambda judge: (judge.add("a", told(W)), judge.add("b", told(("r", 0, 0, 2 * SECOND, 3 * SECOND, 0, 1))))],
    "may vanish": [lambda judge: (judge.add("a", told(W)), judge.add("b", told(("r", 0, 0, 2 * SECOND, 3 * SECOND, 0, 1))),
                                  judge.killed("a", 9 * SECOND, 9 * SECOND))],
    "nobody wrote": [lambda judge: judge.add("b", told(R))],
    "the disk has 0": [lambda judge: (judge.add("a", told(W, ("s", None, None, SECOND, 2 * SECOND, 0, 1))),
                                      judge.disks.append((9 * SECOND, DISK)))],
    "at rest, block 0": [lambda judge: (judge.add("a", told(W)), judge.surveys.extend([("a", {**DISK, 0: 8}), ("b", DISK)]))],
    "torn": [lambda judge: judge.add("a", told(complaints=["a torn block"]))],
}


def kinds_of_wrong():
    for expected, stories in KINDS.items():
        for number, story in enumerate(stories):
            wrong = judged(story)
            check(bool(wrong) == bool(expected) and (not wrong or expected in wrong[0]), f"'{expected}', {number}:", wrong)
    for sync_writes in (False, True):
        judge = History(bound=10, sync_writes=sync_writes)
        judge.incarnations["a"], judge.born["a", 1] = 1, 0
        judge.add("a", told(("w", 0, 8, 55 * SECOND, 59 * SECOND, errno.EIO, 1)))
        judge.cut_off(*AWAY)
        check(bool(judge.check()) != sync_writes, "a synchronous write that failed")
    check(history.value_of(make_block(5)) == 5, "a block is not its value")
    check(history.value_of(make_block(5)[:-8] + bytes(8)) is None, "a torn block is not found")


def test(lab):
    kinds_of_wrong()
    one_disk_or_two(lab)


main(test)
