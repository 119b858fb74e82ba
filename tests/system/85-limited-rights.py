# SPDX-License-Identifier: MIT
"""Malicious peers that have a right, but a small one: what they get beyond it, and what they take from others."""
import os
import shutil
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

import wire
from child import Child
from lab import check, hvfs, main, need_fuse, run, until, write_at
from tree import content, key_id, log_of, make_keys
from wire import Block, Message

NO_SUCH_VOLUME, READ_ONLY, TOO_MANY = 9, 13, 14
QUESTION = 3  # first byte of COOKIE
LINKS_OF_KEY = 64  # core/limits.h
EVICTIONS = 4096 // 4 * 3  # core/limits.h: then it has more than its part


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


def evicts_many(lab):
    """Who carries a volume has names evicted that nobody has: others are still evicted when they are to be."""
    allow("v", "proxy")
    child, answers = Child("root.sock"), []
    check(child.connect("v", key_id("v.proxy")).opcode == wire.OK, "the carrier can not connect")
    for name in range(EVICTIONS + 10):
        child.send(Message(wire.HEARTBEAT))
        answers.append(child.ask(Message(wire.RECOVER, volume_id=child.volume_id, node_id=0xf000000 + name, session=1)))
    child.close()
    check(all(answer.opcode == wire.OK for answer in answers[:EVICTIONS]), "not as many are recorded as may be")
    check(all(answer.opcode == wire.ERR and answer.status == TOO_MANY for answer in answers[EVICTIONS:]), "more are recorded")
    until(lambda: "more evictions than one peer may have recorded" in log_of("root"), "it is not told")
    allow("v", "read-write")
    leaf = lab.serve("leaf", "--volume", "v", "--parent", "unix:root.sock", "--volume-key", "v=v.writer")
    dead = Child("root.sock", node_id=0xdead)
    check(dead.connect("v", key_id("v.writer")).opcode == wire.OK, "the writer can not connect")
    check(dead.request(wire.LOCK, 5, wire.WRITE).opcode == wire.OK, "a block is not given out")
    dead.close()
    write_at(leaf.image("v"), 5 * 4096, content(5), sync=True)
    leaf.stop()


class TlsChild(Child):
    """The same over TLS, with the key of somebody who is let in."""

    def __init__(self, port, key):
        super().__init__(None, plain=socket.create_connection(("127.0.0.1", port)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(f"{key}.crt", f"{key}.node")
        self.socket = context.wrap_socket(self.socket)


def links_of_one_key(lab):
    """As many links as one likes, with one key over TLS: others find room."""
    if shutil.which("openssl") is None:
        print("skipped, because there is no openssl to make a certificate with")
        return
    prints = {name: hvfs("keygen", f"{name}.node").stdout.strip() for name in ("known", "other", "tls")}
    for name in "known", "other":
        run("openssl", "req", "-x509", "-new", "-key", f"{name}.node", "-subj", "/CN=x", "-out", f"{name}.crt")
    with open("tls.acl", "w", encoding="ascii") as file:
        file.writelines(f"{prints[name]} x read\n" for name in ("known", "other"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = lab.serve("tls", "--volume", "x=x.img", "--listen", f"127.0.0.1:{port}", "--key", "tls.node", "--acl", "tls.acl", mount=False)
    children = [TlsChild(port, "known") for _ in range(LINKS_OF_KEY)]
    for number, child in enumerate(children):
        child.node_id = 0xbad + number
        check(child.connect("x").opcode == wire.OK, "link", number, "has no session")
    check(TlsChild(port, "known").connect("x") is None, "there are more links than may be")
    until(lambda: f"{LINKS_OF_KEY} links of {prints['known']} are open" in log_of("tls"), "it is not told")
    check(TlsChild(port, "other").connect("x").opcode == wire.OK, "nobody else gets in")
    children[0].close()
    until(lambda: TlsChild(port, "known").connect("x") is not None, "there is no room when one is gone")
    root.kill()


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


ATTACKS = [cookies_without_a_session, blocks_without_a_session, reader_writes, evicts_many, links_of_one_key]

main(test)
