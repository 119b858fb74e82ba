# SPDX-License-Identifier: MIT
"""A root that is started anew dies as soon as it serves others, and again, before its children have the answers to what they claimed. They
have lived all the time, so they lose nothing; also when their leases are over, and one of them is below a proxy."""
import time

from lab import BLOCK, Opener, check, main, need_fuse, read_at, until
from netlab import NetLab, need_network

LEASE = 2
NEVER = ("--writeback", "3600s")


def test(lab):
    need_fuse()
    need_network()
    flags = ("--hb-ttl", f"{LEASE}s")
    root = lab.root(*flags)
    proxy = lab.proxy("proxy", *flags)
    near, far = lab.leaf("near", *NEVER), lab.leaf("far", *NEVER, parent="proxy")
    openers = [Opener(lab, near.image()), Opener(lab, far.image())]
    openers[0].write(0, b"n", BLOCK)
    openers[1].write(BLOCK, b"f", BLOCK)
    root.kill()
    time.sleep(1.5 * LEASE)
    for turn in ("first", "second"):
        root = lab.again("root")
        for node in (near, proxy):
            until(lambda: node.volume()["parent"]["state"] == "connected", f"{node.name} does not connect")
        time.sleep(LEASE / 4)  # what they claim arrives
        check(root.volume()["phase"] == "grace", f"the {turn} grace time is over too soon")
        for node in (near, proxy):
            lab.cut(node.name, "root")
        read_at(root.image(), 2 * BLOCK, BLOCK)  # waits for its end
        root.kill()
        lab.heal_all()
    root = lab.again("root")
    for opener in openers:
        check(opener.do("os.fsync(fd)") == "ok", "what was written is lost, though its author lives")
        opener.close()
    check(read_at(near.image(), 0, 2 * BLOCK) == b"n" * BLOCK + b"f" * BLOCK, "something else is read")
    for node in (near, far, proxy, root):
        check(node.volume()["rescued"]["bytes"] == 0, f"{node.name} has rescued something")
    lab.stop_all()
    check(read_at("disk.img", 0, 2 * BLOCK) == b"n" * BLOCK + b"f" * BLOCK, "the storage has something else")


main(test, NetLab)
