# SPDX-License-Identifier: MIT
"""A sealed volume: root - proxy of somebody else - two writers and a reader. What is written arrives, also as a file system,
and the proxy has nothing of it in the clear: not in memory, not on its disk, not on the wire."""
import errno
import glob
import os
import random
import re
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

from between import Between
from lab import Direct, check, hvfs, main, need_filesystem, need_fuse, need_loop, need_program, read_at, run, same_tree, write_at, write_tree
from tree import log_of, until

PROXY_CACHE = "mem:8M/disk:proxy.disk:256M"
FILES = 20
MARKERS = [f"<<{secrets.token_hex(14)}>>".encode() for _ in range(4)]  # of one, two, the root, and one that is nowhere


# ---- Where plaintext could be ----

HUGE = 1 << 36


def memory(pid):
    """What a process has in memory, in pieces that overlap."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            start, end, rights = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            start, end = int(start, 16), int(end, 16)
            if end - start > HUGE:
                continue  # a sanitizer's own, which is mapped and not there
            while start < end and rights[0] == "r" and "[v" not in line:  # vvar, vsyscall
                size = min(end - start, 4 << 20)
                mem.seek(start)
                try:
                    yield mem.read(size + 64 if start + size < end else size)
                except OSError:
                    break  # not there, or guarded
                start += size


def file_pieces(*names):
    for name in names:
        with open(name, "rb") as file:
            while piece := file.read(4 << 20):
                yield piece
                if len(piece) == 4 << 20:
                    file.seek(-64, os.SEEK_CUR)


def found(pieces):
    """Which of the markers are in there."""
    left = set(MARKERS)
    for piece in pieces:
        left -= {marker for marker in left if marker in piece}
    return [marker for marker in MARKERS if marker not in left]


def nothing_in_the_clear(lab):
    """The proxy has what was written, and none of it in the clear; the search is one that finds."""
    proxy = lab.tree["proxy"]
    check(proxy.status()["memory"]["cached"] > 0, "the proxy has nothing that could be found")
    until(lambda: sum(os.stat(name).st_blocks * 512 for name in glob.glob("proxy.disk*")) > 4 << 20, "hardly anything is on the proxy's disk")
    for place, pieces in (("memory", memory(proxy.pid)), ("disk", file_pieces(*glob.glob("proxy.disk*"))),
                          ("wire", file_pieces("above.bytes", "below.bytes")), ("log", file_pieces("proxy.log"))):
        check(found(pieces) == [], "in the proxy's", place, "there is", found(pieces))
    for name in "above.bytes", "below.bytes":
        check(os.path.getsize(name) > 1 << 20, "hardly anything was recorded in", name)
    for name in "one", "two", "root":
        check(found(memory(lab.tree[name].pid)) != [], "nothing is found in the memory of", name, "either")
    check(MARKERS[0] in found(memory(lab.tree["one"].pid)), "what one has written is not in its memory")


# ---- What works ----

def start(lab):
    hvfs("volume-key", "new", "owner.key")
    for role in ("proxy", "reader", "writer"):
        hvfs("volume-key", "export", "owner.key", f"{role}.key", "--role", role)
    tree = lab.tree = {}
    tree["root"] = lab.root("--volume-key", "v=owner.key", size="256M")
    lab.relays = [Between("above.sock", "root.sock"), Between("below.sock", "proxy.sock")]
    for relay, name in zip(lab.relays, ("above", "below")):
        relay.recorded = open(f"{name}.bytes", "wb", buffering=0)
    tree["proxy"] = lab.proxy("proxy", "--volume-key", "v=proxy.key", "--cache", PROXY_CACHE, parent="above")
    for name, key in (("one", "writer"), ("two", "writer"), ("reader", "reader")):
        tree[name] = lab.leaf(name, "--volume-key", f"v={key}.key", parent="below")


def blocks(lab):
    """Whoever writes, all others read it, blocks that nobody has written, too."""
    tree = lab.tree
    for turn, name in enumerate(("one", "root", "two", "one", "two", "root")):
        text = f"{turn} by {name}".encode() * 3000
        write_at(tree[name].image(), 123456, text, sync=True)
        for reader in ("reader", "one", "two", "root"):
            check(read_at(tree[reader].image(), 123456, len(text)) == text, reader, "reads something else than", name, "has written")
    check(read_at(tree["reader"].image(), 200 << 20, 1 << 20) == bytes(1 << 20), "what was never written is not zeros")
    write_at(tree["one"].image(), 123456, bytes(40000), sync=True)
    check(read_at(tree["reader"].image(), 123456, 40000) == bytes(40000), "zeros are not zeros")


def file_system(lab):
    """ext4 on the image of one, then of the other, then of the root."""
    names = ("one", "two", "root", "one")
    for number, name in enumerate(names):
        image = lab.tree[name].image()
        if number == 0:
            run("mkfs.ext4", "-q", image)
        device = lab.attach(image)
        lab.mount(device, f"mnt-{name}")
        for earlier in range(number):
            same_tree(f"mnt-{name}/{earlier}", f"plain/{earlier}")
        if number < 3:
            for place in (f"mnt-{name}/{number}", f"plain/{number}"):
                os.makedirs(place)
                write_tree(place, random.Random(number), files=FILES)
                with open(f"{place}/marked", "wb") as file:
                    file.write((MARKERS[number] * 128)[:4096] * 2000)
        lab.unmount(f"mnt-{name}")
        lab.detach(device)
        lab.tree[name].flush()
    run("e2fsck", "-fn", lab.tree["reader"].image())


def reader_only_reads(lab):
    try:
        write_at(lab.tree["reader"].image(), 0, b"x")
    except OSError as error:
        check(error.errno == errno.EROFS, "writing fails with", error)
    else:
        raise AssertionError("a reader writes")
    check(lab.tree["reader"].volume()["read_only"], "it does not know that it may not")


def sync_writer(lab):
    """Synchronous writes of whole blocks, directly below the root, of what others have written since."""
    leaf = lab.leaf("sync", "--volume-key", "v=writer.key", "--write-mode", "sync")
    disk = Direct(leaf.image(), 16384)
    for turn in range(3):
        disk.write(600, bytes([1 + turn]) * 16384)
        check(read_at(lab.tree["root"].image(), 600 * 16384, 16384) == bytes([1 + turn]) * 16384, "the root reads something else")
        write_at(lab.tree["root"].image(), 600 * 16384, bytes([101 + turn]) * 16384, sync=True)
        check(disk.read(600) == bytes([101 + turn]) * 16384, "it reads something else")
    disk.close()
    leaf.stop()


# ---- What does not ----

def refused(lab, name, parent, *flags, says, told):
    """A node that does not get up: a line there, and one at its parent."""
    before = log_of(parent).count(told)
    error = run(*lab.serve_words(name, "--volume", "v", "--parent", f"unix:{parent}.sock", *flags, mount=False), status=1).stderr.strip()
    check(says in error and "\n" not in error, name, "says", error)
    until(lambda: log_of(parent).count(told) > before, f"{parent} does not tell")
    check(log_of(parent).count(told) == before + 1, f"{parent} tells more than once")


def wrong_keys(lab):
    """Nodes without a key, with that of another volume, with one where none belongs; at the root and at the proxy."""
    hvfs("volume-key", "new", "other.key")
    lab.create("plain.img", "1M")
    lab.serve("plain", "--volume", "v=plain.img", "--listen", "unix:plain.sock", mount=False)
    for parent in ("root", "proxy"):
        refused(lab, f"none-{parent}", parent, says="it is sealed; right would be --volume-key", told="asks for a volume that is sealed, and has no key")
        refused(lab, f"other-{parent}", parent, "--volume-key", "v=other.key", says="it is not sealed there with the key of --volume-key",
                told="asks for a volume with a key of another")
    refused(lab, "sealed", "plain", "--volume-key", "v=owner.key", says="it is not sealed there with the key of --volume-key",
            told="or that is not sealed here")
    # Through a node that has no key, and so can not tell by itself.
    bare = lab.serve("bare", "--parent", "unix:root.sock", "--listen", "unix:bare.sock", mount=False)
    refused(lab, "through-bare", "bare", says="it is sealed; right would be --volume-key", told="asks for a volume that is sealed, and has no key")
    bare.stop()
    for name, flags, part in (("nowhere", ("--volume-key", "v=no.key"), "no.key"), ("twice", ("--volume-key", "v=owner.key") * 2, "given twice"),
                              ("which", ("--volume-key", "x=owner.key"), "no --volume x")):
        error = run(*lab.serve_words(name, "--volume", "v", "--parent", "unix:root.sock", *flags, mount=False), status=None)
        check(error.returncode != 0 and part in error.stderr, name, "says", error.stderr)


def test(lab):
    need_fuse()
    need_loop()
    need_filesystem("ext4")
    need_program("mkfs.ext4", "e2fsck", "diff")
    start(lab)
    for part in blocks, file_system, nothing_in_the_clear, reader_only_reads, sync_writer, wrong_keys:
        part(lab)
        print(part.__name__, flush=True)
    for name in ("reader", "two", "one", "proxy"):
        lab.tree[name].stop()


main(test)
