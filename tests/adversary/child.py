# SPDX-License-Identifier: MIT
"""A malicious child: a peer that speaks the protocol and obeys no rule of it."""
import socket

import wire


class Child:
    def __init__(self, address, node_id=0x0bad, plain=None):
        """At a unix socket, or over ${plain}, which is connected."""
        self.socket = plain or socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        if plain is None:
            self.socket.connect(address)
        self.splitter, self.node_id, self.xid, self.pushed = wire.Splitter(), node_id, 1, []

    def connect(self, volume, key=None, **fields):
        """CONNECT; its answer. What it says of the volume is kept."""
        fields = {"volume_name": volume.encode(), "connect_flags": 2, **({} if key is None else {"key": key}), "protocol": 1,
                  "node_id": self.node_id, "node_name": b"bad", "session": 0, "path": self.node_id.to_bytes(8, "big"), **fields}
        answer = self.ask(wire.Message(wire.CONNECT, **fields))
        if answer and answer.opcode == wire.OK:
            self.volume_id, self.block_size = answer.volume_id, answer.block_size
        return answer

    def send(self, message):
        self.socket.sendall(message.encode())

    def ask(self, message):
        """The first answer to a request; None: the link was closed instead."""
        self.xid += 1
        message.xid = self.xid
        try:
            self.send(message)
            while True:
                data = self.socket.recv(1 << 20)
                if not data:
                    return None
                for one in self.splitter.feed(data):
                    if one.opcode in (wire.OK, wire.ERR) and one.xid == self.xid:
                        return one
                    self.pushed.append(one)
        except (BrokenPipeError, ConnectionResetError):
            return None

    def request(self, opcode, block, perm, blocks=(), **fields):
        fields = {"volume_id": self.volume_id, "block": block, "perm": perm, "count": max(1, len(blocks)), **fields}
        return self.ask(wire.Message(opcode, blocks=blocks, **fields))

    def close(self):
        self.socket.close()
