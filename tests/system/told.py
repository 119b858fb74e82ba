# SPDX-License-Identifier: MIT
"""What the logs of nodes tell of writes that were lost: when, why, and which bytes are in a rescue file."""
import collections
import datetime
import os
import re

from durable import WALL

# moment: on the monotonic clock; the log has milliseconds. map: the path of the rescue file's map, or None.
Told = collections.namedtuple("Told", "name moment reason map")

REASONS = {
    "rescued": "are kept in",
    "lost with the rescue file": "They are lost",
    "left to nodes above": "they were left to nodes above",
    "the parent answers a sync with an error": "the parent answers a sync with an error",
    "the storage could not be synced": "the storage could not be synced",
}
MARKS = ("can not be brought to the root any more", "may be lost")


def moment_of(line):
    return int(datetime.datetime.fromisoformat(line[:23]).timestamp() * 1000) * 10**6 - WALL


def reason_of(line):
    return next((reason for reason, text in REASONS.items() if text in line), "unknown")


class LogReader:
    """Reads each log on from where it was read to."""

    def __init__(self):
        self.offsets = collections.Counter()

    def read(self, name):
        """What is new in the log of node ${name}."""
        path = f"{name}.log"
        if not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            file.seek(self.offsets[name])
            text = file.read()
        text = text[:text.rfind(b"\n") + 1]
        self.offsets[name] += len(text)
        lines = [line for line in text.decode(errors="replace").splitlines() if any(mark in line for mark in MARKS)]
        return [self.told(name, line) for line in lines]

    @staticmethod
    def told(name, line):
        path = re.search(r"is in (\S+\.map)$", line)
        return Told(name, moment_of(line), reason_of(line), path[1] if path else None)


def rescued(path):
    """The blocks that a map names: (offset, length, bytes)."""
    with open(path) as lines, open(f"{path[:-4]}.img", "rb") as image:
        for line in lines:
            if not line.startswith("#"):
                offset, length = (int(word) for word in line.split()[:2])
                image.seek(offset)
                yield offset, length, image.read(length)
