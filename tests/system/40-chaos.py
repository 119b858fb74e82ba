# SPDX-License-Identifier: MIT
"""Half a minute of chaos.py: all kinds of nodes are killed and come back, connections break, under writers on every mount."""
from chaos import parse, play
from lab import main
from netlab import NetLab

OPTIONS = parse(["--minutes", "0.5", "--round", "15s", "--every", "2s", "--seed", "40", "--at-least", "6",
                 "--faults", "kill-leaf,kill-proxy,kill-root,reset"])

main(lambda lab: play(lab, OPTIONS), NetLab)
