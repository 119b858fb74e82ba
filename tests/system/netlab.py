# SPDX-License-Identifier: MIT
"""A lab of hosts: each node in a network namespace of its own, joined by a bridge in one more, linked by TCP.

The namespaces have no names: they are held by this process and by the nodes in them, and vanish with them, whatever happens.
Nothing of them is seen outside, so any number of labs share a machine. Only the network is another one: mounts, control
sockets and files of a node are where they always are.

Faults: cut() and heal() between two hosts, one way or both; partition(); reset() of what is connected; freeze() and thaw() of
a node; Node.kill() and again(). A cut drops what arrives, at the receiver, as a network would: the sender hears nothing.
"""
import ctypes
import os
import signal
import subprocess

from lab import Lab, Node, check, need_program, need_root, run, skip

CLONE_NEWNET = 0x40000000
PR_SET_CHILD_SUBREAPER = 36
PORT = 7000

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def new_namespace():
    """A file descriptor that holds it."""
    mine = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("unshare", CLONE_NEWNET)
        try:
            return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            call("setns", mine, CLONE_NEWNET)
    finally:
        os.close(mine)


def need_network():
    need_root()
    need_program("ip", "nft", "ss", "nsenter")
    try:
        hub, host = Namespace(), Host("probe", 1)
        hub.run("ip", "link", "add", "bridge", "type", "bridge")
        host.join(hub)
        host.close()
        hub.close()
    except (OSError, AssertionError) as error:
        skip(f"no network namespaces with a bridge and nft here: {error}")


class Namespace:
    def __init__(self):
        self.fd = new_namespace()
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self.enter = ["nsenter", f"--net={self.path}"]

    def run(self, *argv, **options):
        return run(*self.enter, *argv, **options)

    def close(self):
        os.close(self.fd)


RULES = """
table inet lab {
	set silent { type ipv4_addr; }
	chain input { type filter hook input priority 0; ip saddr @silent drop; }
}
"""


class Host(Namespace):
    def __init__(self, name, number):
        super().__init__()
        self.name, self.number, self.address = name, number, f"10.0.0.{number}"
        self.silent = set()  # hosts that are not heard here

    def join(self, hub):
        hub.run("ip", "link", "add", f"port{self.number}", "type", "veth", "peer", "name", "eth0", "netns", self.path)
        hub.run("ip", "link", "set", f"port{self.number}", "master", "bridge", "up")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("nft", "-f", "-", input=RULES)

    def hear(self, host, heard):
        """From here on what ${host} sends arrives, or does not. It holds when this returns."""
        if heard == (host not in self.silent):
            return
        self.run("nft", "delete" if heard else "add", "element", "inet", "lab", "silent", f"{{ {host.address} }}")
        (self.silent.discard if heard else self.silent.add)(host)

    def reset(self, host):
        """Break what is connected with ${host}, from this end; the other is told, if the network lets it. Returns how many."""
        lines = self.run("ss", "-K", "-H", "-t", "-n", "state", "established", "dst", host.address).stdout.splitlines()
        return len(lines)


class NetNode(Node):
    """A node whose process is a child of ours, since we adopt orphans: its end and its being stopped are events."""

    status_code = None

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        check(os.WIFSTOPPED(status), f"{self.name} did not stop")

    def thaw(self):
        os.kill(self.pid, signal.SIGCONT)

    def exit_status(self):
        """As subprocess has it: negative for a signal; None while it runs."""
        if self.status_code is None and self.has_ended():
            self.status_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status_code


class NetLab(Lab):
    Node = NetNode

    def __init__(self):
        super().__init__()
        self.hosts, self.recipes, self.hub = {}, {}, None
        call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    # ---- Hosts ----

    def host(self, name):
        """The host of that name; a new one when there is none."""
        if not self.hub:
            self.hub = Namespace()
            self.hub.run("ip", "link", "add", "bridge", "type", "bridge")
            self.hub.run("ip", "link", "set", "bridge", "up")
        if name not in self.hosts:
            self.hosts[name] = Host(name, len(self.hosts) + 1)
            self.hosts[name].join(self.hub)
        return self.hosts[name]

    def address(self, name):
        return f"{self.host(name).address}:{PORT}"

    # ---- Nodes, each on the host of its name ----

    def serve_words(self, name, *flags, mount=True):
        self.recipes[name] = (flags, mount)
        return [*self.host(name).enter, *super().serve_words(name, *flags, mount=mount)]

    def root(self, *flags, store="disk.img", size="64M", create=(), **options):
        self.create(store, size, *create)
        return self.serve("root", "--volume", f"v={store}", "--listen", self.address("root"), "--insecure", *flags, **options)

    def leaf(self, name, *flags, parent="root", **options):
        return self.serve(name, "--volume", "v", "--parent", self.address(parent), "--insecure", *flags, **options)

    def proxy(self, name, *flags, parent="root", mount=False):
        return self.leaf(name, "--listen", self.address(name), *flags, parent=parent, mount=mount)

    def again(self, name):
        """Start a node that has ended, as it was started before."""
        flags, mount = self.recipes[name]
        return self.serve(name, *flags, mount=mount)

    def launch(self, name):
        """The same, without waiting: the process that ends when it is ready, or can not be. Then launched()."""
        flags, mount = self.recipes[name]
        with open(f"{name}.start", "w") as answer:
            return self.popen(*self.serve_words(name, *flags, mount=mount), stdout=answer, stderr=subprocess.STDOUT)

    def launched(self, name):
        return self.serving(name, self.recipes[name][1])

    # ---- The network ----

    def cut(self, one, other, both=True):
        """What ${one} sends to ${other} is lost; ${both}: and the other way round."""
        one, other = self.host(one), self.host(other)
        other.hear(one, False)
        if both:
            one.hear(other, False)

    def heal(self, one, other):
        one, other = self.host(one), self.host(other)
        other.hear(one, True)
        one.hear(other, True)

    def partition(self, *groups):
        """Groups of hosts that hear nothing of each other."""
        for number, group in enumerate(groups):
            for other in (name for later in groups[number + 1:] for name in later):
                for name in group:
                    self.cut(name, other)

    def heal_all(self):
        for host in self.hosts.values():
            for other in list(host.silent):
                host.hear(other, True)

    def reset(self, one, other):
        return self.host(one).reset(self.host(other))

    # ---- The end ----

    def clean_up(self):
        super().clean_up()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        for host in self.hosts.values():
            host.close()
        if self.hub:
            self.hub.close()

