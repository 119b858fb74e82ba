# SPDX-License-Identifier: MIT
"""A root and a leaf: each reads what the other wrote; fsync and stop bring it to the root's disk; status says so."""
import os

from lab import BLOCK, Direct, check, hvfs, main, need_fuse, read_at, write_at


def both_directions(root, leaf):
    write_at(leaf.image(), 0, b"from the leaf")
    check(read_at(root.image(), 0, 13) == b"from the leaf", "the root reads something else")
    write_at(root.image(), 5, b"the root!")
    check(read_at(leaf.image(), 0, 14) == b"from the root!", "the leaf reads something else")


def fsync_reaches_the_disk(leaf):
    write_at(leaf.image(), 8 * BLOCK + 100, b"x" * 10000, sync=True)
    check(read_at("disk.img", 8 * BLOCK + 100, 10000) == b"x" * 10000, "fsync returned, but the root's disk has it not")


def flush_reaches_the_disk(leaf):
    write_at(leaf.image(), 99 * BLOCK, b"y" * BLOCK)
    leaf.flush("v")
    check(read_at("disk.img", 99 * BLOCK, BLOCK) == b"y" * BLOCK, "flush returned, but the root's disk has it not")
    check(leaf.volume()["dirty_bytes"] == 0, "dirty after flush")
    answer = hvfs("flush", "nix", "--control", leaf.control, status=1)
    check("nix" in answer.stderr, "flush of an unknown volume does not name it:", answer.stderr)


def image_is_right(leaf):
    st = os.stat(leaf.image())
    check(st.st_size == 64 << 20, "size", st.st_size)
    check(st.st_mode & 0o777 in (0o600, 0o660, 0o644), "mode", oct(st.st_mode))
    check(os.listdir(leaf.mount) == ["v.img"], os.listdir(leaf.mount))
    check(os.statvfs(leaf.mount).f_frsize > 0, "statvfs")


def status_is_right(root, leaf):
    """The keys that cli.md promises."""
    status = leaf.status()
    check(status["node"] == "leaf", status)
    volume = leaf.volume()
    check((volume["name"], volume["role"], volume["block_size"], volume["size"]) == ("v", "leaf", BLOCK, 64 << 20), volume)
    check(volume["dirty_bytes"] >= 0 and volume["children"] == [], volume)
    check("unix:" in volume["parent"]["addr"] and volume["parent"]["lease_ms"] > 0 and volume["parent"]["state"], volume)
    for key in ("level", "kind", "size", "used", "hits", "misses", "promotions", "demotions"):
        check(key in volume["cache"][0], f"cache[] has no {key}:", volume)
    before = volume["cache"][0]["misses"]
    write_at(root.image(), 50 << 20, b"new to the leaf")
    read_at(leaf.image(), 50 << 20, 15)
    check(leaf.volume()["cache"][0]["misses"] > before, "a miss is not counted:", leaf.volume()["cache"])
    volume = root.volume()
    check(volume["role"] == "root", volume)
    child, = volume["children"]
    check(child["name"] == "leaf" and child["state"], child)
    for key in ("addr", "blocks_read", "blocks_write"):
        check(key in child, f"children[] has no {key}:", child)
    check("leaf" in hvfs("status", "--control", root.control).stdout, "the table does not name the child")


def stop_leaves_nothing_behind(lab, root, leaf):
    data = os.urandom(3 << 20)
    write_at(leaf.image(), 10 << 20, data)
    leaf.stop()
    check(os.listdir("leaf") == [], "still mounted after stop")
    check(not os.path.exists("leaf.ctl"), "the control socket is left behind")
    check(read_at("disk.img", 10 << 20, len(data)) == data, "stop returned, but the root's disk has it not")
    check(root.volume()["children"] == [] or not any(c["blocks_write"] for c in root.volume()["children"]), root.volume())
    root.stop()
    check(not os.path.exists("root.sock"), "the listening socket is left behind")


def sigterm_is_as_stop(lab):
    import signal

    from lab import wait_readable
    root = lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock")
    leaf = lab.leaf("leaf")
    write_at(leaf.image(), 5 << 20, b"z" * 50000)
    for node in (leaf, root):
        os.kill(node.pid, signal.SIGTERM)
        wait_readable(node.pidfd)
        lab.nodes.remove(node)
        check(os.listdir(node.mount) == [], node.name, "is still mounted after SIGTERM")
    check(read_at("disk.img", 5 << 20, 50000) == b"z" * 50000, "SIGTERM lost what was written")


def whole_blocks_by_o_direct(root, leaf):
    ours, theirs = Direct(leaf.image()), Direct(root.image())
    for number in (0, 77, (64 << 20) // BLOCK - 1):
        data = os.urandom(BLOCK)
        ours.write(number, data)
        check(theirs.read(number) == data, "block", number)
    ours.close()
    theirs.close()


def the_end_is_the_end(leaf):
    """Reads stop at the end of the volume, writes beyond it fail."""
    size = 64 << 20
    check(read_at(leaf.image(), size - 10, 10) == bytes(10), "the last bytes")
    fd = os.open(leaf.image(), os.O_RDWR)
    check(os.pread(fd, 100, size - 10) == bytes(10) and os.pread(fd, 100, size) == b"", "a read beyond the end")
    try:
        check(os.pwrite(fd, b"abc", size) == 0, "a write beyond the end was taken")
    except OSError:
        pass
    os.close(fd)


def test(lab):
    need_fuse()
    root = lab.root()
    leaf = lab.leaf("leaf")
    both_directions(root, leaf)
    fsync_reaches_the_disk(leaf)
    flush_reaches_the_disk(leaf)
    the_end_is_the_end(leaf)
    whole_blocks_by_o_direct(root, leaf)
    image_is_right(leaf)
    status_is_right(root, leaf)
    stop_leaves_nothing_behind(lab, root, leaf)
    sigterm_is_as_stop(lab)


main(test)
