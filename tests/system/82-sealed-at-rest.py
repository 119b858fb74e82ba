# SPDX-License-Identifier: MIT
"""The storage of a sealed volume is ciphertext: nothing of what was written is there in the clear, nor in the file of the
verifiers; a root that is killed anywhere has what a fsync had promised, and no block that can not be read; what somebody has
changed, swapped or put back there is an I/O error and a line in the log."""
import errno
import itertools
import os
import random
import secrets
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

import wire
from between import Between
from lab import (BLOCK, Direct, Opener, check, hvfs, main, need_filesystem, need_fuse, need_loop, need_program, read_at, run, same_tree, write_at,
                 write_tree)

MIB = 1 << 20
SIZE = 64 * MIB
BLOCKS = SIZE // BLOCK
SEALS = "disk.img.hvfs.seals"
RECORDS = -(-(BLOCK + BLOCKS * 32) // 4096) * 4096 + 4096  # where the verifiers begin; 1 KiB each
MARK = f"<<{secrets.token_hex(14)}>>".encode()
NUMBER, CRASHES = 12, 8  # of blocks that are written all the time; of rounds


def keys():
    hvfs("volume-key", "new", "owner.key")
    for role in ("proxy", "writer"):
        hvfs("volume-key", "export", "owner.key", f"{role}.key", "--role", role)


def root(lab, *flags, store="disk.img", mount=False):
    return lab.serve("root", "--volume", f"v={store}", "--listen", "unix:root.sock", "--volume-key", "v=owner.key", "--hb-ttl", "1s",
                     *flags, mount=mount)


def leaf(lab, name="leaf", parent="proxy"):
    return lab.leaf(name, "--volume-key", "v=writer.key", "--hb-ttl", "1s", "--io-timeout", "20s", parent=parent)


def proxy(lab):
    return lab.proxy("proxy", "--volume-key", "v=proxy.key", "--hb-ttl", "1s")


def stop(*nodes):
    for node in nodes:
        node.stop()


def has_mark(path):
    with open(path, "rb") as file:
        tail = b""
        while piece := file.read(MIB):
            if MARK in tail + piece:
                return True
            tail = piece[-len(MARK):]
    return False


def memory_has_mark(pid):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1][0] != "r" or "[v" in line or end - start > 1 << 30:
                continue
            try:
                memory.seek(start)
                if MARK in memory.read(end - start):
                    return True
            except OSError:
                pass  # not there, or guarded
    return False


def refused(lab, store, *flags, says):
    words = lab.serve_words("root", "--volume", f"v={store}", "--volume-key", "v=owner.key", *flags, mount=False)
    error = run(*words, status=1).stderr.strip()
    check(says in error and "\n" not in error, "it says", error)


# ---- What it begins as ----

def forms(lab):
    """Sealed, if there is nothing in it; a plain image is not taken for that, and a form is not forgotten."""
    lab.create("plain.img", "1M")
    write_at("plain.img", 5 * BLOCK, b"was here before")
    refused(lab, "plain.img", says="right would be --at-rest v=plain")
    refused(lab, "plain.img", "--at-rest", "sealed", says="right would be --at-rest v=plain")
    check(not os.path.exists("plain.img.hvfs.seals"), "a file is left behind")
    node = root(lab, "--at-rest", "plain", store="plain.img", mount=True)
    check(node.volume()["at_rest"] == "plain" and read_at(node.image(), 5 * BLOCK, 3) == b"was", node.volume())
    node.stop()
    refused(lab, "plain.img", "--at-rest", "v=sealed", says="is plain; to change that")
    node = root(lab, store="plain.img")  # it is known
    check(node.volume()["at_rest"] == "plain", node.volume())
    node.stop()
    node = root(lab)
    check(node.volume()["at_rest"] == "sealed", node.volume())
    node.stop()
    refused(lab, "disk.img", "--at-rest", "plain", says="is sealed; to change that")
    for value, says in ("nothing", "right would be sealed or plain"), ("x=plain", "there is no such --volume"):
        words = lab.serve_words("root", "--volume", "v=disk.img", "--volume-key", "v=owner.key", "--at-rest", value, mount=False)
        check(says in run(*words, status=2).stderr, value)


def made_anew(lab):
    """A volume of a name that another one had: nothing is left of that."""
    lab.create("anew.img", "1M")
    for turn in range(2):
        nodes = [root(lab, store="anew.img"), leaf(lab, parent="root")]
        check(read_at(nodes[-1].image(), 0, MIB) == bytes(MIB), "it is not empty")
        write_at(nodes[-1].image(), 0, MARK * 1000, sync=True)
        stop(*reversed(nodes))
        if turn == 0:
            os.unlink("anew.img")
            lab.create("anew.img", "1M")


# ---- What is there ----

def nothing_in_the_clear(lab):
    """A file system of a leaf, through a proxy, to a root that does not read it; then to one that does."""
    nodes = [root(lab), proxy(lab), leaf(lab)]
    image = nodes[-1].image()
    write_at(image, 50 * MIB, MARK * 4000, sync=True)
    write_at(image, 40 * MIB, bytes(MIB), sync=True)
    run("mkfs.ext4", "-q", image, "40M")
    device = lab.attach(image)
    lab.mount(device, "mnt")
    for place in ("mnt/tree", "copy"):
        os.makedirs(place)
        write_tree(place, random.Random(1), files=20)
        with open(f"{place}/marked", "wb") as file:
            file.write(MARK * 20000)
    lab.unmount("mnt")
    lab.detach(device)
    nodes[-1].flush()
    stop(*reversed(nodes))
    check(os.stat("disk.img").st_blocks * 512 > MIB, "hardly anything is there")
    for path in "disk.img", SEALS:
        check(not has_mark(path), path, "has what was written in the clear")
    for mount, flags in (False, ()), (True, ()), (False, ("--read-only",)), (True, ("--read-only",)), (False, ()):
        nodes = [root(lab, *flags, mount=mount), proxy(lab), leaf(lab)]
        check(read_at(nodes[-1].image(), 50 * MIB, len(MARK) * 4000) == MARK * 4000, "the leaf reads something else")
        check(read_at(nodes[-1].image(), 60 * MIB, MIB) == bytes(MIB), "what was never written is not zeros")
        check(read_at(nodes[-1].image(), 40 * MIB, MIB) == bytes(MIB), "zeros are not zeros")
        device = lab.attach(nodes[-1].image())
        lab.mount(device, "mnt", "-o", "ro,noload")
        same_tree("mnt/tree", "copy")
        lab.unmount("mnt")
        lab.detach(device)
        if mount and not flags:
            write_at(nodes[0].image(), 55 * MIB, MARK * 1000, sync=True)
            check(read_at(nodes[-1].image(), 55 * MIB, len(MARK) * 1000) == MARK * 1000, "what the root has written")
        check(nodes[0].volume()["damaged_blocks"] == 0, nodes[0].volume())
        check(nodes[0].status()["memory"]["cached"] > MIB, "the root has nothing in memory")
        check(memory_has_mark(nodes[0].pid) == mount and memory_has_mark(nodes[-1].pid), "the root has what was written",
              "in memory" if not mount else "only as ciphertext", "though it has", "a mount" if mount else "none")
        stop(*reversed(nodes))
    check(not has_mark("disk.img"), "what the root has written is in the clear")


# ---- Crashes ----

def content(number, version):
    return (f"{number} {version} ".encode() + MARK).ljust(BLOCK, b".")


def version_of(data, number):
    if data == bytes(BLOCK):
        return 0
    check(data == content(number, version := int(data.split()[1])), "block", number, "is garbage")
    return version


class Writer(threading.Thread):
    """Writes blocks, and syncs, until it can not any more."""

    def __init__(self, image, versions, seed):
        super().__init__()
        self.disk, self.random = Direct(image), random.Random(seed)
        self.begun, self.promised = dict(versions), dict(versions)
        self.rounds = 0

    def run(self):
        try:
            while True:
                wrote = {}
                for number in self.random.sample(range(NUMBER), 5):
                    self.begun[number] += 1
                    wrote[number] = self.begun[number]
                    self.disk.write(number, content(number, wrote[number]))
                self.disk.sync()
                self.promised.update(wrote)
                self.rounds += 1
        except OSError:
            pass


def crashes(lab):
    versions = {number: 0 for number in range(NUMBER)}
    write_at_root = random.Random(2)
    rounds = 0
    for crash in range(CRASHES):
        mount = crash % 4 == 3
        top, above = root(lab, mount=mount), None
        writing = leaf(lab, f"w{crash}", parent="root")
        writer = Writer(writing.image(), versions, crash)
        writer.start()
        writer.join(write_at_root.uniform(0.3, 1.2))
        top.kill()
        writing.kill()
        writer.join(30)
        check(not writer.is_alive(), "the writer is stuck")
        rounds += writer.rounds
        top = root(lab)
        reading = leaf(lab, f"r{crash}", parent="root")
        disk = Direct(reading.image())
        for number in range(NUMBER):
            versions[number] = version_of(disk.read(number), number)
            check(writer.promised[number] <= versions[number] <= writer.begun[number], "crash", crash, "block", number, "is version",
                  versions[number], "promised", writer.promised[number], "begun", writer.begun[number])
        disk.close()
        check(top.volume()["damaged_blocks"] == 0, top.volume())
        stop(reading, top)
    check(rounds > CRASHES, "only", rounds, "syncs")
    print(rounds, "syncs,", CRASHES, "crashes", flush=True)


def passed_on(lab):
    """A root that begins after a crash passes all that it finds on as versions of its own. The next one, which begins in order, does
    not fall behind that: who was away when it did, and still has them, goes on reading."""
    number = 3000
    top, writing = root(lab), leaf(lab, "wp", parent="root")
    write_at(writing.image(), number * BLOCK, content(number, 1), sync=True)
    writing.stop()
    top.kill()
    top = root(lab)
    between = Between("away.sock", "root.sock")
    reading = leaf(lab, "rp", parent="away")
    disk = Direct(reading.image())
    check(disk.read(number) == content(number, 1), "it reads something else")
    between.up = lambda message: []
    between.cut()
    top.stop()
    top = root(lab)
    between.honest()
    between.cut()
    check(disk.read(number) == content(number, 1), "it reads something else")
    disk.close()
    check(reading.volume()["unproven_messages"] == 0, reading.volume())
    stop(reading, top)


def asked_while_read_only(lab):
    """A root that can not write, of what the one before has written, is read from, and tells those who ask what is older than that. It
    does not say of what it gives itself that it is."""
    number = 3100
    lab.create("asked.img", "16M")
    for store, flags in ("disk.img", ()), ("asked.img", ("--at-rest", "plain")):
        nodes = [root(lab, *flags, store=store), leaf(lab, "wa", parent="root")]
        for turn in range(2):
            write_at(nodes[-1].image(), number * BLOCK, content(number, turn), sync=True)
        stop(*reversed(nodes))
        for mount in (False, True):
            nodes = [root(lab, "--read-only", store=store, mount=mount)]
            between = Between(f"between{mount}{len(flags)}.sock", "root.sock")
            nodes.append(leaf(lab, "ra", parent=f"between{mount}{len(flags)}"))
            check(read_at(nodes[-1].image(), number * BLOCK, BLOCK) == content(number, 1), "it reads something else")
            answer = next(message for message in between.passed["down"] if message.blocks and number in message.numbers())
            sealed = wire.part_of(answer.blocks[number - answer.block].verifier, "version")
            for version, older in (sealed, 0), (sealed - 1, 1):
                question = b"\3" + bytes(16) + bytes(8) + b"\xff" * 8 + (1).to_bytes(2, "big") + number.to_bytes(6, "big") + (1).to_bytes(2, "big")
                news = between.ask("up", wire.Message(wire.GET_COOKIES, volume_id=answer.volume_id, cookie=question + version.to_bytes(8, "big")))
                check(news.cookie and int.from_bytes(news.cookie[43:45], "big") == older, store, "of what was sealed as", hex(version), "it says", news.cookie)
            stop(*reversed(nodes))


# ---- No room ----

def full(lab):
    """The file system is full, for ciphertext or verifiers: a fsync says so, and nothing is lost or can not be read."""
    os.makedirs("small")
    lab.mount("tmpfs", "small", "-t", "tmpfs", "-o", "size=12M")
    lab.create("small/disk.img", "64M")
    nodes = [root(lab, store="small/disk.img"), leaf(lab, parent="root")]
    write_at(nodes[-1].image(), 0, b"a" * 4 * MIB, sync=True)
    with open("small/fill", "wb") as file:
        file.truncate(0)
        os.posix_fallocate(file.fileno(), 0, os.statvfs("small").f_bavail * os.statvfs("small").f_bsize)
    for text, offset in (b"b", 0), (b"c", 8 * MIB), (b"b", 0):
        try:
            write_at(nodes[-1].image(), offset, text * 3 * MIB, sync=True)
        except OSError as error:
            check(error.errno == errno.ENOSPC, error)
        else:
            check(offset == 0, "there is no room, and a fsync says nothing")
    os.unlink("small/fill")
    write_at(nodes[-1].image(), 5 * MIB, b"d" * MIB, sync=True)
    stop(*reversed(nodes))
    nodes = [root(lab, store="small/disk.img"), leaf(lab, parent="root")]
    for text, offset, size in (b"b", 0, 3), (b"a", 3, 1), (b"d", 5, 1), (b"c", 8, 3):
        check(read_at(nodes[-1].image(), offset * MIB, size * MIB) == text * size * MIB, "something else is at", offset)
    check(nodes[0].volume()["damaged_blocks"] == 0, nodes[0].volume())
    stop(*reversed(nodes))
    lab.unmount("small")


# ---- Syncs that fail ----

def syncs_fail(lab):
    """A sync of the storage, or of the file of its verifiers, fails once. No fsync succeeds from then on, though the system would
    say so; what was promised before is there when the root is started again, and it goes on."""
    if shutil.which("strace") is None:
        print("strace is not installed", flush=True)
        return
    os.environ["HVFS_STORE_ENGINE"] = "threads"  # so that there is a system call
    for number, path, says in (3500, "disk.img", "no fsync succeeds until this node"), (3501, SEALS, "verifiers can not be synced"):
        nodes = [root(lab), leaf(lab, parent="root")]
        opener = Opener(lab, nodes[1].image())
        opener.write(number * BLOCK, b"a", BLOCK)
        check(opener.do("os.fsync(fd)") == "ok", "a fsync fails")
        tracer = lab.popen("strace", "-f", "-o", "trace", "-P", os.path.abspath(path), "-e", "trace=fdatasync", "-e",
                           "inject=fdatasync:error=EIO:when=1", "-p", str(nodes[0].pid), stderr=subprocess.PIPE, text=True)
        check("attached" in (line := tracer.stderr.readline()), line)
        opener.write(number * BLOCK, b"b", BLOCK)
        check(opener.do("os.fsync(fd)") == str(errno.EIO), "a fsync succeeds though a sync has failed")
        tracer.terminate()
        tracer.wait()
        for _ in range(2):
            opener.write((number + 10) * BLOCK, b"c", BLOCK)
            check(opener.do("os.fsync(fd)") == str(errno.EIO), "a fsync succeeds though one before has failed")
        check(says in log_of("root"), "the log says nothing")
        for node in reversed(nodes):
            node.kill()
        opener.process.kill()
        nodes = [root(lab), leaf(lab, parent="root")]
        disk = Direct(nodes[1].image())
        check(disk.read(number) in (b"a" * BLOCK, b"b" * BLOCK), "something else is there")
        disk.write(number, content(number, 5))
        disk.sync()
        disk.close()
        stop(*reversed(nodes))
        expect(lab, {number: content(number, 5)}, ())
    del os.environ["HVFS_STORE_ENGINE"]


# ---- What somebody changes there ----

def at(path, offset, data=None, size=BLOCK):
    with open(path, "r+b") as file:
        file.seek(offset)
        if data is None:
            return file.read(size)
        file.write(data)
        return None


def expect(lab, right, wrong):
    """Of a root that is started on what is there, which blocks can be read."""
    nodes = [root(lab), proxy(lab), leaf(lab)]
    disk = Direct(nodes[-1].image())
    for number, data in right.items():
        check(disk.read(number) == data, "block", number, "is something else")
    for number in wrong:
        try:
            disk.read(number)
            raise AssertionError(f"block {number} is read")
        except OSError as error:
            check(error.errno == errno.EIO, error)
    disk.close()
    if wrong:
        check(nodes[0].volume()["damaged_blocks"] > 0, nodes[0].volume())
        with open("root.log", encoding="utf-8") as log:
            check("of disk.img can not be used: it" in log.read().replace(os.getcwd() + "/", ""), "the log says nothing")
    stop(*reversed(nodes))


def changed(lab):
    old, new = [content(number, 1) for number in range(8)], [content(number, 2) for number in range(8)]
    first = 2000
    blocks = {first + i: data for i, data in enumerate(old)}
    nodes = [root(lab), proxy(lab), leaf(lab)]
    write_at(nodes[-1].image(), first * BLOCK, b"".join(old), sync=True)
    stop(*reversed(nodes))
    kept = at("disk.img", first * BLOCK, size=8 * BLOCK), at(SEALS, RECORDS + first * 1024, size=8 * 1024), at(SEALS, BLOCK + first * 32, size=8 * 32)

    one = at("disk.img", first * BLOCK)
    at("disk.img", first * BLOCK + 77, bytes([one[77] ^ 1]))  # a bit
    at("disk.img", (first + 1) * BLOCK, kept[0][2 * BLOCK:3 * BLOCK])  # swapped, with their verifiers
    at("disk.img", (first + 2) * BLOCK, kept[0][1 * BLOCK:2 * BLOCK])
    at(SEALS, RECORDS + (first + 1) * 1024, kept[1][2 * 1024:3 * 1024])
    at(SEALS, RECORDS + (first + 2) * 1024, kept[1][1 * 1024:2 * 1024])
    at("disk.img", (first + 3) * BLOCK, bytes(BLOCK))  # taken away
    expect(lab, {number: data for number, data in blocks.items() if number > first + 3}, range(first, first + 4))
    at("disk.img", first * BLOCK, kept[0])
    at(SEALS, RECORDS + first * 1024, kept[1])
    expect(lab, blocks, ())

    nodes = [root(lab), proxy(lab), leaf(lab)]
    write_at(nodes[-1].image(), first * BLOCK, b"".join(new), sync=True)
    stop(*reversed(nodes))
    at("disk.img", first * BLOCK, kept[0][:2 * BLOCK])  # put back: the bytes,
    at(SEALS, RECORDS + (first + 1) * 1024, kept[1][1024:2048])  # those with their verifier,
    at("disk.img", (first + 2) * BLOCK, kept[0][2 * BLOCK:3 * BLOCK])  # and with all that is known of them, which nobody notices
    at(SEALS, RECORDS + (first + 2) * 1024, kept[1][2 * 1024:3 * 1024])
    at(SEALS, BLOCK + (first + 2) * 32, kept[2][64:96])
    expect(lab, {first + 2: old[2], first + 3: new[3]}, (first, first + 1))

    # What can not be read can be written.
    nodes = [root(lab), leaf(lab, parent="root")]
    disk = Direct(nodes[-1].image())
    for number in range(8):
        disk.write(first + number, new[number])
    disk.sync()
    disk.close()
    stop(*reversed(nodes))
    expect(lab, {first + number: data for number, data in enumerate(new)}, ())


# ---- With the sums, too ----

PRIMES = 0x9e3779b185ebca87, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9, 0x85ebca77c2b2ae63, 0x27d4eb2f165667c5
WORD = (1 << 64) - 1


def rotate(value, bits):
    return (value << bits | value >> (64 - bits)) & WORD


def take_in(lane, value):
    return rotate((lane + value * PRIMES[1]) & WORD, 31) * PRIMES[0] & WORD


def xxh64(data, seed):
    """Of at least 32 bytes, a multiple of 8."""
    words = [int.from_bytes(data[i:i + 8], "little") for i in range(0, len(data), 8)]
    lanes = [(seed + PRIMES[0] + PRIMES[1]) & WORD, (seed + PRIMES[1]) & WORD, seed, (seed - PRIMES[0]) & WORD]
    for i in range(len(words) // 4 * 4):
        lanes[i % 4] = take_in(lanes[i % 4], words[i])
    total = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & WORD
    for lane in lanes:
        total = ((total ^ take_in(0, lane)) * PRIMES[0] + PRIMES[3]) & WORD
    total = (total + len(data)) & WORD
    for word in words[len(words) // 4 * 4:]:
        total = (rotate(total ^ take_in(0, word), 27) * PRIMES[0] + PRIMES[3]) & WORD
    total = (total ^ total >> 33) * PRIMES[1] & WORD
    total = (total ^ total >> 29) * PRIMES[2] & WORD
    return total ^ total >> 32


def put(number, cipher, slot):
    """The ciphertext, and its verifier in the first slot, with sums that are right at this place."""
    slot = slot[:496] + xxh64(cipher, number).to_bytes(8, "big")
    at("disk.img", number * BLOCK, cipher)
    at(SEALS, RECORDS + number * 1024, slot + xxh64(slot, number).to_bytes(8, "big"))


def refuses(disk, numbers):
    for number in numbers:
        for _ in range(2):
            try:
                disk.read(number)
                raise AssertionError(f"block {number} is read")
            except OSError as error:
                check(error.errno == errno.EIO, error)


def log_of(name):
    with open(f"{name}.log", encoding="utf-8") as log:
        return log.read()


def changed_with_sums(lab):
    """A root that has ciphertext in memory passes it on; who gets it refuses it, time and again, and the links stay."""
    first, data = 3000, [content(number, 3) for number in range(8)]
    wrong, right = range(first + 2, first + 5), (*range(first, first + 2), *range(first + 5, first + 8))
    nodes = [root(lab), proxy(lab), leaf(lab)]
    write_at(nodes[-1].image(), first * BLOCK, b"".join(data), sync=True)
    stop(*reversed(nodes))
    cipher, slots = at("disk.img", first * BLOCK, size=8 * BLOCK), at(SEALS, RECORDS + first * 1024, size=8 * 1024)
    cipher = [cipher[i * BLOCK:(i + 1) * BLOCK] for i in range(8)]
    slots = [slots[i * 1024:i * 1024 + 512] for i in range(8)]
    put(first + 1, cipher[1], slots[1])
    check(slots[1] == at(SEALS, RECORDS + (first + 1) * 1024, size=512), "these are other sums than the root's")
    put(first + 2, bytes([cipher[2][0] ^ 1]) + cipher[2][1:], slots[2])  # a bit
    put(first + 3, cipher[4], slots[4])  # swapped
    put(first + 4, cipher[3], slots[3])

    nodes = [root(lab), proxy(lab), leaf(lab)]
    for crash in False, True:
        if crash:  # what it has now gets another number, and is sealed anew
            nodes[0].kill()
            nodes[0] = root(lab)
        connects = [log_of(name).count("connect") for name in ("proxy", "leaf")]
        disk = Direct(nodes[-1].image())
        refuses(disk, wrong)
        for number in right:
            check(disk.read(number) == data[number - first], "block", number, "is something else")
        disk.close()
        check(nodes[0].volume()["damaged_blocks"] == 0, nodes[0].volume())
        check("with a block that is not one of the volume's: block 300" in log_of("proxy"), "the log says nothing")
        if not crash:
            check(connects == [log_of(name).count("connect") for name in ("proxy", "leaf")], "a link was closed")
    stop(*reversed(nodes))

    top = root(lab, mount=True)
    disk = Direct(top.image())
    refuses(disk, wrong)
    disk.close()
    check(top.volume()["damaged_blocks"] > 0 and "the verifier is not that of this block" in log_of("root"), top.volume())
    top.stop()

    nodes = [root(lab), proxy(lab), leaf(lab)]
    disk = Direct(nodes[-1].image())
    refuses(disk, wrong[:1])
    for number in wrong:
        disk.write(number, data[number - first])
    disk.sync()
    for number in wrong:
        check(disk.read(number) == data[number - first], "block", number, "is something else")
    disk.close()
    stop(*reversed(nodes))
    expect(lab, {first + number: one for number, one in enumerate(data)}, ())


def read_all(path, offset, size, piece):
    """In pieces, all at once. Returns those that could be read; None for the others."""
    def one(i):
        try:
            return read_at(path, offset + i * piece, piece)
        except OSError as error:
            check(error.errno == errno.EIO, error)
            return None
    with ThreadPoolExecutor(size // piece) as pool:
        return list(pool.map(one, range(size // piece)))


def around(lab):
    """One block in the midst of many: only that one can not be read, however many are asked for at once; noticed by the root, or by
    who gets it."""
    first, count, wrong = 4096, 2048, 4096 + 1000
    data = b"".join(content(number, 4) for number in range(first, first + count))
    nodes = [root(lab), leaf(lab, parent="root")]
    write_at(nodes[-1].image(), first * BLOCK, data, sync=True)
    stop(*reversed(nodes))
    kept = at("disk.img", wrong * BLOCK), at(SEALS, RECORDS + wrong * 1024, size=1024)
    changed_bytes = bytes([kept[0][0] ^ 1]) + kept[0][1:]
    for sums in False, True:
        if sums:
            put(wrong, changed_bytes, kept[1][:512])
        else:
            at("disk.img", wrong * BLOCK, changed_bytes)
        for way, piece in itertools.product(("mount", "leaf", "proxy"), (MIB, 16 * BLOCK, BLOCK)):
            nodes = [root(lab, mount=way == "mount")]
            nodes += [proxy(lab)] if way == "proxy" else []
            nodes += [leaf(lab, parent="proxy" if way == "proxy" else "root")] if way != "mount" else []
            found = read_all(nodes[-1].image(), first * BLOCK, count * BLOCK, piece)
            bad = [i for i, one in enumerate(found) if one is None]
            check(all(one is None or one == data[i * piece:(i + 1) * piece] for i, one in enumerate(found)), "something else is read")
            check(bad == [(wrong - first) * BLOCK // piece], way, "with sums" if sums else "", "can not read", bad, "of", piece)
            stop(*reversed(nodes))
    at("disk.img", wrong * BLOCK, kept[0])
    at(SEALS, RECORDS + wrong * 1024, kept[1])
    expect(lab, {wrong: content(wrong, 4)}, ())


def test(lab):
    need_fuse()
    need_loop()
    need_filesystem("ext4")
    need_program("mkfs.ext4", "diff")
    keys()
    lab.create("disk.img", str(SIZE))
    for part in (forms, made_anew, nothing_in_the_clear, crashes, passed_on, asked_while_read_only, full, syncs_fail,
                 changed, changed_with_sums, around):
        part(lab)
        print(part.__name__, flush=True)


main(test)
