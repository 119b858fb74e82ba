# SPDX-License-Identifier: MIT
"""sync: what is acknowledged has its place at the root, and survives the death of every node below; async: after fsync.
A read-only node, and a node of a read-only root: no writes, but reads of what others write."""
import errno
import os

from lab import BLOCK, check, hvfs, main, need_fuse, read_at, run, write_at


def sync_survives(lab):
    lab.proxy("proxy")
    leaf = lab.leaf("leaf", "--write-mode", "sync", parent="proxy")
    for number in range(20):
        write_at(leaf.image(), number * 3000, bytes([number + 1]) * 3000)
    leaf.kill()
    lab.nodes[-1].kill()  # the proxy
    check(read_at("root/v.img", 0, 60000) == b"".join(bytes([n + 1]) * 3000 for n in range(20)), "an acknowledged write is lost")


def fsync_survives(lab):
    lab.proxy("proxy2")
    leaf = lab.leaf("leaf2", "--write-mode", "async", parent="proxy2")
    for number in range(20):
        write_at(leaf.image(), (1 << 20) + number * 3000, bytes([number + 1]) * 3000, sync=number == 19)
    leaf.kill()
    lab.nodes[-1].kill()
    check(read_at("root/v.img", 1 << 20, 60000) == b"".join(bytes([n + 1]) * 3000 for n in range(20)), "a synced write is lost")


def cannot_write(image):
    check(os.stat(image).st_mode & 0o222 == 0, "mode", oct(os.stat(image).st_mode))
    try:
        fd = os.open(image, os.O_RDWR)
    except OSError as error:
        check(error.errno in (errno.EROFS, errno.EACCES), "the wrong error:", error)
        return
    try:
        os.pwrite(fd, b"x", 0)
    except OSError as error:
        check(error.errno in (errno.EROFS, errno.EBADF), "the wrong error:", error)
        return
    finally:
        os.close(fd)
    raise AssertionError(f"{image} was written")


def read_only_leaf(lab):
    reader = lab.leaf("reader", "--read-only")
    cannot_write(reader.image())
    for text in (b"first", b"second"):
        write_at("root/v.img", 2 << 20, text)
        check(read_at(reader.image(), 2 << 20, len(text)) == text, "the reader reads something else")
    if os.geteuid() == 0 and os.path.exists("/dev/loop-control"):
        device = lab.attach(reader.image())
        check(run("blockdev", "--getro", device).stdout.strip() == "1", "a device on a read-only image can be written")
        check(read_at(device, 2 << 20, 6) == b"second", "through the device")
        hvfs("detach", reader.image())
        lab.devices.remove(device)
    reader.stop()


def read_only_root(lab):
    lab.create("ro.img", "8M")
    root = lab.serve("ro", "--volume", "w=ro.img", "--listen", "unix:ro.sock", "--read-only")
    leaf = lab.serve("below", "--volume", "w", "--parent", "unix:ro.sock")
    cannot_write(root.image("w"))
    cannot_write(leaf.image("w"))
    check(read_at(leaf.image("w"), 8 * BLOCK, 10) == bytes(10), "the leaf reads something else")
    leaf.stop()
    root.stop()


def test(lab):
    need_fuse()
    lab.root("--hb-ttl", "1s")
    sync_survives(lab)
    fsync_survives(lab)
    read_only_leaf(lab)
    read_only_root(lab)
    lab.stop_all()


main(test)
