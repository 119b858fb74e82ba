# SPDX-License-Identifier: MIT
"""kill -9 of a leaf: what it had synced is there, the others go on at once with their blocks and, after its lease, with the
dead one's; it comes back under its name. Then the same with the proxy between them."""
import os
import signal

from lab import BLOCK, Opener, check, hvfs, main, need_fuse, read_at, wait_readable, write_at

SYNCED = b"synced before the end"


def others_go_on(nodes):
    """Blocks that the dead one never had, written here and read there."""
    for number, node in enumerate(nodes):
        data = os.urandom(BLOCK)
        write_at(node.image(), (100 + number) * BLOCK, data, sync=True)
        for other in nodes:
            check(read_at(other.image(), (100 + number) * BLOCK, BLOCK) == data, other.name, "reads something else")


def blocks_of_the_dead(nodes):
    """Each waits until the dead one's lease is over; then it is as if the dead one had never had them."""
    for node in nodes:
        check(read_at(node.image(), 0, len(SYNCED)) == SYNCED, node.name, "has not what was synced")
        # Not synced: old or new, whole, and the same for all.
        data = read_at(node.image(), 10 * BLOCK, BLOCK)
        check(data in (bytes(BLOCK), b"u" * BLOCK), node.name, "reads a mixture")
        check(data == read_at(nodes[0].image(), 10 * BLOCK, BLOCK), node.name, "reads something else than", nodes[0].name)
    write_at(nodes[-1].image(), 10 * BLOCK, b"n" * BLOCK, sync=True)
    check(read_at(nodes[0].image(), 10 * BLOCK, BLOCK) == b"n" * BLOCK, "a block of the dead one can not be written")


def use_and_die(victim):
    write_at(victim.image(), 0, SYNCED, sync=True)
    write_at(victim.image(), 10 * BLOCK, b"u" * BLOCK)
    read_at(victim.image(), 50 * BLOCK, 20 * BLOCK)
    victim.kill()


def device_of_the_dead(lab):
    """Its loop device can not be written out any more: detach says so, and --force releases it."""
    node = lab.leaf("lost")
    device = lab.attach(node.image())
    write_at(device, 200 * BLOCK, b"w" * BLOCK)
    node.kill()
    answer = hvfs("detach", device, status=1)
    check(device in answer.stderr and "--force" in answer.stderr, "detach says:", answer.stderr)
    hvfs("detach", "--force", device)
    lab.devices.remove(device)
    check(not os.path.exists(f"/sys/block/{device[5:]}/loop"), "still attached")


def at_once_on_its_mount(lab):
    """The next one starts over the dead mount, though a program has a file open there, and the kernel has just seen it alive."""
    node = lab.leaf("again")
    opener = Opener(lab, node.image())
    opener.write(300 * BLOCK, b"x", BLOCK)
    os.stat("again")
    signal.pidfd_send_signal(node.pidfd, signal.SIGKILL)
    wait_readable(node.pidfd)
    lab.nodes.remove(node)
    node = lab.leaf("again")
    write_at(node.image(), 300 * BLOCK, b"y" * BLOCK, sync=True)
    check(opener.do("os.fsync(fd)") != "ok", "a file of the dead mount can be synced")
    opener.process.kill()
    node.stop()


def test(lab):
    need_fuse()
    root = lab.root("--hb-ttl", "2s")
    proxy = lab.proxy("proxy", "--hb-ttl", "2s")
    victim, other, below = lab.leaf("victim"), lab.leaf("other"), lab.leaf("below", parent="proxy")
    use_and_die(victim)
    others_go_on([root, other, below])
    blocks_of_the_dead([root, other, below])
    victim = lab.leaf("victim")
    others_go_on([root, victim, other, below])
    below_victim = lab.leaf("second", parent="proxy")
    use_and_die(below_victim)
    others_go_on([below, root, other, victim])
    blocks_of_the_dead([below, root, other, victim])
    if os.geteuid() == 0 and os.path.exists("/dev/loop-control"):
        device_of_the_dead(lab)
    at_once_on_its_mount(lab)
    check(not proxy.has_ended() and not root.has_ended(), "a parent died with its child")
    lab.stop_all()
    check(read_at("disk.img", 0, len(SYNCED)) == SYNCED, "the root's disk has not what was synced")


main(test)
