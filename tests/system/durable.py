# SPDX-License-Identifier: MIT
"""Is the history of one block that of a register whose writers may die?

What linearizable.py demands, and what a disk with a volatile write cache may do besides: a write may vanish, and the block is
again what it was before. When it may:

- Its writer (one incarnation of a node) was killed before a successful fsync covered it, from then on; or from when it was away
  for too long before: it was given up then, and died before a fsync told.
- A fsync of its writer failed with EIO: told, from the write's start to that fsync's end. Not what an earlier successful fsync
  covers.
- It returned an error itself.

And only when nobody else has it: what another node has read, or written over, is above its writer, and vanishes only with a
node in the middle that is lost after that. What has vanished never comes back. What a successful fsync covers never vanishes.

The search keeps every state that is possible: what the block may go back to, and which operations that have not ended have
taken effect. It goes through starts and ends in the order of time, and lets an operation take effect when it must: when it
ends, or when it makes a read right. Few states are possible at any time, since values are unique.
"""
import collections
import errno
import math
import time

from linearizable import INITIAL, check_block

# What may be undone: since is the last node in the middle that may have been lost when somebody else was known to have it.
Entry = collections.namedtuple("Entry", "write since")

NEVER = math.inf
WALL = time.time_ns() - time.monotonic_ns()
EIO = 5
UNSEEN = -1
STATES_MAX = 200000


def clock(moment):
    """As the logs have it."""
    if moment == NEVER:
        return "…"
    return time.strftime("%H:%M:%S", time.localtime((WALL + moment) / 1e9)) + f".{(WALL + moment) // 1000000 % 1000:03.0f}"


class Op(collections.namedtuple("Op", "kind block value start end who error")):
    """kind: "r", "w" or "s" (fsync, of all blocks). who: (node, incarnation). end: NEVER if there was none. error: errno."""
    __slots__ = ()

    def __repr__(self):
        words = {"r": f"read {self.value} from {self.block}", "w": f"write {self.value} to {self.block}", "s": "fsync"}
        result = f" ({errno.errorcode.get(self.error, self.error)})" if self.error else ""
        return f"{self.who[0]}/{self.who[1]}: {words.get(self.kind, 'open')}, {clock(self.start)}–{clock(self.end)}{result}"


class Loss(collections.namedtuple("Loss", "who start end killed inner away", defaults=((),))):
    """A node was lost, somewhere between start and end: killed, or given up by the others while it lived. inner: bytes of
    others may have been in its memory. away: from when till when it may have been given up before it was killed."""
    __slots__ = ()

    def __repr__(self):
        return f"{self.who[0]}/{self.who[1]} {'killed' if self.killed else 'given up'} {clock(self.start)}–{clock(self.end)}"


def covering(write, syncs):
    """The successful ones among ${syncs}, those of its writer, that began when it was written."""
    return [sync for sync in syncs if not sync.error and sync.end != NEVER and sync.start >= write.end]


def telling(write, syncs):
    """Those that may have told of its loss: they failed, and none that covers it was over before. The next one that succeeds
    after that covers only what was written since."""
    covered = min((sync.end for sync in covering(write, syncs)), default=NEVER)
    return [sync for sync in syncs if sync.error == EIO and write.start < sync.end and sync.start < covered]


def windows_of(write, syncs, losses):
    """When ${write} may vanish, if nobody else has it: pairs (from, to). ${syncs}: those of its writer."""
    windows = [(write.start, max(sync.end, write.end)) for sync in telling(write, syncs)]
    if write.error:
        windows.append((write.start, NEVER))
    if not covering(write, syncs):
        windows += [(start, NEVER) for loss in losses if loss.killed and loss.who == write.who
                    for start in (loss.start, *(start for start, end in loss.away if write.start <= end))]
    return windows


class Register:
    """The search through the history of one block."""

    def __init__(self, ops, losses, initial):
        self.ops = ops
        self.inner = [loss for loss in losses if loss.inner]
        self.writes = {op.value: op for op in ops if op.kind == "w"}
        self.reads = collections.defaultdict(list)
        for op in ops:
            if op.kind == "r" and not op.error and op.end != NEVER:
                self.reads[op.value].append(op)
        syncs = collections.defaultdict(list)
        for op in ops:
            if op.kind == "s":
                syncs[op.who].append(op)
        self.windows = {value: windows_of(op, syncs[op.who], losses) for value, op in self.writes.items()}
        self.states = {((Entry(initial, UNSEEN),), frozenset())}
        self.pending = set()
        self.now = None

    def events(self):
        """(time, 0: start, 1: end, 2: the last moment to vanish; what), in order."""
        for value, op in self.writes.items():
            reads = [read.end for read in self.reads[value]]
            if op.end == NEVER and not reads:
                continue  # as if it had not been
            yield op.start, 0, op
            yield min([op.end, *reads]), 1, op
            yield from ((to, 2, op) for _, to in self.windows[value] if to != NEVER)
        for reads in self.reads.values():
            for op in reads:
                yield op.start, 0, op
                yield op.end, 1, op

    def known_losses(self, op):
        """How many nodes in the middle were lost for certain when ${op} began."""
        return sum(loss.end <= op.start for loss in self.inner)

    def may_vanish(self, entry):
        if not any(start <= self.now <= to for start, to in self.windows.get(entry.write, ())):
            return False
        return entry.since == UNSEEN or entry.since < sum(loss.start <= self.now for loss in self.inner)

    def seen_by(self, stack, op):
        """The stack when ${op} has met it: what is not of ${op}'s node is known above."""
        since = self.known_losses(op)
        return tuple(entry if entry.write not in self.writes or self.writes[entry.write].who == op.who or entry.since >= since
                     else Entry(entry.write, since) for entry in stack)

    def settle(self, stack, done):
        """Every pending read of what is there takes effect: that closes no other way."""
        for op in self.pending:
            if op.kind == "r" and op.value == stack[-1].write and op not in done:
                stack, done = self.seen_by(stack, op), done | {op}
        return stack, done

    def steps(self, stack, done):
        """The states one step further."""
        if len(stack) > 1 and self.may_vanish(stack[-1]):
            yield self.settle(stack[:-1], done)
        for op in self.pending:
            if op.kind == "w" and op not in done:
                below = self.seen_by(stack, op) if self.windows[op.value] else ()
                yield self.settle((*below, Entry(op.value, UNSEEN)), done | {op})

    def explore(self, goal):
        """From the present states to all in which ${goal} has taken effect; None: to all there are."""
        reached, todo, seen = set(), list(self.states), set(self.states)
        while todo:
            state = todo.pop()
            if goal in state[1] or goal is None:
                reached.add(state)
                if goal:
                    continue
            for further in self.steps(*state):
                if further not in seen:
                    seen.add(further)
                    todo.append(further)
            if len(seen) > STATES_MAX:
                raise OverflowError("too many states are possible; use more blocks, or fewer writers")
        return reached

    def is_below(self, value):
        return any(entry.write == value for stack, _ in self.states for entry in stack)

    def step(self, turn, op):
        if turn == 0:
            self.pending.add(op)
            if op.kind == "r":
                self.states = {self.settle(*state) for state in self.states}
            return True
        if turn == 2 and op not in self.pending and not self.is_below(op.value):
            return True
        states = self.explore(op if turn == 1 else None)
        if turn == 1:
            self.pending.discard(op)
            states = {(stack, done - {op}) for stack, done in states}
        if not states:
            return False
        self.states = states
        return True

    def check(self):
        """None, or what is wrong."""
        for time, turn, op in sorted(self.events(), key=lambda event: event[:2]):
            self.now = time
            if not self.step(turn, op):
                return self.complain(op)
        return None

    def lifetimes(self, value):
        return " and ".join(f"{clock(start)}–{clock(to)}" for start, to in self.windows.get(value, ())) or "never"

    def describe(self, entry):
        if entry.write not in self.writes:
            return f"{entry.write}, as in the beginning"
        met = "nobody else has met it" if entry.since == UNSEEN else f"others have met it after {entry.since} losses"
        return f"{self.writes[entry.write]} ({met}; it may vanish {self.lifetimes(entry.write)})"

    def complain(self, op):
        possible = sorted({self.describe(stack[-1]) for stack, _ in self.states})
        waiting = [other for other in self.pending if other.kind == "w" and other != op]
        return (f"{op} can not be. The block was {' or '.join(possible)}" +
                (f", or one of {waiting} was" if waiting else "") +
                f". What was read is {self.describe(Entry(op.value, UNSEEN))}. Losses: {self.inner}. What led to it:" +
                "".join(f"\n    {other}" for other in self.before(op)))

    def before(self, op, count=16):
        """The last operations that began before the end of ${op}."""
        earlier = [other for other in self.ops if other.start <= op.end and other.kind in "rws"]
        return sorted(earlier, key=lambda other: other.start)[-count:]


def open_ended(ops):
    """An operation that failed may take effect later than its end."""
    return [op._replace(end=NEVER) if op.error and op.kind != "s" else op for op in dict.fromkeys(ops)]


def known_values(ops, initial):
    """A read returned what was never written, or before it was: a complaint."""
    writes = {}
    for op in ops:
        if op.kind == "w":
            if op.value in writes or op.value == initial:
                return f"the test wrote one value twice: {op}"
            writes[op.value] = op
    for op in ops:
        if op.kind == "r" and not op.error and op.end != NEVER and op.value != initial:
            if op.value not in writes:
                return f"read a value that nobody wrote: {op}"
            if op.end < writes[op.value].start:
                return f"read a value before it was written: {op}, {writes[op.value]}"
    return None


def simple_history(ops, initial):
    """What linearizable.py judges: successes, and writes of unknown outcome that were read."""
    read = {op.value for op in ops if op.kind == "r" and not op.error}
    for op in ops:
        if op.kind == "w" and (op.end != NEVER or op.value in read):
            yield op
        elif op.kind == "r" and not op.error and op.end != NEVER:
            yield op._replace(value=INITIAL) if op.value == initial else op


def nothing_vanished(ops, initial=INITIAL):
    """Is the history right without that?"""
    return check_block(list(simple_history(open_ended(ops), initial))) is None


def check_register(ops, losses=(), initial=INITIAL):
    """None when the history of one block, with the fsyncs of its writers, is right; else a sentence."""
    ops = open_ended(ops)
    complaint = known_values(ops, initial)
    if complaint:
        return complaint
    if nothing_vanished(ops, initial):
        return None
    return Register(ops, losses, initial).check()


def lost_on_disk(ops, value, time, initial=INITIAL):
    """The disk had ${value} at ${time}: is something missing that a fsync had covered by then? None, or a sentence. Newer bytes
    than that may be there."""
    known = [op.end for op in ops if op.value == value and op.kind in "rw" and not op.error and op.end <= time]
    since = -1 if value == initial else min(known, default=NEVER)
    syncs = collections.defaultdict(list)
    for op in ops:
        if op.kind == "s":
            syncs[op.who].append(op)
    for write in ops:
        if write.kind == "w" and not write.error and write.start > since:
            covered = [sync for sync in covering(write, syncs[write.who]) if sync.end <= time]
            if covered and not telling(write, syncs[write.who]):
                return f"the disk has {value}, but after it came {write}, which {covered[0]} covered"
    return None
