# SPDX-License-Identifier: MIT
"""A sealed volume on the disks of nodes: a leaf with the writer's key has a journal and a cache, an untrusted proxy above it has
a cache. Nothing of it is there in the clear; a leaf that is killed has what a fsync had promised; both are warm after a restart,
the leaf by what the proxy has only sealed; what somebody changes in the files is found."""
import os
import random
import struct

from disklab import Relay, disk
from lab import BLOCK, HVFS, check, hvfs, main, need_fuse, read_at, run, write_at

MIB = 1 << 20
SIZE = 8 * MIB
MARK = b"nobody may see this "
CHUNK = 128 << 10
FILES = ("proxy.cache", "leaf.cache", "leaf.journal")


def content(block, number):
    return (struct.pack("<QQ", block, number) + MARK).ljust(512, b".") * (BLOCK // 512)


def image_of(number):
    return b"".join(content(block, number) for block in range(SIZE // BLOCK))


def keys():
    hvfs("volume-key", "new", "owner.key")
    for role in ("writer", "proxy"):
        hvfs("volume-key", "export", "owner.key", f"{role}.bundle", "--role", role)
        hvfs("volume-key", "import", f"{role}.bundle", f"{role}.key")


def has_mark(path):
    with open(path, "rb") as file:
        return MARK in file.read()


def check_sealed():
    for path in FILES:
        check(os.path.getsize(path) > MIB and not has_mark(path), f"{path} has bytes of the volume in the clear")


def proxy(lab):
    return lab.proxy("proxy", "--volume-key", "v=proxy.key", "--hb-ttl", "2s", "--cache", "mem:2M/disk:proxy.cache:16M")


def leaf(lab, *flags):
    return lab.leaf("leaf", "--volume-key", "v=writer.key", "--durability", "local", "--journal", "leaf.journal:4M",
                    "--writeback", "1h", "--cache", "mem:8M/disk:leaf.cache:16M", *flags, parent="relay")


def killed(lab, root, node):
    """What a fsync had promised was in the journal only."""
    write_at(node.image(), 0, image_of(1)[:MIB], sync=True)
    check(node.status()["journal"]["blocks"] >= MIB // BLOCK, node.status()["journal"])
    check(not has_mark("disk.img"), "it is not at the root yet")
    check(not has_mark("leaf.journal"), "the journal has bytes of the volume in the clear")
    node.kill()
    node = leaf(lab)
    check(node.status()["journal"]["found"] >= MIB // BLOCK and node.status()["journal"]["damaged"] == 0,
          node.status()["journal"])
    check(read_at(node.image(), 0, MIB) == image_of(1)[:MIB], "what was promised is there")
    node.flush()
    check(has_mark("disk.img"), "the root has it in the clear")
    check(read_at(root.image(), 0, MIB) == image_of(1)[:MIB], "and at the root")
    return node


def read_all(node, number):
    right = image_of(number)
    for offset in range(0, SIZE, CHUNK):
        check(read_at(node.image(), offset, CHUNK) == right[offset:offset + CHUNK], f"{node.name} at {offset}")


def fill(node, above, number):
    for _ in range(20):
        read_all(node, number)
        if all(disk(one)["entries"] > SIZE // BLOCK * 9 // 10 for one in (node, above)):
            return
    check(False, disk(node), disk(above))


def warm(lab, relay, node, above):
    """The leaf, and what it gets of a proxy that has the blocks sealed: only that they are the same."""
    node.stop()
    above.stop()
    above = proxy(lab)
    check(disk(above)["found"] > SIZE // BLOCK * 9 // 10, disk(above))
    node = leaf(lab)
    before = relay.down
    read_all(node, 2)
    check(relay.down - before < SIZE // 10, f"{relay.down - before} bytes came down")
    check(disk(node)["confirmed"] > SIZE // BLOCK * 8 // 10 and disk(node)["damaged"] == 0, disk(node))
    print(f"{relay.down - before} bytes came down of {SIZE}, {disk(node)['confirmed']} blocks confirmed")
    return node, above


def sealed_proxy_serves(lab, node, above):
    """What a proxy has on its disk is passed on with its proofs, to a leaf that has nothing."""
    node.stop()
    above.stop()
    os.unlink("leaf.cache")
    above, node = proxy(lab), leaf(lab)
    read_all(node, 2)
    check(disk(above)["confirmed"] > SIZE // BLOCK * 8 // 10 and disk(above)["damaged"] == 0, disk(above))
    return node, above


def damaged(lab, node, above):
    node.stop()
    above.stop()
    rng = random.Random(1)
    for path in FILES[:2]:
        with open(path, "r+b") as file:
            for _ in range(1000):
                file.seek(rng.randrange(2 * MIB, os.path.getsize(path)))
                file.write(rng.randbytes(1))
    above, node = proxy(lab), leaf(lab)
    read_all(node, 2)
    check(disk(node)["damaged"] > 50, disk(node))
    return node, above


def without_the_key(lab, node):
    """A journal that has bytes of the volume is not given up."""
    write_at(node.image(), 0, image_of(3)[:MIB], sync=True)
    node.kill()
    out = run(HVFS, "serve", "--name", "x", "--control", "x.ctl", "--volume", "v", "--parent", "unix:relay.sock", "--durability",
              "local", "--journal", "leaf.journal:4M", status=1)
    check("sealed bytes of v" in out.stderr, out.stderr)
    node = leaf(lab)
    check(read_at(node.image(), 0, MIB) == image_of(3)[:MIB], "they are there")
    return node


def test(lab):
    need_fuse()
    keys()
    root = lab.root("--hb-ttl", "2s", "--volume-key", "v=owner.key", "--at-rest", "plain", size=str(SIZE))
    above = proxy(lab)
    relay = Relay("relay.sock", "proxy.sock")
    node = killed(lab, root, leaf(lab))
    write_at(root.image(), 0, image_of(2), sync=True)
    fill(node, above, 2)
    check_sealed()
    node, above = warm(lab, relay, node, above)
    node, above = sealed_proxy_serves(lab, node, above)
    node, above = damaged(lab, node, above)
    node = without_the_key(lab, node)
    check_sealed()
    lab.stop_all()


main(test)
