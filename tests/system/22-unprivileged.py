# SPDX-License-Identifier: MIT
"""An ordinary user: serves, mounts, makes a file system and fills it by fuse2fs, stops, with sockets in the default place. Root
is told why it can not attach that user's image."""
import ctypes
import os
import pwd
import random
import select
import shutil
import stat
import subprocess

from lab import HVFS, PATIENCE, check, hvfs, main, need_fuse, need_program, run, same_tree, skip, write_tree


class User:
    """Runs programs as nobody when the test is root's."""

    def __init__(self):
        self.prefix = []
        # The user may not be able to reach the build directory.
        self.hvfs = os.path.join(os.getcwd(), "hvfs")
        shutil.copy(HVFS, self.hvfs)
        if os.geteuid() == 0:
            self.become_nobody()
        self.environment = dict(os.environ, XDG_RUNTIME_DIR=os.path.join(os.getcwd(), "run"), HOME=os.getcwd())

    def become_nobody(self):
        need_program("setpriv")
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            skip("there is no user nobody")
        self.prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        for directory, _, files in os.walk("."):
            for name in [directory] + [os.path.join(directory, file) for file in files]:
                os.chown(name, nobody.pw_uid, nobody.pw_gid)

    def run(self, *argv, **options):
        return run(*self.prefix, *argv, env=self.environment, **options)

    def hvfs_run(self, *argv, **options):
        return self.run(self.hvfs, *argv, **options)


def wait_mounted(directory, process):
    """The kernel says by POLLPRI that the table of mounts has changed."""
    with open("/proc/self/mountinfo") as table:
        poll = select.poll()
        poll.register(table, select.POLLPRI)
        while directory not in (table.seek(0), table.read())[1].split():  # root may not even look at the mount itself
            check(process.poll() is None, "fuse2fs ended:", process.poll())
            check(poll.poll(PATIENCE * 1000), "fuse2fs does not mount")


def fill_by_fuse2fs(lab, user):
    path = os.path.abspath("mnt")
    # In the foreground: its end is when everything is written.
    process = lab.popen(*user.prefix, "fuse2fs", "-f", "-o", "fakeroot,rw", "leaf/v.img", path,
                        env=user.environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    wait_mounted(path, process)
    user.run("cp", "-r", "source/.", "mnt/")
    user.run("diff", "-r", "-x", "lost+found", "source", "mnt")
    user.run("fusermount3" if shutil.which("fusermount") is None else "fusermount", "-u", "mnt")
    check(process.wait(PATIENCE) == 0, "fuse2fs failed")


def fill(lab, user):
    if shutil.which("fuse2fs"):
        user.run("mkfs.ext4", "-q", "leaf/v.img")
        fill_by_fuse2fs(lab, user)
    else:
        user.run("mkfs.ext4", "-q", "-d", "source", "leaf/v.img")


def root_is_told():
    answer = hvfs("attach", "leaf/v.img", status=1)
    for word in ("leaf/v.img", "--allow-root", "fuse2fs"):
        check(word in answer.stderr, f"no '{word}' in:", answer.stderr)


def stop(user):
    answer = user.hvfs_run("status", status=1)
    check("--control" in answer.stderr, "two nodes, and status does not ask which:", answer.stderr)
    user.hvfs_run("stop", "--control", "run/hvfs/leaf.sock")
    # Now there is one.
    check("root" in user.hvfs_run("status").stdout, "status finds not the only node")
    user.hvfs_run("stop")


def needs_own_device():
    return os.geteuid() == 0 and os.path.exists("/dev/fuse") and os.stat("/dev/fuse").st_mode & 0o666 != 0o666


def enter_own_namespace():
    """A mount namespace of this test alone, from which no mount gets out."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private = 0x20000, 1 << 18
    if libc.unshare(new_mounts) != 0:
        skip(f"only root may open /dev/fuse, and there is no namespace to change that in: {os.strerror(ctypes.get_errno())}")
    with open("/proc/self/mountinfo") as table:
        points = [line.split()[4] for line in table]
    for point in points:
        libc.mount(None, point.encode().decode("unicode_escape").encode(), None, private, None)
    with open("/proc/self/mountinfo") as table:
        if any("shared:" in line.split(" - ")[0] for line in table):
            skip("only root may open /dev/fuse, and the mounts here are shared with other namespaces")


def make_own_device():
    """Where only root may open /dev/fuse, root gives nobody one that everybody may."""
    if not needs_own_device():
        return
    enter_own_namespace()
    os.mkdir("device")
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "device")
    os.mknod("device/fuse", stat.S_IFCHR, os.stat("/dev/fuse").st_rdev)
    os.chmod("device/fuse", 0o666)
    run("mount", "--bind", "device/fuse", "/dev/fuse")
    run("umount", "-l", "device")


def test(lab):
    need_fuse()
    need_program("mkfs.ext4", "debugfs", "diff")
    if not os.path.exists("/etc/mtab"):
        skip("there is no /etc/mtab, without which fusermount unmounts nothing for an ordinary user")
    for directory in ("root", "leaf", "mnt", "source", "run", "dump"):
        os.mkdir(directory)
    write_tree("source", random.Random(22), files=30)
    make_own_device()
    user = User()
    user.hvfs_run("create", "disk.img", "--size", "64M")
    try:
        user.hvfs_run("serve", "--name", "root", "--volume", "v=disk.img", "--listen", "unix:r.sock", "--mount", "root", "--daemon")
        user.hvfs_run("serve", "--name", "leaf", "--volume", "v", "--parent", "unix:r.sock", "--mount", "leaf", "--daemon")
        if os.geteuid() == 0 and os.path.exists("/dev/loop-control"):
            root_is_told()
        fill(lab, user)
        stop(user)
        check("The demo has passed" in user.hvfs_run("demo").stdout, "the demo of an ordinary user")
    except BaseException:
        for name in ("leaf", "root"):
            user.hvfs_run("stop", "--control", f"run/hvfs/{name}.sock", status=None)
        raise
    user.run("e2fsck", "-f", "-n", "disk.img")
    user.run("debugfs", "-R", "rdump / dump", "disk.img")
    same_tree("source", "dump")


main(test)
