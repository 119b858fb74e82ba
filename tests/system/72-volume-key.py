# SPDX-License-Identifier: MIT
"""The keys of sealed volumes: made, handed out, followed by newer ones, and behind passphrases."""
import json
import os
import pty
import select
import stat
import subprocess

from lab import check, hvfs, main

HVFS = os.environ.get("HVFS", "hvfs")


def show(name):
    return json.loads(hvfs("volume-key", "show", "--json", name).stdout)


def refused(*words, says, status=1):
    error = hvfs("volume-key", *words, status=status).stderr
    check(all(part in error for part in says), "not clear:", error)


def secrets_of(name):
    """Every secret in a file that is not behind a passphrase."""
    with open(name, encoding="ascii") as file:
        generations = json.load(file)["generations"]
    return [generation[field] for generation in generations for field in ("symmetric", "signing") if field in generation]


def write_secret(name, text):
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)


def on_terminal(words, *lines):
    """The command with a terminal of its own, where each of the lines is typed when it asks. Status and what the terminal has seen."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(HVFS, [HVFS, *words])
    seen, left = b"", list(lines)
    while True:
        check(select.select([master], [], [], 60)[0], "it says nothing more than", seen)
        try:
            piece = os.read(master, 4096)
        except OSError:
            piece = b""
        if not piece:
            break
        seen += piece
        if left and seen.endswith(b": "):
            os.write(master, left.pop(0).encode())
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen.decode()


def roles():
    """Each role gets what it should, and nobody makes more of it."""
    made = hvfs("volume-key", "new", "owner.key").stdout
    check(stat.S_IMODE(os.stat("owner.key").st_mode) == 0o600, "the key's mode is not 0600")
    check(not any(secret in made for secret in secrets_of("owner.key")), "a secret was printed")
    refused("new", "owner.key", says=["owner.key", "never overwritten"])
    for role, count in (("proxy", 0), ("reader", 1), ("writer", 2), ("owner", 2)):
        hvfs("volume-key", "export", "owner.key", f"{role}.bundle", "--role", role)
        check(len(secrets_of(f"{role}.bundle")) == count, "not the secrets of a", role)
        check(show(f"{role}.bundle") == {**show("owner.key"), "file": f"{role}.bundle", "role": role}, "shown otherwise:", role)
    refused("export", "reader.bundle", "more.bundle", "--role", "writer", says=["reader.bundle", "a writer's can not be made"])
    check(not os.path.exists("more.bundle"), "there is something")
    refused("export", "owner.key", "x", "--role", "king", says=["proxy, reader, writer or owner"], status=2)
    refused("rotate", "writer.bundle", says=["writer.bundle", "only the owner"])
    os.chmod("owner.key", 0o644)
    refused("show", "owner.key", says=["owner.key", "0644", "chmod 600 owner.key"])
    os.chmod("owner.key", 0o600)


def generations():
    """A rotated key reaches those who have the one before, and no other takes its place."""
    hvfs("volume-key", "import", "reader.bundle", "reader.key")
    hvfs("volume-key", "rotate", "owner.key")
    check(len(show("owner.key")["generations"]) == 2, "no second generation")
    hvfs("volume-key", "export", "owner.key", "reader2.bundle", "--role", "reader")
    hvfs("volume-key", "import", "reader2.bundle", "reader.key")
    check(show("reader.key")["generations"] == show("owner.key")["generations"], "other generations")
    refused("import", "reader.bundle", "reader.key", says=["reader.bundle", "it is older", "reader.key stays"])
    refused("import", "reader2.bundle", "owner.key", says=["has less than the owner's"])
    hvfs("volume-key", "new", "stranger.key")
    refused("import", "stranger.key", "reader.key", says=["is of volume"])
    with open("owner.key", encoding="ascii") as file:
        changed = json.load(file)
    changed["generations"][1]["number"] = 3
    write_secret("changed.key", json.dumps(changed))
    refused("show", "changed.key", says=["changed.key: generations[1].number: is 3; right would be 2"])


def passphrases():
    """From files: asked of whoever reads, kept by rotate, and not dropped without a word."""
    write_secret("word", "correct horse\n")
    write_secret("wrong", "correct house\n")
    hvfs("volume-key", "new", "locked.key", "--passphrase-file", "word")
    check(show("locked.key")["passphrase"], "no passphrase")
    check(secrets_of("locked.key") == [], "secrets in the clear")
    refused("rotate", "locked.key", "--passphrase-file", "wrong", says=["locked.key", "not the passphrase"])
    hvfs("volume-key", "rotate", "locked.key", "--passphrase-file", "word")
    check(show("locked.key")["passphrase"] and len(show("locked.key")["generations"]) == 2, "not rotated")
    refused("import", "locked.key", "locked.key", "--passphrase-file", "word", says=["is protected by a passphrase", "--encrypt"])
    refused("export", "owner.key", "x", "--role", "proxy", "--encrypt", says=["no secrets"])
    os.chmod("word", 0o640)
    refused("rotate", "locked.key", "--passphrase-file", "word", says=["word", "chmod 600 word"])
    os.chmod("word", 0o600)
    write_secret("empty", "\n")
    refused("rotate", "locked.key", "--passphrase-file", "empty", says=["empty", "1 to 1024 bytes"])
    result = subprocess.run([HVFS, "volume-key", "rotate", "locked.key"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            start_new_session=True, check=False)
    check(result.returncode == 1 and "--passphrase-file FILE" in result.stderr, "without a terminal:", result.stderr)


def terminal():
    """Typed ones are not seen; two that differ are none; who interrupts leaves nothing behind."""
    status, seen = on_terminal(["volume-key", "new", "typed.key", "--encrypt"], "horse battery\n", "horse battery\n")
    check(status == 0 and "battery" not in seen and show("typed.key")["passphrase"], "not made:", seen)
    status, seen = on_terminal(["volume-key", "rotate", "typed.key"], "horse battery\n")
    check(status == 0 and "battery" not in seen, "not rotated:", seen)
    status, seen = on_terminal(["volume-key", "new", "two.key", "--encrypt"], "horse\n", "house\n")
    check(status == 1 and "differ" in seen and not os.path.exists("two.key"), "two words:", seen)
    status, seen = on_terminal(["volume-key", "new", "two.key", "--encrypt"], "hor\x03")
    check(status == 1 and not os.path.exists("two.key"), "interrupted:", status, seen)


def test(_lab):
    roles()
    generations()
    passphrases()
    terminal()


main(test)
