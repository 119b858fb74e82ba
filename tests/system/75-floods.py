# SPDX-License-Identifier: MIT
"""Peers that take all they can get, from real processes: an honest leaf goes on, status answers, memory stays bounded, and what they
took comes back. And names from the network that would be something else in a file's name, a log or a terminal."""
import os
import resource
import socket
import struct
import threading
import time

from lab import check, hvfs, is_readable, main, need_fuse, need_program, peer_pid, read_at, write_at

MIB = 1 << 20
CONNECT, OK, ERR, HEARTBEAT, GET, PUT, FLUSH, RECOVER = 1, 3, 4, 7, 0x10, 0x11, 0x12, 0x14
BAD_PARAM_VALUE, NO_SUCH_VOLUME, TOO_MANY = 4, 9, 14
PARAMS = 2
LINKS_OF_HOST, SILENT_S = 1024, 30

# What a node may take more than before, in MiB, while it is flooded. (A sanitizer's memory says nothing.)
ROOM = 150
SANITIZED = os.environ.get("HVFS_SANITIZE", "none") != "none"


# ---- Messages ----

def param(number, value):
    return struct.pack(">HH", number, len(value)) + value


def number(kind, value, size):
    return param(kind, value.to_bytes(size, "big"))


def message(opcode, *params, xid=1, end=True):
    head = struct.pack(">BBHII", opcode, 32, PARAMS if params else 0, 0, xid)
    return head + b"".join(params) + (param(0, b"") if params and end else b"")


def connect_message(volume, node_id=0xbad, name=b"bad", xid=1):
    return message(CONNECT, param(1, volume), number(3, 2, 4), number(0x16, 1, 4), number(0x17, node_id, 8), param(0x18, name),
                   number(0x19, 0, 8), param(0x1a, b""), xid=xid)


def find_param(data, wanted):
    """Its value in the first message of ${data}, or None."""
    at = 12
    while at + 4 <= len(data):
        kind, size = struct.unpack_from(">HH", data, at)
        if kind == wanted:
            return data[at + 4:at + 4 + size]
        if kind == 0:
            return None
        at += 4 + size
    return None


class Peer:
    """A connection that says what it likes."""

    def __init__(self, port=None, path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.settimeout(100)
        self.socket.connect(path or ("127.0.0.1", port))

    def send(self, data):
        """True if all of it went; else it has been cut off."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def ask(self, data):
        self.send(data)
        return self.socket.recv(65536)

    def connect(self, volume=b"v", **options):
        """Returns the VOLUME_ID, as bytes."""
        answer = self.ask(connect_message(volume, **options))
        check(answer and answer[0] == OK, "CONNECT was refused:", answer)
        return find_param(answer, 2)

    def is_closed(self, ms):
        """Within so many milliseconds; what comes is thrown away."""
        end = time.monotonic() + ms / 1000
        while is_readable(self.socket, max(0, int(1000 * (end - time.monotonic())))):
            try:
                if not self.socket.recv(1 << 20):
                    return True
            except ConnectionResetError:
                return True
        return False

    def close(self):
        self.socket.close()


# ---- What is watched ----

def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) >> 10


def files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Watch:
    """An honest leaf's fio, which must not fail, and the node that is flooded."""

    def __init__(self, lab, node, leaf):
        self.node, self.leaf, self.lab = node, leaf, lab
        self.files, self.memory, self.worst = files(node.pid), memory(node.pid), 0
        self.load = lab.popen("fio", "--name=honest", f"--filename={os.path.abspath(leaf.image())}", "--ioengine=libaio", "--direct=1",
                              "--rw=randrw", "--bs=4k", "--size=16M", "--iodepth=4", "--time_based", "--runtime=600", "--verify=crc32c",
                              "--verify_fatal=1", "--allow_file_create=0", "--output=fio.out")

    def look(self, what):
        """Does everything work, now?"""
        check(self.load.poll() is None, "fio has ended during", what)
        self.node.status()
        content = os.urandom(4096)
        write_at(self.leaf.image(), 48 * MIB, content, sync=True)
        check(read_at(self.leaf.image(), 48 * MIB, 4096) == content, "the leaf reads something else")
        self.worst = max(self.worst, memory(self.node.pid))
        check(SANITIZED or self.worst < self.memory + ROOM, f"{what}: from {self.memory} MiB to {self.worst} MiB")

    def over(self, what):
        """The peers have gone: what they had is free again."""
        deadline = time.monotonic() + 100
        while files(self.node.pid) > self.files + 2:
            check(time.monotonic() < deadline, what, "has left", files(self.node.pid) - self.files, "descriptors")
            self.node.status()
        self.look("after " + what)

    def end(self):
        self.load.terminate()
        check(self.load.wait(100) in (0, 128), "fio failed:", open("fio.out").read())


def while_flooding(watch, what, flood, count, seconds=3):
    """${flood}(stop) in so many threads."""
    stop = threading.Event()
    threads = [threading.Thread(target=flood, args=(stop,), daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch.look(what)
    stop.set()
    for thread in threads:
        thread.join(100)
        check(not thread.is_alive(), "a peer hangs")


# ---- Connections ----

def silent(watch, port, lab):
    """More than one host may have, which say nothing: others come in all the same, and they are gone after a while."""
    began = time.monotonic()
    peers = [Peer(port) for _ in range(LINKS_OF_HOST + 200)]
    watch.look("silent peers")
    check(files(watch.node.pid) <= watch.files + LINKS_OF_HOST + 2, "there are", files(watch.node.pid), "descriptors")
    check(peers[-1].is_closed(10000), "one too many was let in")
    late = lab.leaf("late")  # from another address: a unix socket
    check(time.monotonic() - began < SILENT_S, "a newcomer had to wait until they were gone")
    late.stop()
    check(peers[0].is_closed(1000 * (SILENT_S + 30)), "a silent peer is kept")
    for peer in peers:
        peer.close()
    watch.over("silent peers")


def half(watch, port):
    """The beginning of a long message, each."""
    head = message(PUT, end=False)[:2] + struct.pack(">HII", PARAMS, 0, 1)
    for start in (head + param(0x8fff, bytes(60000)) * 30, head + param(6, bytes(4096)) * 250, head[:7]):
        peers = [Peer(port) for _ in range(300)]
        for peer in peers:
            peer.send(start)
        watch.look("half messages")
        for peer in peers:
            peer.close()
    watch.over("half messages")


def come_and_go(watch, port):
    """The log does not grow with them."""
    def flood(stop):
        while not stop.is_set():
            Peer(port).close()

    before = os.path.getsize("root.log")
    while_flooding(watch, "connections that come and go", flood, 4, 5)
    watch.over("connections that come and go")
    grown = os.path.getsize("root.log") - before
    check(grown < 500000, "the log has grown by", grown)


def sessions(watch, port, lab):
    """Each connection another node, which is gone at once."""
    for node_id in range(1000, 3000):
        peer = Peer(port)
        peer.connect(node_id=node_id, name=b"x" * 255)
        peer.close()
    watch.look("sessions of nobody")
    lab.leaf("late").stop()
    watch.over("sessions of nobody")


# ---- Requests ----

def unread(watch, port):
    """Requests as fast as they go, and no answer is ever read."""
    def flood(stop):
        peer = Peer(port)
        peer.socket.settimeout(1)
        try:
            while not stop.is_set() and peer.send(message(HEARTBEAT) * 20000):
                pass
        except TimeoutError:
            pass
        peer.close()

    while_flooding(watch, "answers that nobody reads", flood, 20, 5)
    watch.over("answers that nobody reads")


def beyond_credits(watch, port):
    """Cut off."""
    peer = Peer(port)
    volume = peer.connect()
    for start in range(0, 16384, 2048):
        peer.send(message(GET, param(2, volume), number(4, start, 8), number(5, 1, 2), number(0x10, 2048, 4)))
    for _ in range(100):
        peer.send(message(GET, param(2, volume), number(4, 0, 8), number(5, 1, 2), number(0x10, 2048, 4)))
    check(peer.is_closed(60000), "who asks for more than it may is not cut off")
    peer.close()
    watch.over("requests beyond credits")


def barriers(watch, port):
    """Of those there may be many, but one is enough."""
    def flood(stop):
        peer = Peer(port)
        volume = peer.connect()
        peer.socket.settimeout(1)
        try:
            while not stop.is_set() and peer.send(message(FLUSH, param(2, volume)) * 2000):
                is_readable(peer.socket, 0) and peer.socket.recv(1 << 20)
        except TimeoutError:
            pass
        peer.close()

    while_flooding(watch, "barriers", flood, 4)
    watch.over("barriers")


FILLER = os.urandom(4096)


def claim(volume, node_id, start, count, version):
    """Bytes that were sent to a root before, and are sent again."""
    blocks = [number(0x11, version, 8) + param(6, FILLER) for _ in range(count)]
    return message(RECOVER, param(2, volume), number(4, start, 8), number(5, 0, 2), number(0x10, count, 4), number(0x17, node_id, 8),
                   number(0x22, 1, 8), number(0x15, 1, 4), number(9, 60000, 4), param(0x1a, b""), *blocks)


def claims(watch, port):
    """Of one block after another, with bytes, in the name of one node after another: decided at once, nothing is kept."""
    peer = Peer(port)
    volume = peer.connect()
    first = peer.ask(claim(volume, 0x5000, 13 * 1024, 1, (1 << 40) + 5))
    check(first[0] in (OK, ERR), "a claim is not decided at once:", first)
    answers = [0]

    def drain():
        while data := peer.socket.recv(1 << 20):
            answers[0] += len(data)

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    for node_id in range(0x5000, 0x5004):
        for start in range(13 * 1024, 16 * 1024, 128):  # beyond what the honest leaf uses
            check(peer.send(claim(volume, node_id, start, 128, (1 << 40) + 5)), "cut off")
        watch.look("claims")
    peer.socket.shutdown(socket.SHUT_WR)
    reader.join(100)
    check(answers[0] > 0, "no claim was answered")
    peer.close()
    watch.over("claims")


# ---- Names ----

BAD_NAMES = (b"/", b"a/b", b"../../x", b"..", b".", b".x", b"-x", b"a\0b", b"a\nzzforged line", b"a b", b"\x1b[31mzzred", b"a\x7f",
             "ä".encode(), b"\xc2\x9b31m", b"\xff\xfe\x80", b"%s%n%n", b"$(zzboot)", b"/" * 255)


def everything():
    return sorted(os.path.join(directory, name) for directory, _, names in os.walk(".") for name in names)


def names(watch, proxy, port):
    """As a volume's and as a node's, to a root and to a proxy: refused, and neither files nor log nor status have them."""
    before = everything()
    for listen in (port, port + 1):
        peer = Peer(listen)
        for name in BAD_NAMES:
            for request, kind in ((connect_message(name), 1), (connect_message(b"v", name=name), 0x18)):
                answer = peer.ask(request)
                check(answer[0] == ERR and find_param(answer, 0xb) == bytes([0, BAD_PARAM_VALUE]), name, "is answered with", answer)
                check(find_param(answer, 0xc) == bytes([0, kind]), name, "is answered with", answer)
        longest = peer.ask(connect_message(b"v" * 255))
        check(longest[0] == ERR and find_param(longest, 0xb) == bytes([0, NO_SUCH_VOLUME]), "the longest name:", longest)
        peer.close()
    check(everything() == before, "files:", set(everything()) ^ set(before))
    for node in (watch.node, proxy):
        shown = hvfs("status", "--control", node.control).stdout + open(f"{node.name}.log", "rb").read().decode("ascii", "strict")
        check(all(char == "\n" or char.isprintable() for char in shown), "there are control characters")
        for word in ("zz", "%n"):
            check(word not in shown, f"'{word}' is shown")
    watch.over("names")


def unknown_names(watch, proxy, lab, port):
    """Ever other names, to a proxy, which has to ask: newcomers find a place."""
    before = memory(proxy.pid)
    peer = Peer(port + 1)
    for count in range(3000):
        peer.send(connect_message(b"n%d" % count, xid=count))
        if count % 50 == 0:
            is_readable(peer.socket, 0) and peer.socket.recv(1 << 20)
    watch.look("unknown names")
    lab.leaf("late", parent="proxy").stop()
    check(SANITIZED or memory(proxy.pid) < before + ROOM, "the proxy takes", memory(proxy.pid), "MiB")
    check(len(proxy.status()["volumes"]) <= 64, "there are", len(proxy.status()["volumes"]), "volumes")
    peer.close()
    watch.over("unknown names")


# ---- Few descriptors ----

def few_descriptors(lab):
    """A node that may not have many keeps some for its storage and its clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lab.create("small.img", "1M")
    words = lab.serve_words("small", "--volume", "s=small.img", "--listen", "unix:small.sock", mount=False)
    hvfs_words = ["prlimit", "--nofile=700:700", *words]
    lab.popen(*hvfs_words).wait(100)
    node = lab.serving("small", False)
    peers = [Peer(path="small.sock") for _ in range(1000)]
    check(node.status()["ready"], "it is not ready")
    check(files(node.pid) < 600, "it has", files(node.pid), "descriptors")
    for peer in peers:
        peer.close()
    node.stop()
    check(resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, hard), "the limits of this process")


def find_port():
    """Two in a row that are free."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue


def test(lab):
    need_fuse()
    need_program("fio", "prlimit")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    port = find_port()
    root = lab.root("--listen", f"127.0.0.1:{port}")
    leaf = lab.leaf("leaf")
    proxy = lab.proxy("proxy", "--listen", f"127.0.0.1:{port + 1}")
    watch = Watch(lab, root, leaf)
    watch.look("nothing")
    silent(watch, port, lab)
    half(watch, port)
    come_and_go(watch, port)
    unread(watch, port)
    beyond_credits(watch, port)
    barriers(watch, port)
    claims(watch, port)
    names(watch, proxy, port)
    unknown_names(watch, proxy, lab, port)
    sessions(watch, port, lab)
    watch.end()
    check(peer_pid("root.ctl") == root.pid, "the root is another process")
    few_descriptors(lab)
    lab.stop_all()


main(test)
