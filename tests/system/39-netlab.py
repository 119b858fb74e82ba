# SPDX-License-Identifier: MIT
"""The laboratory of hosts does what it says: a cut loses what is sent one way, and only that, from the moment it is made; a
reset is told; a frozen node is still; and nothing of it is seen outside."""
import os
import socket
import subprocess
import sys
import time

from lab import BLOCK, check, main, need_fuse, read_at, run, write_at
from netlab import NetLab, need_network

LISTEN = """
import socket, sys
server = socket.create_server((sys.argv[1], 7000))
print("listening", flush=True)
peer, _ = server.accept()
while True:
    try:
        words = peer.recv(100)
    except OSError as error:
        words = error.__class__.__name__.encode()
    print(words.decode(), flush=True)
    if words.startswith(b"echo"):
        peer.send(words)
    if not words or b"Error" in words:
        break
"""

TALK = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 7000))
print("connected", flush=True)
for line in sys.stdin:
    if line.startswith("say"):
        peer.send(line.encode())
    else:
        peer.settimeout(float(line))
        try:
            print(peer.recv(100).decode().strip(), flush=True)
        except OSError as error:
            print(error.__class__.__name__, flush=True)
"""


class Talk:
    """Two programs on two hosts with a connection between them."""

    def __init__(self, lab, one, other):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.listener = lab.popen(*other.enter, sys.executable, "-c", LISTEN, other.address, **pipes)
        self.heard("listening")
        self.talker = lab.popen(*one.enter, sys.executable, "-c", TALK, other.address, **pipes)
        self.told("connected")

    def say(self, words):
        print(words, file=self.talker.stdin, flush=True)

    def heard(self, expected):
        got = ""
        while expected not in got:
            got = self.listener.stdout.readline()
            check(got, f"the listener ended without hearing {expected!r}")

    def told(self, expected):
        got = self.talker.stdout.readline().strip()
        check(got == expected, f"the talker was told {got!r}, not {expected!r}")


def cuts(lab):
    talk = Talk(lab, lab.host("a"), lab.host("b"))
    talk.say("say one")
    talk.heard("say one")
    # The way there is cut: nothing arrives. It does after healing, as TCP repeats it.
    start = time.monotonic()
    lab.cut("a", "b", both=False)
    print(f"a cut takes {(time.monotonic() - start) * 1000:.0f} ms")
    check(not reaches(lab, "a", "b"), "a datagram crossed the cut")
    check(reaches(lab, "b", "a"), "the way back is cut too")
    check(reaches(lab, "a", "c") and reaches(lab, "c", "b"), "others are cut off too")
    talk.say("say two")
    lab.heal("a", "b")
    talk.heard("say two")
    # The other way.
    lab.cut("b", "a", both=False)
    check(reaches(lab, "a", "b") and not reaches(lab, "b", "a"), "the wrong way was cut")
    lab.heal_all()
    lab.partition(["a"], ["b", "c"])
    check(not reaches(lab, "a", "b") and not reaches(lab, "c", "a"), "the partition leaks")
    check(reaches(lab, "b", "c"), "the partition cuts a group")
    lab.heal_all()
    check(lab.reset("a", "b") == 1, "the connection was not found, or this kernel does not destroy sockets")
    talk.heard("Error")
    talk.say("5")
    talk.told("ConnectionAbortedError")


def reaches(lab, one, other):
    """Does a datagram? What the receiver sends to itself afterwards always does: what is not there before it never will be."""
    receive = """
import socket, sys
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.bind((sys.argv[1], 0))
print(end.getsockname()[1], flush=True)
sys.stdin.readline()
end.sendto(b"myself", end.getsockname())
print(end.recv(10).decode())
"""
    send = """
import socket, sys
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
"""
    one, other = lab.host(one), lab.host(other)
    receiver = lab.popen(*other.enter, sys.executable, "-c", receive, other.address, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
    port = receiver.stdout.readline().strip()
    run(*one.enter, sys.executable, "-c", send, other.address, port)
    return receiver.communicate("sent\n")[0].strip() == "hello"


def nodes(lab):
    """A leaf far away is seen here; frozen it is still, and killed its end is known."""
    root = lab.root("--hb-ttl", "1s")
    leaf = lab.leaf("leaf")
    write_at(leaf.image(), 0, b"x" * BLOCK, sync=True)
    check(read_at(root.image(), 0, BLOCK) == b"x" * BLOCK, "the root reads something else")
    check(lab.address("root") in leaf.volume()["parent"]["addr"], "the leaf has another parent:", leaf.volume())
    leaf.freeze()
    with open(f"/proc/{leaf.pid}/stat") as file:
        check(file.read().rpartition(")")[2].split()[0] == "T", "a frozen node is not stopped")
    leaf.thaw()
    check(read_at(leaf.image(), 0, BLOCK) == b"x" * BLOCK, "the leaf reads something else")
    leaf.kill()
    check(leaf.exit_status() == -9, "the leaf's end was", leaf.exit_status())
    leaf = lab.again("leaf")
    check(read_at(leaf.image(), 0, BLOCK) == b"x" * BLOCK, "the leaf reads something else when it is back")
    lab.stop_all()


def links():
    return run("ip", "-o", "link").stdout, os.path.isdir("/run/netns") and os.listdir("/run/netns")


def test(lab):
    need_fuse()
    need_network()
    before = links()
    cuts(lab)
    nodes(lab)
    check(links() == before, "something of the lab is seen outside:", links())


main(test, NetLab)
