# SPDX-License-Identifier: MIT
"""Malicious peers that have a right, but a small one: what they get beyond it, and what they take from others."""
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

import wire
from child import Child
from lab import check, hvfs, main, need_fuse, run, until, write_at
from tree import content, key_id, log_of, make_keys
from wire import Block, Message

NO_SUCH_VOLUME, READ_ONLY, TOO_MANY = 9, 13, 14
BLOCKS = 65536  # of 256 MiB
QUESTION = 3  # first byte of COOKIE
EVICTIONS_OF_PEER = 1024  # core/limits.h


def allow(volume, right):
    hvfs("allow", volume, f"uid:{os.geteuid()}", right, "--control", "root.ctl")


def question():
    """Is anything newer than version 0 of blocks 0 .. 3?"""
    return bytes([QUESTION]) + bytes(16 + 8 + 8) + (1).to_bytes(2, "big") + bytes(6) + (4).to_bytes(2, "big") + bytes(8)


def asks(child, volume_id):
    answer = child.ask(Message(wire.GET_COOKIES, volume_id=volume_id, cookie=question()))
    return answer.cookie if answer else None


def cookies_without_a_session(lab):
    """What a root has of a volume is told to nobody who has no right to it, though the numbers of volumes can be guessed."""
    stranger, child = Child("root.sock"), Child("root.sock")
    allow("v", "read")
    check(child.connect("v", key_id("v.reader")).opcode == wire.OK, "the reader can not connect")
    of_v = child.volume_id
    check(asks(child, of_v), "who has a right gets no news, so this shows nothing")
    child.close()
    hvfs("deny", "v", f"uid:{os.geteuid()}", "--control", "root.ctl")
    child = Child("root.sock")
    check(child.connect("v", key_id("v.reader")).opcode == wire.ERR, "the right is still there")
    check(child.connect("w").opcode == wire.OK and child.volume_id != of_v, "the other volume is not there")
    for peer, who in ((child, "who has a right to another volume"), (stranger, "who has not connected")):
        check(not asks(peer, of_v), who, "gets news of this one")
    child.close()
    stranger.close()


def blocks_without_a_session(lab):
    """Nor can one tell from an answer to bytes whether a number is that of a sealed volume."""
    child, answers = Child("root.sock"), []
    check(child.connect("w").opcode == wire.OK, "the other volume is not there")
    for number in child.volume_id - 1, child.volume_id + 77:
        child.volume_id = number
        answers.append(child.request(wire.FLUSH, 0, wire.WRITE, [Block(1 << 32, b"x" * 4096, b"y" * 200)]))
    check(all(answer and answer.status == NO_SUCH_VOLUME for answer in answers), "the answers are", [vars(answer) for answer in answers])
    child.close()


def reader_writes(lab):
    """A reader that sends PUT gets an error, and is in the log."""
    allow("w", "read")
    child = Child("root.sock")
    check(child.connect("w").opcode == wire.OK, "the reader can not connect")
    answer = child.request(wire.PUT, 0, wire.WRITE, [Block(0, b"x" * 4096)])
    check(answer.opcode == wire.ERR and answer.status == READ_ONLY, "PUT is answered", vars(answer))
    until(lambda: "sends PUT" in log_of("root"), "it is not told")
    check(open("w.img", "rb").read(4096) != b"x" * 4096, "it is written")
    child.close()
    allow("w", "read-write")


def brings_much(node, address, volume, stall):
    """FLUSH of 256 MiB, of which nothing can go on from ${node} after ${stall}: its link ends, and it takes no more than before."""
    child = Child(address)
    check(child.connect(volume).opcode == wire.OK, "the child can not connect")
    for first in range(0, BLOCKS, 1024):
        answer = child.request(wire.LOCK, first, wire.WRITE, count=1024)
        check(answer.opcode == wire.OK, "LOCK is answered", vars(answer))
    stall()
    before = node.memory_peak()
    try:
        for first in range(0, BLOCKS, 64):
            child.send(Message(wire.FLUSH, 7, [Block((1 << 40) + 5, b"x" * 4096)] * 64, volume_id=child.volume_id, block=first,
                               perm=wire.WRITE, count=64))
        while child.socket.recv(1 << 20):
            pass
    except (BrokenPipeError, ConnectionResetError):
        pass
    until(lambda: "more blocks than may wait" in log_of(node.name), "the link is not ended for it")
    grown = (node.memory_peak() - before) >> 20
    check(grown < 100, "it took", grown, "MiB more")
    child.close()


def brings_much_to_a_proxy(lab):
    """Who may write brings more than a proxy can pass on, as its parent does not answer."""
    root = lab.serve("above", "--volume", "x=x.img", "--listen", "unix:above.sock")
    proxy = lab.serve("proxy", "--volume", "x", "--parent", "unix:above.sock", "--listen", "unix:proxy.sock", "--cache", "mem:4M",
                      mount=False)
    brings_much(proxy, "proxy.sock", "x", lambda: os.kill(root.pid, signal.SIGSTOP))
    os.kill(root.pid, signal.SIGCONT)
    proxy.kill()
    root.kill()


def brings_much_to_a_root(lab):
    """The same to a root whose disk hangs."""
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        print("skipped, because a disk that hangs needs root and loop devices")
        return
    lab.create("fs.img", "400M")
    run("mkfs.ext4", "-q", "fs.img")
    lab.mount(lab.attach("fs.img"), "fs")
    lab.create("fs/y.img", "256M")
    root = lab.serve("hanging", "--volume", "y=fs/y.img", "--listen", "unix:hanging.sock", "--cache", "mem:4M", mount=False)
    try:
        brings_much(root, "hanging.sock", "y", lambda: run("fsfreeze", "-f", "fs"))
        check(root.status()["volumes"][0]["name"] == "y", "status does not answer")
    finally:
        run("fsfreeze", "-u", "fs")
    root.kill()
    run("umount", "--lazy", "fs")  # what was on its way may yet be
    lab.mounts.remove("fs")


def evicts_many(lab):
    """Who carries a volume has names evicted that nobody has: others are still evicted when they are to be."""
    allow("v", "proxy")
    child, answers = Child("root.sock"), []
    check(child.connect("v", key_id("v.proxy")).opcode == wire.OK, "the carrier can not connect")
    for name in range(EVICTIONS_OF_PEER + 10):
        answers.append(child.ask(Message(wire.RECOVER, volume_id=child.volume_id, node_id=0xf000000 + name, session=1)))
    child.close()
    check(all(answer.opcode == wire.OK for answer in answers[:EVICTIONS_OF_PEER]), "not as many are recorded as may be")
    check(all(answer.opcode == wire.ERR and answer.status == TOO_MANY for answer in answers[EVICTIONS_OF_PEER:]), "more are recorded")
    until(lambda: "more evictions than one peer may have recorded" in log_of("root"), "it is not told")
    allow("v", "read-write")
    leaf = lab.serve("leaf", "--volume", "v", "--parent", "unix:root.sock", "--volume-key", "v=v.writer")
    dead = Child("root.sock", node_id=0xdead)
    check(dead.connect("v", key_id("v.writer")).opcode == wire.OK, "the writer can not connect")
    check(dead.request(wire.LOCK, 5, wire.WRITE).opcode == wire.OK, "a block is not given out")
    dead.close()
    write_at(leaf.image("v"), 5 * 4096, content(5), sync=True)
    leaf.stop()


def test(lab):
    need_fuse()
    make_keys()
    for volume in "vwx":
        lab.create(f"{volume}.img", "256M")
    with open("root.acl", "w", encoding="ascii") as file:
        file.write(f"uid:{os.geteuid()} w read-write\n")
    root = lab.serve("root", "--volume", "v=v.img", "--volume", "w=w.img", "--volume-key", "v=v.owner", "--listen", "unix:root.sock",
                     "--acl", "root.acl", "--cache", "mem:4M", "--hb-ttl", "2s")
    write_at(root.image("v"), 0, content(0), sync=True)
    for attack in ATTACKS:
        attack(lab)
        print(attack.__name__, flush=True)


ATTACKS = [cookies_without_a_session, blocks_without_a_session, reader_writes, evicts_many, brings_much_to_a_proxy, brings_much_to_a_root]

main(test)
