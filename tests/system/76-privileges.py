# SPDX-License-Identifier: MIT
"""A node gives up what it does not need any more: started by root with --user it goes on as somebody else, without any capability;
and however it is started, in a sandbox. What a node does goes on: the mount, changes of the cache, the end, from inside and from
outside."""
import os
import pwd
import shutil
import signal
import subprocess

from lab import HVFS, check, hvfs, main, need_fuse, need_program, need_root, peer_pid, read_at, run, skip, wait_readable

ALL_CALLS, FILTERED = "0", "2"


def find_user():
    try:
        return pwd.getpwnam("nobody")
    except KeyError:
        skip("there is no user nobody")


def tasks(pid):
    """What the kernel says of each thread of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as file:
            yield {key: value.split() for key, value in (line.rstrip("\n").split(":", 1) for line in file)}


def check_sandbox(pid, seccomp=FILTERED):
    for task in tasks(pid):
        check(task["Seccomp"] == [seccomp], "Seccomp:", task["Seccomp"])
        check(task["NoNewPrivs"] == ["1" if seccomp == FILTERED else "0"], "NoNewPrivs:", task["NoNewPrivs"])


def check_user(pid, user):
    for task in tasks(pid):
        check(task["Uid"] == [str(user.pw_uid)] * 4, "Uid:", task["Uid"])
        check(task["Gid"] == [str(user.pw_gid)] * 4, "Gid:", task["Gid"])
        check("0" not in task["Groups"], "Groups:", task["Groups"])
        for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            check(int(task[name][0], 16) == 0, f"{name}:", task[name])


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def mounted(directory):
    with open("/proc/self/mountinfo") as table:
        return os.path.abspath(directory) in [line.split()[4] for line in table]


def make_place(user):
    """A directory of the user's, with a volume; and one of root's."""
    os.mkdir("data")
    hvfs("create", "data/disk.img", "--size", "64M")
    for name in ("data", "data/disk.img", "data/disk.img.hvfs"):
        os.chown(name, user.pw_uid, user.pw_gid)
    os.chmod(".", 0o755)


def fio(image, *more):
    run("fio", "--name=verify", f"--filename={image}", "--ioengine=libaio", "--direct=1", "--rw=randwrite", "--bs=4k", "--size=32M",
        "--iodepth=8", "--verify=crc32c", "--verify_fatal=1", "--randseed=76", "--allow_file_create=0", *more)


def start(lab, user, *flags):
    here = os.getcwd()
    node = lab.serve("root", "--volume", "v=data/disk.img", "--listen", "unix:root.sock", "--user", user.pw_name, "--rescue",
                     f"{here}/data/rescue", "--hb-ttl", "1s", *flags)
    check_user(node.pid, user)
    check_sandbox(node.pid)
    for name in ("root.sock", "root.ctl"):
        check(os.stat(name).st_uid == user.pw_uid, f"{name} belongs to", os.stat(name).st_uid)
    return node


def check_left(lab, pid):
    """Nothing is left of the node, nor of who has helped it."""
    for name in ("root.sock", "root.ctl"):
        check(not os.path.exists(name), name, "is still there")
    check(not mounted("root"), "the mount is still there")
    for line in run("ps", "-eo", "ppid,args").stdout.splitlines():
        check(line.split()[0] != str(pid), "a child is left:", line)


def works(lab, user):
    here = os.getcwd()
    node = start(lab, user, "--cache", f"mem:8M/disk:{here}/data/cache:64M")
    check("goes on as " + user.pw_name in open("root.log").read(), "the log does not tell who it is")
    writer = lab.popen("fio", "--name=load", f"--filename={os.path.abspath(node.image())}", "--ioengine=libaio", "--direct=1", "--rw=randrw",
                       "--bs=4k", "--size=32M", "--iodepth=4", "--time_based", "--runtime=4", "--allow_file_create=0", stdout=subprocess.DEVNULL)
    for words in (("add", "0", "mem:4M"), ("resize", "0", "8M"), ("remove", "0"), ("resize", "1", "32M"), ("remove", "1"),
                  ("add", f"disk:{here}/data/cache2:32M")):
        hvfs("cache", *words, "--control", "root.ctl")
    refused = hvfs("cache", "add", f"disk:{here}/cache3:32M", "--control", "root.ctl", status=None)
    check(refused.returncode != 0, "two levels on a disk")
    check(writer.wait(100) == 0, "fio failed while the cache was changed")
    fio(node.image())
    check_user(node.pid, user)
    check_sandbox(node.pid)
    pid = node.pid
    node.stop()
    check_left(lab, pid)
    fio("data/disk.img", "--verify_only=1")


def rights_of_files(lab, user):
    """What it can not open any more it says; what it makes is the user's."""
    here = os.getcwd()
    os.mkdir("closed", 0o700)
    node = start(lab, user)
    answer = hvfs("cache", "add", f"disk:{here}/closed/cache:32M", "--control", "root.ctl", status=1)
    check("Permission denied" in answer.stderr, answer.stderr)
    hvfs("cache", "add", f"disk:{here}/data/cache4:32M", "--control", "root.ctl")
    check(os.stat("data/cache4").st_uid == user.pw_uid, "the cache's file belongs to somebody else")
    node.stop()
    for name in os.listdir("data"):
        check(os.stat(f"data/{name}").st_uid == user.pw_uid, name, "belongs to somebody else")


def ends_from_outside(lab, user):
    for end in (["umount", "root"], [HVFS, "umount", "root"], ["kill"]):
        node = start(lab, user)
        pid = node.pid
        if end == ["kill"]:
            os.kill(pid, signal.SIGTERM)
        else:
            run(*end)
        wait_readable(node.pidfd)
        lab.nodes.remove(node)
        check_left(lab, pid)


def is_killed(lab, user):
    """The mount stays, and gives errors; the steward does not."""
    node = start(lab, user)
    steward = children(node.pid)
    check(len(steward) == 1, "there are", len(steward), "stewards")
    steward_end = os.pidfd_open(steward[0])
    signal.pidfd_send_signal(node.pidfd, signal.SIGKILL)
    wait_readable(node.pidfd)
    wait_readable(steward_end)
    check(mounted("root"), "the mount is gone")
    lab.nodes.remove(node)
    again = start(lab, user)
    read_at(again.image(), 0, 4096)  # when the grace time is over
    again.stop()


def steward_is_killed(lab, user):
    """Nobody takes the mount away then, but the node ends."""
    node = start(lab, user)
    os.kill(children(node.pid)[0], signal.SIGKILL)
    hvfs("stop", "--control", "root.ctl")
    wait_readable(node.pidfd)
    lab.nodes.remove(node)
    node.unmount()
    for name in ("root.sock", "root.ctl"):
        os.unlink(name)


def refuses(lab, user, words, *flags):
    answer = run(*lab.serve_words("root", "--volume", "v=data/disk.img", "--listen", "unix:root.sock", *flags), status=None)
    check(answer.returncode != 0, "it was started:", flags)
    for word in words:
        check(word in answer.stderr, f"no '{word}' in:", answer.stderr)
    check(not mounted("root") and not os.path.exists("root.sock"), "something is left")


def configuration(lab, user):
    refuses(lab, user, ["--user", "root"], "--user", "root")
    refuses(lab, user, ["--user", "no user"], "--user", "nobody-of-this-name")
    refuses(lab, user, ["--user", "no group"], "--user", f"{user.pw_name}:no-such-group")
    os.chown("data", 0, 0)
    refuses(lab, user, ["disk.img", "Permission denied"], "--user", user.pw_name)
    os.chown("data", user.pw_uid, user.pw_gid)
    open("acl", "w").close()
    os.chmod("acl", 0o600)
    refuses(lab, user, ["--acl", "can not write"], "--user", user.pw_name, "--acl", os.path.abspath("acl"))
    os.unlink("acl")


def not_root(lab, user):
    """An ordinary user can not become another one; and is sandboxed, too."""
    need_program("setpriv")
    program = shutil.copy(HVFS, "data/hvfs")
    prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    words = [program, "serve", "--name", "n", "--control", "data/n.ctl", "--rescue", "data/rescue", "--volume", "v=data/disk.img", "--daemon"]
    answer = run(*prefix, *words, "--user", "daemon", status=2)
    check("only root" in answer.stderr, answer.stderr)
    run(*prefix, *words, "--user", user.pw_name)
    pid = peer_pid("data/n.ctl")
    check_user(pid, user)
    check_sandbox(pid)
    hvfs("stop", "--control", "data/n.ctl")


def as_root(lab):
    """Root that stays root, with and without the sandbox."""
    for flags, seccomp in (((), FILTERED), (("--no-sandbox",), ALL_CALLS)):
        node = lab.serve("root", "--volume", "v=data/disk.img", *flags)
        check_sandbox(node.pid, seccomp)
        check(len(children(node.pid)) == (1 if seccomp == FILTERED else 0), "children:", children(node.pid))
        fio(node.image())
        node.stop()
        check(not mounted("root"), "the mount is still there")


def as_unit(lab, user):
    """The capabilities that the unit for a node with a mount leaves are enough."""
    need_program("setpriv")
    unit = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../systemd/hvfs-mount@.service.in")
    with open(unit) as file:
        bound = next(line.split("=")[1].split() for line in file if line.startswith("CapabilityBoundingSet="))
    names = ",".join("+" + name.removeprefix("CAP_").lower() for name in bound)
    run("setpriv", "--no-new-privs", f"--bounding-set=-all,{names}", "--inh-caps=-all",
        *lab.serve_words("root", "--volume", "v=data/disk.img", "--listen", "unix:root.sock", "--user", user.pw_name))
    node = lab.serving("root", True)
    check_user(node.pid, user)
    check_sandbox(node.pid)
    fio(node.image())
    pid = node.pid
    node.stop()
    check_left(lab, pid)


def keys_are_hidden(lab, user):
    """With keys there are no cores, and the kernel keeps others of the same user away from the process."""
    hvfs("keygen", "node.key")
    node = lab.serve("root", "--volume", "v=data/disk.img", "--key", "node.key", "--user", user.pw_name, "--rescue", "data/rescue", mount=False)
    check(os.stat(f"/proc/{node.pid}/environ").st_uid == 0, "others of its user can look at it")
    with open(f"/proc/{node.pid}/limits") as file:
        cores = next(line.split() for line in file if line.startswith("Max core file size"))
    check(cores[4:6] == ["0", "0"], "cores:", cores)
    with open(f"/proc/{node.pid}/status") as file:
        locked = next(int(line.split()[1]) for line in file if line.startswith("VmLck"))
    check(locked > 0, "nothing is locked in memory")
    node.stop()


def test(lab):
    need_root()
    need_fuse()
    need_program("fio", "ps")
    if os.environ.get("HVFS_SANITIZE", "none") != "none":
        skip("a sanitizer can not look at a process that has given up its rights")
    user = find_user()
    make_place(user)
    works(lab, user)
    rights_of_files(lab, user)
    ends_from_outside(lab, user)
    is_killed(lab, user)
    steward_is_killed(lab, user)
    configuration(lab, user)
    not_root(lab, user)
    os.chown("data/disk.img", 0, 0)
    as_root(lab)
    as_unit(lab, user)
    keys_are_hidden(lab, user)


main(test)
