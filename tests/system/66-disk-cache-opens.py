# SPDX-License-Identifier: MIT
"""A large level on a disk is opened while the node serves already: the log, the status and hvfs cache say how far it is."""
import json
import os
import tempfile

from disklab import Client, cache, disk, leaf, prepare, read_all
from lab import check, hvfs, main, need_fuse

LARGE = 64 << 30
LEVEL = f"disk:large.cache:{LARGE}"


def opens(node):
    return disk(node)["state"] == "opening"


def wait_for_level(node):
    """Every look is an answer of the node's; there are a few hundred steps at most."""
    states = set()
    while opens(node):
        level = disk(node)
        states.add(level["state"])
        check(level["moving"] <= level["moving_total"] and level["path"].endswith("large.cache") and level["size"] == LARGE, level)
    return states


def at_the_start(lab, data):
    node = leaf(lab, f"mem:8M/{LEVEL}")
    read_all(node, data)  # a new one: there is nothing to wait for
    node.flush()
    node.stop()
    node = leaf(lab, f"mem:8M/{LEVEL}")
    print("states that were seen:", wait_for_level(node) or "none, it was faster")
    read_all(node, data)
    level = disk(node)
    check(level["state"] == "steady" and level["found"] > 0, level)
    log = open("leaf.log").read()
    check(log.count("blocks are being read; until then nothing comes from there") == 1, "the log tells of the begin")
    check(log.count("blocks are read\n") == 1, "and of the end")
    check("of an earlier run" in log, "and what was found")
    return node, level["found"]


def added(node, found):
    path = os.path.abspath("large.cache")
    cache(node, "remove", "1")
    client, other = Client(node), Client(node)
    client.begin(action="add", level=f"disk:{path}:{LARGE}")
    answer = json.loads(client.lines.readline())
    lines, removed = [], False
    while "moving" in answer:
        lines.append(answer)
        if len(lines) == 1 and answer["moving"] > 0:
            other.begin(action="remove", position=1)
            said = other.end()
            removed = "ok" in said  # it was opened by then
            check(removed or "opened" in said["error"], said)
        answer = json.loads(client.lines.readline())
    check("ok" in answer, answer)
    check(lines and lines[0]["phase"] == "opening" and 0 < lines[0]["moving"] < lines[0]["moving_total"], lines)
    check(all(later["moving"] <= earlier["moving"] for earlier, later in zip(lines, lines[1:])), lines)
    check(removed or disk(node)["state"] == "steady" and disk(node)["found"] >= found, found)
    print(f"added: told of {[line['moving'] for line in lines]} of {lines[0]['moving_total']} records")


def stopped(lab, data):
    """In the middle of that: it neither waits for it nor harms the level."""
    leaf(lab, f"mem:8M/{LEVEL}").stop()
    leaf(lab, f"mem:8M/{LEVEL}").kill()
    node = leaf(lab, f"mem:8M/{LEVEL}")
    read_all(node, data)  # partly before it is there
    wait_for_level(node)
    read_all(node, data)
    check(disk(node)["state"] == "steady" and disk(node)["found"] > 0, disk(node))
    node.stop()


def test(lab):
    need_fuse()
    _, _, data = prepare(lab, 66)
    with open("large.cache", "wb") as file:  # of holes
        file.truncate(LARGE)
    node, found = at_the_start(lab, data)
    added(node, found)
    check("disk" in hvfs("cache", "list", "--control", node.control).stdout, "list")
    node.stop()
    stopped(lab, data)
    lab.stop_all()


if os.path.isdir("/dev/shm"):  # see 64-disk-cache-live
    tempfile.tempdir = "/dev/shm"
main(test)
