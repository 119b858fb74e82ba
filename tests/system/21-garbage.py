# SPDX-License-Identifier: MIT
"""Bytes that are no messages, to a root that serves: the sender is told or cut off, everybody else is served on."""
import random
import socket
import struct

from lab import check, hvfs, main, need_fuse, read_at, write_at


def connect(path):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(200)  # a root that never answers is a failure
    client.connect(path)
    return client


def send_all(client, data):
    """Until it is all gone or the other side has had enough."""
    try:
        client.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def cut_off(client):
    """Reads to the end of the connection."""
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    client.close()


def header(opcode, flags=0x4000):
    return struct.pack(">BBHII", opcode, 32, flags, 1, 1)


def oversized():
    """A message that never ends: optional parameters, again and again."""
    client = connect("root.sock")
    param = struct.pack(">HH", 0x8fff, 60000) + bytes(60000)
    for flags in (0x4000, 0x0002):  # whichever bit says that parameters follow
        send_all(client, header(1, flags) + param * 60)
    cut_off(client)


def random_bytes(rng):
    client = connect("root.sock")
    send_all(client, bytes([255]) + rng.randbytes(rng.randrange(20, 200000)))
    client.shutdown(socket.SHUT_WR)
    cut_off(client)


def abandoned(rng):
    """The start of something, and then nothing: as many as a careless port scanner makes."""
    clients = [connect("root.sock") for _ in range(50)]
    for client in clients:
        send_all(client, header(rng.randrange(12))[:rng.randrange(12)])
    return clients


def control_nonsense():
    for line in (b"\n", b"nonsense\n", b"{}\n", b'{"command": 5}\n', b'{"command": "nix"}\n', b'["status"]\n', b"x" * 300000):
        client = connect("root.ctl")
        send_all(client, line)
        client.shutdown(socket.SHUT_WR)
        cut_off(client)


def silent(lab):
    """Connections that never ask for anything are closed when a lease has passed."""
    lab.create("quiet.img", "1M")
    lab.serve("quiet", "--volume", "q=quiet.img", "--listen", "unix:quiet.sock", "--hb-ttl", "1s", mount=False)
    for client in [connect("quiet.sock") for _ in range(20)]:
        cut_off(client)


def works(root, leaf, text):
    write_at(leaf.image(), 12345, text)
    check(read_at(root.image(), 12345, len(text)) == text, "the root reads something else")


def test(lab):
    need_fuse()
    root = lab.root()
    leaf = lab.leaf("leaf")
    rng = random.Random(21)
    waiting = abandoned(rng)
    for number in range(30):
        random_bytes(rng)
        works(root, leaf, b"round %d" % number)
    oversized()
    works(root, leaf, b"after the oversized one")
    silent(lab)
    control_nonsense()
    works(root, leaf, b"after nonsense on the control socket")
    late = lab.leaf("late")
    works(root, late, b"for a newcomer")
    for client in waiting:
        client.close()
    check("leaf" in hvfs("status", "--control", "root.ctl").stdout, "the leaf is gone from the status")
    check(root.memory_peak() < 300 << 20, f"the root took {root.memory_peak() >> 20} MiB")
    lab.stop_all()


main(test)
