# SPDX-License-Identifier: MIT
"""A journal (--durability local, --journal): a leaf is killed at any moment while it writes, and started again: whatever a
fsync had promised is there, on the leaf, on another one, and at the root. So is a proxy, while its own leaf works: what that wrote
is there, too. --rounds N: so many kills."""
import argparse
import os
import random
import signal
import struct
import threading

from lab import BLOCK, HVFS, Direct, check, main, need_fuse, read_at, run, write_at

BLOCKS = 64
SIZE = 8 << 20
FLAGS = ["--durability", "local", "--journal", "leaf.journal:4M", "--writeback", "1h"]


def content(block, number):
    return struct.pack("<QQ", block, number) * (BLOCK // 16)


def number_of(data, block):
    found_block, number = struct.unpack_from("<QQ", data)
    if number == 0 and not any(data):
        return 0
    check(found_block == block and data == content(block, number), f"block {block} has other bytes: {data[:32]!r}")
    return number


class Writer(threading.Thread):
    """Writes random blocks, a few, then syncs: promised[block] is the newest number that a fsync has covered."""

    def __init__(self, image, rng, written, promised, syncs):
        super().__init__()
        self.direct, self.rng, self.written, self.promised = Direct(image), rng, written, promised
        self.syncs, self.reached = syncs, threading.Event()

    def run(self):
        try:
            while True:
                blocks = [self.rng.randrange(BLOCKS) for _ in range(self.rng.randint(1, 6))]
                for block in blocks:
                    self.written[block] += 1
                    self.direct.write(block, content(block, self.written[block]))
                covered = {block: self.written[block] for block in blocks}
                self.direct.sync()
                self.promised.update(covered)
                self.syncs -= 1
                if self.syncs <= 0:
                    self.reached.set()
        except OSError:
            pass  # the leaf was killed
        finally:
            self.reached.set()
            try:
                self.direct.close()
            except OSError:
                pass


def start(lab, parent="root"):
    return lab.leaf("leaf", *FLAGS, parent=parent)


def journal(node):
    return node.status()["journal"]


def check_promised(image, written, promised, who):
    numbers = [number_of(read_at(image, block * BLOCK, BLOCK), block) for block in range(BLOCKS)]
    for block, number in enumerate(numbers):
        check(promised.get(block, 0) <= number <= written[block],
              f"{who}: block {block} has number {number}, {promised.get(block, 0)} was promised, {written[block]} written")
        written[block] = number
    return numbers


class Load(threading.Thread):
    """Below a proxy that writes to the first blocks: writes to the next ones, reads from all, syncs now and then."""

    def __init__(self, image, rng, written):
        super().__init__()
        self.direct, self.rng, self.written, self.enough, self.error = Direct(image), rng, written, threading.Event(), None

    def run(self):
        try:
            while not self.enough.is_set():
                block = BLOCKS + self.rng.randrange(BLOCKS)
                self.direct.write(block, content(block, self.written[block] + 1))
                self.written[block] += 1
                block = self.rng.randrange(2 * BLOCKS)
                number_of(self.direct.read(block), block)
                if self.rng.random() < 0.1:
                    self.direct.sync()
            self.direct.sync()
        except BaseException as error:
            self.error = error
        finally:
            self.direct.close()


def start_root(lab, lease="1s"):
    return lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", lease)


def one_round(lab, root, node, rng, written, promised, parents):
    writer = Writer(node.image(), rng, written, promised, rng.randint(1, 12))
    writer.start()
    writer.reached.wait()
    signal.pidfd_send_signal(node.pidfd, signal.SIGKILL)
    writer.join()
    node.kill()
    if rng.random() < 0.2:  # the leaf's claims meet a root that was left uncleanly
        root.kill()
        root = start_root(lab)
    node = start(lab, rng.choice(parents))
    numbers = check_promised(node.image(), written, promised, "the leaf")
    promised.update({block: number for block, number in enumerate(numbers) if number})
    if rng.random() < 0.3:
        node.flush()
        check(journal(node)["blocks"] == 0, journal(node))
    return root, node


def fill(node, first, count):
    """Dirty blocks, one fsync."""
    direct = Direct(node.image())
    for block in range(first, first + count):
        direct.write(block, content(block, 1))
    direct.sync()
    direct.close()


def kills(lab, root, rounds, parents):
    rng = random.Random(len(parents))
    written, promised, found = [1] * BLOCKS, {}, 0
    node = start(lab)
    fill(node, 0, BLOCKS)
    promised.update({block: 1 for block in range(BLOCKS)})
    for _ in range(rounds):
        root, node = one_round(lab, root, node, rng, written, promised, parents)
        check(journal(node)["damaged"] == 0, journal(node))
        found += journal(node)["found"]
    check(found > rounds, f"{found} blocks were found in {rounds} rounds")
    print(f"{rounds} times killed below {' or '.join(parents)}: {found} blocks came back from the journal")
    node.flush()
    other = lab.leaf("other")
    check_promised(other.image(), written, promised, "another leaf")
    other.stop()
    node.stop()
    node = start(lab)
    check(journal(node)["found"] == 0, journal(node))
    return root, node


def start_hub(lab):
    return lab.proxy("hub", "--durability", "local", "--journal", "hub.journal:4M", "--writeback", "1h", mount=True)


def kills_of_a_proxy(lab, rounds):
    """Its leaf lives: it loses nothing. What the proxy held it can use again when a lease is over."""
    rng = random.Random(3)
    written, promised, found = [1] * (2 * BLOCKS), {}, 0
    hub = start_hub(lab)
    fill(hub, 0, 2 * BLOCKS)
    promised.update({block: 1 for block in range(BLOCKS)})
    for _ in range(rounds):
        below = lab.leaf("below", parent="hub")
        load = Load(below.image(), rng, written)
        writer = Writer(hub.image(), rng, written, promised, rng.randint(1, 12))
        load.start()
        writer.start()
        writer.reached.wait()
        signal.pidfd_send_signal(hub.pidfd, signal.SIGKILL)
        writer.join()
        hub.kill()
        hub = start_hub(lab)
        found += journal(hub)["found"]
        numbers = check_promised(hub.image(), written, promised, "the proxy")
        promised.update({block: number for block, number in enumerate(numbers) if number})
        load.enough.set()
        load.join()
        check(load.error is None, f"the leaf below: {load.error!r}")
        for node in (below, hub):
            check_promised(node.image(), written, promised, "it, or below")
            for block in range(BLOCKS, 2 * BLOCKS):
                number = number_of(read_at(node.image(), block * BLOCK, BLOCK), block)
                check(number == written[block], f"block {block} has number {number}, {written[block]} was written below")
        below.stop()
    check(found > rounds, f"{found} blocks were found in {rounds} rounds")
    print(f"{rounds} times a proxy was killed: {found} blocks came back from its journal")
    hub.stop()


def others_went_on(lab, node):
    """The leaf comes back too late: its bytes are in a rescue file, and one fsync fails."""
    direct = Direct(node.image())
    direct.write(100, b"mine" * (BLOCK // 4))
    direct.sync()
    direct.close()
    node.kill()
    other = lab.leaf("other")
    write_at(other.image(), 100 * BLOCK, b"his!" * (BLOCK // 4), sync=True)
    node = start(lab)
    check(read_at(node.image(), 100 * BLOCK, BLOCK) == b"his!" * (BLOCK // 4), "the other one's bytes are there")
    direct = Direct(node.image())
    try:
        direct.sync()
        failed = False
    except OSError:
        failed = True
    check(failed, "a fsync fails")
    direct.sync()
    direct.close()
    check(node.volume()["rescued"]["bytes"] >= BLOCK, node.volume()["rescued"])
    other.stop()
    node.stop()


def check_all(image, first, count):
    for block in range(first, first + count):
        check(number_of(read_at(image, block * BLOCK, BLOCK), block) == 1, f"block {block}")


def more_than_it_has_room_for(lab):
    """Then the root has it when the fsync returns."""
    node = lab.leaf("small", "--durability", "local", "--journal", "small.journal:1M", "--writeback", "1h")
    fill(node, 200, 20)
    check(node.volume()["dirty_bytes"] >= 20 * BLOCK, "they are here only", node.volume())
    fill(node, 300, 400)
    node.kill()
    check_all("disk.img", 300, 400)
    node = lab.leaf("small", "--durability", "local", "--journal", "small.journal:1M")
    check_all(node.image(), 200, 20)
    check_all(node.image(), 300, 400)
    node.stop()


def says(log, words):
    with open(log) as file:
        return words in file.read()


def damaged(lab):
    """It is found, and told; what is whole comes back."""
    node = start(lab)
    fill(node, 800, 10)
    fill(node, 900, 10)
    node.kill()
    with open("leaf.journal", "r+b") as file:
        data = file.read()
        at = data.index(content(805, 1))
        file.seek(at + 100)
        file.write(b"?")
    node = start(lab)
    check(journal(node)["found"] == 19 and journal(node)["damaged"] == 1, journal(node))
    check(says("leaf.log", "DAMAGED"), "the log says it")
    check_all(node.image(), 800, 5)
    check_all(node.image(), 806, 4)
    check_all(node.image(), 900, 10)
    node.stop()


def refused(flags, *words):
    out = run(HVFS, "serve", "--name", "x", "--control", "x.ctl", "--volume", "other", "--parent", "unix:root.sock", *flags,
              status=None)
    check(out.returncode != 0, flags)
    for word in words:
        check(word in out.stderr, f"{flags}: {out.stderr!r} does not say {word!r}")


def not_ours(lab):
    with open("foreign", "wb") as file:
        file.write(b"somebody's" * 200000)
    refused(["--journal", "foreign:2M"], "--journal foreign", "something else")
    check(open("foreign", "rb").read() == b"somebody's" * 200000, "it was left alone")
    refused(["--journal", "x:1K"], "at least 1M")
    refused(["--journal", "x"], "PATH:SIZE")
    node = start(lab)
    refused(["--journal", "leaf.journal:4M"], "in use by process")
    fill(node, 700, 1)
    node.kill()
    refused(["--journal", "leaf.journal:4M"], "bytes of v that are not at its root yet")
    with open("leaf.journal", "r+b") as file:
        whole = os.path.getsize("leaf.journal")
        file.truncate(whole // 2)
    refused(["--journal", "leaf.journal:4M"], "was cut")
    os.remove("leaf.journal")
    node = start(lab)
    check(number_of(read_at(node.image(), 700 * BLOCK, BLOCK), 700) == 0, "it was only there")
    node.stop()


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    return parser.parse_known_args()[0]


def test(lab):
    need_fuse()
    lab.create(size=str(SIZE))
    root, node = kills(lab, start_root(lab), options().rounds, ["root"])
    node.stop()
    proxy = lab.proxy("proxy")
    root, node = kills(lab, root, options().rounds // 2, ["root", "proxy"])
    proxy.stop()
    others_went_on(lab, node)
    more_than_it_has_room_for(lab)
    damaged(lab)
    not_ours(lab)
    root.stop()
    root = start_root(lab, "3s")
    kills_of_a_proxy(lab, max(options().rounds // 4, 1))
    lab.stop_all()


main(test)
