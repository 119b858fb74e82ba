# SPDX-License-Identifier: MIT
"""A malicious proxy serves what it was told to drop, and does what it can to keep its child from hearing of it: no longer than a
lease. docs/security.md says what is guaranteed, and lists what is tried here."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

from attacks import FRESHNESS, perform
from lab import main, need_fuse
from tree import Tree


def test(lab):
    need_fuse()
    tree = Tree(lab, "--hb-ttl", "2s")
    tree.all_is_well()
    perform(tree, FRESHNESS)
    lab.stop_all()


main(test)
