# SPDX-License-Identifier: MIT
"""A root, two proxies, four leaves, writers on every mount, and something that breaks every few seconds.

usage: HVFS=build/cli/hvfs python3 tests/system/chaos.py [--minutes M] [--seed S] [--hb-ttl 2s] [--every 5] [--faults LIST] …

Nodes are killed, stopped for less and for more than their lease, cut off from one or from all, and come back. It goes in
rounds: at the end of each everything is healed, everybody syncs and reads, and the history so far is judged (history.py). A
round begins where the last one ended, with the nodes as they are. In the end all stop in order and the disk is compared.

It fails when a byte is wrong, a fsync was lost, a request is stuck or fails without a reason, a daemon dies that was not
killed, or a log tells of a broken invariant or of a sanitizer. A fsync may fail with EIO when its node was away for longer than
a lease, and its log has said why since the last fsync; and what the log says of a loss, a fsync must tell. --keep DIR keeps the logs of a failure.
"""
import argparse
import collections
import heapq
import os
import random
import select
import shutil
import time

from history import History, Workload
from lab import check, main, need_fuse
from netlab import NetLab, need_network

PROXIES = {"p1": ("a", "b"), "p2": ("c", "d")}
LEAVES = [leaf for leaves in PROXIES.values() for leaf in leaves]
HOSTS = ["root", *PROXIES, *LEAVES]
USERS = ["root", *LEAVES]
LAUNCHES_MAX = 5
PROXY_OF = {leaf: proxy for proxy, leaves in PROXIES.items() for leaf in leaves}


def seconds(text):
    for unit, factor in (("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)):
        if text.endswith(unit):
            return float(text[:-len(unit)]) * factor
    return float(text)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hb-ttl", default="2s", help="lease that root and proxies give (2s)")
    parser.add_argument("--every", type=seconds, default=5, help="time from fault to fault (5s)")
    parser.add_argument("--overlap", type=int, default=1, help="faults at once (1)")
    parser.add_argument("--round", type=seconds, default=60, help="time from check to check (60s)")
    parser.add_argument("--faults", default="", help=f"only these, with commas between: {', '.join(FAULTS)}")
    parser.add_argument("--io-timeout", default="60s")
    parser.add_argument("--bound", type=seconds, default=30, help="no request may take longer (30s)")
    parser.add_argument("--rate", type=float, default=60, help="requests of each of the lanes in a second (60)")
    parser.add_argument("--lanes", type=int, default=2, help="requests at once of each mount (2)")
    parser.add_argument("--at-least", type=int, default=0, help="faults that must have happened")
    parser.add_argument("--flags", default="", help="more flags of every node")
    parser.add_argument("--keep", help="where the logs of a failure are kept")
    return parser.parse_args(arguments)


class Chaos:
    def __init__(self, lab, options):
        self.lab, self.options, self.rng = lab, options, random.Random(options.seed)
        self.lease = seconds(options.hb_ttl)
        self.nodes, self.launching, self.launches = {}, {}, collections.Counter()
        self.agenda, self.counter = [], 0  # what ends when
        self.busy = set()  # hosts that a fault is about
        self.happened, self.log = collections.Counter(), []
        self.history = History(options.bound, inner=("root", *PROXIES), sync_writes="sync" in options.flags)
        self.start()

    def start(self):
        flags = ["--io-timeout", self.options.io_timeout, *self.options.flags.split()]
        lease = ["--hb-ttl", self.options.hb_ttl]
        self.nodes["root"] = self.lab.root(*lease, *flags)
        for proxy, leaves in PROXIES.items():
            self.nodes[proxy] = self.lab.proxy(proxy, *lease, *flags)
            for leaf in leaves:
                self.nodes[leaf] = self.lab.leaf(leaf, *flags, parent=proxy)
        self.workload = Workload(self.lab, self.history, [self.nodes[name] for name in USERS], seed=self.options.seed,
                                 lanes=self.options.lanes, rate=self.options.rate)
        for proxy in PROXIES:
            self.workload.up(self.nodes[proxy])

    # ---- Time ----

    def later(self, delay, action, *arguments):
        self.counter += 1
        heapq.heappush(self.agenda, (time.monotonic() + delay, self.counter, action, arguments))

    def wait(self, until):
        """Until then, or until something happens to a process."""
        poll = select.poll()
        fds = {node.pidfd: name for name, node in self.nodes.items() if node}
        fds.update({os.pidfd_open(process.pid): name for name, process in self.launching.items()})
        for fd in fds:
            poll.register(fd, select.POLLIN)
        happened = [fds[fd] for fd, _ in poll.poll(max(0, until - time.monotonic()) * 1000)]
        for fd, name in fds.items():
            if name in self.launching:
                os.close(fd)
        for name in happened:
            self.look_after(name)

    def run_until(self, until):
        while self.agenda and self.agenda[0][0] <= until or time.monotonic() < until:
            self.wait(min([until, *[entry[0] for entry in self.agenda[:1]]]))
            while self.agenda and self.agenda[0][0] <= time.monotonic():
                _, _, action, arguments = heapq.heappop(self.agenda)
                action(*arguments)

    # ---- Nodes ----

    def look_after(self, name):
        if name not in self.launching:
            check(False, f"{name} died without being killed: {self.nodes[name].exit_status()}")
        process = self.launching.pop(name)
        if process.wait() == 0:
            self.launches[name] = 0
            self.nodes[name] = self.lab.launched(name)
            self.workload.up(self.nodes[name])
            self.busy.discard(name)
            return
        self.launches[name] += 1
        with open(f"{name}.start") as file:
            check(self.launches[name] < LAUNCHES_MAX, f"{name} can not be started: {file.read()}")
        self.launch(name)

    def launch(self, name):
        self.launching[name] = self.lab.launch(name)

    def kill(self, name):
        self.workload.kill(self.nodes[name])
        self.nodes[name] = None

    # ---- Faults ----

    def is_free(self, name):
        return name not in self.busy and self.nodes[name] is not None

    def fault(self):
        """One fault, if enough is well for it."""
        if len(self.agenda) + len(self.launching) >= self.options.overlap:
            return
        kinds = self.options.faults.split(",") if self.options.faults else list(FAULTS)
        kind = self.rng.choices(kinds, [FAULTS[kind][0] for kind in kinds])[0]
        candidates = [name for name in FAULTS[kind][2] if self.is_free(name)]
        if candidates:
            name = self.rng.choice(candidates)
            text = FAULTS[kind][1](self, name)
            self.happened[kind] += 1
            self.log.append(f"{time.strftime('%H:%M:%S')} {kind} {name}: {text}")

    def some_time(self):
        """(how long, for longer than a lease?)"""
        if self.rng.random() < 0.5:
            return self.rng.uniform(0.05, 0.5) * self.lease, False
        return self.rng.uniform(1.3, 3) * self.lease, True

    def fault_kill(self, name):
        delay = self.rng.choice((0, self.rng.uniform(0, 0.5) * self.lease, self.rng.uniform(1.3, 2.5) * self.lease))
        self.busy.add(name)
        self.kill(name)
        self.later(delay, self.launch, name)
        return f"back after {delay:.1f} s"

    def fault_stop(self, name):
        delay, long = self.some_time()
        self.busy.add(name)
        start = time.monotonic_ns()
        self.nodes[name].freeze()
        self.later(delay, self.end_stop, name, start, long)
        return f"goes on after {delay:.1f} s"

    def end_stop(self, name, start, long):
        self.nodes[name].thaw()
        self.away(name, start, long)
        self.busy.discard(name)

    def away(self, name, start, long):
        """What follows for those who live when a node was away for longer than its lease: see Faults in history.py."""
        end = time.monotonic_ns()
        if long and name == "root":
            self.history.cut_off(USERS, start, end)  # it may have given up any of them when it was back
        elif long and name in LEAVES:
            self.history.cut_off([name], start, end)
        if long and name not in LEAVES:
            for inner in PROXIES if name == "root" else [name]:
                self.history.given_up(inner, start)

    def fault_cut(self, name, other):
        """Both ways, or what one of them sends is lost."""
        delay, long = self.some_time()
        self.busy.add(name)
        start = time.monotonic_ns()
        one, two = self.rng.sample((name, other), 2)
        both = self.rng.random() < 0.5
        self.lab.cut(one, two, both)
        self.later(delay, self.end_cut, name, other, start, long)
        return f"{'both ways with' if both else 'unheard by' if one == name else 'deaf to'} {other} for {delay:.1f} s"

    def end_cut(self, name, other, start, long):
        self.lab.heal(name, other)
        if long and name in PROXIES:
            self.history.given_up(name, start)
            self.history.cut_off(LEAVES, start, time.monotonic_ns())  # whoever was below it had no lease
        self.busy.discard(name)

    def fault_cut_leaf(self, name):
        """Maybe from its parent: it can reach another one, and goes there."""
        return self.fault_cut(name, self.rng.choice((PROXY_OF[name], "root")))

    def fault_cut_proxy(self, name):
        """So can the leaves below this one."""
        return self.fault_cut(name, "root")

    def fault_isolate(self, name):
        delay, long = self.some_time()
        self.busy.add(name)
        start = time.monotonic_ns()
        self.lab.partition([name], [other for other in HOSTS if other != name])
        self.later(delay, self.end_isolate, name, start, long)
        return f"for {delay:.1f} s"

    def end_isolate(self, name, start, long):
        for other in HOSTS:
            if other != name:
                self.lab.heal(name, other)
        self.away(name, start, long)
        self.busy.discard(name)

    def fault_reset(self, name):
        count = sum(self.lab.reset(name, other) for other in HOSTS if other != name)
        return f"{count} connections"

    # ---- Rounds ----

    def heal(self):
        """End what is going on now, and wait until all are there."""
        while self.agenda:
            _, _, action, arguments = heapq.heappop(self.agenda)
            action(*arguments)
        while self.launching:
            self.wait(time.monotonic() + self.options.bound)

    def round(self, length):
        self.workload.go()
        end = time.monotonic() + length
        while time.monotonic() + self.options.every < end:
            self.run_until(time.monotonic() + self.options.every)
            self.fault()
        self.run_until(end)
        self.heal()
        self.workload.rest([self.nodes[name] for name in (*PROXIES, "root")])
        count = len(self.history.ops)
        wrong = self.history.check()
        for name, node in self.nodes.items():
            check(not node.has_ended(), f"{name} died without being killed: {node.exit_status()}")
        self.lab.check_logs()
        return count, wrong

    def run(self):
        left = self.options.minutes * 60
        while left > 0:
            length = min(left, self.options.round)
            count, wrong = self.round(length)
            left -= length
            print(f"{length:.0f} s, {count} operations, {len(self.log)} faults: {len(wrong)} wrong", flush=True)
            if wrong:
                print("\n".join([*self.log, *few_of_each(wrong)]), flush=True)
                raise AssertionError(f"seed {self.options.seed}: {wrong[0]}")
            self.log = []
        self.stop()

    def stop(self):
        self.summary()
        for name in reversed(HOSTS):
            self.nodes[name].stop()
        self.workload.check_disk()
        check(sum(self.happened.values()) >= self.options.at_least, "only", sum(self.happened.values()), "faults happened")

    def summary(self):
        words = {"r": "reads", "w": "writes", "s": "fsyncs", "o": "opens"}
        totals, slowest = self.history.totals, self.history.slowest
        print("faults:", ", ".join(f"{kind} {count}" for kind, count in sorted(self.happened.items())))
        for kind, word in words.items():
            if totals[kind]:
                errors = [f"{key[2:]} {count}" for key, count in sorted(totals.items()) if key.startswith(f"{kind} ")]
                print(f"{word}: {totals[kind]}, slowest {slowest[kind] / 1e9:.2f} s, failed: {', '.join(errors) or 'none'}")
        reasons = [f"{key[6:]} {count}" for key, count in sorted(totals.items()) if key.startswith("told: ")]
        print(f"requests that told of a loss, by what the log said: {', '.join(reasons) or 'none'}; blocks rescued: "
              f"{totals['blocks rescued']}")
        print(f"blocks that went back with a dead writer: {totals['blocks that went back']}")
        for name, node in self.nodes.items():
            parent = node.volume()["parent"]["addr"]
            print(f"{name}: below {parent}, {memory(node.pid):.0f} MiB, {len(os.listdir(f'/proc/{node.pid}/fd'))} descriptors")


def few_of_each(complaints, count=5):
    """At most so many that begin with the same word."""
    seen = collections.Counter()
    for text in complaints:
        seen[text.split()[0]] += 1
        if seen[text.split()[0]] <= count:
            yield text


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


# weight, function, whom it may hit
FAULTS = {
    "kill-leaf": (3, Chaos.fault_kill, LEAVES),
    "kill-proxy": (3, Chaos.fault_kill, list(PROXIES)),
    "kill-root": (2, Chaos.fault_kill, ["root"]),
    "stop-leaf": (2, Chaos.fault_stop, LEAVES),
    "stop-proxy": (2, Chaos.fault_stop, list(PROXIES)),
    "stop-root": (1, Chaos.fault_stop, ["root"]),
    "cut-leaf": (2, Chaos.fault_cut_leaf, LEAVES),
    "cut-proxy": (2, Chaos.fault_cut_proxy, list(PROXIES)),
    "isolate-leaf": (1, Chaos.fault_isolate, LEAVES),
    "isolate-proxy": (1, Chaos.fault_isolate, list(PROXIES)),
    "isolate-root": (1, Chaos.fault_isolate, ["root"]),
    "reset": (1, Chaos.fault_reset, HOSTS),
}


def keep_logs(directory):
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir("."):
        if name.endswith(".log"):
            shutil.copy(name, directory)


def play(lab, options):
    need_fuse()
    need_network()
    try:
        Chaos(lab, options).run()
    except BaseException:
        if options.keep:
            keep_logs(options.keep)
        raise


if __name__ == "__main__":
    OPTIONS = parse()
    main(lambda lab: play(lab, OPTIONS), NetLab)
