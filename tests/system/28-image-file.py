# SPDX-License-Identifier: MIT
"""The image as a file that ordinary programs use: O_DSYNC; dd and cp over it, which truncate; umount and SIGTERM with writes just
made; a loop device that is detached without a flush; a node that finds the mount of its killed predecessor."""
import errno
import os
import signal
import threading

from lab import BLOCK, check, main, need_fuse, need_program, read_at, run, shutil, wait_readable, write_at

MIB = 1 << 20


def on_the_disk(offset, data, words):
    check(read_at("disk.img", offset, len(data)) == data, words)


def write_flagged(image, offset, data, flags):
    """Returns the descriptor, so that no close flushes."""
    fd = os.open(image, os.O_WRONLY | flags)
    check(os.pwrite(fd, data, offset) == len(data), "a short write")
    return fd


def kill(lab, node):
    """Leaves its dead mount; and starts no program, in which every open image would be closed and flushed."""
    signal.pidfd_send_signal(node.pidfd, signal.SIGKILL)
    wait_readable(node.pidfd)
    lab.nodes.remove(node)


def synchronous_survives(lab, root, leaf):
    """The root is killed as soon as the write has returned."""
    synced = [os.urandom(size) for size in (1, BLOCK, 10000, MIB)]
    fds = []
    for number, data in enumerate(synced):
        flags = os.O_SYNC if number % 2 else os.O_DSYNC
        fds.append(write_flagged((leaf if number < 3 else root).image(), number * 2 * MIB + number * 100, data, flags))
    kill(lab, root)
    for number, data in enumerate(synced):
        on_the_disk(number * 2 * MIB + number * 100, data, f"write {number} was acknowledged, but is not on the root's disk")
    root.unmount()
    root = lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock")
    for number, data in enumerate(synced):
        check(read_at(root.image(), number * 2 * MIB + number * 100, len(data)) == data, f"write {number} at the new root")
    leaf.kill()
    for fd in fds:
        try:
            os.close(fd)
        except OSError as error:  # its node is dead
            check(error.errno == errno.ENOTCONN, error)
    return root, lab.leaf("leaf")


def fill(image, byte):
    write_at(image, 0, byte * 8 * MIB, sync=True)


def dd_and_cp(leaf):
    size = os.stat(leaf.image()).st_size
    data = os.urandom(MIB)
    with open("source", "wb") as file:
        file.write(data)
    fill(leaf.image(), b"1")
    run("dd", "if=source", f"of={leaf.image()}", "bs=64K", "conv=notrunc", "seek=16")
    check(read_at(leaf.image(), 0, 3 * MIB) == b"1" * MIB + data + b"1" * MIB, "dd conv=notrunc")
    run("dd", "if=source", f"of={leaf.image()}", "bs=64K")
    check(os.stat(leaf.image()).st_size == size, "dd has changed the size to", os.stat(leaf.image()).st_size)
    check(read_at(leaf.image(), 0, 8 * MIB) == data + bytes(7 * MIB), "dd")
    on_the_disk(0, data + bytes(7 * MIB), "dd has ended, but the root's disk has it not")
    # What is a hole in the source may not be what was there before.
    os.truncate("source", 6 * MIB)
    write_at("source", 4 * MIB + 5, b"island")
    fill(leaf.image(), b"2")
    run("cp", "source", leaf.image())
    expected = read_at("source", 0, 6 * MIB) + bytes(2 * MIB)
    check(read_at(leaf.image(), 0, 8 * MIB) == expected, "cp of a file with holes")
    if shutil.which("qemu-img"):
        fill(leaf.image(), b"3")
        run("qemu-img", "convert", "-f", "raw", "-O", "raw", "source", leaf.image())
        check(read_at(leaf.image(), 0, 8 * MIB) == expected, "qemu-img convert")
    check(os.stat(leaf.image()).st_size == size, "the size is", os.stat(leaf.image()).st_size)
    try:
        os.truncate(leaf.image(), MIB)
        raise AssertionError("a truncation that would have to lose data is accepted")
    except OSError as error:
        check(error.errno == errno.EPERM, error)


def loop_released(lab, leaf):
    """losetup -d, unlike hvfs detach, flushes nothing: the release does. Then an umount, from outside."""
    device = run("losetup", "--find", "--show", "--direct-io=on", leaf.image()).stdout.strip()
    lab.devices.append(device)
    check(run("losetup", "-n", "-O", "DIO", device).stdout.strip() == "1", "losetup says of DIO:", run("losetup", "-l").stdout)
    write_at(device, 20 * MIB, b"l" * MIB)
    run("losetup", "-d", device)
    lab.devices.remove(device)


def umount_keeps(lab, leaf):
    data = os.urandom(3 * MIB)
    write_at(leaf.image(), 30 * MIB + 17, data)
    run(*(["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]), leaf.mount)
    on_the_disk(30 * MIB + 17, data, "umount returned, but the root's disk has it not")
    wait_readable(leaf.pidfd)  # the node leaves by itself
    lab.nodes.remove(leaf)


def sigterm_while_writing(lab, leaf):
    """Every write that was acknowledged is on the root's disk when the node has ended."""
    fd = os.open(leaf.image(), os.O_WRONLY)
    done, begun = [], threading.Event()

    def writer():
        try:
            while True:
                for number in range(20):
                    data = os.urandom(200000)
                    os.pwrite(fd, data, 40 * MIB + number * MIB)
                    done.append((number, data))
                begun.set()
        except OSError:
            begun.set()

    thread = threading.Thread(target=writer)
    thread.start()
    begun.wait()
    os.kill(leaf.pid, signal.SIGTERM)
    wait_readable(leaf.pidfd)
    thread.join()
    lab.nodes.remove(leaf)
    try:
        os.close(fd)
    except OSError:
        pass
    check(len(done) >= 20, "nothing was written:", len(done))
    last = dict(done)
    next_number = len(done) % 20  # this one may have been under way, unacknowledged
    for number, data in last.items():
        if number != next_number:
            on_the_disk(40 * MIB + number * MIB, data, f"write {number} was acknowledged before SIGTERM")


def dead_mount_is_taken_away(lab):
    kill(lab, lab.leaf("leaf"))
    try:
        os.listdir("leaf")
        raise AssertionError("the mount of the killed node lives")
    except OSError as error:
        check(error.errno == errno.ENOTCONN, error)
    again = lab.leaf("leaf")
    check(os.listdir("leaf") == ["v.img"], os.listdir("leaf"))
    with open("leaf.log") as file:
        check("dead mount" in file.read(), "the log does not say that a mount was taken away")
    again.stop()
    check(os.listdir("leaf") == [], "something is mounted still")


def test(lab):
    need_fuse()
    need_program("dd", "cp")
    root = lab.root("--hb-ttl", "1s")
    root, leaf = synchronous_survives(lab, root, lab.leaf("leaf"))
    dd_and_cp(leaf)
    loops = os.geteuid() == 0 and os.path.exists("/dev/loop-control") and shutil.which("losetup")
    if loops:
        loop_released(lab, leaf)
    umount_keeps(lab, leaf)
    if loops:
        on_the_disk(20 * MIB, b"l" * MIB, "a loop device was detached, the node has ended, but the root's disk has it not")
    sigterm_while_writing(lab, lab.leaf("leaf"))
    dead_mount_is_taken_away(lab)
    lab.stop_all()


main(test)
