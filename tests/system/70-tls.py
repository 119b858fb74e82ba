# SPDX-License-Identifier: MIT
"""Nodes that know each other by their keys."""
import hashlib
import json
import os
import shutil
import stat
import subprocess

from lab import check, hvfs, main, run


def keygen(name):
    """A key in NAME.key; its fingerprint."""
    return hvfs("keygen", f"{name}.key").stdout.strip()


def keys():
    """keygen makes keys that openssl reads, does not replace any, and refuses those that others can read."""
    fingerprint = keygen("first")
    check(stat.S_IMODE(os.stat("first.key").st_mode) == 0o600, "the key's mode is not 0600")
    if shutil.which("openssl"):
        der = subprocess.run(["openssl", "pkey", "-in", "first.key", "-pubout", "-outform", "der"], check=True, capture_output=True).stdout
        check(fingerprint == "sha256:" + hashlib.sha256(der).hexdigest(), "openssl sees another key than", fingerprint)
    with open("first.key", "rb") as file:
        before = file.read()
    check("never overwritten" in hvfs("keygen", "first.key", status=1).stderr, "no word of the key that is there")
    with open("first.key", "rb") as file:
        check(file.read() == before, "the key has changed")
    check(hvfs("keygen", "--show", "first.key").stdout.strip() == fingerprint, "--show shows another")
    check(json.loads(hvfs("keygen", "--json", "second.key").stdout)["fingerprint"] != fingerprint, "two keys are one")
    check(json.loads(hvfs("keygen", "--json", "--show", "first.key").stdout) == {"file": "first.key", "fingerprint": fingerprint},
          "not the JSON expected")
    os.chmod("first.key", 0o640)
    error = hvfs("keygen", "--show", "first.key", status=1).stderr
    check("first.key" in error and "0640" in error and "chmod 600 first.key" in error, "not clear:", error)
    os.chmod("first.key", 0o600)
    own = {**os.environ, "XDG_STATE_HOME": os.path.abspath("state")}
    if os.geteuid() != 0:
        check(run(os.environ.get("HVFS", "hvfs"), "keygen", env=own).stdout.startswith("sha256:"), "no key in the state directory")
        check(os.path.exists("state/hvfs/node.key"), "it is elsewhere")


def test(lab):
    keys()


main(test)
