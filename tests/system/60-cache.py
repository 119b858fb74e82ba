# SPDX-License-Identifier: MIT
"""hvfs cache: what each action does, and that what is wrong is named; status tells the same."""
import json
import os
import pty
import socket
import subprocess

from lab import BLOCK, HVFS, check, hvfs, main, need_fuse, read_at, run, write_at

MIB = 1 << 20


def cache(node, *words, status=0):
    return hvfs("cache", *words, "--control", node.control, status=status)


def levels(node):
    return json.loads(cache(node, "list", "--json").stdout)["cache"]


def changed(node, *words):
    """The stack after a change, in the words of --cache."""
    answer = cache(node, *words).stdout
    check(answer.startswith("cache: mem:"), words, answer)
    return answer.removeprefix("cache: ").strip()


def refused(node, *words, status, says):
    before = [(level["size"], level["ways"], level["hash"], level["policy"]) for level in levels(node)]
    answer = cache(node, *words, status=status)
    for text in says:
        check(text in answer.stderr, words, "does not say", text, ":", answer.stderr)
    check(answer.stdout == "", words, answer.stdout)
    after = [(level["size"], level["ways"], level["hash"], level["policy"]) for level in levels(node)]
    check(before == after, "a refused change was made:", words, before, after)


def changes(node):
    """Each action, and the stack as it is then."""
    check(changed(node, "add", "mem:16M,hash=murmur") == "mem:4M,ways=8,hash=neighbours/mem:8M,ways=8,hash=xxh,policy=s3fifo/"
          "mem:16M,ways=8,hash=murmur", "added below the others")
    check(changed(node, "add", "0", "mem:1M,ways=2").startswith("mem:1M,ways=2,hash=xxh/mem:4M,"), "added on top")
    check(changed(node, "remove", "0").startswith("mem:4M,"), "removed")
    check(changed(node, "resize", "0", "2M").startswith("mem:2M,ways=8,"), "made smaller")
    check(changed(node, "resize", "0", "5M").startswith("mem:5M,ways=8,"), "made larger")
    check(changed(node, "set", "1", "ways=16", "policy=adaptive").endswith("/mem:8M,ways=16,hash=xxh,policy=adaptive/mem:16M,ways=8,hash=murmur"),
          "other ways and policy")
    check("/mem:3M,ways=4,hash=modulo,policy=s3fifo/" in changed(node, "set", "1", "ways=4", "hash=modulo", "policy=s3fifo", "size=3M"),
          "all at once")
    check(changed(node, "move", "2", "0").startswith("mem:16M,ways=8,hash=murmur/mem:5M,"), "moved")
    check(changed(node, "move", "1", "1").startswith("mem:16M,ways=8,hash=murmur/mem:5M,"), "moved to where it is")


def on_terminal(*words):
    """What a command draws on standard error when that is a terminal."""
    terminal, slave = pty.openpty()
    subprocess.run([HVFS, "cache", *words], stdout=subprocess.DEVNULL, stderr=slave, check=True)
    os.close(slave)
    drawn = b""
    try:
        while part := os.read(terminal, 4096):
            drawn += part
    except OSError:  # how a terminal ends
        pass
    os.close(terminal)
    return drawn.decode()


def progress(node):
    drawn = on_terminal("resize", "0", "17M", "--control", node.control)
    check("[" in drawn and "blocks left" in drawn, repr(drawn))
    drawn = on_terminal("warm", "v", "--control", node.control)
    check("[" in drawn and " of 64M, " in drawn and "/s, " in drawn, repr(drawn))
    check(on_terminal("move", "0", "0", "--control", node.control) == "", "a bar for nothing")


def without_client(node):
    """A change goes on when who wanted it has gone."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(node.control)
        client.sendall(b'{"command":"cache","action":"set","position":0,"values":{"ways":"32"}}\n')
        client.recv(1)  # it has begun
    while any(level["state"] != "steady" for level in levels(node)):
        pass
    check(levels(node)[0]["ways"] == 32, levels(node))


def usage(node):
    refused(node, status=2, says=["list, add, remove, resize, set, move, advise, warm, pin or unpin"])
    lost = run(HVFS, "cache", "--control", node.control, status=2).stderr
    check("is missing: list, add, remove" in lost, lost)
    refused(node, "grow", status=2, says=["grow", "list, add, remove, resize, set, move, advise, warm, pin or unpin"])
    refused(node, "list", "0", status=2, says=["list [--json]"])
    refused(node, "remove", status=2, says=["remove POSITION"])
    refused(node, "remove", "0", "1", status=2, says=["1: too much"])
    refused(node, "remove", "0", "--json", status=2, says=["--json: not with remove"])
    refused(node, "remove", "-1", status=2, says=["-1"])
    refused(node, "remove", "top", status=2, says=["top: right would be the number of a level"])
    refused(node, "remove", "99999999999999999999", status=2, says=["right would be the number of a level"])
    refused(node, "add", status=2, says=["add [POSITION] LEVEL"])
    refused(node, "add", "16M", status=2, says=["16M: right would be mem:SIZE"])
    refused(node, "add", "mem:16M/mem:1M", status=2, says=["16M/mem:1M"])
    refused(node, "add", "x", "mem:16M", status=2, says=["x: right would be the number"])
    refused(node, "add", "mem:16M,hash=md5", status=2, says=["hash=md5", "xxh"])
    refused(node, "resize", "0", status=2, says=["resize POSITION SIZE"])
    refused(node, "resize", "0", "16X", status=2, says=["size=16X", "no size"])
    refused(node, "resize", "0", "4K", status=2, says=["size=4K", "at least 1M"])
    refused(node, "set", "0", status=2, says=["set POSITION KEY=VALUE"])
    refused(node, "set", "0", "ways", status=2, says=["ways: right would be"])
    refused(node, "set", "0", "ways=257", status=2, says=["ways=257", "1 to 256"])
    refused(node, "set", "0", "ways=4", "policy=mru", status=2, says=["policy=mru", "lru, s3fifo or adaptive"])
    refused(node, "set", "0", "colour=red", status=2, says=["colour=red", "size, ways, hash or policy"])
    refused(node, "move", "0", status=2, says=["move FROM TO"])


def failures(node):
    refused(node, "remove", "7", status=1, says=["level 7", "the lowest is 2"])
    refused(node, "resize", "3", "4M", status=1, says=["level 3"])
    refused(node, "move", "0", "3", status=1, says=["level 3"])
    refused(node, "add", "4", "mem:1M", status=1, says=["position 4", "0 (the top) to 3"])
    refused(node, "resize", "0", "900T", status=1, says=["mem:900T", "this machine has"])
    refused(node, "add", "mem:900T", status=1, says=["mem:900T", "this machine has"])
    for _ in range(5):
        changed(node, "add", "mem:1M")
    refused(node, "add", "mem:1M", status=1, says=["8 levels"])
    for _ in range(7):
        changed(node, "remove", "0")
    refused(node, "remove", "0", status=1, says=["level 0", "the last level in memory can not be removed"])
    answer = hvfs("cache", "list", "--control", "nobody.ctl", status=1)
    check("nobody.ctl" in answer.stderr, answer.stderr)


def figures(lab, node):
    """What goes through the levels is counted, and status says the same as list."""
    write_at(node.image(), 0, lab.data, sync=True)
    check(read_at(node.image(), 0, len(lab.data)) == lab.data, "other bytes")
    check(read_at(node.image(), 0, len(lab.data)) == lab.data, "other bytes")
    listed, status = levels(node), node.status()
    check(listed == status["volumes"][0]["cache"], listed, status)
    top, below = listed
    check((top["size"], below["size"]) == (4 * MIB, 8 * MIB), listed)
    check((top["hash"], below["hash"]) == ("neighbours", "xxh"), listed)
    check((top["policy"], below["policy"], top["ways"], below["ways"]) == ("lru", "s3fifo", 8, 8), listed)
    check(top["state"] == "steady" and top["kind"] == "mem", listed)
    check(top["demotions"] > 0 and below["evictions"] > 0 and below["hits"] > 0, listed)
    check(top["used"] <= top["entries"] * BLOCK <= 4 * MIB, listed)  # a block of zeros takes no bytes
    memory = status["memory"]
    check(memory["size"] == 12 * MIB and memory["used"] >= top["used"] + below["used"], memory)
    check(memory["beyond"] <= 2 * MIB and memory["victims_bytes"] <= MIB, memory)
    table = cache(node, "list").stdout
    check("neighbours" in table and "s3fifo" in table and "memory" in table, table)
    check(table.splitlines()[0] in hvfs("status", "--control", node.control).stdout.replace("\n  ", "\n"), "status has no cache")



def latencies(node):
    """Each request is in one bucket."""
    latency = node.volume()["latency"]
    check(set(latency) == {"read", "write", "fsync"}, latency)
    for key, one in latency.items():
        check(one["count"] > 0 and sum(count for _, count in one["buckets"]) == one["count"], key, one)
        check(one["p50_us"] <= one["p90_us"] <= one["p99_us"] <= one["p999_us"] <= one["max_us"], key, one)
        check(one["sum_us"] <= one["count"] * one["max_us"], key, one)
    text = hvfs("status", "--control", node.control).stdout
    check(all(f"\n  {key}" in text for key in latency) and "half of them took" in text, text)


def ranges(lab):
    """warm brings a range, and the leaf needs its parent no more for it; pin keeps it."""
    root = lab.root(store="other.img")
    leaf = lab.leaf("leaf", "--cache", "mem:16M", "--readahead", "0")
    write_at(root.image(), 0, lab.data, sync=True)
    check(cache(leaf, "warm", "v", "1M-5M").stdout == "4M read\n", "warm")
    fetched = leaf.volume()["counters"]["fetched"]
    check(fetched == 4 * MIB // BLOCK, "fetched", fetched)
    check(read_at(leaf.image(), MIB, 4 * MIB) == lab.data[MIB:5 * MIB], "other bytes")
    check(leaf.volume()["counters"]["fetched"] == fetched, "what was warm is fetched again")
    check(cache(leaf, "warm", "v", "63M-").stdout == "1M read\n", "warm to the end")
    check("4096 bytes" not in cache(leaf, "warm", "v", "0-4096").stdout, "warm")

    check(cache(leaf, "pin", "v", "1M-5M").stdout == "1024 blocks are pinned\n", "pin")
    check("64M read; that is more than the cache has room for, 16M" in cache(leaf, "warm", "v").stdout, "warm all")
    fetched = leaf.volume()["counters"]["fetched"]
    check(read_at(leaf.image(), MIB, 4 * MIB) == lab.data[MIB:5 * MIB], "other bytes")
    check(leaf.volume()["counters"]["fetched"] == fetched, "what is pinned has gone")
    check(leaf.status()["memory"]["pinned"] == 1024, leaf.status()["memory"])
    refused(leaf, "pin", "v", "8M-32M", status=1, says=["more would be pinned than half of the cache"])
    refused(leaf, "resize", "0", "7M", status=1, says=["more would be pinned than half of the cache"])
    check(cache(leaf, "unpin", "v", "1M-5M").stdout == "0 blocks are pinned\n", "unpin")
    refused(leaf, "unpin", "v", "1M-5M", status=1, says=["not all of this is pinned"])
    for action in ("warm", "pin", "unpin"):
        refused(leaf, action, status=2, says=[f"{action} VOLUME"])
        refused(leaf, action, "w", "0-1M", status=1, says=["volume w"])
        refused(leaf, action, "v", "1M", status=2, says=["1M: right would be FROM-TO"])
        refused(leaf, action, "v", "2M-1M", status=2, says=["2M-1M: it is empty"])
        refused(leaf, action, "v", "0-1X", status=2, says=["1X: no size"])
        refused(leaf, action, "v", "0-65M", status=1, says=["beyond its end, which is at 67108864"])
        refused(leaf, action, "v", "64M-", status=1, says=["beyond its end"])
    refused(leaf, "pin", "v", status=2, says=["pin VOLUME RANGE"])

    # Round and round a range that is larger than the cache: more would help, and it is said.
    for _ in range(5):
        check(read_at(leaf.image(), 0, len(lab.data)) == lab.data, "other bytes")
    advice = json.loads(cache(leaf, "advise", "--json").stdout)
    check(advice["advice"].startswith("Make the cache larger, ") and advice["size"] >= 24 * MIB, advice)
    answer = cache(leaf, "advise").stdout
    check(f"hvfs cache resize 0 {advice['size'] // MIB}M" in answer and "<- now" in answer, answer)

    # Read once: less would do; as far as the largest level can be made smaller.
    once = lab.leaf("once", "--cache", "mem:4M/mem:16M")
    cache(once, "warm", "v")
    advice = json.loads(cache(once, "advise", "--json").stdout)
    check("could be smaller" in advice["advice"] and advice["level"] == 1 and advice["level_size"] == MIB, advice)
    lab.stop_all()


def interrupted(lab):
    """A warming ends with its client."""
    root = lab.serve("big", "--volume", f"v={lab.create('big.img', '256G')}")
    process = lab.popen(HVFS, "cache", "warm", "v", "--control", root.control)
    while root.volume()["counters"]["reads"] == 0:
        pass
    process.kill()
    process.wait()
    before, reads = -1, 0
    while before != reads:
        before, reads = reads, root.volume()["counters"]["reads"]
        hvfs("flush", "--control", root.control)
    check(reads < 1 << 18, "it goes on")
    lab.stop_all()


def test(lab):
    need_fuse()
    lab.data = bytes(range(256)) * (20 * MIB // 256)
    lab.create()
    with open("node.conf", "w") as file:
        file.write("volume = v=disk.img\ncache = mem:4M/mem:8M,policy=s3fifo\n")
    node = lab.serve("root", "-c", "node.conf")
    figures(lab, node)
    latencies(node)
    changes(node)
    progress(node)
    without_client(node)
    check(read_at(node.image(), 0, len(lab.data)) == lab.data, "other bytes after the changes")
    usage(node)
    failures(node)
    check(read_at(node.image(), 0, len(lab.data)) == lab.data, "other bytes in the end")
    with open("root.log") as file:
        check("the cache is mem:2M" in file.read(), "the log does not tell of changes")
    for word in ("--help", "-h"):
        check("add [POSITION] LEVEL" in hvfs("cache", word).stdout, "no help")
    lab.stop_all()
    ranges(lab)
    interrupted(lab)


main(test)
