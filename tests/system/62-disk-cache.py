# SPDX-License-Identifier: MIT
"""A cache on a disk: a leaf that is started again reads what it had without getting it from its parent; what is damaged
there is found; a file that is not ours, or in use, is left alone; a disk that is full is given up. The level comes, goes,
changes and moves while the leaf runs, also after a disk has failed, and when the leaf is killed in the middle of it."""
import json
import os
import random
import socket
import threading

from lab import HVFS, check, hvfs, main, need_fuse, read_at, run, write_at

MIB = 1 << 20
SIZE = 32 * MIB
BLOCK = 4096
CHUNK = 128 << 10
CACHE = "mem:8M/disk:leaf.cache:64M"


class Relay:
    """Between a leaf and its parent, counting what comes down."""

    def __init__(self, path, to):
        self.to, self.down = to, 0
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(path)
        self.socket.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            child, _ = self.socket.accept()
            parent = socket.socket(socket.AF_UNIX)
            parent.connect(self.to)
            threading.Thread(target=self.copy, args=(child, parent, False), daemon=True).start()
            threading.Thread(target=self.copy, args=(parent, child, True), daemon=True).start()

    def copy(self, source, target, is_down):
        try:
            while data := source.recv(1 << 18):
                self.down += len(data) * is_down
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def read_all(leaf, data):
    for offset in range(0, SIZE, CHUNK):
        check(read_at(leaf.image(), offset, CHUNK) == data[offset:offset + CHUNK], f"{leaf.name} at {offset}")


def disk(node):
    level = node.volume()["cache"][-1]
    check(level["kind"] == "disk", level)
    return level


def leaf(lab, cache=CACHE):
    return lab.leaf("leaf", "--cache", cache, parent="relay")


def again(lab, relay, data, how, cache=CACHE):
    """Start the leaf again, read everything; how many bytes came from the parent."""
    node = leaf(lab, cache)
    found = disk(node)["found"]
    before = relay.down
    read_all(node, data)
    down = relay.down - before
    print(f"{how}: {found} blocks found, {disk(node)['confirmed']} confirmed, {down} bytes came down, "
          f"{100 * down / SIZE:.2f}% of what was read")
    return node, down


def refused(cache, *words, status=1):
    out = run(HVFS, "serve", "--name", "x", "--control", "x.ctl", "--volume", "v", "--parent", "unix:root.sock", "--cache",
              cache, status=status)
    for word in words:
        check(word in out.stderr, f"{cache}: {out.stderr!r} does not say {word!r}")


def warm_restarts(lab, relay, data):
    one = leaf(lab)
    read_all(one, data)
    check(disk(one)["entries"] == SIZE // 4096, disk(one))
    one.stop()
    two, down = again(lab, relay, data, "after a stop")
    check(down < SIZE // 50, f"{down} bytes came down")
    two.kill()
    three, down = again(lab, relay, data, "after kill -9")
    check(down < SIZE // 50, f"{down} bytes came down")
    refused("mem:8M/disk:leaf.cache:64M", "leaf.cache", "in use by process")
    return three


def changed_while_away(lab, relay, data, root, node):
    node.stop()
    write_at(root.image(), 5 * MIB, b"n" * MIB)
    data = data[:5 * MIB] + b"n" * MIB + data[6 * MIB:]
    node, down = again(lab, relay, data, "a 32nd part was written over")
    check(MIB < down < MIB + SIZE // 50, f"{down} bytes came down")
    return node, data


def damaged(lab, relay, data, node):
    node.stop()
    rng = random.Random(1)
    with open("leaf.cache", "r+b") as file:
        size = os.path.getsize("leaf.cache")
        for _ in range(1000):
            file.seek(rng.randrange(2 * MIB, size))
            file.write(rng.randbytes(1))
    node, down = again(lab, relay, data, "1000 bytes of the file were damaged")
    check(disk(node)["damaged"] > 100 and down < 1000 * 4096 * 2, disk(node))
    return node


def foreign_files(node):
    node.stop()
    with open("foreign", "wb") as file:
        file.write(b"somebody's" * 100000)
    refused("mem:8M/disk:foreign:64M", "foreign", "something else")
    check(open("foreign", "rb").read() == b"somebody's" * 100000, "it was left alone")
    os.truncate("leaf.cache", 5 * MIB)
    refused("mem:8M/disk:leaf.cache:64M", "leaf.cache", "was cut")
    refused("mem:8M/disk:.:64M", "neither a file nor a block device")
    refused("disk:leaf.cache:64M", "a level in memory must be above it", status=2)


def full_disk(lab, relay, data):
    """RLIMIT_FSIZE would end the process: a file system that is full."""
    os.mkdir("small")
    if run("mount", "-t", "tmpfs", "-o", "size=4M", "none", "small", status=None).returncode != 0:
        print("no file system of its own: what a full disk does is not tested")
        return
    lab.mounts.append("small")
    refused("mem:8M/disk:small/leaf.cache:64M", "No space left", "ask for less")
    with open("small/leaf.cache", "wb") as file:
        file.truncate(80 * MIB)  # has that size, and no space
    node, down = again(lab, relay, data, "on a disk that is full", "mem:8M/disk:small/leaf.cache:64M")
    check(disk(node)["state"] == "failed" and disk(node)["entries"] == 0 and disk(node)["errors"] > 0, disk(node))
    check("No space left" in open("leaf.log").read(), "the log says it")
    read_all(node, data)
    full_disk_again(node, data)


def full_disk_again(node, data):
    """A level that has failed is had again, live; one that has no room to grow stays as it is."""
    cache(node, "resize", "1", "70M", says="has failed")
    run("mount", "-o", "remount,size=120M", "small")
    cache(node, "remove", "1")
    check(len(node.volume()["cache"]) == 1, node.volume()["cache"])
    cache(node, "add", "disk:small/leaf.cache:64M")
    read_all(node, data)
    check(disk(node)["state"] == "steady" and has_all(node), disk(node))
    cache(node, "resize", "1", "256M", says="No space left")
    check(os.listdir("small") == ["leaf.cache"] and disk(node)["size"] == 64 * MIB, disk(node))
    check(disk(node)["state"] == "steady" and has_all(node), disk(node))
    read_all(node, data)
    node.stop()


def has_all(node):
    """Is everything there, or about to be written?"""
    level = disk(node)
    return level["entries"] + level["victims"] >= SIZE // BLOCK


def cache(node, *words, says=None, status=1):
    """hvfs cache, which succeeds, or (${says}) fails, with ${status}, and says so."""
    out = hvfs("cache", *words, "--control", node.control, status=0 if says is None else status)
    check(says is None or says in out.stderr, f"cache {words}: {out.stderr!r} does not say {says!r}")
    return out.stdout


def live(lab, relay, data):
    """A level on a disk comes to a leaf that runs, takes other shapes, goes to other media, goes, and comes again."""
    node = leaf(lab, "mem:8M")
    cache(node, "add", "64M,ways=8", "--medium", "live.cache")
    read_all(node, data)
    check(has_all(node) and disk(node)["path"].endswith("/live.cache"), disk(node))
    cache(node, "add", "16M", "--medium", "second.cache", says="one can be had")
    cache(node, "add", "0", "16M", "--medium", "second.cache", says="right would be position 1, or none")
    cache(node, "move", "1", "--medium", "", says="move FROM --medium PATH", status=2)
    cache(node, "move", "0", "1", says="the lowest")
    two = [Client(node) for _ in range(2)]
    for client in two:
        client.begin(action="set", position=1, values={"size": "66M"})
    answers = [client.end() for client in two]
    said = "".join(answer.get("error", "") for answer in answers)
    check(sum("ok" in answer for answer in answers) == 1 and "still changing" in said and "0 of 0" not in said, answers)
    cache(node, "remove", "0", says="the last level in memory")
    before = relay.down
    for words in (("resize", "1", "80M"), ("set", "1", "ways=16", "hash=xxh"), ("set", "1", "policy=s3fifo"),
                  ("move", "1", "--medium", "other.cache"), ("resize", "1", "48M")):
        printed = cache(node, *words)
        check(disk(node)["state"] == "steady", disk(node))
        print(f"{' '.join(words)}: {disk(node)['entries']} blocks; {printed.strip()}")
    read_all(node, data)
    down = relay.down - before
    check(down < SIZE // 4, f"{down} bytes came down after all these")
    check(printed.strip().endswith("/other.cache:48M,ways=16,hash=xxh,policy=s3fifo"), printed)
    check(not os.path.exists("live.cache.new") and not os.path.exists("other.cache.new"), os.listdir("."))
    text = hvfs("cache", "list", "--control", node.control).stdout
    check("other.cache: " in text and " written" in text, text)
    check("With the level on a disk, 48M" in hvfs("cache", "advise", "--control", node.control).stdout, "advise")

    cache(node, "move", "1", "--medium", "mem")
    check([level["kind"] for level in node.volume()["cache"]] == ["mem", "mem"], node.volume()["cache"])
    before = relay.down
    read_all(node, data)
    check(relay.down - before < SIZE // 4, f"{relay.down - before} bytes came down")
    cache(node, "move", "1", "--medium", "third.cache")
    check([level["kind"] for level in node.volume()["cache"]] == ["mem", "disk"], node.volume()["cache"])
    before = relay.down
    read_all(node, data)
    check(relay.down - before < SIZE // 2, f"{relay.down - before} bytes came down")
    spec = cache(node, "remove", "1").split()[1]
    check("disk:" not in spec, spec)
    cache(node, "add", "disk:other.cache:48M,ways=16,hash=xxh,policy=s3fifo")
    check(disk(node)["found"] > SIZE // BLOCK * 3 // 4, disk(node))
    before = relay.down
    read_all(node, data)
    check(relay.down - before < SIZE // 4 and disk(node)["confirmed"] > 1000, f"{relay.down - before} bytes came down")
    node.stop()


def resize_and_kill(node, size, lines):
    """Killed after so many words of its progress."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(node.control)
        control.sendall(json.dumps({"command": "cache", "action": "set", "position": 1, "values": {"size": size}}).encode() + b"\n")
        answers = control.makefile()
        answer = '"moving"'
        while lines > 0 and '"moving"' in answer:
            answer = answers.readline()
            lines -= 1
        node.kill()


def killed_in_the_middle(lab, relay, data):
    """What is there then is whole: the old shape, or the new one."""
    for lines, size in ((0, "80M"), (1, "40M"), (1, "96M"), (2, "80M")):
        if os.path.exists("leaf.cache"):
            os.remove("leaf.cache")
        node = leaf(lab)
        read_all(node, data)
        resize_and_kill(node, size, lines)
        is_new = os.path.getsize("leaf.cache") != 65 * MIB
        left = os.path.exists("leaf.cache.new")
        logged = len(open("leaf.log").read())
        node, down = again(lab, relay, data, f"killed after {lines} words of a change to {size}, "
                           f"{'with the new file' if is_new else 'with the old one'}{', the other one was left' * left}",
                           f"mem:8M/disk:leaf.cache:{size if is_new else '64M'}")
        check(down < SIZE // 2, f"{down} bytes came down")
        check(not os.path.exists("leaf.cache.new"), "it is removed")
        check(left == ("was left by a change" in open("leaf.log").read()[logged:]), "and the log says so")
        node.stop()


def stopped_in_the_middle(lab, relay, data):
    """The level before has all that it had then, and nothing is left of what was to take its place."""
    for new, change in (("stopped.cache.new", {"action": "set", "position": 1, "values": {"size": "80M"}}),
                        ("new.cache", {"action": "move", "from": 1, "medium": os.path.abspath("new.cache")})):
        node = leaf(lab, "mem:8M/disk:stopped.cache:64M")
        read_all(node, data)
        client = Client(node)
        client.begin(**change)
        check("moving" in client.lines.readline() and os.path.exists(new), new)
        node.stop()
        check("error" in client.end() and not os.path.exists(new), new)
        node, down = again(lab, relay, data, f"stopped in the middle of a change to {new}", "mem:8M/disk:stopped.cache:64M")
        check(down < SIZE // 50, f"{down} bytes came down")
        node.stop()


class Client:
    """A connection to a node's control socket, which may have a change under way."""

    def __init__(self, node):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(node.control)
        self.lines = self.socket.makefile("rw")

    def begin(self, **request):
        self.lines.write(json.dumps({"command": "cache", **request}) + "\n")
        self.lines.flush()

    def end(self):
        answer = {"moving": 0}
        while "moving" in answer:
            answer = json.loads(self.lines.readline())
        return answer


def removed_and_added(lab):
    """What has been removed is closed then, and can be had again at once."""
    node = leaf(lab, "mem:8M")
    client, level = Client(node), f"disk:{os.path.abspath('again.cache')}:64M"
    for number in range(200):
        client.begin(action="add", level=level)
        answer = client.end()
        check("ok" in answer, number, answer)
        read_at(node.image(), number % 8 * 4 * MIB, 4 * MIB)
        client.begin(action="remove", position=1)
        client.end()
    node.stop()


def names_of_others(lab, data):
    """A file that is not the level's own is left alone, whatever it is called."""
    node = leaf(lab, "mem:8M/disk:own.cache:64M")
    read_all(node, data)
    for start in (0, 2 * MIB):  # also one that begins with zeros: the image of a disk, say
        with open("own.cache.new", "wb") as file:
            file.seek(start)
            file.write(b"somebody's" * 1000)
        cache(node, "resize", "1", "48M", says="is there already, and no cache")
        check(open("own.cache.new", "rb").read()[start:] == b"somebody's" * 1000, start)
        check(disk(node)["size"] == 64 * MIB, disk(node))
    os.remove("own.cache.new")
    for other in (b"somebody's", None):  # the level's file has lost its name, maybe to another one
        os.remove("own.cache")
        if other:
            with open("own.cache", "wb") as file:
                file.write(other)
        cache(node, "resize", "1", "48M", says="move the level to another path")
        check(other is None or open("own.cache", "rb").read() == other, "it was left alone")
    cache(node, "move", "1", "--medium", "moved.cache")
    check(disk(node)["state"] == "steady" and has_all(node), disk(node))
    read_all(node, data)
    node.stop()


def one_file_for_two(lab):
    """Whoever of two nodes that want the same new file is first has it, and it stays."""
    nodes = leaf(lab, "mem:1M"), lab.leaf("other", "--cache", "mem:1M")
    clients = [Client(node) for node in nodes]
    for number in range(60):
        path = os.path.abspath(f"wanted-{number}")
        for client in clients:
            client.begin(action="add", level=f"disk:{path}:1M")
        answers = [client.end() for client in clients]
        check(sum("ok" in answer for answer in answers) == 1 and os.path.exists(path), number, answers)
        check(any("in use by process" in answer.get("error", "") for answer in answers), answers)
        winner = clients["ok" not in answers[0]]
        winner.begin(action="remove", position=1)
        check("ok" in winner.end(), number)
        os.remove(path)
    for node in reversed(nodes):
        node.stop()


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "2s", size=str(SIZE))
    relay = Relay("relay.sock", "root.sock")
    data = random.Random(62).randbytes(SIZE)
    for offset in range(0, SIZE, MIB):
        write_at(root.image(), offset, data[offset:offset + MIB])
    node = warm_restarts(lab, relay, data)
    node, data = changed_while_away(lab, relay, data, root, node)
    node = damaged(lab, relay, data, node)
    foreign_files(node)
    live(lab, relay, data)
    removed_and_added(lab)
    names_of_others(lab, data)
    one_file_for_two(lab)
    killed_in_the_middle(lab, relay, data)
    stopped_in_the_middle(lab, relay, data)
    full_disk(lab, relay, data)
    lab.stop_all()


main(test)
