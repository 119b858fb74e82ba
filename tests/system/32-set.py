# SPDX-License-Identifier: MIT
"""Settings of a running node: they take effect, all that are given or none, and it is said what was and what is."""
from lab import BLOCK, Opener, check, hvfs, main, need_fuse


def change(node, *words, status=0):
    return hvfs("set", *words, "--control", node.control, status=status)


def test(lab):
    need_fuse()
    lab.root()
    leaf = lab.leaf("leaf", "--writeback", "3600s")
    opener = Opener(lab, leaf.image())

    opener.write(0, b"a", BLOCK)
    check(leaf.volume()["dirty_bytes"] == BLOCK, "an async write is at the root already")
    answer = change(leaf, "write-mode=sync", "on-disconnect=error:90s", "durability=parent")
    check(answer.stdout == "write-mode: async -> sync\non-disconnect: wait -> error:90s\ndurability: root -> parent\n", answer.stdout)
    status = leaf.status()
    check((status["write_mode"], status["on_disconnect"], status["durability"]) == ("sync", "error:90s", "parent"), status)
    opener.write(BLOCK, b"b", BLOCK)
    check(leaf.volume()["dirty_bytes"] == BLOCK, "a sync write is not at the root")

    # One that is wrong, and nothing is changed.
    answer = change(leaf, "write-mode=async", "durability=floppy", status=1)
    check("durability=floppy" in answer.stderr and "root, parent or local" in answer.stderr, answer.stderr)
    answer = change(leaf, "write-mode=async", "cache=mem:1G", status=1)
    check("cache=mem:1G" in answer.stderr and "no such setting" in answer.stderr, answer.stderr)
    check(leaf.status()["write_mode"] == "sync", "a refused change was made in part")

    answer = change(leaf, "push=4M")
    check("push: 0 -> 4M" in answer.stdout, answer.stdout)
    answer = change(leaf, "write-mode=async", "durability=root", "log-level=debug")
    check("log-level: info -> debug" in answer.stdout, answer.stdout)
    opener.write(2 * BLOCK, b"c", BLOCK)
    check(leaf.volume()["dirty_bytes"] == 2 * BLOCK, "an async write is at the root already")
    with open("leaf.log") as file:
        check("write-mode is async now (was sync)" in file.read(), "the log does not tell of the change")
    check(opener.do("os.fsync(fd)") == "ok", "fsync fails")
    opener.close()
    lab.stop_all()


main(test)
