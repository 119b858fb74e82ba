# SPDX-License-Identifier: MIT
"""What the system tests share: real nodes in a directory of their own, and nothing left behind.

A test is a function of a Lab, given to main(). It ends by returning (passed), by skip(reason) (meson's status 77) or by
any exception (failed: the nodes' logs are printed). Nothing here waits by sleeping: `serve --daemon` returns when the node
is ready, stop when it has ended.
"""
import functools
import json
import mmap
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

# Who is started by nohup hands on that SIGHUP is ignored, and hvfs heeds that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

HVFS = os.path.abspath(os.environ.get("HVFS") or "build/cli/hvfs")
PATIENCE = 240  # seconds until a program that hangs is a failure; no test is about time
BLOCK = 4096

for directory in ("/usr/local/sbin", "/usr/sbin", "/sbin"):
    os.environ["PATH"] += ":" + directory
os.environ["LC_ALL"] = "C"


class Skip(Exception):
    pass


def skip(reason):
    raise Skip(reason)


def need_program(*names):
    for name in names:
        if shutil.which(name) is None:
            skip(f"{name} is not installed")


def need_fuse():
    if not os.path.exists("/dev/fuse"):
        skip("there is no /dev/fuse")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        skip("this user may not open /dev/fuse")
    need_program("fusermount3")


def need_root():
    if os.geteuid() != 0:
        skip("this needs root")


def need_loop():
    need_root()
    if not os.path.exists("/dev/loop-control"):
        skip("there are no loop devices (/dev/loop-control)")


def need_filesystem(name):
    """The kernel can mount it. Loading a module is tried once."""
    subprocess.run(["modprobe", "-q", name], stderr=subprocess.DEVNULL, check=False) if shutil.which("modprobe") else None
    with open("/proc/filesystems") as file:
        if name not in file.read().split():
            skip(f"this kernel has no {name}")


def check(condition, *words):
    if not condition:
        raise AssertionError(" ".join(str(word) for word in words))


def until(condition, what):
    """Look again and again, where nothing tells when ${condition} holds."""
    for _ in range(3000):
        if condition():
            return
        select.select([], [], [], 0.01)
    raise AssertionError(what)


def run(*argv, status=0, **options):
    """Run a program to its end; its status must be ${status} (None: any)."""
    argv = [str(word) for word in argv]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
    check(status is None or result.returncode == status,
          f"{' '.join(argv)}: status {result.returncode}, expected {status}\n{result.stdout}{result.stderr}")
    return result


def hvfs(*argv, status=0, **options):
    return run(HVFS, *argv, status=status, **options)


@functools.cache
def has_flag(flag):
    """Does serve know it?"""
    return flag in hvfs("help", "serve").stdout


class Node:
    """A node in the background."""

    def __init__(self, lab, name, mount):
        self.lab, self.name, self.mount, self.control = lab, name, mount, f"{name}.ctl"
        self.pid = peer_pid(self.control)
        self.pidfd = os.pidfd_open(self.pid) if self.pid else None

    def image(self, volume="v"):
        return f"{self.mount}/{volume}.img"

    def status(self):
        return json.loads(hvfs("status", "--json", "--control", self.control).stdout)

    def volume(self, name="v"):
        return next(volume for volume in self.status()["volumes"] if volume["name"] == name)

    def flush(self, *volume):
        hvfs("flush", *volume, "--control", self.control)

    def stop(self):
        hvfs("stop", "--control", self.control)
        self.lab.nodes.remove(self)
        check(self.has_ended(), f"{self.name} runs on after stop")

    def has_ended(self):
        return is_readable(self.pidfd, 0)

    def kill(self):
        """kill -9, and take its dead mount away."""
        signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        wait_readable(self.pidfd)
        self.lab.nodes.remove(self)
        self.unmount()

    def unmount(self):
        if self.mount:
            run("fusermount3", "-u", "-z", "-q", self.mount, status=None)

    def memory_peak(self):
        """The most memory it ever had, in bytes; 0 where a sanitizer's own memory would be counted."""
        if os.environ.get("HVFS_SANITIZE", "none") != "none":
            return 0
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def is_readable(fd, ms):
    """Within so many milliseconds. Not by select(): a test of many rounds has descriptors beyond 1023."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(ms))


def wait_readable(fd):
    check(is_readable(fd, PATIENCE * 1000), "waited in vain")


def peer_pid(control):
    """The process that listens on a socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(control)
        return int.from_bytes(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)


class Lab:
    Node = Node

    def __init__(self):
        self.nodes, self.devices, self.mounts, self.processes = [], [], [], []
        self.directories = []  # elsewhere, with what is in them

    # ---- Nodes ----

    def create(self, store="disk.img", size="64M", *flags):
        hvfs("create", store, "--size", size, *flags)
        return store

    def serve_words(self, name, *flags, mount=True):
        """The command that starts a node."""
        words = [HVFS, "serve", "--name", name, "--control", f"{name}.ctl", "--log-file", f"{name}.log", "--log-level", "info"]
        if mount:
            try:
                os.mkdir(name)
            except FileExistsError:  # maybe below the dead mount of a killed node
                pass
            words += ["--mount", name]
        if "--rescue" not in flags and has_flag("--rescue"):
            words += ["--rescue", "rescue"]  # else it would be somewhere in this machine
        return [*words, *flags, "--daemon"]

    def serve(self, name, *flags, mount=True):
        """Start a node; it is ready when this returns. ${mount}: it has a mount, the directory of its name."""
        run(*self.serve_words(name, *flags, mount=mount))
        return self.serving(name, mount)

    def serving(self, name, mount):
        node = self.Node(self, name, name if mount else None)
        self.nodes.append(node)
        return node

    def root(self, *flags, store="disk.img", size="64M", create=(), **options):
        """A new volume v and its root, which listens on unix:root.sock."""
        self.create(store, size, *create)
        return self.serve("root", "--volume", f"v={store}", "--listen", "unix:root.sock", *flags, **options)

    def leaf(self, name, *flags, parent="root", **options):
        return self.serve(name, "--volume", "v", "--parent", f"unix:{parent}.sock", *flags, **options)

    def proxy(self, name, *flags, parent="root", mount=False):
        return self.leaf(name, "--listen", f"unix:{name}.sock", *flags, parent=parent, mount=mount)

    def stop_all(self):
        """Stop every node, the last started first: children before their parents."""
        for node in list(reversed(self.nodes)):
            node.stop()

    # ---- Loop devices and mounts ----

    def attach(self, image, *flags):
        device = hvfs("attach", image, *flags).stdout.strip()
        check(device.startswith("/dev/loop"), "attach printed", repr(device))
        self.devices.append(device)
        return device

    def detach(self, device):
        hvfs("detach", device)
        self.devices.remove(device)

    def mount(self, device, directory, *options):
        os.makedirs(directory, exist_ok=True)
        run("mount", *options, device, directory)
        self.mounts.append(directory)

    def unmount(self, directory):
        run("umount", directory)
        self.mounts.remove(directory)

    def popen(self, *argv, **options):
        process = subprocess.Popen([str(word) for word in argv], **options)
        self.processes.append(process)
        return process

    # ---- The end ----

    def print_logs(self):
        for name in sorted(os.listdir(".")):
            if name.endswith(".log"):
                with open(name, errors="replace") as file:
                    lines = file.readlines()[-40:]
                if lines:
                    print(f"---- {name}\n{''.join(lines)}", end="")

    def check_logs(self):
        """A node that died on its way out has told only its log."""
        for name in os.listdir("."):
            if name.endswith(".log"):
                with open(name, errors="replace") as file:
                    text = file.read()
                for mark in ("Sanitizer", "runtime error:", "broken invariant"):
                    check(mark not in text, f"{name} has '{mark}' in it")

    def kill_nodes(self):
        """What waits for their mounts gets an error then, and nothing below can hang."""
        for node in reversed(self.nodes):
            try:
                signal.pidfd_send_signal(node.pidfd, signal.SIGKILL)
                wait_readable(node.pidfd)
            except (ProcessLookupError, AssertionError):
                pass

    def clean_up(self):
        self.kill_nodes()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        for directory in reversed(self.mounts):
            run("umount", directory, status=None)
        for device in self.devices:
            hvfs("detach", "--force", device, status=None)
        for node in reversed(self.nodes):
            node.unmount()
        for directory in self.directories:
            shutil.rmtree(directory, ignore_errors=True)


def sweep_mounts(directory):
    """Whatever is still mounted there, for whatever reason. Its node ends by itself then."""
    with open("/proc/self/mountinfo") as table:
        points = [line.split()[4] for line in table]
    for point in reversed([point for point in points if point.startswith(directory + "/")]):
        if os.geteuid() == 0:
            run("umount", "-l", point, status=None)
        else:
            run("fusermount3", "-u", "-z", "-q", point, status=None)


# ---- Blocks by O_DIRECT ----

class Direct:
    """An image opened with O_DIRECT; whole blocks."""

    def __init__(self, path, block=BLOCK):
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.block = block
        self.page = mmap.mmap(-1, max(block, mmap.PAGESIZE))
        self.view = memoryview(self.page)[:block]

    def read(self, number):
        check(os.preadv(self.fd, [self.view], number * self.block) == self.block, "a short read")
        return bytes(self.view)

    def write(self, number, data):
        self.view[:] = data
        check(os.pwritev(self.fd, [self.view], number * self.block) == self.block, "a short write")

    def sync(self):
        os.fsync(self.fd)

    def close(self):
        self.view.release()
        self.page.close()
        os.close(self.fd)


def write_at(path, offset, data, sync=False):
    fd = os.open(path, os.O_WRONLY)
    try:
        while data:
            written = os.pwrite(fd, data, offset)
            data, offset = data[written:], offset + written
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_at(path, offset, size):
    fd = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while size:
            part = os.pread(fd, size, offset)
            check(part, f"{path} ends at {offset}")
            parts.append(part)
            size, offset = size - len(part), offset + len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


class Opener:
    """An image held open by a process of its own. (Whoever holds it and forks closes it in the child, and a close flushes.)"""

    PROGRAM = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
print("open", flush=True)
for line in sys.stdin:
    try:
        print("ok" if eval(line) is not False else "short", flush=True)
    except OSError as error:
        print(error.errno, flush=True)
"""

    def __init__(self, lab, image):
        self.process = lab.popen(sys.executable, "-c", self.PROGRAM, image, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(self.process.stdout.readline() == "open\n", f"{image} can not be opened")

    def do(self, expression):
        """Run an expression over fd there; "ok", or the number of an error."""
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def write(self, offset, byte, size):
        check(self.do(f"os.pwrite(fd, {byte!r} * {size}, {offset}) == {size}") == "ok", "the write failed")

    def close(self):
        self.process.stdin.close()
        check(self.process.wait(PATIENCE) == 0, "the opener failed")


# ---- File trees ----

def write_tree(directory, rng, files=80):
    """Files of 0 bytes to some hundred KiB in nested directories, with random bytes."""
    for number in range(files):
        place = os.path.join(directory, *[f"d{rng.randrange(3)}" for _ in range(rng.randrange(4))])
        os.makedirs(place, exist_ok=True)
        with open(os.path.join(place, f"file-{number}"), "wb") as file:
            file.write(rng.randbytes(rng.choice((0, 1, 511, 4096, 5000, 70000, 300000))))


def same_tree(left, right):
    run("diff", "-r", "-x", "lost+found", left, right)


# ---- A test's main ----

def report(lab):
    try:
        traceback.print_exc(file=sys.stdout)
        lab.print_logs()
        sys.stdout.flush()
    except OSError:
        pass  # nobody reads it


def _raise_exit(number, frame):
    raise SystemExit(f"ended by signal {number}")


def main(test, kind=Lab):
    """Run ${test} with a lab of that kind, and end."""
    signal.signal(signal.SIGTERM, _raise_exit)  # meson's time limit: clean up all the same
    home = os.getcwd()
    directory = tempfile.mkdtemp(prefix="hvfs-")
    os.chdir(directory)
    lab, status = kind(), 1
    try:
        test(lab)
        lab.check_logs()
        status = 0
    except Skip as reason:
        print(f"skipped: {reason}", flush=True)
        status = 77
    except BaseException:  # whatever it is, clean up after it
        report(lab)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        lab.clean_up()
        os.chdir(home)
        sweep_mounts(directory)
        shutil.rmtree(directory, ignore_errors=True)
    os._exit(status)  # not through threads or children that may hang
