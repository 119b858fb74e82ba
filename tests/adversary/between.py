# SPDX-License-Identifier: MIT
"""A malicious proxy: between a parent and its children, at unix sockets, where it sees all messages, passes them on as it
likes, and sends its own. It has no key but what everybody has who carries the blocks."""
import collections
import os
import queue
import select
import socket
import threading

import wire

PATIENCE = 60
OWN_XIDS = 0xad000000  # what it asks itself; nobody else comes so far


class Pair:
    """A child's connection, and the one to the parent that goes with it."""

    def __init__(self, child, parent):
        self.sockets = {"up": child, "down": parent}  # what comes from there goes in that direction
        self.splitters = {"up": wire.Splitter(), "down": wire.Splitter()}

    def out(self, direction):
        return self.sockets["down" if direction == "up" else "up"]


class Between:
    """Each message that passes is given to self.up (from a child) or self.down, which returns those that go on in its place:
    a list, None for the message as it is. They are called by another thread."""

    def __init__(self, listen, parent):
        self.parent, self.up, self.down = parent, None, None
        self.passed = {"up": collections.deque(maxlen=4096), "down": collections.deque(maxlen=4096)}
        self.pairs, self.commands, self.answers = [], queue.Queue(), {}
        self.hides = False    # where else a child could go
        self.recorded = None  # a file: all bytes that come go there as well
        self.lock, self.next_xid = threading.Lock(), OWN_XIDS
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(listen)
        self.listener.listen(64)
        self.wake_in, self.wake_out = os.pipe()
        threading.Thread(target=self._run, daemon=True).start()

    # ---- For the test ----

    def honest(self):
        self.up = self.down = None

    def cut(self):
        """End all connections."""
        self._do(self._cut)

    def send(self, direction, message):
        """A message that nobody has sent, or an old one again; to or from the child that came last."""
        self._do(lambda: self._write(self.pairs[-1], direction, message.encode() if isinstance(message, wire.Message) else message))

    def ask(self, direction, message):
        """Send a request and return its answer. The other side does not see that; None: the link was closed instead."""
        message = message.copy()
        with self.lock:
            self.next_xid += 1
            message.xid = self.next_xid
            answer = self.answers[message.xid] = queue.Queue()
        self.send(direction, message)
        return answer.get(timeout=PATIENCE)

    def answer(self, message):
        """Of a hook: say so to the child that came last."""
        self._write(self.pairs[-1], "down", message.encode())

    def reply(self, message):
        """Of a hook: say so to the parent of the child that came last."""
        self._write(self.pairs[-1], "up", message.encode())

    # ---- The thread ----

    def _do(self, work):
        done = queue.Queue()
        self.commands.put((work, done))
        os.write(self.wake_out, b"x")
        result = done.get(timeout=PATIENCE)
        if isinstance(result, Exception):
            raise result

    def _run(self):
        while True:
            sockets = {s: (pair, direction) for pair in self.pairs for direction, s in pair.sockets.items()}
            ready, _, _ = select.select([self.listener, self.wake_in, *sockets], [], [])
            for s in ready:
                if s is self.listener:
                    self._accept()
                elif s == self.wake_in:
                    os.read(self.wake_in, 1)
                    self._command()
                elif sockets[s][0] in self.pairs:
                    self._read(*sockets[s])

    def _command(self):
        work, done = self.commands.get()
        try:
            work()
            done.put(None)
        except Exception as error:  # the test's affair
            done.put(error)

    def _accept(self):
        child, parent = self.listener.accept()[0], socket.socket(socket.AF_UNIX)
        try:
            parent.connect(self.parent)
        except OSError:
            child.close()
            return
        self.pairs.append(Pair(child, parent))

    def _close(self, pair):
        if pair in self.pairs:
            self.pairs.remove(pair)
            for s in pair.sockets.values():
                s.close()
        for answer in self.answers.values():
            answer.put(None)

    def _cut(self):
        for pair in list(self.pairs):
            self._close(pair)

    def _read(self, pair, direction):
        try:
            data = pair.sockets[direction].recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._close(pair)
            return
        if self.recorded:
            self.recorded.write(data)
        for message in pair.splitters[direction].feed(data):
            self._pass(pair, direction, message)

    def _pass(self, pair, direction, message):
        if message.opcode in (wire.OK, wire.ERR) and message.xid in self.answers:
            self.answers[message.xid].put(message)
            return
        if self.hides:
            message.others = [other for other in message.others if other[0] != wire.PARENT_ADDR]
        self.passed[direction].append(message)
        hook = self.up if direction == "up" else self.down
        messages = hook(message.copy()) if hook else None
        for one in [message] if messages is None else messages:
            self._write(pair, direction, one.encode())

    def _write(self, pair, direction, data):
        try:
            pair.out(direction).sendall(data)
        except OSError:
            self._close(pair)
