#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Spin goes through every state of the models.

usage: check.py [NAME...]           all cases, or those named (a configuration with its mutations, or one mutation)
       check.py --trace NAME        the shortest way to the error of a case that has one, event by event

A configuration must have no error in any state; a mutation, which breaks one rule, must have one. A configuration is compiled
once: which rule is broken (BROKEN(x) in the model) is chosen when the search begins. Exit 77: Spin is missing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MEMORY_MB = 4000

WRITERS = ["A_WANTS=WRITE", "B_WANTS=WRITE"] # the leaves do not ask for READ
# name: the model, macros; and how many states it has.
CONFIGURATIONS = {
    "ordinary": ("hvfs.pml", []), # 974,033
    "proxy-dies": ("hvfs.pml", ["CRASH_PROXY=1", "CUTS=1", "ROOT_WRITES=false", "B_RELEASES=1", *WRITERS]), # 1,540,115
    "proxy-dies-root-writes": ("hvfs.pml", ["CRASH_PROXY=1", "CUTS=1", "WRITES=1", *WRITERS]), # 946,996
    "proxy-cut-off": ("hvfs.pml", ["ISOLATE=1", *WRITERS]), # 1,232,246
    "leaf-cut-off": ("hvfs.pml", ["CUTS=1", *WRITERS]), # 587,037
    "leaf-wanders": ("hvfs.pml", ["CUTS=2", "ROOT_WRITES=false", *WRITERS]), # 2,531,912
    "root-dies": ("restart.pml", ["READERS=B"]), # 3,714,222
    "root-dies-twice": ("restart.pml", ["CUTS=0", "CRASHES=2"]), # 1,682,190
}
# rule: (the configuration that shows what happens when it is broken, the rule)
MUTATIONS = {
    "FLUSH_BEFORE_ANSWER": ("ordinary", "R6: dirty bytes go up before a recall is answered"),
    "ANSWER_AFTER_CHILDREN": ("ordinary", "I1: a recall is answered when the children have answered theirs"),
    "RECALL_BEFORE_GRANT": ("ordinary", "I2: no grant before all recalls are answered"),
    "CROSSING_DATA": ("ordinary", "R5: an upgrade that crossed a recall gets bytes"),
    "DIRTY_UNTIL_ACCEPTED": ("ordinary", "R12: a dirty copy stays dirty when WRITE goes down"),
    "BARRIER_AFTER_FLUSH": ("ordinary", "R14: what is dirty goes up before a barrier"),
    "NO_GRANT_OVER_RECALL": ("ordinary", "R18: no grant to a child that owes an answer"),
    "RELEASES_WAIT": ("ordinary", "R19: no release while a request is under way"),
    "KEEP_UNSTABLE": ("proxy-dies", "R13: what was acknowledged is kept until a barrier"),
    "LEASE_ORDER": ("proxy-dies", "F2, T3: no eviction before the lease, and all leases below, are over"),
    "RECORD": ("proxy-dies", "F2: no eviction without a record at the root, which a proxy that is cut off can not have"),
    "BYTES_BESIDE_WRITER": ("proxy-dies", "F4: bytes are taken also when somebody else has WRITE"),
    "EVICTED_REFUSED": ("proxy-cut-off", "F2: claims of evicted sessions are refused"),
    "BRING": ("leaf-cut-off", "F4: a claim that is newer brings its bytes"),
    "LET_GO_FLUSHES": ("leaf-cut-off", "F5: who lets go flushes first"),
    "PROXY_FIRST": ("proxy-dies-root-writes", "F2: a reversion ends the session of a proxy that is away first"),
    "ARRIVED_STAYS": ("leaf-wanders", "F2: who has come back elsewhere is not evicted"),
    "NEWER_IS_HERE": ("leaf-wanders", "F4: bytes of a session that was another parent's are judged above"),
    "NO_CLAIM_OVER_RECALL": ("leaf-wanders", "R18: no claim is decided over an open recall"),
    "NO_RECALL_OF_CLAIM": ("leaf-wanders", "F4: no recall from a child whose claim is not decided"),
    "OLD_RECORD": ("leaf-wanders", "F4: what the directory has of an older session is void"),
    "SEND_AGAIN": ("leaf-wanders", "F3, R13: unstable bytes are sent again in a new session"),
    "STALE_CLAIM": ("leaf-wanders", "F4: a claim that is older than the claimant's newest link does not count"),
    "STALE_NUMBER": ("leaf-wanders", "F5: who has come back has not moved"),
    "NEW_SESSION": ("root-dies", "R13: a parent that was started anew does not know sessions of before"),
    "GRACE": ("root-dies", "F6: a grace time lasts as long as the leases of before"),
    "LEASE": ("root-dies", "F2: no eviction before the lease is over"),
    "READERS_TOO": ("root-dies", "F2: what a writer had for reading is evicted on record, too"),
    "NEW_NAME": ("root-dies", "F3: a new name when all is claimed"),
    "NAME_UNTIL_HEARD": ("root-dies", "F3: claims name the old name, too, until the new one is known to be heard"),
    "RECALLED_BYTES_WAIT": ("root-dies", "F6: bytes that were recalled are not taken before the claims are known"),
    "BESIDE_CLAIM": ("root-dies", "F6: ... nor before the claimant has brought its bytes"),
    "READ_TO_THE_END": ("root-dies", "F6: bytes that were held to the end are sent as such, however often"),
    "EARLIER_ROOTS": ("root-dies-twice", "F6: after a grace time, claims of sessions from before it are void for ever"),
}


class Failed(Exception):
    pass


def run(arguments, folder, **environment):
    result = subprocess.run(arguments, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise Failed(f"{' '.join(arguments)}: exit {result.returncode}\n{result.stdout}")
    return result.stdout


def compile_model(name, folder, options=()):
    model, macros = CONFIGURATIONS[name]
    rules = [f"-DBREAK_{rule}={number}" for number, rule in enumerate(MUTATIONS, 1)]
    run(["spin", "-a", *(f"-D{macro}" for macro in macros), str(FOLDER / model)], folder)
    run(["cc", "-O2", "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}", *rules, *options,
         "-o", "pan", "pan.c"], folder)


def pan(folder, rule, *arguments):
    number = list(MUTATIONS).index(rule) + 1 if rule else 0
    return run(["./pan", "-m1000000", *arguments], folder, BROKEN=str(number))


def check(folder, name, rule):
    """Search with this rule broken, print the result; is it as it must be?"""
    started = time.monotonic()
    output = pan(folder, rule)
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not errors or not states:
        raise Failed(output)
    complete = not re.search(r"Search not completed|max search depth too small|out of memory", output)
    found = errors.group(1) != "0"
    good = found if rule else complete and not found
    what = f"without {rule}, {MUTATIONS[rule][1]}" if rule else "all states"
    print(f"{'ok' if good else 'FAILED'} {name}: {'an error' if found else 'no error'}, {states.group(1)} states, "
          f"{time.monotonic() - started:.1f} s ({what})", flush=True)
    if not good:
        print(output)
    return good


def check_configuration(name, rules):
    with tempfile.TemporaryDirectory() as folder:
        compile_model(name, folder)
        return all([check(folder, name, rule) for rule in rules])


def show_trace(name, rule):
    with tempfile.TemporaryDirectory() as folder:
        compile_model(name, folder, ["-DBFS"])
        print(pan(folder, rule))
        output = pan(folder, rule, "-r", *map(str, Path(folder).glob("*.trail")))
    # The model prints numbers of events (##) and messages; their names follow with the last state.
    names = {number: word for word, number in re.findall(r"mtype\s+([A-Z_]+):\s+(\d+)", output)}
    for line in output.splitlines():
        match = re.match(r"\s*(## |   \()(\d+)(.*)", line)
        if match:
            line = match.group(1) + names.get(match.group(2), "-") + match.group(3)
        print(line)


def main(arguments):
    if not shutil.which("spin"):
        print("skipped: spin is not installed")
        return 77
    trace = arguments[:1] == ["--trace"]
    cases = [(name, [None, *(rule for rule in MUTATIONS if MUTATIONS[rule][0] == name)]) for name in CONFIGURATIONS]
    if arguments:
        cases = [(name, rules) for name, rules in cases if name in arguments]
        cases += [(MUTATIONS[rule][0], [rule]) for rule in arguments if rule in MUTATIONS]
        if len(cases) != len(arguments) - trace or (trace and len(cases) != 1):
            print(__doc__)
            return 2
    try:
        if trace:
            name, rules = cases[0]
            show_trace(name, rules[0])
            return 0
        return 0 if all([check_configuration(name, rules) for name, rules in cases]) else 1
    except Failed as failure:
        print(failure)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
