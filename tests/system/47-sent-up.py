# SPDX-License-Identifier: MIT
"""Bytes that were sent up, are nowhere on a disk, and whose author lives, when the parent that had them is lost: they come back
(R13), unless newer ones took their place. Newer ones that were synced stay, whoever of those that knew them is lost as well."""
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

from lab import BLOCK, Opener, check, main, need_fuse, read_at, write_at

LEASE = 2
FLAGS = ("--hb-ttl", f"{LEASE}s", "--writeback", "3600s")  # nothing goes up or to the disk before it must


class Tree:
    def __init__(self, lab):
        self.lab, self.number, self.blocks = lab, 0, 0
        lab.create()
        self.start("root")
        self.start("proxy")

    def node(self, name):
        return next(node for node in self.lab.nodes if node.name == name)

    def start(self, name):
        if name == "root":
            self.lab.serve("root", "--volume", "v=disk.img", "--listen", "unix:root.sock", *FLAGS)
        else:
            self.lab.proxy("proxy", *FLAGS)

    def restart(self, name, away):
        self.node(name).kill()
        time.sleep(away)
        self.start(name)

    def stop(self):
        for name in ("proxy", "root"):
            self.node(name).stop()


class Below:
    """Three leaves below a parent: an author whose bytes the others have read, another author, and one who will die."""

    def __init__(self, tree, parent, victim, away):
        tree.number += 1
        self.tree, self.victim, self.away, self.stories = tree, victim, away, []
        self.name = f"below {parent}, {victim} lost for {away} s"
        self.author, self.other, self.doomed = [tree.lab.leaf(f"{name}{tree.number}", *FLAGS, parent=parent)
                                                for name in ("author", "other", "doomed")]
        self.opener = Opener(tree.lab, self.author.image())  # its close would sync
        self.root_opener = Opener(tree.lab, tree.node("root").image())

    def play(self):
        """All stories, each on a block of its own, meet one loss. Half of the blocks are read before the author syncs."""
        for tell in STORIES:
            for root_first, early in itertools.product((False, True), repeat=2):
                self.stories.append(Story(self, tell, root_first, early))
                tell.before(self.stories[-1])
        self.doomed.kill()
        self.tree.restart(self.victim, self.away)
        nodes = [self.author, self.other, self.tree.node("root")]
        early = [story for story in self.stories if story.early]
        with ThreadPoolExecutor(len(early)) as pool:  # all wait at once, when the root has a grace time
            list(pool.map(lambda story: story.read(nodes), early))
        answers = [self.opener.do("os.fsync(fd)") for _ in range(2)]
        check(answers[1] == "ok", f"{self.name}: the fsyncs answer", answers)
        for node in nodes:
            node.flush()
        wrong = [complaint for story in self.stories for complaint in [story.judge(nodes, answers[0])] if complaint]
        for opener in (self.opener, self.root_opener):
            opener.process.kill()
        for node in nodes[:-1]:
            node.stop()
        return [f"{self.name}: {complaint}" for complaint in wrong]


class Story:
    def __init__(self, below, tell, root_first, early):
        below.tree.blocks += 10
        self.below, self.tell, self.root_first, self.early = below, tell, root_first, early
        self.place, self.found = below.tree.blocks * BLOCK, {}
        below.opener.write(self.place, b"o", BLOCK)
        for node in (below.other, below.doomed):
            got = read_at(node.image(), self.place, BLOCK)
            check(got == b"o" * BLOCK, f"{node.name} reads {got[:2]}")

    def read(self, nodes):
        for node in nodes[::-1] if self.root_first else nodes:
            self.found.setdefault(read_at(node.image(), self.place, BLOCK), []).append(node.name)

    def judge(self, nodes, answer):
        """All have read the same, one of what may be, and so has the disk."""
        self.read(nodes)
        self.found.setdefault(read_at("disk.img", self.place, BLOCK), []).append("the disk")
        allowed = self.tell.allowed(self.below.victim, answer)
        if len(self.found) == 1 and list(self.found)[0] in [byte * BLOCK for byte in allowed]:
            return None
        found = "; ".join(f"{data[:1]} by {', '.join(names)}" for data, names in self.found.items())
        return f"{self.tell.__doc__} Not {' or '.join(map(repr, allowed))}, but {found}, where a fsync answered {answer}"


class OnlyRead:
    """Others have read it."""

    @staticmethod
    def before(story):
        pass

    @staticmethod
    def allowed(victim, answer):
        return [b"o"]


class WrittenOverByTheLost:
    """The root has written over it, and maybe those bytes die with it: what was there comes back, or its author is told."""

    @staticmethod
    def before(story):
        story.below.root_opener.write(story.place, b"m", BLOCK)

    @staticmethod
    def allowed(victim, answer):
        if victim != "root":
            return [b"m"]
        return [b"m", b"o"] if answer == "ok" else [b"m", b"o", bytes(1)]


class WrittenOverByTheDead:
    """A leaf has written over it, and dies: its bytes, or the author's, who is told if both are lost."""

    @staticmethod
    def before(story):
        opener = Opener(story.below.tree.lab, story.below.doomed.image())
        opener.write(story.place, b"d", BLOCK)
        story.below.doomed_opener = opener

    @staticmethod
    def allowed(victim, answer):
        return [b"d", b"o"] if answer == "ok" else [b"d", b"o", bytes(1)]


class Synced:
    """Another has written over it, and synced."""

    @staticmethod
    def before(story):
        write_at(story.below.other.image(), story.place, b"n" * BLOCK, sync=True)

    @staticmethod
    def allowed(victim, answer):
        return [b"n"]


class SyncedByTheDead:
    """Another has written over it, synced, and died."""

    @staticmethod
    def before(story):
        write_at(story.below.doomed.image(), story.place, b"n" * BLOCK, sync=True)

    @staticmethod
    def allowed(victim, answer):
        return [b"n"]


class SyncedAndWrittenOver:
    """Another has written over it, and synced; the root has written over that, and maybe those bytes die with it."""

    @staticmethod
    def before(story):
        Synced.before(story)
        WrittenOverByTheLost.before(story)

    @staticmethod
    def allowed(victim, answer):
        return [b"m", b"n"] if victim == "root" else [b"m"]


# Those that sync come first: the bytes of the others are on no disk.
STORIES = (Synced, SyncedByTheDead, SyncedAndWrittenOver, OnlyRead, WrittenOverByTheLost, WrittenOverByTheDead)


def test(lab):
    need_fuse()
    tree, wrong = Tree(lab), []
    for parent, victim in (("root", "root"), ("proxy", "proxy"), ("proxy", "root")):
        for away in (0,) if victim == "proxy" else (0, 1.5 * LEASE):
            wrong += Below(tree, parent, victim, away).play()
    check(not wrong, "\n".join(["", *wrong]))
    tree.stop()


main(test)
