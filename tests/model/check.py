#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Spin goes through every state of the model hvfs.pml.

usage: check.py [NAME...]           all cases, or those named
       check.py --trace NAME        the shortest way to the error of a case that has one, event by event

A configuration must have no error in any state; a mutation, which breaks one rule, must have one. Exit 77: Spin is missing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = Path(__file__).resolve().with_name("hvfs.pml")
MEMORY_MB = 4000

# name: macros.
CONFIGURATIONS = {
    "ordinary": [],
}
# broken rule (macro BREAK_x): (the configuration that shows it, what is broken)
MUTATIONS = {
    "FLUSH_BEFORE_ANSWER": ("ordinary", "R6: a recall is answered without the dirty bytes"),
    "ANSWER_AFTER_CHILDREN": ("ordinary", "I1: a recall is answered before the children have answered theirs"),
    "RECALL_BEFORE_GRANT": ("ordinary", "I2: a grant before all recalls are answered"),
    "CROSSING_DATA": ("ordinary", "R5: no bytes for an upgrade that crossed a recall"),
    "DIRTY_UNTIL_ACCEPTED": ("ordinary", "R12: a dirty copy is clean when WRITE goes down"),
    "NO_GRANT_OVER_RECALL": ("ordinary", "R18: a grant to a child that owes an answer"),
    "RELEASES_WAIT": ("ordinary", "R19: a release while a request is under way"),
}


class Failed(Exception):
    pass


def run(arguments, folder):
    result = subprocess.run(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise Failed(f"{' '.join(arguments)}: exit {result.returncode}\n{result.stdout}")
    return result.stdout


def compile_model(macros, folder, options):
    run(["spin", "-a", *(f"-D{macro}" for macro in macros), str(MODEL)], folder)
    run(["cc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MB}", *options, "-o", "pan", "pan.c"], folder)


def search(macros):
    """(errors, states, complete?, output) of a search through the model with these macros."""
    with tempfile.TemporaryDirectory() as folder:
        compile_model(macros, folder, [])
        output = run(["./pan", "-m1000000"], folder)
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    if not errors or not states:
        raise Failed(output)
    complete = not re.search(r"Search not completed|max search depth too small|out of memory", output)
    return int(errors.group(1)), int(states.group(1)), complete, output


def macros_of(name):
    if name in CONFIGURATIONS:
        return CONFIGURATIONS[name]
    return CONFIGURATIONS[MUTATIONS[name][0]] + ["BREAK_" + name]


def check(name):
    """Run one case, print its line; is it as it must be?"""
    started = time.monotonic()
    errors, states, complete, output = search(macros_of(name))
    good = errors > 0 if name in MUTATIONS else errors == 0 and complete
    what = MUTATIONS[name][1] if name in MUTATIONS else "all states"
    found = "an error" if errors else "no error"
    print(f"{'ok' if good else 'FAILED'} {name}: {found}, {states} states, {time.monotonic() - started:.1f} s ({what})", flush=True)
    if not good:
        print(output)
    return good


def show_trace(name):
    with tempfile.TemporaryDirectory() as folder:
        compile_model(macros_of(name), folder, ["-DBFS"])
        print(run(["./pan", "-m1000000"], folder))
        print(run(["spin", "-t", "-B", *(f"-D{macro}" for macro in macros_of(name) + ["TRACE"]), str(MODEL)], folder))


def main(arguments):
    if not shutil.which("spin"):
        print("skipped: spin is not installed")
        return 77
    trace = arguments[:1] == ["--trace"]
    names = arguments[trace:] or [*CONFIGURATIONS, *MUTATIONS]
    unknown = [name for name in names if name not in CONFIGURATIONS and name not in MUTATIONS]
    if unknown or (trace and len(names) != 1):
        print(__doc__)
        return 2
    try:
        if trace:
            show_trace(names[0])
            return 0
        return 0 if all([check(name) for name in names]) else 1
    except Failed as failure:
        print(failure)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
