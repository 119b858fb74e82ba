# SPDX-License-Identifier: MIT
"""Messages of the protocol (docs/protocol.md, "Bytes") as objects that can be changed, also into ones that are wrong."""
import dataclasses
import struct

HEADER = struct.Struct(">BBHII")
PARAMS = 0x0002  # hdrFlags
FORCE_SYNC = 0x0001

CONNECT, DISCONNECT, OK, ERR, INVALIDATE, PUSH, HEARTBEAT, FORWARD, GET_COOKIES = 1, 2, 3, 4, 5, 6, 7, 8, 9
GET, PUT, FLUSH, LOCK, RECOVER = 0x10, 0x11, 0x12, 0x13, 0x14
NO, READ, WRITE = 0, 1, 2  # PERMISSIONS

BAD_PARAM_VALUE, BAD_VERIFIER, NO_SUCH_VOLUME, NOT_HOLDER = 4, 6, 9, 10  # STATUS

# Parameters, by name: their type and, of an integer, how long it is.
TYPES = {
    "volume_name": (0x0001, 0), "volume_id": (0x0002, 4), "connect_flags": (0x0003, 4), "block": (0x0004, 8), "perm": (0x0005, 2),
    "key": (0x0008, 0), "ttl": (0x0009, 4), "hb_ttl": (0x000a, 4), "status": (0x000b, 2), "err_param": (0x000c, 2),
    "count": (0x0010, 4), "grant": (0x0014, 8), "epoch": (0x0015, 4), "protocol": (0x0016, 4), "node_id": (0x0017, 8),
    "node_name": (0x0018, 0), "session": (0x0019, 8), "path": (0x001a, 0), "volume_size": (0x001c, 8), "block_size": (0x001d, 4), "cookie": (0x001f, 0),
}
NAMES = {number: name for name, (number, _) in TYPES.items()}
END_MSG, DATA, VERIFIER, VERSION, ZERO_RUN, EMPTY_RUN, PARENT_ADDR = 0x0000, 0x0006, 0x0007, 0x0011, 0x0012, 0x0013, 0x8001

# A block's verifier (crypto/seal.h): where each part is, of data; zeros have neither nonce nor tag.
VERIFIER_PARTS, _at = {}, 0
for _name, _size in (("kind", 1), ("generation", 4), ("version", 8), ("leaf", 2), ("leaves", 2), ("signature", 64), ("nonce", 24),
                     ("tag", 16), ("path", 32)):
    VERIFIER_PARTS[_name] = (_at, _size)
    _at += _size


def with_part(verifier, name, value):
    """The verifier with another value, an integer or bytes, as one of its parts."""
    at, size = VERIFIER_PARTS[name]
    value = value.to_bytes(size, "big") if isinstance(value, int) else value
    return verifier[:at] + value + verifier[at + size:]


def part_of(verifier, name):
    at, size = VERIFIER_PARTS[name]
    return int.from_bytes(verifier[at:at + size], "big")


@dataclasses.dataclass
class Block:
    """What a message says of a block. ${data}: its bytes; an integer: zeros, in a run that says so many; None: no bytes."""
    version: int
    data: object
    verifier: bytes = b""

    def is_zeros(self):
        return isinstance(self.data, int)


class Message:
    def __init__(self, opcode, xid=0, blocks=(), flags=0, **fields):
        self.opcode, self.hops, self.flags, self.origin, self.xid = opcode, 32, flags, 0, xid
        self.fields, self.blocks = fields, list(blocks)
        self.others = []  # parameters that are not in TYPES

    def __getattr__(self, name):
        """A parameter; None: it has none."""
        if name not in TYPES:
            raise AttributeError(name)
        return self.fields.get(name)

    def copy(self, **fields):
        other = Message(self.opcode, self.xid, [dataclasses.replace(block) for block in self.blocks], self.flags, **{**self.fields, **fields})
        other.hops, other.origin, other.others = self.hops, self.origin, list(self.others)
        return other

    def numbers(self):
        return range(self.block, self.block + (self.count or 1)) if self.block is not None else range(0)

    def encode(self):
        params = b"".join(_param(TYPES[name][0], value.to_bytes(TYPES[name][1], "big") if isinstance(value, int) else value)
                          for name, value in self.fields.items())
        params += b"".join(_param(number, value) for number, value in self.others)
        params += b"".join(_encode_block(block) for block in self.blocks)
        head = HEADER.pack(self.opcode, self.hops, self.flags | (PARAMS if params else 0), self.origin, self.xid)
        return head + params + (_param(END_MSG, b"") if params else b"")


def _param(number, value):
    return struct.pack(">HH", number, len(value)) + value


def _encode_block(block):
    head = _param(VERSION, block.version.to_bytes(8, "big"))
    if block.verifier:
        head += _param(VERIFIER, block.verifier)
    if isinstance(block.data, bytes):
        return head + _param(DATA, block.data)
    return head + _param(EMPTY_RUN if block.data is None else ZERO_RUN, (block.data or 1).to_bytes(4, "big"))


def _end_of(data):
    """Of the first message in it; 0: it is not whole yet."""
    if len(data) < HEADER.size:
        return 0
    if not HEADER.unpack_from(data)[2] & PARAMS:
        return HEADER.size
    at = HEADER.size
    while at + 4 <= len(data):
        number, size = struct.unpack_from(">HH", data, at)
        at += 4 + size
        if number == END_MSG:
            return at if at <= len(data) else 0
    return 0


def decode(data):
    """One message that is right."""
    opcode, hops, flags, origin, xid = HEADER.unpack_from(data)
    message = Message(opcode, xid, flags=flags & ~PARAMS)
    message.hops, message.origin = hops, origin
    at, version, verifier = HEADER.size, 0, b""
    while at < len(data):
        number, size = struct.unpack_from(">HH", data, at)
        value, at = bytes(data[at + 4:at + 4 + size]), at + 4 + size
        if number == VERSION:
            version = int.from_bytes(value, "big")
        elif number == VERIFIER:
            verifier = value
        elif number == DATA:
            message.blocks.append(Block(version, value, verifier))
            verifier = b""
        elif number in (ZERO_RUN, EMPTY_RUN):
            for _ in range(int.from_bytes(value, "big")):
                message.blocks.append(Block(version, 1 if number == ZERO_RUN else None, verifier))
            verifier = b""
        elif number in NAMES:
            is_number = TYPES[NAMES[number]][1] > 0
            message.fields[NAMES[number]] = int.from_bytes(value, "big") if is_number else value
        elif number != END_MSG:
            message.others.append((number, value))
    return message


class Splitter:
    """A stream of bytes as messages."""

    def __init__(self):
        self.rest = bytearray()

    def feed(self, data):
        self.rest += data
        messages = []
        while size := _end_of(self.rest):
            messages.append(decode(self.rest[:size]))
            del self.rest[:size]
        return messages
