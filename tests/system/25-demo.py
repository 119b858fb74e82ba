# SPDX-License-Identifier: MIT
"""`hvfs demo` passes and leaves nothing behind; interrupted in the middle it fails and leaves nothing behind either."""
import os
import signal
import subprocess

from lab import HVFS, PATIENCE, check, hvfs, main, need_fuse, need_program


def nothing_left():
    check(os.listdir("tmp") == [], "left behind:", os.listdir("tmp"))
    with open("/proc/self/mountinfo") as table:
        check(os.path.abspath("tmp") not in table.read(), "something is still mounted")


def loop_devices():
    """Whose image is one of the demo's; one that is left behind has lost its directory."""
    found = set()
    for name in os.listdir("/sys/block"):
        try:
            with open(f"/sys/block/{name}/loop/backing_file") as file:
                if file.read().strip() in ("/v.img", "/v.img (deleted)"):
                    found.add(name)
        except OSError:
            pass
    return found


def interrupt(lab, mark):
    before = loop_devices()
    demo = lab.popen(HVFS, "demo", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                     env=dict(os.environ, TMPDIR=os.path.abspath("tmp")))
    seen = ""
    while mark not in seen:
        line = demo.stdout.readline()
        check(line, f"no '{mark}' in:", seen)
        seen += line
    demo.send_signal(signal.SIGTERM)
    seen += demo.stdout.read()
    check(demo.wait(PATIENCE) == 1, "an interrupted demo passed:", seen)
    nothing_left()
    check(not loop_devices() - before, "a loop device is left behind:", loop_devices())


def test(lab):
    need_fuse()
    need_program("mkfs.ext4", "debugfs", "diff", "cmp")
    os.mkdir("tmp")
    answer = hvfs("demo", env=dict(os.environ, TMPDIR=os.path.abspath("tmp")))
    check("The demo has passed" in answer.stdout, answer.stdout)
    nothing_left()
    loop = os.geteuid() == 0 and "hvfs attach" in answer.stdout
    for mark in ("$ hvfs create", "--name proxy", "$ mkfs.ext4", "$ hvfs attach", "7. leaf2"):
        if loop or "attach" not in mark:
            interrupt(lab, mark)


main(test)
