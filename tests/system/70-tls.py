# SPDX-License-Identifier: MIT
"""Nodes that know each other by their keys."""
import hashlib
import json
import os
import random
import select
import shutil
import socket
import stat
import subprocess
import threading

from lab import check, hvfs, main, need_fuse, need_program, read_at, run, same_tree, write_at, write_tree


def keygen(name):
    """A key in NAME.key; its fingerprint."""
    return hvfs("keygen", f"{name}.key").stdout.strip()


def keys():
    """keygen makes keys that openssl reads, does not replace any, and refuses those that others can read."""
    fingerprint = keygen("first")
    check(stat.S_IMODE(os.stat("first.key").st_mode) == 0o600, "the key's mode is not 0600")
    if shutil.which("openssl"):
        der = subprocess.run(["openssl", "pkey", "-in", "first.key", "-pubout", "-outform", "der"], check=True, capture_output=True).stdout
        check(fingerprint == "sha256:" + hashlib.sha256(der).hexdigest(), "openssl sees another key than", fingerprint)
    with open("first.key", "rb") as file:
        before = file.read()
    check("never overwritten" in hvfs("keygen", "first.key", status=1).stderr, "no word of the key that is there")
    with open("first.key", "rb") as file:
        check(file.read() == before, "the key has changed")
    check(hvfs("keygen", "--show", "first.key").stdout.strip() == fingerprint, "--show shows another")
    check(json.loads(hvfs("keygen", "--json", "second.key").stdout)["fingerprint"] != fingerprint, "two keys are one")
    check(json.loads(hvfs("keygen", "--json", "--show", "first.key").stdout) == {"file": "first.key", "fingerprint": fingerprint},
          "not the JSON expected")
    os.chmod("first.key", 0o640)
    error = hvfs("keygen", "--show", "first.key", status=1).stderr
    check("first.key" in error and "0640" in error and "chmod 600 first.key" in error, "not clear:", error)
    os.chmod("first.key", 0o600)
    own = {**os.environ, "XDG_STATE_HOME": os.path.abspath("state")}
    if os.geteuid() != 0:
        check(run(os.environ.get("HVFS", "hvfs"), "keygen", env=own).stdout.startswith("sha256:"), "no key in the state directory")
        check(os.path.exists("state/hvfs/node.key"), "it is elsewhere")


def port():
    """One that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def log_of(name):
    with open(f"{name}.log", errors="replace") as file:
        return file.read()


def refused_start(lab, name, *flags, says, status=1):
    """A node that does not get up, and why."""
    result = run(*lab.serve_words(name, *flags, mount=False), status=status)
    for part in says:
        check(part in result.stderr, f"{name} does not say '{part}':", result.stderr)


class Tree:
    """root - proxy - leaf over TLS on loopback."""

    def __init__(self, lab):
        self.lab = lab
        self.prints = {name: keygen(name) for name in ("root", "proxy", "leaf", "stranger")}
        self.ports = {"root": port(), "proxy": port()}
        with open("root.acl", "w") as file:
            file.write(f"# who may\n{self.prints['proxy']} v read-write the proxy\n{self.prints['leaf']} * read-write the leaf\n")
        with open("proxy.acl", "w") as file:
            file.write(f"{self.prints['leaf']} v read-write the leaf\n")
        lab.create("disk.img", "64M")
        self.root = lab.serve("root", "--volume", "v=disk.img", "--listen", f"127.0.0.1:{self.ports['root']}", "--key", "root.key",
                              "--acl", "root.acl", "--hb-ttl", "3s")
        self.proxy = lab.serve("proxy", "--volume", "v", "--parent", self.address("root"), "--listen", f"127.0.0.1:{self.ports['proxy']}",
                               "--key", "proxy.key", "--acl", "proxy.acl", mount=False)
        self.leaf = self.serve("leaf")

    def address(self, name, pin=None):
        return f"{pin or self.prints[name]}@127.0.0.1:{self.ports[name]}"

    def serve(self, name, parent="proxy", *flags):
        return self.lab.serve(name, "--volume", "v", "--parent", self.address(parent), "--key", f"{name}.key", *flags)


def status_tells(tree):
    """Both ends are shown by their keys."""
    root, proxy, leaf = tree.root.status(), tree.proxy.status(), tree.leaf.status()
    check(root["fingerprint"] == tree.prints["root"], "root's fingerprint is", root["fingerprint"])
    child = root["volumes"][0]["children"][0]
    check((child["peer"], child["label"]) == (tree.prints["proxy"], "the proxy"), "root's child:", child)
    check(leaf["volumes"][0]["parent"]["peer"] == tree.prints["proxy"], "leaf's parent:", leaf["volumes"][0]["parent"])
    check(leaf["volumes"][0]["parent"]["ancestors"] == [tree.address("root")], "the way up has no pin:", leaf["volumes"][0]["parent"])
    check(proxy["volumes"][0]["children"][0]["label"] == "the leaf", "proxy's child:", proxy["volumes"][0]["children"])
    text = hvfs("status", "--control", "root.ctl").stdout
    check(tree.prints["root"] in text and tree.prints["proxy"] in text, "not in:", text)
    check(f"as {tree.prints['proxy']}, the proxy" in log_of("root"), "the log does not name the proxy")


def data_passes(tree):
    text = os.urandom(300000)
    write_at(tree.leaf.image(), 12345, text, sync=True)
    check(read_at(tree.root.image(), 12345, len(text)) == text, "the root reads something else")


def ext4(tree):
    lab = tree.lab
    run("mkfs.ext4", "-q", tree.leaf.image())
    device = lab.attach(tree.leaf.image())
    lab.mount(device, "mnt")
    write_tree("mnt", random.Random(70))
    write_tree("plain", random.Random(70))
    lab.unmount("mnt")
    lab.detach(device)
    tree.leaf.flush()
    run("e2fsck", "-fn", tree.root.image())
    device = lab.attach(tree.root.image(), "--read-only")
    lab.mount(device, "mnt", "-o", "ro")
    same_tree("mnt", "plain")
    lab.unmount("mnt")
    lab.detach(device)


def wrong_pin(tree):
    """Somebody else is there than expected: both say so."""
    other = tree.prints["stranger"]
    refused_start(tree.lab, "wrong", "--volume", "v", "--parent", tree.address("root", other), "--key", "leaf.key",
                  says=[tree.prints["root"], other, "somebody else"])
    wait_for_log("root", "expects another key here than this node's")


def unknown_key(tree):
    refused_start(tree.lab, "strange", "--volume", "v", "--parent", tree.address("root"), "--key", "stranger.key",
                  says=["does not know this node's key", f"hvfs allow VOLUME {tree.prints['stranger']}"])
    wait_for_log("root", f"{tree.prints['stranger']}, is not known here")


def wait_for_log(name, text):
    """It is written when it has happened, and what has happened was told to the other end by then, or is about to be."""
    for _ in range(2000):
        if text in log_of(name):
            return
        select.select([], [], [], 0.01)
    raise AssertionError(f"'{text}' is not in {name}.log")


def plain_and_tls(tree):
    """A node without a key at a TLS port, and one with a key at a plain port."""
    refused_start(tree.lab, "plain", "--volume", "v", "--parent", f"127.0.0.1:{tree.ports['root']}", "--io-timeout", "1s",
                  says=["127.0.0.1"])
    check("does it want TLS" in log_of("plain"), "no word of TLS")
    wait_for_log("root", "does not speak TLS")
    at = port()
    tree.lab.create("open.img", "1M")
    tree.lab.serve("open", "--volume", "w=open.img", "--listen", f"127.0.0.1:{at}", mount=False)
    check("TCP links are plain" in log_of("open"), "a plain root does not say that it is")
    refused_start(tree.lab, "early", "--volume", "w", "--parent", f"{tree.prints['root']}@127.0.0.1:{at}", "--key", "leaf.key",
                  says=["does not speak TLS"])


def configuration(tree):
    """What can not be right is refused with what would be."""
    lab, at = tree.lab, tree.ports["root"]
    refused_start(lab, "x", "--volume", "v", "--parent", f"127.0.0.1:{at}", "--key", "leaf.key", says=["sha256:HEX@127.0.0.1", "keygen"], status=2)
    refused_start(lab, "x", "--volume", "v", "--parent", tree.address("root"), says=["--key FILE"], status=2)
    refused_start(lab, "x", "--volume", "x=disk2.img", "--listen", "0.0.0.0:1", says=["--key FILE", "--insecure"], status=2)
    refused_start(lab, "x", "--volume", "v", "--parent", tree.address("root"), "--key", "leaf.key", "--insecure", says=["exclude each other"], status=2)
    os.chmod("stranger.key", 0o644)
    refused_start(lab, "x", "--volume", "v", "--parent", tree.address("root"), "--key", "stranger.key",
                  says=["stranger.key", "0644", "chmod 600 "])
    os.chmod("stranger.key", 0o600)
    with open("bad.acl", "w") as file:
        file.write("# fine\nsomebody v read\n")
    refused_start(lab, "x", "--volume", "v", "--parent", tree.address("root"), "--key", "leaf.key", "--acl", "bad.acl",
                  says=["bad.acl", "line 2", "somebody"])
    os.chmod("bad.acl", 0o666)
    refused_start(lab, "x", "--volume", "v", "--parent", tree.address("root"), "--key", "leaf.key", "--acl", "bad.acl",
                  says=["bad.acl", "chmod go-w"])


def nothing_leaks(tree):
    """Who has no key, or an unknown one, gets not a byte beyond the handshake; and nothing of it is readable."""
    client = socket.create_connection(("127.0.0.1", tree.ports["root"]))
    client.settimeout(30)
    client.sendall(b"\x01\x20\x40\x00" + bytes(8))
    got = b""
    try:
        while chunk := client.recv(65536):
            got += chunk
    except ConnectionResetError:
        pass
    check(len(got) < 16 and b"v" not in got, "a plain client got", got)
    if shutil.which("openssl") is None:
        return
    for version, good in (("-tls1_2", False), ("-tls1_3", True)):
        result = run("openssl", "s_client", "-connect", f"127.0.0.1:{tree.ports['root']}", version, status=None, stdin=subprocess.DEVNULL)
        text = result.stdout + result.stderr
        check(("TLSv1.3, Cipher" in text) == good, f"openssl s_client {version}:", text)
        check("root" not in text and "disk.img" not in text, "a name leaks:", text)


class Relay:
    """Passes bytes on, and keeps them: what somebody on the way sees."""

    def __init__(self, to):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = [bytearray(), bytearray()]
        self.to = to
        threading.Thread(target=self.run, daemon=True).start()

    def pump(self, source, target, seen):
        try:
            while data := source.recv(65536):
                seen.extend(data)
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def run(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pump, args=(near, far, self.seen[0]), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, self.seen[1]), daemon=True).start()


def records(data):
    """The TLS records of one direction, as (type, body)."""
    while len(data) >= 5:
        size = int.from_bytes(data[3:5], "big")
        check(data[0] in (20, 21, 22, 23) and data[1] == 3 and size <= 16640, "this is no TLS record:", bytes(data[:8]))
        yield data[0], bytes(data[5:5 + size])
        data = data[5 + size:]


def on_the_wire(tree):
    """A relay sees TLS 1.3 and neither data nor names."""
    relay = Relay(tree.ports["root"])
    node = tree.lab.serve("relayed", "--volume", "v", "--parent", f"{tree.prints['root']}@127.0.0.1:{relay.port}", "--key", "leaf.key")
    marker = b"MARKER-OF-THE-TEST" * 300
    write_at(node.image(), 1 << 20, marker, sync=True)
    node.stop()
    for seen in relay.seen:
        check(len(seen) > 1000, "the relay was not used")
        for word in (b"MARKER", b"relayed", b"root", b"disk.img"):
            check(word not in seen, word, "is readable on the wire")
    hello = next(body for kind, body in records(relay.seen[1]) if kind == 22)
    check(hello[0] == 2 and b"\x00\x2b\x00\x02\x03\x04" in hello, "the server's hello does not say TLS 1.3")
    kinds = {kind for seen in relay.seen for kind, _ in records(seen)}
    check(23 in kinds and 21 not in kinds, "records of the kinds", kinds)


def crowds(tree):
    """Half-open handshakes and two thousand connections: those who are in are served on, and others come in."""
    silent = [socket.create_connection(("127.0.0.1", tree.ports["root"])) for _ in range(20)]
    for client in silent[:10]:
        client.sendall(b"\x16\x03\x01\x02\x00\x01")
    data_passes(tree)
    flood = []
    for number in range(2000):
        client = socket.socket()
        client.setblocking(False)
        try:
            client.connect(("127.0.0.1", tree.ports["root"]))
        except BlockingIOError:
            pass
        flood.append(client)
        if len(flood) > 400:
            flood.pop(0).close()
        if number % 500 == 250:
            data_passes(tree)
        if number == 1000:
            late = tree.lab.serve("late", "--volume", "v", "--parent", tree.address("root"), "--key", "leaf.key")
            data_passes(tree)
            late.stop()
    data_passes(tree)
    for client in silent + flood:
        client.close()
    lines = log_of("root").count("is turned away")
    check(lines < 300, f"the flood has made {lines} lines of log")


def further_up(tree):
    """The proxy dies: the leaf goes to the root, whose address and key the proxy had told."""
    tree.proxy.kill()
    data_passes(tree)
    parent = tree.leaf.volume()["parent"]
    check(parent["addr"] == tree.address("root") and parent["peer"] == tree.prints["root"], "the leaf's parent is", parent)


def test(lab):
    keys()
    need_fuse()
    need_program("mkfs.ext4", "e2fsck")
    tree = Tree(lab)
    status_tells(tree)
    data_passes(tree)
    configuration(tree)
    wrong_pin(tree)
    unknown_key(tree)
    plain_and_tls(tree)
    nothing_leaks(tree)
    on_the_wire(tree)
    crowds(tree)
    if os.geteuid() == 0 and os.path.exists("/dev/loop-control"):
        ext4(tree)
    further_up(tree)
    lab.stop_all()


main(test)
