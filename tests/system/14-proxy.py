# SPDX-License-Identifier: MIT
"""A proxy passes on volumes that nobody told it about, and answers for those that nobody has. A chain of proxies."""
import socket

from lab import BLOCK, check, hvfs, main, need_fuse, read_at, write_at


def unknown_to_the_proxy(lab):
    """The proxy serves v; a leaf takes w through it."""
    leaf = lab.serve("leaf", "--volume", "w", "--parent", "unix:proxy.sock")
    write_at(leaf.image("w"), 100, b"through a proxy that did not know")
    check(read_at("root/w.img", 100, 33) == b"through a proxy that did not know", "the root reads something else")
    write_at("root/w.img", 3 * BLOCK, b"back")
    check(read_at(leaf.image("w"), 3 * BLOCK, 4) == b"back", "the leaf reads something else")
    return leaf


def unknown_to_all():
    answer = hvfs("serve", "--name", "x", "--control", "x.ctl", "--volume", "nix", "--parent", "unix:proxy.sock", "--daemon",
                  status=1)
    check("nix" in answer.stderr, "the volume is not named:", answer.stderr)


def chain(lab):
    """Four more proxies, one below the other, and a leaf at the end."""
    above = "proxy"
    for number in range(4):
        above = lab.proxy(f"p{number}", parent=above).name
    leaf = lab.leaf("deep", parent=above)
    write_at(leaf.image(), 7, b"from far below", sync=True)
    check(read_at("disk.img", 7, 14) == b"from far below", "fsync through five proxies did not reach the disk")
    write_at("root/v.img", 7, b"FROM FAR ABOVE")
    check(read_at(leaf.image(), 7, 14) == b"FROM FAR ABOVE", "the leaf reads something else")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def by_tcp(lab):
    """One hop over loopback TCP, by a parent that is not the first in the list."""
    address = f"127.0.0.1:{free_port()}"
    lab.proxy("tcp", "--listen", address)
    leaf = lab.serve("tcp-leaf", "--volume", "v", "--parent", f"unix:nowhere.sock,{address}")
    write_at(leaf.image(), 70000, b"over TCP" * 9000, sync=True)
    check(read_at("disk.img", 70000, 72000) == b"over TCP" * 9000, "the root's disk has something else")
    check(address in leaf.volume()["parent"]["addr"], "the status names another parent:", leaf.volume())


def proxy_answers_from_its_copy(lab):
    """What one leaf has read through it, the proxy has for the other."""
    one, two = lab.leaf("one", parent="proxy"), lab.leaf("two", parent="proxy")
    data = bytes(range(256)) * 4096
    write_at("root/v.img", 8 << 20, data)
    check(read_at(one.image(), 8 << 20, len(data)) == data, "one")
    check(read_at(two.image(), 8 << 20, len(data)) == data, "two")


def test(lab):
    need_fuse()
    lab.create("w.img", "16M", "--block-size", "512")
    lab.root("--volume", "w=w.img")
    lab.proxy("proxy")
    unknown_to_the_proxy(lab)
    unknown_to_all()
    chain(lab)
    by_tcp(lab)
    proxy_answers_from_its_copy(lab)
    lab.stop_all()


main(test)
