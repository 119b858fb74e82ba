# SPDX-License-Identifier: MIT
"""The cache's level on a disk comes, goes, changes and moves while a leaf runs, and the leaf is stopped or killed in the
middle of that: it has the right bytes, mostly without getting them again; files that are not its own are left alone."""
import os
import tempfile

from disklab import BLOCK, MIB, SIZE, Client, again, cache, disk, fill, has_all, leaf, prepare, read_all
from lab import check, hvfs, main, need_fuse, read_at

SUPERBLOCKS = 2 * (4096 + 128 * 256)  # bytes


def live(lab, relay, data):
    """A level on a disk comes to a leaf that runs, takes other shapes, goes to other media, goes, and comes again."""
    node = leaf(lab, "mem:8M")
    cache(node, "add", "64M,ways=8", "--medium", "live.cache")
    fill(node, data)
    check(disk(node)["path"].endswith("/live.cache"), disk(node))
    check(cache(node, "warm", "v") == "32M read\n", "there is room for all of it on the disk")
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


def removed_and_added(lab):
    """What has been removed is closed then, and can be had again at once."""
    node = leaf(lab, "mem:8M")
    client, level = Client(node), f"disk:{os.path.abspath('again.cache')}:64M"
    for number in range(60):
        client.begin(action="add", level=level)
        answer = client.end()
        check("ok" in answer, number, answer)
        read_at(node.image(), number % 16 * 2 * MIB, 2 * MIB)
        client.begin(action="remove", position=1)
        client.end()
    node.stop()


def names_of_others(lab, data):
    """A file that is not the level's own is left alone, whatever it is called."""
    node = leaf(lab, "mem:8M/disk:own.cache:64M")
    fill(node, data)
    for start in (0, 2 * MIB):  # also one that begins with zeros: the image of a disk, say
        with open("own.cache.new", "wb") as file:
            file.seek(start)
            file.write(b"somebody's" * 1000)
        cache(node, "resize", "1", "48M", says="is there already, and no cache")
        check(open("own.cache.new", "rb").read()[start:] == b"somebody's" * 1000, start)
        check(disk(node)["size"] == 64 * MIB, disk(node))
    os.remove("own.cache.new")
    with open("own.cache.new", "wb") as file:  # nothing in it yet, but for whoever made it it has a size
        file.truncate(8 * MIB)
    cache(node, "resize", "1", "48M", says="is there already, and no cache")
    check(os.path.getsize("own.cache.new") == 8 * MIB, "it is left alone")
    # What a change leaves that is killed at its very beginning; and a cache that was cut.
    for turn, (head, size) in enumerate(((0, 0), (0, SUPERBLOCKS), (SUPERBLOCKS, SUPERBLOCKS), (MIB, MIB))):
        with open("own.cache", "rb") as own, open("own.cache.new", "wb") as file:
            file.write(own.read(head))
            file.truncate(size)
        cache(node, "resize", "1", f"{60 + turn}M")
        check(disk(node)["size"] == (60 + turn) * MIB, disk(node))
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
            client.begin(action="add", level=f"disk:{path}:2M")
        answers = [client.end() for client in clients]
        check(sum("ok" in answer for answer in answers) == 1 and os.path.exists(path), number, answers)
        check(any("in use by process" in answer.get("error", "") for answer in answers), answers)
        winner = clients["ok" not in answers[0]]
        winner.begin(action="remove", position=1)
        check("ok" in winner.end(), number)
        os.remove(path)
    for node in reversed(nodes):
        node.stop()


def resize_and_kill(node, size, lines):
    """Killed after so many words of its progress."""
    client, answer = Client(node), '"moving"'
    client.begin(action="set", position=1, values={"size": size})
    while lines > 0 and '"moving"' in answer:
        answer = client.lines.readline()
        lines -= 1
    node.kill()


def killed_in_the_middle(lab, relay, data):
    """What is there then is whole: the old shape, or the new one."""
    for lines, size in ((0, "80M"), (1, "40M"), (1, "96M"), (2, "80M")):
        if os.path.exists("leaf.cache"):
            os.remove("leaf.cache")
        node = leaf(lab)
        fill(node, data)
        before = os.path.getsize("leaf.cache")
        resize_and_kill(node, size, lines)
        is_new = os.path.getsize("leaf.cache") != before
        left = os.path.exists("leaf.cache.new")
        logged = len(open("leaf.log").read())
        node, down = again(lab, relay, data, f"killed after {lines} words of a change to {size}, "
                           f"{'with the new file' if is_new else 'with the old one'}{', the other one was left' * left}",
                           f"mem:8M/disk:leaf.cache:{size if is_new else '64M'}")
        check(down < SIZE // 2, f"{down} bytes came down")
        check(not os.path.exists("leaf.cache.new"), "it is removed")
        check(left == ("was left by a change" in open("leaf.log").read()[logged:]), "and the log says so")
        node.stop()


def move_and_kill(node, path):
    """Killed when the new file is there, and not all blocks."""
    client = Client(node)
    client.begin(action="move", **{"from": 1, "medium": os.path.abspath(path)})
    check("moving" in client.lines.readline(), "it is moving")
    node.kill()
    check(os.path.exists(path), f"there is no {path}")


def killed_while_it_moves(lab, relay, data):
    """To another path: what is left there is known at the next start, told, and removed, unless somebody uses it by now."""
    def start(path, kind):
        before = len(open("leaf.log").read())
        node, down = again(lab, relay, data, kind, f"mem:8M/disk:{path}:64M")
        return node, down, open("leaf.log").read()[before:]

    node = leaf(lab, "mem:8M/disk:from.cache:64M")
    fill(node, data)
    move_and_kill(node, "to.cache")
    check(os.path.islink("from.cache.new"), "the mark")
    node, down, log = start("from.cache", "killed while it moved")
    check(down < SIZE // 50, f"{down} bytes came down")
    check("to.cache was left by a change" in log and not os.path.exists("to.cache"), log)
    check(not os.path.lexists("from.cache.new"), "the mark has gone")
    move_and_kill(node, "to.cache")
    node, down, log = start("to.cache", "the new file is used as it is")
    check("was left by" not in log and "another shape" not in log, log)
    node.stop()
    node, _, log = start("from.cache", "the old one again")
    check("was left by" not in log and os.path.exists("to.cache"), "somebody uses it by now")
    move_and_kill(node, "fourth.cache")
    os.unlink("from.cache.new")  # nobody knows of it any more
    node, _, log = start("from.cache", "killed while it moved, without the mark")
    check(os.path.exists("fourth.cache"), "it is left")
    cache(node, "move", "1", "--medium", "fourth.cache")  # once more
    check(disk(node)["path"].endswith("/fourth.cache") and disk(node)["state"] == "steady", disk(node))
    check("fourth.cache: there was a cache already, which is given up" in open("leaf.log").read(), "and it is told")
    cache(node, "move", "1", "--medium", "from.cache")  # where it was: it has blocks of v only
    check(has_all(node) and not os.path.lexists("fourth.cache.new"), disk(node))
    node.stop()


def cache_of_others(lab):
    """The cache of a node that does not run is nobody's leftover."""
    lab.create("other.img", "8M")
    other = lab.serve("others", "--volume", "w=other.img", "--listen", "unix:others.sock")
    node = lab.serve("theirs", "--volume", "w", "--parent", "unix:others.sock", "--cache", "mem:1M/disk:theirs.cache:16M")
    read_at(node.image("w"), 0, MIB)
    node.stop()
    other.stop()
    before = open("theirs.cache", "rb").read()
    node = leaf(lab, "mem:8M/disk:mine.cache:16M")
    cache(node, "move", "1", "--medium", "theirs.cache", says="blocks of volume w, which this node does not have")
    check(open("theirs.cache", "rb").read() == before, "it is as it was")
    check(disk(node)["path"].endswith("/mine.cache") and not os.path.lexists("mine.cache.new"), os.listdir("."))
    node.stop()


def stopped_in_the_middle(lab, relay, data):
    """The level before has all that it had then, and nothing is left of what was to take its place."""
    for new, change in (("stopped.cache.new", {"action": "set", "position": 1, "values": {"size": "80M"}}),
                        ("new.cache", {"action": "move", "from": 1, "medium": os.path.abspath("new.cache")})):
        node = leaf(lab, "mem:8M/disk:stopped.cache:64M")
        fill(node, data)
        client = Client(node)
        client.begin(**change)
        check("moving" in client.lines.readline() and os.path.exists(new), new)
        node.stop()
        check("error" in client.end() and not os.path.exists(new), new)
        node, down = again(lab, relay, data, f"stopped in the middle of a change to {new}", "mem:8M/disk:stopped.cache:64M")
        check(down < SIZE // 50, f"{down} bytes came down")
        node.stop()


def test(lab):
    need_fuse()
    _, relay, data = prepare(lab, 64)
    live(lab, relay, data)
    removed_and_added(lab)
    names_of_others(lab, data)
    one_file_for_two(lab)
    killed_in_the_middle(lab, relay, data)
    killed_while_it_moves(lab, relay, data)
    cache_of_others(lab)
    stopped_in_the_middle(lab, relay, data)
    lab.stop_all()


if os.path.isdir("/dev/shm"):  # a file system that discards what it frees may take half a minute for each change
    tempfile.tempdir = "/dev/shm"
main(test)
