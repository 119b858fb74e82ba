# SPDX-License-Identifier: MIT
"""Who may do what, and what happens when that is changed while it is used."""
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import threading

from lab import Direct, check, hvfs, main, need_fuse, read_at, run, until, write_at


def keygen(name):
    return hvfs("keygen", f"{name}.key").stdout.strip()


def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def log_of(name):
    with open(f"{name}.log", errors="replace") as file:
        return file.read()


def acl():
    return json.loads(hvfs("acl", "--json", "--control", "root.ctl").stdout)


class Tree:
    """A root with two leaves, which know it by key; both may write."""

    def __init__(self, lab):
        self.lab = lab
        self.prints = {name: keygen(name) for name in ("root", "one", "two", "new")}
        self.port = port()
        with open("root.acl", "w") as file:
            file.write(f"# the rights\n{self.prints['one']} v read-write the first # mine\n\n{self.prints['two']} v read-write\n")
        os.chmod("root.acl", 0o640)
        lab.create("disk.img", "64M")
        lab.create("other.img", "1M")
        lab.create("sealed.img", "1M")
        hvfs("volume-key", "new", "owner.vkey")
        hvfs("volume-key", "export", "owner.vkey", "proxy.vkey", "--role", "proxy")
        self.root = lab.serve("root", "--volume", "v=disk.img", "--volume", "w=other.img", "--volume", "s=sealed.img",
                              "--volume-key", "s=owner.vkey", "--listen", f"127.0.0.1:{self.port}", "--key",
                              "root.key", "--acl", "root.acl", "--hb-ttl", "3s")
        self.one, self.two = self.serve("one"), self.serve("two")

    def serve(self, name, *flags):
        return self.lab.serve(name, *self.words(name), *flags)

    def words(self, name):
        return ["--volume", "v", "--parent", f"{self.prints['root']}@127.0.0.1:{self.port}", "--key", f"{name}.key", "--io-timeout", "8s"]

    def allow(self, name, right, *flags):
        return hvfs("allow", "v", self.prints[name], right, *flags, "--control", "root.ctl").stdout

    def deny(self, name):
        return hvfs("deny", "v", self.prints[name], "--control", "root.ctl").stdout


def fails_with(number, work):
    try:
        work()
    except OSError as error:
        check(error.errno == number, "failed with", error)
        return
    raise AssertionError(f"it did not fail with {errno.errorcode[number]}")


def fails_at_once(image, block=300, number=errno.EACCES):
    """Who has no right any more learns it at once, and need not wait for --io-timeout."""
    fails_with(errno.EACCES, lambda: read_at(image, block * 4096, 4096))
    fails_with(number, lambda: write_at(image, (block + 1) * 4096, b"x" * 4096))


def file_is_kept(tree):
    """What the node changes is in the file, and what it does not change is as it was."""
    said = tree.allow("new", "read", "--label", "the new one")
    check("read (was none)" in said and "root.acl" in said, "allow said", said)
    with open("root.acl") as file:
        text = file.read()
    check(text == f"# the rights\n{tree.prints['one']} v read-write the first # mine\n\n{tree.prints['two']} v read-write\n"
          f"{tree.prints['new']} v read the new one\n", "the file is", text)
    check(os.stat("root.acl").st_mode & 0o7777 == 0o640, "the file's mode has changed")
    entry = next(entry for entry in acl()["entries"] if entry["peer"] == tree.prints["new"])
    check((entry["right"], entry["label"], entry["connected"]) == ("read", "the new one", False), "the entry is", entry)
    check("read-write the first # connected" in hvfs("acl", "v", "--control", "root.ctl").stdout, "not in the text")
    check(not os.path.exists("root.acl.new"), "something is left over")


def words_are_checked(tree):
    for words, part in ((("v", "somebody", "read"), "uid:N"), (("v", tree.prints["one"], "write"), "read-write"),
                        (("a/b", tree.prints["one"], "read"), "no volume"), (("v", tree.prints["one"], "owner"), "no right")):
        check(part in hvfs("allow", *words, "--control", "root.ctl", status=1).stderr, words, "is taken")
    hvfs("allow", "v", tree.prints["one"], status=2)
    hvfs("deny", "v", status=2)
    check(tree.root.status()["volumes"][0]["children"][0]["right"] == "read-write", "something has changed")


def reader(tree):
    """A reader reads what others write, and a write fails there."""
    new = tree.serve("new")
    write_at(tree.one.image(), 0, b"from one" * 512, sync=True)
    check(read_at(new.image(), 0, 8) == b"from one", "the reader reads something else")
    check(new.volume()["read_only"], "the reader does not know that it is one")
    fails_with(errno.EROFS, lambda: write_at(new.image(), 0, b"x"))
    check(next(child for child in tree.root.volume()["children"] if child["name"] == "new")["right"] == "read", "its right is another")
    new.stop()


def lowered(tree):
    """A writer becomes a reader: what it has not sent comes home, and is durable by its fsync. And a writer again."""
    disk = Direct(tree.one.image())
    disk.write(100, b"1" * 4096)
    check("read (was read-write)" in tree.allow("one", "read"), "allow does not say what was")
    until(lambda: tree.one.volume()["read_only"], "the writer does not learn that it is none any more")
    fails_with(errno.EROFS, lambda: disk.write(100, b"x" * 4096))
    check(disk.read(100) == b"1" * 4096, "its bytes are gone")
    disk.sync()
    disk.close()
    check(read_at(tree.two.image(), 100 * 4096, 4096) == b"1" * 4096, "its bytes did not come home")
    write_at(tree.two.image(), 100 * 4096, b"2" * 4096, sync=True)
    check(read_at(tree.one.image(), 100 * 4096, 4096) == b"2" * 4096, "the reader reads old bytes")
    tree.allow("one", "read-write")
    until(lambda: not tree.one.volume()["read_only"], "the writer does not learn that it is one again")
    write_at(tree.one.image(), 100 * 4096, b"3" * 4096, sync=True)
    check(read_at(tree.two.image(), 100 * 4096, 4096) == b"3" * 4096, "its bytes do not arrive")


def revoked_under_load(tree):
    """The right goes while many writes are under way: what was acknowledged and synced is there, everybody else goes on, nobody
    waits for it, and it does not come in again."""
    synced, ended = [0], [None]

    def write():
        disk = Direct(tree.one.image())
        number = 0
        try:
            while True:
                number += 1
                for block in range(200, 232):
                    disk.write(block, struct.pack("<Q", number) * 512)
                disk.sync()
                synced[0] = number
        except OSError as error:
            ended[0] = error.errno

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    until(lambda: synced[0] > 2, "nothing is written")
    tree.deny("one")
    until(lambda: "its right to a volume was taken away" in log_of("root"), "the link stays")
    blocks = read_at(tree.two.image(), 200 * 4096, 32 * 4096)
    for block in range(32):
        found = struct.unpack_from("<Q", blocks, block * 4096)[0]
        check(found >= synced[0] and blocks[block * 4096:(block + 1) * 4096] == struct.pack("<Q", found) * 512, "block", block, "has", found,
              "and", synced[0], "was synced")
    write_at(tree.two.image(), 200 * 4096, b"2" * 4096, sync=True)
    check(not any(child["name"] == "one" and child["state"] == "connected" for child in tree.root.volume()["children"]), "it is still there")
    check(tree.prints["one"] not in open("root.acl").read(), "it is still in the file")
    until(lambda: "does not know this node's key" in log_of("one"), "it is not told")
    until(lambda: f"{tree.prints['one']}, is not known here" in log_of("root"), "the root does not tell")
    writer.join(60)
    check(not writer.is_alive() and ended[0] in (errno.EACCES, errno.EIO), "the writer's error is", ended)
    fails_at_once(tree.one.image())
    check(tree.one.volume()["parent"]["state"] == "denied", "status has", tree.one.volume()["parent"])
    check(tree.allow("one", "read-write") != "", "nothing said")
    until(lambda: tree.one.volume()["parent"]["state"] == "connected", "it does not come in again")
    check(read_at(tree.one.image(), 200 * 4096, 4096) == b"2" * 4096, "it reads old bytes")


def other_volume(tree):
    """A right to one volume is none to another, and the answer does not tell whether that exists."""
    answers = []
    for volume in ("w", "x"):
        words = tree.lab.serve_words("greedy", "--volume", volume, "--parent", f"{tree.prints['root']}@127.0.0.1:{tree.port}", "--key", "two.key",
                                     mount=False)
        answers.append(run(*words, status=1).stderr.replace(f"volume {volume}", "volume"))
    check(answers[0] == answers[1] and "no right" in answers[0], "the answers are", *answers)
    check(log_of("root").count("asks for volume") == 1, "not one line a minute:", log_of("root"))


def carrier(tree):
    """Who may carry sealed volumes gets those, and no others."""
    for volume in "sv":
        hvfs("allow", volume, tree.prints["new"], "proxy", "--control", "root.ctl")
    words = tree.words("new")
    words[1] = "s"
    node = tree.lab.serve("new", *words, "--volume-key", "s=proxy.vkey", mount=False)
    check(node.status()["volumes"][0]["phase"] == "serving", "the sealed volume does not come")
    node.stop()
    check("no right" in run(*tree.lab.serve_words("new", *tree.words("new"), mount=False), status=1).stderr, "it gets one that is not")
    for volume in "sv":
        hvfs("deny", volume, tree.prints["new"], "--control", "root.ctl")


def edited_by_hand(tree):
    """What the administrator has written meanwhile is not overwritten; the change is in force all the same."""
    with open("root.acl", "a") as file:
        file.write("# by hand\n")
    error = hvfs("allow", "w", tree.prints["two"], "read", "--control", "root.ctl", status=1).stderr
    check("in force" in error and "not overwritten" in error, "allow says", error)
    check(open("root.acl").read().endswith("# by hand\n"), "the administrator's line is gone")
    check(any(entry["volume"] == "w" for entry in acl()["entries"]), "it is not in force")


def through_a_proxy(tree):
    """The right of a proxy is taken away while a read from below waits: it fails, on every hop, and so does what comes then."""
    lab = tree.lab
    tree.allow("new", "read-write")
    lab.serve("new", *tree.words("new"), "--listen", "unix:new.sock", mount=False)
    lab.serve("below", "--volume", "v", "--parent", "unix:new.sock", "--listen", "unix:below.sock", mount=False)
    leaf = lab.serve("leaf", "--volume", "v", "--parent", "unix:below.sock")
    write_at(leaf.image(), 400 * 4096, b"leaf" * 1024, sync=True)
    write_at(tree.two.image(), 300 * 4096, b"2" * 4096)
    os.kill(tree.two.pid, signal.SIGSTOP)  # it does not give the block back
    reader = threading.Thread(target=lambda: fails_with(errno.EACCES, lambda: read_at(leaf.image(), 300 * 4096, 4096)))
    failed = []
    threading.excepthook = failed.append
    reader.start()
    until(lambda: leaf.volume()["waiting"] > 0, "the read does not wait")
    tree.deny("new")
    reader.join(60)
    check(not reader.is_alive() and not failed, "the read:", *failed)
    os.kill(tree.two.pid, signal.SIGCONT)
    fails_at_once(leaf.image())
    check(log_of("leaf").count("is not given by parent") == 1, "not one line:", log_of("leaf"))
    check(read_at(tree.one.image(), 400 * 4096, 4096) == b"leaf" * 1024, "the leaf's bytes are not at the root")
    tree.allow("new", "read-write")
    until(lambda: leaf.volume()["parent"]["state"] == "connected", "the leaf does not come in again")
    check(read_at(leaf.image(), 300 * 4096, 4096) == b"2" * 4096, "it reads old bytes")
    leaf.stop()


def without_file(lab):
    """On a unix socket, and without a file: it lasts as long as the node."""
    lab.create("u.img", "1M")
    lab.serve("u", "--volume", "u=u.img", "--listen", "unix:u.sock", "--hb-ttl", "2s", mount=False)
    child = lab.serve("c", "--volume", "u", "--parent", "unix:u.sock", "--io-timeout", "5s")
    write_at(child.image("u"), 0, b"c" * 4096, sync=True)
    said = hvfs("allow", "*", f"uid:{os.geteuid()}", "read", "--control", "u.ctl").stdout
    check("as long as the node runs" in said, "allow says", said)
    until(lambda: child.volume("u")["read_only"], "the child does not learn it")
    fails_with(errno.EROFS, lambda: write_at(child.image("u"), 0, b"x"))
    said = hvfs("deny", "*", f"uid:{os.geteuid()}", "--control", "u.ctl").stdout
    check("none (was read)" in said, "deny says", said)
    until(lambda: f"it gives uid {os.geteuid()} no right" in log_of("c"), "the child is not told")
    fails_at_once(child.image("u"), 100, errno.EROFS)
    hvfs("allow", "*", f"uid:{os.geteuid()}", "read-write", "--control", "u.ctl")
    until(lambda: child.volume("u")["parent"]["state"] == "connected", "the child does not come in again")


def stranger(lab):
    """Another user at a unix socket that is open to him."""
    if os.geteuid() != 0:
        return
    os.chmod(".", 0o755)
    os.chmod("u.sock", 0o777)
    program = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect('u.sock'); s.settimeout(20)\n"
               "got = bytearray()\n"
               "while more := s.recv(100): got += more\n"
               "print(got.hex())")
    result = run("python3", "-c", program, user=12345, group=12345)
    got = bytes.fromhex(result.stdout)
    check(got[0] & 0xf == 4 and got[12:] == bytes.fromhex("000b00020013") + bytes(4), "the stranger got", result.stdout)  # ACCESS_DENIED
    until(lambda: "uid 12345 has no right to anything" in log_of("u"), "nothing is told of the stranger")


def impostor(lab):
    """Another user listens where the parent's socket should be."""
    if os.geteuid() != 0:
        return
    os.mkdir("theirs")
    os.chown("theirs", 12345, 12345)
    program = ("import socket; s=socket.socket(socket.AF_UNIX); s.bind('theirs/p.sock'); s.listen(); print('there', flush=True)\n"
               "while True: c, _ = s.accept(); print(len(c.recv(100)), flush=True)")
    listener = lab.popen("python3", "-c", program, user=12345, group=12345, stdout=subprocess.PIPE, text=True)
    check(listener.stdout.readline() == "there\n", "nobody listens")
    error = run(*lab.serve_words("trusting", "--volume", "v", "--parent", "unix:theirs/p.sock", mount=False), status=1).stderr
    check("uid 12345 listens there" in error, "serve says", error)
    check(listener.stdout.readline() == "0\n", "the impostor has heard something")


def test(lab):
    need_fuse()
    tree = Tree(lab)
    file_is_kept(tree)
    words_are_checked(tree)
    reader(tree)
    lowered(tree)
    other_volume(tree)
    revoked_under_load(tree)
    carrier(tree)
    through_a_proxy(tree)
    edited_by_hand(tree)
    without_file(lab)
    stranger(lab)
    impostor(lab)
    lab.stop_all()


main(test)
