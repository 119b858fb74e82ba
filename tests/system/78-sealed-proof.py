# SPDX-License-Identifier: MIT
"""What a fsync of a sealed volume is worth. The root is killed when what was written is on its storage: it still knows that it
is. What a parent says when it leaves proves nothing. A fsync that has failed fails again, until what was written is there, or is
known to be lost."""
import errno
import json
import os
import shutil
import signal
import socket

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, until

SEALS = "disk.img.hvfs.seals"
BLOCKS = 4096  # more than a leaf keeps without knowing that they are at the root


def start(lab):
    return lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", "--volume-key", "v=owner.key",
                     "--hb-ttl", "2s", mount=False)


def volume(node):
    """As its status says. No program is run for that: one that inherits the image closes it, which is a fsync."""
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(node.control)
        control.sendall(b'{"command":"status"}\n')
        return json.loads(control.makefile().readline())["volumes"][0]


def fsync(leaf):
    """Its error."""
    image = os.open(leaf.image(), os.O_RDWR)
    try:
        os.fsync(image)
    except OSError as error:
        return error.errno
    finally:
        try:
            os.close(image)
        except OSError:
            pass
    return 0


class Writer(Opener):
    """Writes all blocks, and keeps the image open: to close it is a fsync."""

    def __init__(self, lab, leaf, fill):
        super().__init__(lab, leaf.image())
        self.fill = fill
        check(self.do(f"all(os.pwrite(fd, bytes([{fill}]) * {BLOCK}, i * {BLOCK}) == {BLOCK} for i in range({BLOCKS}))") == "ok",
              "the writes failed")

    def again(self):
        self.write(0, bytes([self.fill]), BLOCK)

    def end(self):
        self.process.kill()
        self.process.wait()


def write(lab, leaf, fill):
    """Write, and wait until the leaf knows of most of it that it is durable, because it had to make room, or because it is old. Of
    something it does not know. Nobody has asked for a fsync."""
    syncs = volume(leaf)["latency"]["fsync"]["count"]
    writer = Writer(lab, leaf, fill)
    until(lambda: volume(leaf)["dirty_bytes"] == 0 and volume(leaf)["unstable_bytes"] < BLOCKS * BLOCK // 2,
          "what was written does not go up, or is not made room of")

    def sent():
        now = volume(leaf)
        if now["dirty_bytes"] + now["unstable_bytes"] == 0:
            writer.again()
        return now["dirty_bytes"] == 0 and now["unstable_bytes"] > 0

    until(sent, "what was written last does not go up")
    check(volume(leaf)["latency"]["fsync"]["count"] == syncs, "there was a fsync")
    return writer


def begin(lab, name, form="sealed"):
    return lab.serve(f"root-{name}", "--volume", f"v={name}.img", "--listen", f"unix:{name}.sock", "--volume-key", "v=owner.key",
                     "--at-rest", form, "--hb-ttl", "1s", "--writeback", "50ms", mount=False)


def begin_leaf(lab, name, leaf):
    return lab.serve(f"{leaf}-{name}", "--volume", "v", "--volume-key", "v=writer.key", "--parent", f"unix:{name}.sock",
                     "--writeback", "50ms")


def told_once(lab):
    """A root is killed and has served others when a writer is back: what was not synced is not taken from it any more, and a fsync
    says so. One: the cookies are not asked for it for ever."""
    lab.create("late.img")
    root, leaf = begin(lab, "late"), begin_leaf(lab, "late", "leaf")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"x", BLOCK)
    until(lambda: volume(leaf)["unstable_bytes"] == BLOCK, "nothing is sent")
    os.kill(leaf.pid, signal.SIGSTOP)
    root.kill()
    root = begin(lab, "late")
    until(lambda: volume(root)["phase"] == "serving", "the grace time does not end")
    os.kill(leaf.pid, signal.SIGCONT)
    until(lambda: volume(leaf)["rescued"]["bytes"] == BLOCK, "nothing is rescued")
    check(opener.do("os.fsync(fd)") == str(errno.EIO), "a fsync does not tell that something is lost")
    check(opener.do("os.fsync(fd)") == "ok", "it is told again")
    opener.write(0, b"y", BLOCK)
    check(opener.do("os.fsync(fd)") == "ok", "it is told again")
    opener.close()


def in_a_sync(lab, form):
    """A root is killed when a sync has ended, but the versions are not in the file yet. What was synced has taken the place of what
    somebody brings who lives: the root has to know as which version that was sealed."""
    versions = 4096 + 16 * (64 << 20) // BLOCK
    name = "sync-" + form
    lab.create(name + ".img")
    root, one, two = begin(lab, name, form), begin_leaf(lab, name, "one"), begin_leaf(lab, name, "two")
    with open(name + ".img.hvfs.seals", "rb") as file:
        before = file.read(versions)
    first, second = Opener(lab, one.image()), Opener(lab, two.image())
    first.write(0, b"x", BLOCK)
    until(lambda: volume(one)["unstable_bytes"] == BLOCK, "nothing is sent")
    second.write(0, b"y", BLOCK)
    check(second.do("os.fsync(fd)") == "ok", "a fsync fails")
    check(volume(one)["unstable_bytes"] == BLOCK, "the other does not keep what it has sent")
    two.kill()
    root.kill()
    with open(name + ".img.hvfs.seals", "r+b") as file:
        file.write(before)
    until(lambda: volume(one)["phase"] == "lapsed", "the lease does not end")
    begin(lab, name, form)
    check(first.do("os.fsync(fd)") == "ok", form + ": what was written over what was sent is at the root, and it does not know")
    first.close()


def test(lab):
    need_fuse()
    hvfs("volume-key", "new", "owner.key")
    hvfs("volume-key", "export", "owner.key", "writer.key", "--role", "writer")
    told_once(lab)
    for form in "sealed", "plain":
        in_a_sync(lab, form)
    lab.create()
    root = start(lab)
    leaf = lab.leaf("one", "--volume-key", "v=writer.key", "--cache", "mem:8M", "--writeback", "50ms")

    writer = write(lab, leaf, 1)
    root.kill()
    root = start(lab)
    check(fsync(leaf) == 0, "the root has it on its storage, and does not know")
    writer.end()

    for leave in "kill", "stop":
        shutil.copyfile(SEALS, "before")
        writer = write(lab, leaf, 2)
        getattr(root, leave)()
        shutil.copyfile("before", SEALS)  # as if all that had never come
        root = start(lab)
        for _ in range(3):
            check(fsync(leaf) == errno.EIO, leave + ":", "a fsync succeeds, and the root does not have what was written")
        writer.end()
        Writer(lab, leaf, 3).end()
        check(fsync(leaf) == 0, leave + ":", "what was written over all that is not there either")
    lab.stop_all()


main(test)
