# SPDX-License-Identifier: MIT
"""A mount whose server does not answer is nobody else's trouble: other nodes start, and say what is in use."""
import os
import signal

from lab import check, hvfs, main, need_fuse


def test(lab):
    need_fuse()
    lab.create("other.img", "16M")
    root = lab.root()
    stuck = lab.serve("stuck", "--volume", "s=other.img")
    with open(stuck.image("s"), "rb") as image:
        holder = lab.popen("sleep", "600", stdin=image)  # a process that has a file on the mount
    os.kill(stuck.pid, signal.SIGSTOP)
    try:
        answer = hvfs("serve", "--name", "x", "--control", "x.ctl", "--volume", "w=disk.img", "--daemon", status=1)
        check("in use" in answer.stderr and "disk.img" in answer.stderr, "the store in use is not named:", answer.stderr)
        check(str(root.pid) in answer.stderr, "the holder is not named:", answer.stderr)
    finally:
        os.kill(stuck.pid, signal.SIGCONT)
        holder.kill()


main(test)
