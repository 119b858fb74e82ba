# SPDX-License-Identifier: MIT
"""Bad input, from the command line: an error that names the thing and the value, the right status, nothing left behind,
and everybody else served on."""
import os
import shutil
import socket
import threading

from lab import check, hvfs, main, need_fuse, read_at, write_at


def refused(*argv, status=1, names=()):
    """The command fails and its message has all of ${names} in it."""
    answer = hvfs(*argv, status=status)
    check(answer.stdout == "", "an error belongs on standard error:", answer.stdout)
    for name in names:
        check(name in answer.stderr, f"{' '.join(argv)}: no '{name}' in: {answer.stderr}")
    return answer.stderr


def bad_words():
    refused("nonsense", status=2, names=["nonsense"])
    refused("create", status=2, names=["STORE"])
    refused("create", "a.img", status=2, names=["--size"])
    refused("create", "a.img", "--size", "12Q", status=2, names=["--size", "12Q", "64K"])
    refused("create", "a.img", "--size", "1000", status=2, names=["--size", "1000", "4K"])
    refused("create", "a.img", "--size", "0", status=2, names=["--size", "0"])
    refused("create", "a.img", "--size", "9999999999T", status=2, names=["--size", "9999999999T"])
    refused("create", "a.img", "--size", "1M", "--block-size", "1000", status=2, names=["--block-size", "1000", "512"])
    refused("create", "a.img", "--size", "1M", "--block-size", "64K", status=2, names=["--block-size", "64K", "32K"])
    refused("create", "a.img", "--size", "1M", "--sise", "1", status=2, names=["--sise"])
    refused("create", "nowhere/a.img", "--size", "1M", names=["nowhere/a.img"])
    check(not os.path.exists("a.img"), "a refused create made a file")
    refused("serve", "--volume", "v=disk.img", "--hb-ttl", "30", status=2, names=["--hb-ttl", "30", "30s"])
    refused("serve", "--volume", "v=disk.img", "--write-mode", "fast", status=2, names=["--write-mode", "fast", "async"])
    refused("serve", "--volume", "v=disk.img", "--cache", "16M", status=2, names=["--cache", "16M", "mem:"])
    refused("serve", "--volume", "../v=disk.img", status=2, names=["--volume", "../v"])
    refused("serve", "--volume", "v", status=2, names=["--volume v", "--parent"])
    refused("serve", "--volume", "v=disk.img", "--listen", "nowhere", status=2, names=["--listen", "nowhere", "unix:PATH"])
    refused("serve", "--volume", "v=disk.img", "--listen", "unix:" + "x" * 200, status=2, names=["--listen", "107"])
    refused("status", "--control", "nix.ctl", names=["nix.ctl"])
    refused("stop", "--control", "nix.ctl", names=["nix.ctl"])
    refused("stop", "--timeout", "soon", status=2, names=["--timeout", "soon", "30s"])
    refused("set", status=2, names=["KEY=VALUE"])
    refused("set", "sync", status=2, names=["sync", "KEY=VALUE"])
    refused("abort", status=2, names=["VOLUME"])
    refused("umount", ".", names=["not the mount of a node"])
    refused("umount", "nix", names=["nix"])
    refused("detach", "nix.img", names=["nix.img"])
    for command in ("create", "serve", "status", "attach", "detach", "flush", "set", "umount", "abort", "stop", "demo", "help"):
        check(command in hvfs("help", command).stdout, "help", command)


def bad_lines():
    with open("hvfs.conf", "w") as file:
        file.write("name = x\n# a comment\nvolume = v=disk.img\nvolum = w\n")
    refused("serve", "-c", "hvfs.conf", status=2, names=["hvfs.conf:4", "volum"])
    with open("hvfs.conf", "w") as file:
        file.write("name = x\nvolume = v=disk.img\nttl = 20\n")
    refused("serve", "-c", "hvfs.conf", status=2, names=["hvfs.conf:3", "ttl", "20", "20m"])
    refused("serve", "-c", "nix.conf", status=2, names=["nix.conf"])


def serve_words(name):
    return ["serve", "--name", name, "--control", f"{name}.ctl", "--log-level", "error", "--daemon"]


def bad_stores():
    refused(*serve_words("x"), "--volume", "v=nix.img", names=["nix.img"])
    with open("plain.img", "wb") as file:
        file.write(b"no volume of ours" * 1000)
    refused(*serve_words("x"), "--volume", "v=plain.img", names=["plain.img"])
    hvfs("create", "short.img", "--size", "8M")
    os.truncate("short.img", 4 << 20)
    refused(*serve_words("x"), "--volume", "v=short.img", names=["short.img"])
    refused("create", "disk.img", "--size", "1M", names=["disk.img"])
    check(not os.path.exists("x.ctl"), "a refused node left its control socket")


def store_in_use():
    refused(*serve_words("x"), "--volume", "w=disk.img", names=["disk.img", "use"])


def mount_point_in_use():
    hvfs("create", "other.img", "--size", "8M")
    refused(*serve_words("x"), "--volume", "w=other.img", "--mount", "root", names=["root"])
    refused(*serve_words("x"), "--volume", "w=other.img", "--mount", "nowhere", names=["nowhere"])
    with open("file", "w"):
        pass
    refused(*serve_words("x"), "--volume", "w=other.img", "--mount", "file", names=["file"])


def sockets_in_use():
    refused(*serve_words("x"), "--volume", "w=other.img", "--listen", "unix:root.sock", names=["root.sock"])
    refused("serve", "--name", "x", "--volume", "w=other.img", "--control", "root.ctl", "--daemon", names=["root.ctl"])
    refused(*serve_words("x"), "--volume", "w=other.img", "--listen", "unix:nowhere/x.sock", names=["nowhere/x.sock"])
    with open("no-socket", "w"):
        pass
    refused(*serve_words("x"), "--volume", "w=other.img", "--listen", "unix:no-socket", names=["no-socket"])
    check(os.path.exists("no-socket"), "a file that is no socket was removed")


def tcp_needs_insecure():
    for address in ("0.0.0.0:17001", "[::]:17001", "192.0.2.1:17001"):
        refused(*serve_words("x"), "--volume", "w=other.img", "--listen", address, status=2, names=["--insecure", "--key FILE", address])
    for address in ("192.0.2.1:17001", "[2001:db8::1]:17001", "nowhere.invalid:17001"):
        for parents in (address, f"unix:root.sock,{address}"):
            refused(*serve_words("x"), "--volume", "v", "--parent", parents, status=2, names=["--insecure", "--key FILE", f"--parent {address}"])
    check(not os.path.exists("x.ctl"), "a refused node left its control socket")
    refused(*serve_words("x"), "--volume", "v", "--parent", "nowhere.invalid:17001", "--insecure", "--io-timeout", "1s", names=["nowhere.invalid"])
    refused(*serve_words("x"), "--volume", "w=other.img", "--listen", "127.0.0.1:99999", status=2, names=["99999", "65535"])


def stale_sockets(lab):
    """What a killed node left is replaced."""
    node = lab.serve("other", "--volume", "w=other.img", "--listen", "unix:other.sock")
    node.kill()
    check(os.path.exists("other.sock") and os.path.exists("other.ctl"), "a killed node can not have removed its sockets")
    lab.serve("other", "--volume", "w=other.img", "--listen", "unix:other.sock").stop()


def unknown_volume():
    refused(*serve_words("x"), "--volume", "nix", "--parent", "unix:root.sock", names=["nix"])
    check(not os.path.exists("x.ctl"), "a refused node left its control socket")


class Nonsense:
    """A server that answers everything with bytes that are no hvfs."""

    def __init__(self, path, answer):
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()
        self.answer = answer
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.server.accept()
                client.recv(65536)
                client.sendall(self.answer)
                client.recv(65536)
                client.close()
            except OSError:
                return


def parent_is_no_hvfs():
    for number, answer in enumerate((b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 4000, os.urandom(100000))):
        path = f"nonsense{number}.sock"
        server = Nonsense(path, answer)
        refused(*serve_words("x"), "--volume", "v", "--parent", f"unix:{path}", names=[path])
        server.server.close()


def test(lab):
    bad_words()
    bad_lines()
    need_fuse()
    root = lab.root()
    bad_stores()
    store_in_use()
    mount_point_in_use()
    sockets_in_use()
    tcp_needs_insecure()
    stale_sockets(lab)
    unknown_volume()
    parent_is_no_hvfs()
    # After all that, the root serves on.
    leaf = lab.leaf("leaf")
    write_at(leaf.image(), 0, b"still here")
    check(read_at(root.image(), 0, 10) == b"still here", "the root does not serve on")
    lab.stop_all()
    shutil.rmtree("leaf")


main(test)
