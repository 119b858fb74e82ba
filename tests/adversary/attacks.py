# SPDX-License-Identifier: MIT
"""What malicious proxies and children do besides forging blocks: a function of the tree each, which raises when the attack
gets further than it should."""
import contextlib
import dataclasses
import errno
import os
import select
import socket
import threading
import time

import wire
from child import Child
from forge import ciphertext_flipped, other_number, other_volume, zeros_unproven
from lab import BLOCK, Direct, check, hvfs
from tree import RUN, key_id, log_of, run_content, until
from wire import Block, Message

RECOVERY_OP = 0x0004
CONNECT_LIES = {"is_root": 0x0004, "read_only": 0x0010, "resumed": 0x0020, "known": 0x0100, "same_process": 0x0200, "after_leave": 0x0400}


class Unrefused(AssertionError):
    """The attack got what it wanted."""


class Hook:
    """Messages for which ${wanted} holds are changed, ${times} of them."""

    def __init__(self, wanted, change, times=1 << 30):
        self.wanted, self.change, self.left, self.count = wanted, change, times, 0

    def __call__(self, message):
        if self.left == 0 or not self.wanted(message):
            return None
        self.left -= 1
        self.count += 1
        result = self.change(message)
        return [message] if result is None else result


def answer_of(first):
    return lambda message: message.opcode == wire.OK and message.block == first and len(message.blocks) == RUN


def bytes_of(first):
    """Of a message upward that brings blocks from ${first} on."""
    return lambda message: message.opcode in (wire.FLUSH, wire.PUT, wire.RECOVER) and message.block == first and bool(message.blocks)


def genuine(tree, between=None):
    """The first of fresh blocks, which the leaf has; they, as they have passed; a VOLUME_ID that is right there."""
    first = tree.fresh()
    tree.reads("leaf", first)
    answer = tree.answer(first, between or tree.below)
    return first, [dataclasses.replace(block) for block in answer.blocks], answer.volume_id


def request(opcode, volume_id, first, blocks, perm=wire.WRITE, flags=0, **fields):
    return Message(opcode, blocks=blocks, flags=flags, volume_id=volume_id, block=first, perm=perm, count=max(1, len(blocks)), **fields)


def bringing(volume_id, first, blocks):
    """Each request that brings blocks, as it can be made of those."""
    recover = request(wire.RECOVER, volume_id, first, blocks, perm=wire.NO, flags=RECOVERY_OP, node_id=0x0bad, path=bytes(8), epoch=1, ttl=0)
    recover.others = [(0x0022, bytes(7) + b"\1")]  # LINK_NUMBER
    return [request(wire.FLUSH, volume_id, first, blocks), request(wire.PUT, volume_id, first, blocks, flags=wire.FORCE_SYNC), recover]


# ---- Requests, answers and PUSHes that nobody has sent ----

def own_requests(tree):
    """FLUSH, PUT and RECOVER with forged blocks, of the proxy's own making, to the root and to a proxy"""
    for between, victim in ((tree.above, "root"), (tree.below, "proxy")):
        first, blocks, volume_id = genuine(tree, between)
        for forge in (ciphertext_flipped, other_number, other_volume, zeros_unproven):
            forged = [dataclasses.replace(block) for block in blocks]
            forge(forged, tree.seen)
            for message in bringing(volume_id, first, forged):
                told = tree.refusals(victim)
                answer = between.ask("up", message)
                check(answer and answer.opcode == wire.ERR and answer.status == wire.BAD_VERIFIER, hex(message.opcode), "is answered",
                      answer and (answer.opcode, answer.fields))
                tree.is_told(victim, told)
        tree.stored(first)
        tree.reads("near", first)
        tree.reads("far", first)


def forged_push(tree):
    """PUSH of forged blocks, to a leaf and to a proxy: given back, and what is read is right"""
    for between, victim in ((tree.below, "leaf"), (tree.above, "proxy")):
        model = tree.answer(tree.seen.at.elsewhere, between)
        first, told = tree.fresh(), tree.refusals(victim)
        push = Message(wire.PUSH, blocks=[dataclasses.replace(block) for block in model.blocks], volume_id=model.volume_id, block=first,
                       perm=wire.READ, ttl=100000, hb_ttl=1000, count=RUN, grant=1 << 30, epoch=model.epoch)
        given_back = []
        between.up = Hook(lambda message: message.opcode == wire.LOCK and message.perm == wire.NO, given_back.append)
        between.send("down", push)
        tree.is_told(victim, told)
        until(lambda: given_back, "it is not given back")
        check((given_back[0].grant, given_back[0].block, given_back[0].count) == (1 << 30, first, RUN), "it gives back", given_back[0].fields)
        between.honest()
        tree.reads("leaf", first)


def forged_recall_answer(tree):
    """an answer to INVALIDATE with forged blocks: that link ends"""
    for between, name, victim in ((tree.below, "leaf", "proxy"), (tree.above, "proxy", "root")):
        first, blocks, volume_id = genuine(tree, between)
        ciphertext_flipped(blocks, tree.seen)
        ends = log_of(victim).count("what it brings can not be proven")
        back = log_of(name).count(" connected\n")
        between.send("up", Message(wire.OK, 12345, blocks, volume_id=volume_id, block=first, perm=wire.NO, count=RUN))
        until(lambda: log_of(victim).count("what it brings can not be proven") > ends, f"{victim} does not end the link")
        until(lambda: log_of(name).count(" connected\n") > back, f"{name} does not come back")
        tree.links.update((name, victim))
        tree.reads("far", first)


def unasked_answers(tree):
    """genuine and forged blocks as answers to what nobody has asked, up and down"""
    first, blocks, volume_id = genuine(tree)
    tree.write("root", first, 1)
    unread = tree.fresh()
    for number, place in enumerate((first, unread)):
        fields = {"volume_id": volume_id, "block": place, "perm": wire.READ, "ttl": 100000, "hb_ttl": 1000, "count": RUN, "grant": 1 << 30,
                  "epoch": 1}
        tree.below.send("down", Message(wire.OK, 0x7fff0000 + number, blocks, **fields))
        tree.below.send("up", Message(wire.OK, 0x7fff0000 + number, blocks, volume_id=volume_id, block=place, count=RUN))
    tree.renew(tree.below)  # one of them may have ended the link
    tree.reads("leaf", first, 1)
    tree.reads("leaf", unread)
    tree.reads("far", first, 1)


def no_bytes(tree):
    """an answer to GET without bytes: asked again, or an error, but nothing is made up"""
    first = tree.fresh()

    def empty(message):
        message.blocks = [Block(block.version, None) for block in message.blocks]

    tree.below.down = Hook(answer_of(first), empty)
    tree.read_fails("leaf", first)
    tree.below.honest()
    tree.renew(tree.below)
    tree.reads("leaf", first)


def volume_ids(tree):
    """answers under the VOLUME_ID of another volume, of none, and without one"""
    for volume_id in (tree.other_id, 0x7fffffff, None):
        first = tree.fresh()

        def change(message, volume_id=volume_id):
            if volume_id is None:
                del message.fields["volume_id"]
            else:
                message.fields["volume_id"] = volume_id

        tree.below.down = hook = Hook(answer_of(first), change, times=1)
        try:
            tree.reads("leaf", first)
        except OSError:
            pass
        check(hook.count == 1, "nothing was changed")
        tree.below.honest()
        tree.renew(tree.below)
        tree.reads("leaf", first)


def other_volumes_requests(tree):
    """blocks of one volume brought as those of another"""
    first, blocks, volume_id = genuine(tree)
    for message in bringing(tree.other_id, first, blocks):
        answer = tree.below.ask("up", message)
        check(answer is None or answer.status == wire.BAD_VERIFIER, hex(message.opcode), "is answered", answer and answer.fields)
    for message in bringing(0x7fffffff, first, blocks):
        answer = tree.below.ask("up", message)
        check(answer and answer.status == wire.NO_SUCH_VOLUME, hex(message.opcode), "is answered", answer and answer.fields)
    w = Direct(tree.root.image("w"), RUN * BLOCK)
    check(w.read(first // RUN) == bytes(RUN * BLOCK), "w has blocks of v")
    w.close()


# ---- What was right once ----

def newest_version(between, first):
    return max(block.version for message in between.passed["up"] if bytes_of(first)(message) for block in message.blocks)


def old_writes(tree):
    """what was written before, brought again by the proxy that carried it: as it was, and as if it was the newest"""
    for between in (tree.above, tree.below):
        first, blocks, volume_id = genuine(tree, between)
        for further in (None, 0, 1, 1000):  # beyond the newest version; None: with its own
            for which in range(len(bringing(volume_id, first, blocks))):
                tree.write("leaf", first, 1)  # it has WRITE, and the attacker speaks for it
                version = 0 if further is None else newest_version(between, first) + further
                old = [Block(max(block.version, version), block.data, block.verifier) for block in blocks]
                between.ask("up", bringing(volume_id, first, old)[which])
                tree.stored(first, 1)
                for reader in ("leaf", "near", "far", "root"):
                    tree.reads(reader, first, 1)


def old_write_of_what_is_not_in_memory(tree):
    """the same under the version that the root knows, when the root has the block on its storage only"""
    first, blocks, volume_id = genuine(tree, tree.above)
    tree.write("leaf", first, 1)
    for _ in range(tree.root.status()["memory"]["size"] // (RUN * BLOCK) * 2):
        tree.reads("near", tree.fresh(filled=False), None)
    version = newest_version(tree.above, first)
    tree.above.ask("up", request(wire.FLUSH, volume_id, first, [Block(version, block.data, block.verifier) for block in blocks]))
    for reader in ("near", "root"):
        tree.reads(reader, first, 1)
    tree.root.flush()
    tree.stored(first, 1)


def old_messages(tree):
    """all that was brought while something was written, sent again word for word"""
    for between in (tree.above, tree.below):
        first = tree.fresh()
        for turn in (1, 2, 3):
            tree.write("leaf", first, turn)
        for message in [message for message in between.passed["up"] if message.block == first]:
            between.ask("up", message)
        tree.stored(first, 3)
        for reader in ("leaf", "near", "far", "root"):
            tree.reads(reader, first, 3)


def old_answer(tree):
    """an old answer, word for word, in place of the new one"""
    replayed(tree, raised=False)


def old_answer_as_newest(tree):
    """old blocks as the newest version"""
    replayed(tree, raised=True)


def ends(tree, first, old, seconds, name="leaf"):
    """What is old is read no longer than so. Returns what comes after that; None: it can not be read."""
    until = time.monotonic() + seconds
    while True:
        begun = time.monotonic()
        try:
            found = tree.disks[name].read(first // RUN)
        except OSError:
            return None
        if found not in old:
            return found
        if begun > until:
            raise Unrefused(f"{name} still reads what is old")
        select.select([], [], [], 0.01)


def replayed(tree, raised):
    """Who reads is fooled until there are news of the root, at the next heartbeat; then, and from then on, he is not."""
    first, old, _ = genuine(tree)
    tree.write("root", first, 1)
    tree.reads("leaf", first, 1)  # it has seen something newer
    told = tree.refusals("leaf")
    tree.write("root", first, 2)

    def replace(message):
        message.blocks = [Block(new.version if raised else block.version, block.data, block.verifier)
                          for new, block in zip(message.blocks, old[message.block - first:])]

    tree.below.down = hook = Hook(lambda message: message.opcode == wire.OK and message.blocks and  # also when it asks for each alone
                                  message.block in range(first, first + RUN), replace)
    found = ends(tree, first, [run_content(first)], tree.lease)
    check(found is None, "it reads", found and found[:64])
    check(hook.count > 0, "nothing was replayed")
    tree.is_told("leaf", told)
    for _ in range(3):
        tree.read_fails("leaf", first)
    tree.below.honest()
    tree.reads("leaf", first, 2)
    tree.write("root", first, 3)
    tree.reads("leaf", first, 3)


# ---- News of the root ----

QUESTION, ANSWER = 3, 4  # first byte of COOKIE


def is_question(message):
    return message.opcode == wire.GET_COOKIES and message.cookie[:1] == bytes([QUESTION])


def is_news(message):
    return message.opcode == wire.OK and (message.cookie or b"")[:1] == bytes([ANSWER])


class Forgetful:
    """A proxy that keeps to itself what is recalled from its child, and says that the child has given it back. The child's copy of
    blocks from ${first} on stays; ${news} may do to messages whatever it likes besides."""

    def __init__(self, tree, first, news=None):
        self.tree, self.first, self.news, self.recalled = tree, first, news, 0
        tree.below.down = self

    def __call__(self, message):
        if message.opcode == wire.INVALIDATE and set(message.numbers()) & set(range(self.first, self.first + RUN)):
            self.recalled += 1
            answer = Message(wire.OK, message.xid, volume_id=message.volume_id, block=message.block, perm=wire.NO, count=message.count or 1)
            self.tree.below.reply(answer)
            return []
        return self.news(message) if self.news else None


def kept_copy(tree, news=None, up=None):
    """The leaf has a copy that is not the newest any more, and has not heard of it. Returns where, and what it then reads."""
    first = tree.fresh()
    tree.reads("leaf", first)
    forgetful = Forgetful(tree, first, news)
    tree.below.up = up
    begun = time.monotonic()
    tree.write("near", first, 1)
    check(forgetful.recalled > 0, "nothing was recalled")
    found = ends(tree, first, [run_content(first)], tree.lease + tree.slack)
    return first, found, time.monotonic() - begun


def recall_kept(tree):
    """a copy that was to be dropped, and news that are passed on: the leaf finds out, and asks for the block"""
    dropped = tree.leaf.volume()["news"]["outdated"]
    first, found, took = kept_copy(tree)
    check(took < tree.lease, "it took", took)
    check(tree.leaf.volume()["news"]["outdated"] > dropped, "it is not counted")
    check("as it was before what its root has" in log_of("leaf"), "it is not told")
    tree.below.honest()
    if found is None:  # for the parent it has the block
        tree.renew(tree.below)
    tree.reads("leaf", first, 1)


def stops(tree, news, up=None, told="passes no news of its root on"):
    """Nothing is read any more when a lease is over; and ${told}. When the proxy obeys again it is read."""
    lines = log_of("leaf").count(told)
    first, found, _ = kept_copy(tree, news, up)
    check(found is None, "it reads", found and found[:64])
    until(lambda: not tree.leaf.volume()["news"]["current"], "it says that there are news")
    until(lambda: log_of("leaf").count(told) > lines or lines > 0, "it does not say why")
    check("none of the root for" in hvfs("status", "--control", tree.leaf.control).stdout, "the status does not say why")
    tree.read_fails("leaf", tree.seen.at.elsewhere)
    tree.below.honest()
    until(lambda: tree.leaf.volume()["news"]["current"], "there are no news")
    tree.reads("leaf", first, 1)


def news_withheld(tree):
    """questions that are dropped, answers that are dropped, empty answers"""
    stops(tree, None, lambda message: [] if is_question(message) else None)
    stops(tree, lambda message: [] if is_news(message) else None)
    stops(tree, Hook(is_news, lambda message: message.fields.update(cookie=b"")))


def news_withheld_at_first(tree):
    """the same to a node that knows nothing yet: it has no volume before there are news, and says why"""
    tree.below.down = lambda message: [] if is_news(message) else None
    words = tree.lab.serve_words("late", "--volume", "v", "--volume-key", "v=v.writer", "--parent", "unix:below.sock", "--hb-ttl", "2s")
    starting = tree.lab.popen(*words)
    until(lambda: os.path.exists("late.log") and "no news of the root of a sealed volume" in log_of("late"), "it does not say why")
    check(starting.poll() is None, "it is ready")
    tree.below.honest()
    check(starting.wait(60) == 0, "it does not start")
    late = tree.lab.serving("late", True)
    check(late.volume()["news"]["current"], "it has no news")
    late.stop()


def refused_news(tree, change, up=None):
    """News that are changed: the link ends, each time, and a lease after the last that were right nothing is read."""
    stops(tree, Hook(is_news, change), up, told="that the root of a volume has not signed")


def news_forged(tree):
    """answers of the root with a bit flipped: in one of their fields, in the signature (`news` every_byte_counts has them all)"""
    for at in (21, -1):
        refused_news(tree, lambda message, at=at: message.fields.update(
            cookie=message.cookie[:at] + bytes([message.cookie[at] ^ 1]) + (message.cookie[at + 1:] if at != -1 else b"")))


def last_news(tree, volume_id):
    return next(message.cookie for message in reversed(tree.below.passed["down"]) if is_news(message) and message.volume_id == volume_id)


def news_replayed(tree):
    """an old answer, to another question"""
    old = last_news(tree, tree.volume_id)
    refused_news(tree, lambda message: message.fields.update(cookie=old))


def news_of_other_volume(tree):
    """the answer to a question about another volume"""
    other = {"cookie": last_news(tree, tree.other_id)}

    def change(message):
        if message.volume_id == tree.other_id:
            other["cookie"] = message.cookie
        else:
            message.fields.update(cookie=other["cookie"])

    refused_news(tree, change)


def news_cut(tree):
    """answers without what was written, or what is older"""
    def change(message):
        cookie, counts = message.cookie, message.cookie[41:45]
        if counts == bytes(4):
            return None
        message.fields.update(cookie=cookie[:41] + bytes(4) + cookie[-64:])
        return None

    refused_news(tree, change)


def question_changed(tree):
    """questions that name another place, another list, or leave out what was asked about"""
    def change(at, size):
        return Hook(is_question, lambda message: message.fields.update(cookie=message.cookie[:at] + bytes(size) + message.cookie[at + size:]))

    def cut(message):
        message.fields.update(cookie=message.cookie[:33] + bytes(2))

    for hook in (change(17, 8), change(25, 8), change(1, 16), Hook(lambda m: is_question(m) and m.cookie[33:35] != bytes(2), cut)):
        stops(tree, None, hook, told="that the root of a volume has not signed")


def long_leases(tree):
    """leases in the answers to CONNECT and HEARTBEAT that are longer than the root's: it does not help to withhold news then"""
    def change(message):
        if message.opcode == wire.OK and message.hb_ttl is not None and message.block is None:
            message.fields.update(hb_ttl=1 << 31)
        return [] if is_news(message) else [message]

    stops(tree, change)


def coming_again(tree):
    """the link ends again and again, so that each time there is a lease from the answer to CONNECT"""
    ended = threading.Event()

    def cut_often():
        while not ended.wait(tree.lease / 4):
            tree.below.cut()

    cutter = threading.Thread(target=cut_often)
    cutter.start()
    try:
        stops(tree, lambda message: [] if is_news(message) else None)
    finally:
        ended.set()
        cutter.join()


def connect_answered_twice(tree):
    """CONNECT is answered as if it was about another volume, which has to wait for news; and once more with a long lease"""
    def change(message):
        if message.opcode == wire.OK and message.session is not None and message.volume_id == tree.volume_id:
            return [message.copy(volume_id=message.volume_id + 1000), message.copy(hb_ttl=1 << 31)]
        return [] if is_news(message) else None

    stops(tree, change)


class Keeper:
    """A hook upward: what brings blocks, and what asks whether they have arrived, is answered well, and goes no further. To who
    asks for a burnt cookie it tells ${cookie}, or nothing at all."""

    def __init__(self, between, cookie=None):
        self.between, self.cookie, self.kept, self.blocks = between, cookie, 0, []

    def __call__(self, message):
        is_cookie = message.opcode == wire.GET_COOKIES
        if not is_cookie and message.opcode != wire.FLUSH:
            return None
        self.kept += 1
        self.blocks += message.blocks
        if is_cookie and self.cookie is None:
            return []
        fields = {name: message.fields[name] for name in ("volume_id", "block", "count") if name in message.fields}
        answer = Message(wire.OK, message.xid, **fields, **({"cookie": self.cookie} if is_cookie else {}))
        self.between.answer(answer)
        return []


def is_kept(tree, first, cookie, write, what):
    """${write} of these blocks is acknowledged by a proxy that keeps it, and tells ${cookie}: it has to fail, and nothing is stored"""
    tree.below.up = keeper = Keeper(tree.below, cookie)
    try:
        write()
    except OSError:
        pass
    else:
        raise Unrefused(f"{what} says that it was stored")
    finally:
        tree.below.honest()
    check(keeper.kept > 1, "nothing was kept")
    tree.stored(first, 0)
    tree.renew(tree.below)


def kept_from_root(tree):
    """a write that the proxy acknowledges, and does not pass on: fsync does not believe it, whatever cookie it is told"""
    tree.write("leaf", tree.fresh(), 1)
    burnt = next(message.cookie for message in reversed(tree.below.passed["down"]) if message.cookie)
    baked = next(message.cookie for message in reversed(tree.below.passed["up"]) if message.cookie)
    for cookie in (None, burnt, burnt[:-1] + bytes([burnt[-1] ^ 1]), bytes(len(burnt)), baked, b"", b"x"):
        first = tree.fresh()
        is_kept(tree, first, cookie, lambda first=first: tree.write("leaf", first, 1), "fsync")
        tree.write("leaf", first, 2)  # until it is there, or something over it, every fsync fails
        tree.stored(first, 2)


def epoch_that_is_not(tree):
    """CONNECT is answered with an epoch that is not, and what is sealed under that is kept: a later version than the root ever has"""
    first = tree.fresh()
    tree.below.down = hook = Hook(lambda message: message.session is not None and message.epoch is not None,
                                  lambda message: message.fields.update(epoch=1000000))
    tree.renew(tree.below)
    check(hook.count > 0, "nothing was changed")
    tree.below.up = Keeper(tree.below, b"")
    try:
        tree.write("leaf", first, 1)
    except OSError:
        pass
    else:
        raise Unrefused("fsync says that it was stored")
    tree.below.honest()
    tree.renew(tree.below)
    try:
        tree.write("leaf", first, 2)
    except OSError:
        pass  # the root does not take that version, nor what is written over it there: it is lost, and told
    tree.write("leaf", first, 3)
    tree.stored(first, 3)


def other_content(tree):
    """a write that the proxy keeps, until somebody else has made another content of that version: it takes no place, and fsync tells"""
    for _ in range(2):
        first = tree.fresh()
        tree.below.up = keeper = Keeper(tree.below, b"")
        try:
            tree.write("leaf", first, 1)
        except OSError:
            pass
        tree.below.honest()
        check(len(keeper.blocks) == RUN, "not so many blocks were kept:", len(keeper.blocks))
        tree.write("near", first, 2)
        before = log_of("leaf").count("another content of the version")
        bringing_it = request(wire.FLUSH, tree.ids[tree.above][0], first, keeper.blocks)
        answer = tree.above.ask("up", bringing_it)
        check(answer and answer.status == wire.BAD_VERIFIER, "it is answered", answer and answer.fields)
        try:
            tree.disks["leaf"].sync()
        except OSError as error:
            check(error.errno == errno.EIO, "fsync fails with", error)
        else:
            raise Unrefused("fsync says that it was stored")
        check(log_of("leaf").count("another content of the version") == before + 1, "the log does not say why")
        tree.disks["leaf"].sync()  # it is told once
        for reader in ("leaf", "near", "far", "root"):
            tree.reads(reader, first, 2)
        tree.root.flush()
        tree.stored(first, 2)


def kept_from_root_when_synchronous(tree):
    """the same, and the leaf writes synchronously: the write itself is not believed, without a fsync"""
    hvfs("set", "--control", "leaf.ctl", "write-mode=sync")
    first = tree.fresh()
    is_kept(tree, first, None, lambda: tree.disks["leaf"].write(first // RUN, run_content(first, 1)), "a synchronous write")
    tree.disks["leaf"].write(first // RUN, run_content(first, 2))
    tree.stored(first, 2)
    hvfs("set", "--control", "leaf.ctl", "write-mode=async")


def cookies_of_nobody(tree):
    """cookies that nobody has baked, old ones, and those of another volume: not burnt, but for those that are as they were"""
    first = tree.fresh()
    tree.write("leaf", first, 1)
    baked = next(message.cookie for message in reversed(tree.below.passed["up"]) if message.cookie)
    for between in tree.below, tree.above:
        volume_id, other_id = tree.ids[between]
        for number, cookie in ((volume_id, baked[:-1] + bytes([baked[-1] ^ 1])), (volume_id, baked[:30]), (volume_id, b"x"),
                               (volume_id, bytes(4096)), (other_id, baked), (0x7fffffff, baked)):
            answer = between.ask("up", Message(wire.GET_COOKIES, volume_id=number, cookie=cookie))
            check(answer and not answer.cookie, "it is burnt:", number, len(cookie))


# ---- CONNECT, counts ----

def forged_connect(tree):
    """answers to CONNECT that say another size, block size or key: the link ends, the next one is as before"""
    lies = {"block_size": 8192, "volume_size": tree.size * 2, "key": key_id("w.owner")}
    for name, value in [*lies.items(), ("volume_size", tree.size // 2), ("key", None), ("key", b"short")]:
        before = log_of("leaf").count("or the volume has another size, or key")

        def change(message, name=name, value=value):
            message.fields.pop(name)
            if value is not None:
                message.fields[name] = value

        tree.below.down = hook = Hook(lambda message: message.session is not None and message.volume_id == tree.volume_id, change, times=1)
        tree.below.cut()
        until(lambda: log_of("leaf").count("or the volume has another size, or key") > before, f"the leaf takes {name} {value}")
        check(hook.count > 0, "nothing was changed")
        tree.below.honest()
        first = tree.fresh()
        until(lambda: tree.leaf.volume()["parent"]["state"] == "connected", "the leaf does not come back")
        tree.reads("leaf", first)


def first_connect(tree):
    """the same to a node that knows nothing yet: it reads nothing, and nothing else"""
    first = tree.fresh()
    tree.below.down = Hook(lambda message: message.block_size is not None, lambda message: message.fields.update(block_size=8192))
    lied = tree.serve("lied", "writer", "below")
    disk = Direct(lied.image(), RUN * BLOCK)
    try:
        disk.read(first // RUN)
    except OSError:
        pass
    else:
        raise Unrefused("it reads")
    finally:
        disk.close()
        tree.below.honest()
        lied.stop()
    for lie in ({"key": None}, {"key": key_id("w.owner")}):
        def change(message, lie=lie):
            message.fields.pop("key")
            message.fields.update({name: value for name, value in lie.items() if value})

        tree.below.down = Hook(lambda message: message.key is not None, change)
        words = tree.lab.serve_words("lied", "--volume", "v", "--volume-key", "v=v.writer", "--parent", "unix:below.sock", "--io-timeout", "1s",
                                     mount=False)
        tree.fails(*words)
        tree.below.honest()


def lies_of_connect(tree):
    """flags of CONNECT that are not true: some cost time, none costs what others wrote"""
    for name, flag in CONNECT_LIES.items():
        first = tree.fresh()
        tree.below.down = hook = Hook(lambda message: message.session is not None and message.connect_flags is not None,
                                      lambda message, flag=flag: message.fields.update(connect_flags=message.connect_flags ^ flag))
        tree.renew(tree.below)
        check(hook.count > 0, "nothing was changed by", name)
        try:
            tree.reads("leaf", first)
            tree.write("leaf", first, 1)
        except OSError:
            pass  # it was told that it may not, or the two misunderstand each other
        else:
            tree.stored(first, 1)
        tree.below.honest()
        tree.renew(tree.below)
        found = tree.disks["root"].read(first // RUN)  # whatever was done to them, all see one content
        check(found in (run_content(first), run_content(first, 1)) and tree.disks["leaf"].read(first // RUN) == found, "they read", found[:64])


def oversize(tree):
    """runs that are longer than can be, or than the blocks that come, or go beyond the volume; up and down"""
    first, blocks, volume_id = genuine(tree)
    end = tree.size // BLOCK
    for fields in ({"count": 2049}, {"count": 0xffffffff}, {"count": 0}, {"count": RUN + 1}, {"block": end - 1}, {"block": (1 << 48) - 1},
                   {"block": (1 << 64) - 1}):
        for message in bringing(volume_id, first, blocks):
            answer = tree.below.ask("up", message.copy(**fields))
            check(answer is None or answer.opcode == wire.ERR, fields, "are answered", answer and answer.fields)
        place = tree.fresh()
        tree.below.down = hook = Hook(answer_of(place), lambda message, fields=fields: message.fields.update(fields), times=1)
        try:
            tree.reads("leaf", place)
        except OSError:
            pass
        check(hook.count == 1, "nothing was changed")
        tree.below.honest()
        tree.renew(tree.below)
        tree.reads("leaf", place)


# ---- A child ----

def reader_writes(tree):
    """a reader, who has no signing key, writes through a proxy and at the root: nothing of it is taken"""
    for address, between in (("proxy.sock", tree.below), ("root.sock", tree.above)):
        first, blocks, _ = genuine(tree, between)
        child = Child(address)
        child.connect("v", key_id("v.reader"))
        elsewhere = tree.fresh()
        for place, brought in ((elsewhere, blocks), (first, [Block(block.version + 5, bytes(BLOCK)) for block in blocks])):
            for opcode, flags in ((wire.PUT, wire.FORCE_SYNC), (wire.FLUSH, 0)):
                answer = child.request(opcode, place, wire.WRITE, brought, flags=flags)
                check(answer and answer.status == wire.BAD_VERIFIER, hex(opcode), "is answered", answer and answer.fields)
        answer = child.request(wire.PUT, elsewhere, wire.WRITE)  # a permission is all that it gets
        check(answer and answer.opcode == wire.OK, "PUT without bytes is answered", answer and answer.fields)
        answer = child.request(wire.FLUSH, elsewhere, wire.NO, [Block(1 << 40 | 99, bytes(BLOCK))])
        check(answer and answer.status == wire.BAD_VERIFIER, "FLUSH is answered", answer and answer.fields)
        child.ask(Message(wire.DISCONNECT, volume_id=child.volume_id))
        child.close()
        for place in first, elsewhere:
            tree.stored(place)
            tree.reads("far", place)
            tree.reads("near", place)


def other_keys(tree):
    """a child that names other keys, or none, or ones of another length"""
    for key, status in ((None, 17), (key_id("w.owner"), wire.BAD_PARAM_VALUE), (b"", wire.BAD_PARAM_VALUE), (bytes(4096), wire.BAD_PARAM_VALUE)):
        for address in ("proxy.sock", "root.sock"):
            child = Child(address)
            answer = child.connect("v", key)
            check(answer.opcode == wire.ERR and answer.status == status, "CONNECT is answered", answer.fields)
            answer = child.ask(request(wire.GET, tree.volume_id, tree.seen.at.elsewhere, [], perm=wire.READ))
            check(answer is None or answer.opcode == wire.ERR, "GET is answered", answer and answer.fields)
            child.close()


# ---- Too much ----

class Flood:
    """A child that sends the same message all the time, and does not care for answers."""

    def __init__(self, address, message, count):
        self.child = Child(address)
        self.child.connect("v", key_id("v.reader"))
        if isinstance(message, Message):
            message.fields["volume_id"] = self.child.volume_id
        self.data, self.count = message.encode() if isinstance(message, Message) else message, count
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.write, self.drain)]
        for thread in self.threads:
            thread.start()

    def write(self):
        try:
            for _ in range(self.count):
                self.child.socket.sendall(self.data)
            self.child.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def drain(self):
        try:
            while self.child.socket.recv(1 << 20):
                pass
        except OSError:
            pass

    def end(self):
        for thread in self.threads:
            thread.join(120)
            check(not thread.is_alive(), "the flood does not end")
        self.child.close()


def flooded(tree, name, message, count, links=1, most=160 << 20):
    node = next(node for node in tree.lab.nodes if node.name == name)
    before, lines = node.memory_peak(), log_of(name).count("\n")
    floods = [Flood(f"{name}.sock", message if isinstance(message, bytes) else message.copy(), count) for _ in range(links)]
    for turn in range(1, 6):
        first = tree.fresh()
        tree.write("far", first, turn)
        tree.reads("near", first, turn)
    for flood in floods:
        flood.end()
    grown = node.memory_peak() - before
    check(grown < most, f"{name} took {grown >> 20} MiB more")
    lines = log_of(name).count("\n") - lines
    check(lines <= 4 * links + 4, f"{name} wrote {lines} lines")


def all_but_last(tree, count, filled):
    """A FLUSH of so many blocks, all of which are genuine but the last: so it takes long to find out."""
    first, size = tree.many(count, filled), 256 * BLOCK
    disk = Direct(tree.leaf.image(), size)
    for piece in range(count * BLOCK // size):
        disk.read(first * BLOCK // size + piece)
    disk.close()
    blocks = {}
    for message in tree.below.passed["down"]:
        if message.opcode == wire.OK and message.volume_id == tree.volume_id and message.blocks:
            blocks.update(zip(message.numbers(), message.blocks))
    brought = [blocks[number] for number in range(first, first + count - 1)]
    last = dataclasses.replace(brought[-1])
    return request(wire.FLUSH, 0, first, [*brought, last])


def flood_of_blocks(tree):
    """messages of 1 MiB, all blocks of which are genuine but the last: memory is bounded, others are served"""
    message = all_but_last(tree, 256, filled=True)
    for name in ("proxy", "root"):
        flooded(tree, name, message, 100)
        flooded(tree, name, message, 25, links=8)


def flood_of_zeros(tree):
    """the same with zeros, 2048 in a message, which stand for much more memory than they take on the way"""
    message = all_but_last(tree, 2048, filled=False)
    for name in ("proxy", "root"):
        flooded(tree, name, message, 100)


def flood_of_cookies(tree):
    """many small requests that each would be kept until the storage is synced"""
    for name in ("root", "proxy"):
        between = tree.above if name == "root" else tree.below
        volume_id, _ = tree.ids[between]
        batch = b"".join(Message(wire.GET_COOKIES, xid, volume_id=volume_id, cookie=b"x").encode() for xid in range(20000))
        flooded(tree, name, batch, 20, links=4)


def flood_of_questions(tree):
    """as many questions for news, each with as much work as can be"""
    runs = b"".join((4 * i).to_bytes(6, "big") + (4).to_bytes(2, "big") + bytes(8) for i in range(250))
    cookie = bytes([QUESTION]) + bytes(16 + 8 + 8) + (250).to_bytes(2, "big") + runs
    for name in ("root", "proxy"):
        volume_id, _ = tree.ids[tree.above if name == "root" else tree.below]
        batch = b"".join(Message(wire.GET_COOKIES, xid, volume_id=volume_id, cookie=cookie).encode() for xid in range(2000))
        flooded(tree, name, batch, 20, links=4)


def acknowledged_for_ever(tree):
    """acknowledge and keep all that a leaf without a fsync writes: what it has to have proven some day does not grow without end"""
    leaf = tree.serve("credulous", "writer", "below", "--cache", "mem:1M")
    first, disk, content = tree.many(1024, False) // 256, Direct(leaf.image(), 256 * BLOCK), bytes(range(256)) * BLOCK
    tree.below.up = keeper = Keeper(tree.below)
    try:
        for number in range(256):
            disk.write(first + number % 4, content)
    except OSError:
        pass
    else:
        raise Unrefused("the leaf goes on to write")
    finally:
        tree.below.honest()
        with contextlib.suppress(OSError):  # so is the last fsync
            disk.close()
    check(len(keeper.blocks) > 8192, "it wrote no more than", len(keeper.blocks))
    check("has not said for long" in log_of("credulous"), "the leaf does not say why it writes no more")
    leaf.kill()


def flood_of_links(tree):
    """much to be checked, from links that end at once"""
    message, before = all_but_last(tree, 256, filled=True), tree.proxy.memory_peak()
    for _ in range(150):
        child = Child("proxy.sock")
        child.connect("v", key_id("v.reader"))
        message.fields["volume_id"] = child.volume_id
        child.send(message)
        child.close()
    tree.reads("far", tree.fresh())
    grown = tree.proxy.memory_peak() - before
    check(grown < 160 << 20, f"the proxy took {grown >> 20} MiB more")


ATTACKS = [
    own_requests, forged_push, forged_recall_answer, unasked_answers, no_bytes, volume_ids, other_volumes_requests, old_writes,
    old_write_of_what_is_not_in_memory, old_messages, old_answer, old_answer_as_newest, kept_from_root, kept_from_root_when_synchronous,
    epoch_that_is_not, other_content, cookies_of_nobody,
    forged_connect, first_connect,
    lies_of_connect, oversize, reader_writes, other_keys,
]
FLOODS = [flood_of_blocks, flood_of_zeros, flood_of_links, flood_of_cookies, flood_of_questions, acknowledged_for_ever]

# Each takes as long as a lease does, or many.
FRESHNESS = [
    recall_kept, old_answer, old_answer_as_newest, news_withheld, news_withheld_at_first, news_forged, news_replayed, news_of_other_volume,
    news_cut, question_changed, long_leases, connect_answered_twice,
    coming_again,
]


def perform(tree, attacks):
    for attack in attacks:
        try:
            attack(tree)
        except Exception as error:
            raise AssertionError(f"{attack.__name__}: {attack.__doc__}") from error
        finally:
            for between in tree.above, tree.below:
                between.honest()
        print(attack.__name__, flush=True)
        tree.all_is_well()
