# SPDX-License-Identifier: MIT
"""Children that send more than can be checked: memory and log are bounded, and everybody else is served."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "adversary"))

from attacks import FLOODS, perform
from lab import main, need_fuse
from tree import Tree


def test(lab):
    need_fuse()
    perform(Tree(lab), FLOODS)


main(test)
