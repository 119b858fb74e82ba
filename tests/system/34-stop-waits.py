# SPDX-License-Identifier: MIT
"""A stop that can not go on says what it waits for, ends in time, and names what is lost."""
import os
import signal

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, read_at, wait_readable


def stop(lab, node, *flags, status):
    answer = hvfs("stop", "--control", node.control, *flags, status=status)
    check(node.has_ended(), f"{node.name} runs on after stop")  # also after one that failed
    lab.nodes.remove(node)
    return answer.stderr


def expect(words, *parts):
    for part in parts:
        check(part in words, f"no '{part}' in: {words}")


def parent_hangs(lab, root):
    leaf = lab.leaf("leaf", "--writeback", "3600s")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"a", 3 * BLOCK)
    os.kill(root.pid, signal.SIGSTOP)
    words = stop(lab, leaf, "--timeout", "5s", status=1)
    expect(words, "waiting: volume v has bytes that are not at the root (12K)", "parent unix:root.sock can not be reached, for ",
           "the stop did not end within 5000 ms", "12288 bytes")
    check(os.listdir("leaf") == [], "still mounted after stop")
    os.kill(root.pid, signal.SIGCONT)
    opener.close()


def parent_hangs_and_nothing_is_lost(lab, root):
    leaf = lab.leaf("clean")
    os.kill(root.pid, signal.SIGSTOP)
    stop(lab, leaf, "--timeout", "2s", status=0)
    os.kill(root.pid, signal.SIGCONT)
    with open("clean.log") as file:
        expect(file.read(), "nothing is lost")


def child_hangs(lab, root):
    """The lease is long: the root has to wait for the child's bytes."""
    leaf = lab.leaf("holder", "--writeback", "3600s")
    opener = Opener(lab, leaf.image())
    opener.write(0, b"b", BLOCK)
    os.kill(leaf.pid, signal.SIGSTOP)
    words = stop(lab, root, "--timeout", "2s", status=1)
    expect(words, "child holder", "has not given volume v back", "(1 blocks)")
    os.kill(leaf.pid, signal.SIGCONT)
    root = lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", "2s")
    check(opener.do("os.fsync(fd)") in ("ok", "5"), "fsync")
    opener.close()
    return root


def hung_up(lab, root):
    """The terminal of a node goes away: it leaves in order. It may be told so twice; that is no second order to stop."""
    leaf = lab.leaf("terminal", "--writeback", "3600s")
    opener = Opener(lab, leaf.image())
    opener.write(8 * BLOCK, b"h", BLOCK)
    os.kill(root.pid, signal.SIGSTOP)
    for _ in range(2):
        os.kill(leaf.pid, signal.SIGHUP)
        leaf.status()  # it has got the signal by now
    os.kill(root.pid, signal.SIGCONT)
    wait_readable(leaf.pidfd)
    lab.nodes.remove(leaf)
    check(os.listdir("terminal") == [], "still mounted after the end")
    check(read_at("disk.img", 8 * BLOCK, BLOCK) == b"h" * BLOCK, "what was written is not at the root")
    opener.close()


def node_hangs(lab):
    """A node that does not even answer: its client says so, and gives up."""
    node = lab.leaf("still")
    os.kill(node.pid, signal.SIGSTOP)
    answer = hvfs("stop", "--control", node.control, "--timeout", "4s", status=1)
    expect(answer.stderr, f"the node, pid {node.pid}, does not answer", "still.ctl")
    os.kill(node.pid, signal.SIGCONT)
    wait_readable(node.pidfd)  # it had been told
    lab.nodes.remove(node)


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "2s")
    parent_hangs(lab, root)
    parent_hangs_and_nothing_is_lost(lab, root)
    hung_up(lab, root)
    root.stop()
    root = lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", "--hb-ttl", "10s")
    child_hangs(lab, root)
    node_hangs(lab)
    lab.stop_all()


main(test)
