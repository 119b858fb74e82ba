# SPDX-License-Identifier: MIT
"""A history of registers: writers on all mounts, the same few blocks, every value once; and what must be true of it.

Workload starts one process for each mount (this file is its program, too) with a few lanes that read, write and fsync by
O_DIRECT, whole blocks, one to four adjacent ones at a time. Each operation is recorded with its start and end on this machine's
monotonic clock. History knows besides what happened to the nodes, and judges: durable.py block by block, the disk, how long
each request took, and that an error has a reason.
"""
import collections
import errno
import json
import mmap
import os
import random
import subprocess
import sys
import threading
import time

from durable import EIO, NEVER, Loss, Op, check_register, lost_on_disk, nothing_vanished
from lab import BLOCK, check, read_at
from linearizable import INITIAL
from told import LogReader, rescued

RUN_MAX = 4  # blocks of one request
# Eight that are fought for, next to each other; eight that lie apart; sixteen that are written now and then.
BLOCKS = [*range(8), *range(100, 500, 50), *range(1000, 1016)]
LOG_CLOCK = 5 * 10**6  # a log has milliseconds
MOUNT_IS_GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.ENODEV)


def make_block(value):
    return value.to_bytes(8, "little") * (BLOCK // 8)


def value_of(data):
    """A block is one number, again and again; None when it is torn."""
    word = data[:8]
    return int.from_bytes(word, "little") if data == word * (BLOCK // 8) else None


# ---- The worker's side ----

class Lane(threading.Thread):
    """One request at a time."""

    def __init__(self, worker, number):
        super().__init__(daemon=True)
        self.worker, self.number = worker, number
        self.rng = random.Random(f"{worker.settings['seed']} {worker.settings['index']} {number}")
        self.page = memoryview(mmap.mmap(-1, RUN_MAX * BLOCK))
        self.fd, self.incarnation, self.broken = None, 0, 0
        self.written, self.current, self.idle, self.tasks = 0, [], True, []

    def run(self):
        try:
            while self.worker.give_task(self):
                task = self.tasks.pop(0) if self.tasks else self.operate
                if self.open():
                    task()
        except BaseException as error:
            self.worker.complain(f"a lane ended: {error!r}")

    def open(self):
        """The image of the present incarnation is open."""
        incarnation, path = self.worker.incarnation, self.worker.path
        if incarnation == self.incarnation and self.fd is not None:
            return True
        self.close()
        self.incarnation, start = incarnation, time.monotonic_ns()
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        except OSError as error:
            self.broken = incarnation
            self.worker.record([("o", None, None, start, time.monotonic_ns(), error.errno, incarnation)])
        return self.fd is not None

    def close(self):
        if self.fd is None:
            return
        try:
            os.close(self.fd)
        except OSError:
            pass  # of a dead mount
        self.fd = None

    def operate(self):
        blocks = self.pick()
        chance = self.rng.random()
        if chance < self.worker.settings["sync"]:
            self.sync()
        elif chance < 0.5:
            self.write(blocks)
        else:
            self.read(blocks)
        time.sleep(self.rng.expovariate(self.worker.settings["rate"]))

    def pick(self):
        """Often the same blocks, so that they move about."""
        chance = self.rng.random()
        number = self.rng.randrange(3 if chance < 0.4 else 16 if chance < 0.9 else len(BLOCKS))
        count = self.rng.randrange(1, RUN_MAX + 1) if self.rng.random() < 0.2 else 1
        return [BLOCKS[number]] + [block for block in range(BLOCKS[number] + 1, BLOCKS[number] + count) if block in BLOCKS]

    def perform(self, kind, blocks, values, action):
        """Do ${action}, which returns the values by block (None: torn), and record it."""
        start = time.monotonic_ns()
        self.current = [(kind, block, value, start) for block, value in zip(blocks, values)]
        failure = 0
        try:
            values = action()
        except OSError as error:
            failure = error.errno
        end = time.monotonic_ns()
        for block, value in zip(blocks, values):
            if value is None and not failure and kind != "s":
                self.worker.complain(f"a torn block {block}, read between {start} and {end}")
        if failure in MOUNT_IS_GONE:
            self.broken = self.incarnation
        self.worker.record([(kind, block, value, start, end, failure, self.incarnation)
                            for block, value in zip(blocks, values)])
        self.current = []

    def sync(self):
        self.perform("s", [None], [None], lambda: os.fsync(self.fd) or [None])

    def write(self, blocks):
        self.written += 1
        first = (self.worker.settings["index"] + 1) << 48 | self.number << 40 | self.written << 3
        values = [first + number for number in range(len(blocks))]
        for number, value in enumerate(values):
            self.page[number * BLOCK:(number + 1) * BLOCK] = make_block(value)
        self.perform("w", blocks, values, lambda: self.transfer(os.pwritev, blocks) or values)

    def read(self, blocks):
        def action():
            self.transfer(os.preadv, blocks)
            return [value_of(bytes(self.page[number * BLOCK:(number + 1) * BLOCK])) for number in range(len(blocks))]

        self.perform("r", blocks, [None] * len(blocks), action)

    def transfer(self, call, blocks):
        size = len(blocks) * BLOCK
        if call(self.fd, [self.page[:size]], blocks[0] * BLOCK) != size:
            raise OSError(errno.EIO, "a short transfer")

    def survey(self):
        for block in BLOCKS:
            self.read([block])


class Worker:
    def __init__(self, settings):
        self.settings, self.condition = settings, threading.Condition()
        self.path, self.incarnation, self.going = None, 0, False
        self.ops, self.complaints = [], []
        self.lanes = [Lane(self, number) for number in range(settings["lanes"])]

    def record(self, ops):
        self.ops += ops

    def complain(self, text):
        self.complaints.append(text)

    def give_task(self, lane):
        """Wait until the lane has something to do."""
        with self.condition:
            lane.idle = True
            self.condition.notify_all()
            self.condition.wait_for(lambda: lane.tasks or self.going and self.path and lane.broken != self.incarnation)
            lane.idle = False
            return True

    def ask(self, *tasks):
        """Have the first lane do tasks, when all lanes are done with what they do; within the bound."""
        with self.condition:
            self.going = False
            if self.settle():
                self.lanes[0].tasks += tasks
                self.condition.notify_all()
                self.settle()

    def settle(self):
        if self.condition.wait_for(lambda: all(lane.idle and not lane.tasks for lane in self.lanes), self.settings["bound"]):
            return True
        self.complain(f"stuck: {[lane.current for lane in self.lanes if not lane.idle]}")
        return False

    def command(self, word, arguments):
        with self.condition:
            if word == "up":
                self.incarnation, self.path = int(arguments[0]), arguments[1]
            elif word == "go":
                self.going = True
            self.condition.notify_all()
        if word == "rest":
            self.ask(self.lanes[0].sync, self.lanes[0].sync)
        elif word == "survey":
            self.ask(self.lanes[0].survey)
        elif word == "tell":
            self.tell(arguments[0])

    def tell(self, path):
        """Write down what was done since the last time."""
        pending = [(*op, NEVER, 0, lane.incarnation) for lane in self.lanes for op in lane.current]
        with open(path, "w") as file:
            json.dump({"ops": self.ops + pending, "complaints": self.complaints}, file)
        self.ops, self.complaints = [], []


def work(settings):
    worker = Worker(json.loads(settings))
    for lane in worker.lanes:
        lane.start()
    for line in sys.stdin:
        word, *arguments = line.split()
        worker.command(word, arguments)
        print("done", flush=True)
    os._exit(0)  # not through lanes that are stuck


# ---- What happened, and whether it may ----

# Incarnations that were stopped or cut off for so long that what they had written may have been given up.
Fault = collections.namedtuple("Fault", "whose start end")


class History:
    def __init__(self, bound, inner=("root",), sync_writes=False):
        """${sync_writes}: writes wait for the root, and one whose fate is unknown fails when its node was away for too long."""
        self.bound, self.inner, self.sync_writes = bound, inner, sync_writes
        self.incarnations = collections.Counter()
        self.born, self.died = {}, {}  # incarnations, when they were there and when they were killed
        self.initial = dict.fromkeys(BLOCKS, INITIAL)
        self.totals = collections.Counter()
        self.slowest = collections.Counter()
        self.forget()

    def forget(self):
        self.ops, self.losses, self.faults, self.disks, self.complaints, self.surveys = [], [], [], [], [], []
        self.told = []

    # ---- What happened ----

    def who(self, name):
        return name, self.incarnations[name]

    def alive(self, name, start, end):
        """Its incarnations that were there at some time between start and end."""
        return [who for who, born in self.born.items()
                if who[0] == name and born <= end and self.died.get(who, end) >= start]

    def killed(self, name, start, end):
        self.losses.append(Loss(self.who(name), start, end, True, name in self.inner))
        self.died[self.who(name)] = end

    def cut_off(self, names, start, end):
        """Nodes that lived were stopped or cut off from all others for a lease or longer: one of their fsyncs may fail."""
        self.faults.append(Fault([who for name in names for who in self.alive(name, start, end)], start, end))

    def given_up(self, name, start):
        """So was a node in the middle: what it has of the dead may be given up, from then on."""
        self.losses.append(Loss(self.who(name), start, NEVER, False, True))

    def came_up(self, name):
        self.incarnations[name] += 1
        self.born[self.who(name)] = time.monotonic_ns()

    def tell(self, told):
        """What the logs have of losses: see told.py."""
        self.told += told

    def add(self, name, told):
        for kind, block, value, start, end, error, incarnation in told["ops"]:
            self.ops.append(Op(kind, block, value, start, end, (name, incarnation), error))
        self.complaints += [f"{name}: {text}" for text in told["complaints"]]

    def add_survey(self, name, told):
        before = len(self.ops)
        self.add(name, told)
        self.surveys.append((name, {op.block: op.value for op in self.ops[before:] if op.kind == "r" and not op.error}))

    def add_disk(self, path):
        """What the disk of a dead root has."""
        self.disks.append((time.monotonic_ns(), read_disk(path)))

    # ---- Judging ----

    def check(self):
        """Everything that is wrong, as sentences. Then a new history begins, with what is there now."""
        wrong = [*self.complaints, *self.late(), *self.unexplained(), *self.untold(), *self.bad_rescues(),
                 *self.bad_blocks(), *self.bad_disks(), *self.bad_surveys()]
        self.count()
        if self.surveys:
            self.initial = self.surveys[-1][1]
        self.forget()
        return wrong

    def late(self):
        for op in self.ops:
            if op.end == NEVER:
                yield f"never ended: {op}"
            elif op.end - op.start > self.bound * 1e9:
                yield f"took {(op.end - op.start) / 1e9:.1f} s: {op}"

    def syncs(self, *errors):
        """Those that ended so, by incarnation."""
        syncs = collections.defaultdict(list)
        for op in self.ops:
            if op.kind == "s" and op.end != NEVER and op.error in errors:
                syncs[op.who].append(op)
        return syncs

    def unexplained(self):
        good, told = self.syncs(0), self.syncs(0, EIO)
        for op in self.ops:
            if not op.error or self.was_killed(op):
                continue
            if not self.may_be_told(op, good[op.who]):
                yield f"an error without a reason ({errno.errorcode[op.error]}): {op}"
                continue
            if op.kind == "w":
                self.totals["told: a synchronous write whose fate is unknown"] += 1
                continue
            reasons = self.reasons(op, told[op.who])
            if not reasons:
                yield f"the log does not say why ({errno.errorcode[op.error]}): {op}"
            for reason in reasons:
                self.totals[f"told: {reason}"] += 1

    def was_killed(self, op):
        return any(loss.killed and loss.who == op.who and loss.start <= op.end for loss in self.losses)

    def may_be_told(self, op, good):
        """A fsync tells of what was given up, since its node was away for too long; a synchronous write of itself."""
        last = max((sync.start for sync in good if sync.end <= op.start), default=0)
        if op.kind == "w" and self.sync_writes:
            last = op.start
        elif op.kind != "s":
            return False
        return op.error == EIO and any(
            fault.start <= op.end and fault.end >= last and op.who in fault.whose for fault in self.faults)

    def reasons(self, op, told):
        """What the log of its node has said since the last fsync there, which would have told of what was before."""
        last = max([sync.start for sync in told if sync.end <= op.start] + [self.born.get(op.who, 0)])
        return {line.reason for line in self.told
                if line.name == op.who[0] and last - LOG_CLOCK <= line.moment <= op.end + LOG_CLOCK}

    def untold(self):
        """A loss that is in the log of a node makes the next fsync there fail."""
        good, failed = self.syncs(0), self.syncs(EIO)
        for line in self.told:
            who = max((who for who, born in self.born.items() if who[0] == line.name and born <= line.moment + LOG_CLOCK),
                      default=None)
            after = min((op.start for op in good[who] if op.start > line.moment + LOG_CLOCK), default=NEVER)
            if after != NEVER and not any(line.moment <= op.end and op.start < after for op in failed[who]):
                yield f"no fsync told of a loss that the log has: {line}"

    def bad_rescues(self):
        """What this node has written and synced is not among what was given up."""
        writes = {op.value: op for op in self.ops if op.kind == "w"}
        good = self.syncs(0)
        for line in self.told:
            for offset, length, data in rescued(line.map) if line.map else ():
                value = value_of(data)
                write = writes.get(value)
                self.totals["blocks rescued"] += 1
                if length != BLOCK or value is None:
                    yield f"torn bytes in a rescue file, at {offset}: {line}"
                elif write and write.who[0] == line.name and any(
                        write.end <= sync.start and sync.end < line.moment for sync in good[write.who]):
                    yield f"what was synced is in a rescue file: {write}; {line}"

    def absences(self, loss):
        """When a node that was killed had been away for too long before."""
        return tuple((fault.start, fault.end) for fault in self.faults if loss.killed and loss.who in fault.whose)

    def by_block(self):
        syncs = [op for op in self.ops if op.kind == "s"]
        blocks = collections.defaultdict(list)
        for op in self.ops:
            if op.kind in "rw":
                blocks[op.block].append(op)
        return {block: ops + syncs for block, ops in sorted(blocks.items())}

    def bad_blocks(self):
        losses = [loss._replace(away=self.absences(loss)) for loss in self.losses]
        for block, ops in self.by_block().items():
            complaint = check_register(ops, losses, self.initial[block])
            if complaint:
                yield f"block {block}: {complaint}"
            elif not nothing_vanished(ops, self.initial[block]):
                self.totals["blocks that went back"] += 1

    def bad_disks(self):
        for moment, disk in self.disks:
            for block, ops in self.by_block().items():
                complaint = lost_on_disk(ops, disk[block], moment, self.initial[block])
                if complaint:
                    yield f"block {block}: {complaint}"

    def bad_surveys(self):
        for name, values in self.surveys[1:]:
            first, expected = self.surveys[0]
            for block in BLOCKS:
                if values.get(block) != expected.get(block):
                    yield f"at rest, block {block} is {expected.get(block)} at {first}, and {values.get(block)} at {name}"

    def count(self):
        for op in self.ops:
            self.totals[op.kind] += 1
            if op.error:
                self.totals[f"{op.kind} {errno.errorcode.get(op.error, op.error)}"] += 1
            if op.end != NEVER:
                self.slowest[op.kind] = max(self.slowest[op.kind], op.end - op.start)


def read_disk(path):
    return {block: value_of(read_at(path, block * BLOCK, BLOCK)) for block in BLOCKS}


# ---- The test's side ----

class Workload:
    """The workers of all mounts, and the history they make."""

    def __init__(self, lab, history, nodes, seed=1, lanes=2, rate=100, sync=0.03):
        """${rate}: requests of a lane in a second; ${sync}: the share of them that are fsyncs."""
        self.lab, self.history, self.workers, self.logs = lab, history, {}, LogReader()
        for index, node in enumerate(nodes):
            settings = {"index": index, "seed": seed, "lanes": lanes, "rate": rate, "sync": sync, "bound": history.bound}
            self.workers[node.name] = lab.popen(sys.executable, __file__, json.dumps(settings), stdin=subprocess.PIPE,
                                                stdout=subprocess.PIPE, text=True)
            self.up(node)

    def send(self, name, *words):
        print(*words, file=self.workers[name].stdin, flush=True)

    def receive(self, name):
        check(self.workers[name].stdout.readline() == "done\n", f"the worker of {name} has ended")

    def say(self, name, *words):
        self.send(name, *words)
        self.receive(name)

    def say_all(self, *words):
        for name in self.workers:
            self.send(name, *words)
        for name in self.workers:
            self.receive(name)

    def up(self, node):
        """A node is there, for the first time or again."""
        self.history.came_up(node.name)
        if node.name in self.workers:
            self.say(node.name, "up", self.history.incarnations[node.name], os.path.abspath(node.image()))

    def go(self):
        self.say_all("go")

    def kill(self, node):
        start = time.monotonic_ns()
        node.kill()
        self.history.killed(node.name, start, time.monotonic_ns())
        if node.name == "root":
            self.history.add_disk("disk.img")

    def rest(self, also_flush=()):
        """Everybody ends what they do and syncs; then all that is above them is brought to the disk, and everybody reads."""
        self.say_all("rest")
        self.collect(self.history.add)
        for name in {name for name, _ in self.history.born}:
            self.history.tell(self.logs.read(name))
        for node in also_flush:
            node.flush()
        self.say_all("survey")
        self.collect(self.history.add_survey)

    def collect(self, add):
        for name in self.workers:
            self.say(name, "tell", f"{name}.told")
            with open(f"{name}.told") as file:
                add(name, json.load(file))

    def check_disk(self, path="disk.img"):
        """After an orderly end the disk is what everybody read at rest."""
        disk = read_disk(path)
        wrong = [block for block in BLOCKS if disk[block] != self.history.initial[block]]
        check(not wrong, "the disk has something else in blocks", wrong)


if __name__ == "__main__":
    work(sys.argv[1])
