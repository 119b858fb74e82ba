# SPDX-License-Identifier: MIT
"""A journal (--durability local, --journal): a leaf is killed at any moment while it writes, and started again: whatever a
fsync had promised is there, on the leaf, on another one, and at the root. --rounds N: so many kills."""
import argparse
import os
import random
import signal
import struct
import threading

from lab import BLOCK, Direct, check, main, need_fuse, read_at, write_at

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


def start(lab):
    return lab.leaf("leaf", *FLAGS)


def journal(node):
    return node.status()["journal"]


def check_promised(image, written, promised, who):
    numbers = [number_of(read_at(image, block * BLOCK, BLOCK), block) for block in range(BLOCKS)]
    for block, number in enumerate(numbers):
        check(promised.get(block, 0) <= number <= written[block],
              f"{who}: block {block} has number {number}, {promised.get(block, 0)} was promised, {written[block]} written")
        written[block] = number
    return numbers


def one_round(lab, node, rng, written, promised):
    writer = Writer(node.image(), rng, written, promised, rng.randint(1, 12))
    writer.start()
    writer.reached.wait()
    signal.pidfd_send_signal(node.pidfd, signal.SIGKILL)
    writer.join()
    node.kill()
    node = start(lab)
    numbers = check_promised(node.image(), written, promised, "the leaf")
    promised.update({block: number for block, number in enumerate(numbers) if number})
    if rng.random() < 0.3:
        node.flush()
        check(journal(node)["blocks"] == 0, journal(node))
    return node


def kills(lab, rounds):
    rng = random.Random(63)
    written, promised, found = [0] * BLOCKS, {}, 0
    node = start(lab)
    for _ in range(rounds):
        node = one_round(lab, node, rng, written, promised)
        check(journal(node)["damaged"] == 0, journal(node))
        found += journal(node)["found"]
    check(found > rounds, f"{found} blocks were found in {rounds} rounds")
    print(f"{rounds} times killed: {found} blocks came back from the journal")
    node.flush()
    other = lab.leaf("other")
    check_promised(other.image(), written, promised, "another leaf")
    other.stop()
    node.stop()
    node = start(lab)
    check(journal(node)["found"] == 0, journal(node))
    return node, written, promised


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


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=12)
    return parser.parse_known_args()[0]


def test(lab):
    need_fuse()
    lab.root("--hb-ttl", "2s", size=str(SIZE))
    node, _, _ = kills(lab, options().rounds)
    others_went_on(lab, node)
    lab.stop_all()


main(test)
