#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The house rules as a test: layers, circles, purity of the core, sizes, licence lines, documented prototypes.

usage: tidy.py source ROOT          look at the source tree
       tidy.py symbols LIBCORE      what libcore needs from outside must be on the allow-list
       tidy.py self-test            each rule must be able to fail

Each finding is one line: FILE:LINE: what is wrong, and what would be right.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Which folder may include which: core nothing else; the layers only core's vocabulary; node joins them; cli sits on node.
LAYERS = {
    "core": set(),
    "cache": {"core"},
    "store": {"core"},
    "net": {"core", "crypto"},
    "fuse": {"core"},
    "crypto": {"core"},
    "node": {"core", "cache", "store", "net", "fuse", "crypto"},
    "cli": {"core", "store", "net", "node", "crypto"},
}

FILE_LINES_MAX = 700
TEST_FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 100

# What the core may take from the C library: memory and text, no I/O (but for the last words of CHECK), no clock, no
# threads, no chance.
ALLOWED_SYMBOLS = re.compile(
    r"^(mem(cpy|set|move|cmp|chr)|str(len|nlen|cmp|ncmp|chr|rchr)|malloc|calloc|realloc|reallocarray|free|aligned_alloc|madvise"
    r"|posix_memalign|abort|qsort|bsearch|stderr|fprintf|v?snprintf"
    r"|__(fprintf|v?snprintf|mem(cpy|set|move))_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_"
    r"|__(asan|ubsan|lsan|msan|tsan|sanitizer|gcov|llvm)_\w*|__tls_get_addr)$"
)


def c_files(root):
    """The C files of the project, by path, without build folders."""
    for folder in [*LAYERS, "tests"]:
        for path in sorted((root / folder).rglob("*.[ch]")):
            yield path


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def includes_of(path):
    for number, line in enumerate(lines_of(path), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if match:
            yield number, match.group(1)


# ---- The include graph ----


def check_layers(root):
    for path in c_files(root):
        folder = path.relative_to(root).parts[0]
        for number, target in includes_of(path):
            where = f"{path.relative_to(root)}:{number}"
            if folder == "tests" and (path.parent / target).exists():
                continue
            if not (root / target).exists():
                yield f'{where}: "{target}" is not there; includes are written from the root of the tree'
            elif folder != "tests" and target.split("/")[0] not in LAYERS[folder] | {folder}:
                allowed = ", ".join(sorted(LAYERS[folder])) or "nothing else"
                yield f'{where}: {folder} includes "{target}"; it may include {folder} and {allowed}'


def find_circle(graph):
    """A path that ends where it began, or None."""
    state = {}

    def visit(node, trail):
        state[node] = "open"
        for target in sorted(graph.get(node, ())):
            if state.get(target) == "open":
                return trail[trail.index(target):] + [target]
            if target not in state:
                circle = visit(target, trail + [target])
                if circle:
                    return circle
        state[node] = "done"
        return None

    for start in sorted(graph):
        if start not in state:
            circle = visit(start, [start])
            if circle:
                return circle
    return None


def check_circles(root):
    folders, headers = {}, {}
    for path in c_files(root):
        name = path.relative_to(root)
        for _, target in includes_of(path):
            if name.parts[0] != "tests" and name.parts[0] != target.split("/")[0]:
                folders.setdefault(name.parts[0], set()).add(target.split("/")[0])
            if name.suffix == ".h":
                headers.setdefault(str(name), set()).add(target)
    for what, graph in (("folders", folders), ("headers", headers)):
        circle = find_circle(graph)
        if circle:
            yield f"{what} include each other in a circle: {' -> '.join(circle)}"


# ---- Sizes and lines ----


def check_sizes(root):
    for path in c_files(root):
        name, lines = path.relative_to(root), lines_of(path)
        limit = TEST_FILE_LINES_MAX if name.parts[0] == "tests" else FILE_LINES_MAX
        if len(lines) >= limit:
            yield f"{name}:1: {len(lines)} lines; a file is about one thing and stays under {limit}"
        opened = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                opened = number
            elif line == "}" and opened is not None:
                if number - opened - 1 > FUNCTION_LINES_MAX:
                    yield f"{name}:{opened}: a function of {number - opened - 1} lines; at most {FUNCTION_LINES_MAX}"
                opened = None


def check_licence(root):
    for path in c_files(root):
        lines = lines_of(path)
        if not lines or lines[0] != "// SPDX-License-Identifier: MIT":
            yield f"{path.relative_to(root)}:1: the first line must be '// SPDX-License-Identifier: MIT'"


# ---- Prototypes ----

PROTOTYPE = re.compile(r"^(?!typedef|static|struct \w+ \{|#|return|extern \"C\")[A-Za-z_][\w\s\*]*?\b(\w+)\(")
# Pairs whose names say everything.
SPEAKS_FOR_ITSELF = re.compile(r"_(init|fini|create|destroy|free)$")


def check_prototypes(root):
    """Each prototype of a header stands under a comment, alone or in a group without an empty line."""
    for path in c_files(root):
        if path.suffix != ".h":
            continue
        documented, depth = False, 0
        for number, line in enumerate(lines_of(path), 1):
            at_top = depth == 0
            depth += line.count("{") - line.count("}")
            if not line.strip():
                documented = False
            elif line.lstrip().startswith("//"):
                documented = True
            elif at_top and "{" not in line:
                match = PROTOTYPE.match(line)
                if match and not documented and not SPEAKS_FOR_ITSELF.search(match.group(1)):
                    yield f"{path.relative_to(root)}:{number}: {match.group(1)} has no comment above"


SOURCE_CHECKS = [check_layers, check_circles, check_sizes, check_licence, check_prototypes]


# ---- Purity ----


def check_symbols(library):
    output = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout
    defined, needed = set(), {}
    member = library
    for line in output.splitlines():
        if line.endswith(":"):
            member = line[:-1]
        match = re.match(r"^(?:[0-9a-f]+)?\s+([A-Za-z]) (\S+)$", line)
        if not match:
            continue
        if match.group(1) == "U":
            needed.setdefault(match.group(2), member)
        else:
            defined.add(match.group(2))
    if not defined:
        yield f"{library}: no symbols; is it the archive of the core?"
    for symbol in sorted(set(needed) - defined):
        if not ALLOWED_SYMBOLS.match(symbol):
            yield f"{needed[symbol]}: the core needs {symbol}; it must stay free of I/O, clocks, threads and chance"


# ---- The rules can fail ----

GOOD = "// SPDX-License-Identifier: MIT\n"
BAD_TREES = {
    check_layers: {"core/a.c": GOOD + '#include "net/b.h"\n', "net/b.h": GOOD},
    check_circles: {"core/a.h": GOOD + '#include "core/b.h"\n', "core/b.h": GOOD + '#include "core/a.h"\n'},
    check_sizes: {"core/a.c": GOOD + "int\nf(void)\n{\n" + "\tg();\n" * 101 + "}\n"},
    check_licence: {"core/a.c": "int x;\n"},
    check_prototypes: {"core/a.h": GOOD + "\nint a_get(void);\n"},
}


def write_tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def self_test():
    clean = {"core/a.h": GOOD + "\n// What it gives.\nint a_get(void);\n", "net/b.c": GOOD + '#include "core/a.h"\n'}
    for check, files in BAD_TREES.items():
        with tempfile.TemporaryDirectory() as good, tempfile.TemporaryDirectory() as bad:
            write_tree(Path(good), clean)
            write_tree(Path(bad), files)
            if not list(check(Path(bad))):
                yield f"{check.__name__} does not find its fault"
            yield from (f"{check.__name__} finds a fault in a clean tree: {found}" for found in check(Path(good)))
    for symbol in ("clock_gettime", "open", "pthread_create", "rand", "printf"):
        if ALLOWED_SYMBOLS.match(symbol):
            yield f"{symbol} is allowed in the core"


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "source":
        found = [line for check in SOURCE_CHECKS for line in check(Path(arguments[1]))]
    elif len(arguments) == 2 and arguments[0] == "symbols":
        found = list(check_symbols(arguments[1]))
    elif arguments == ["self-test"]:
        found = list(self_test())
    else:
        sys.exit(__doc__)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
