# SPDX-License-Identifier: MIT
"""Is the history of one block that of a register?

Every write has a value of its own. A write and the reads that returned it are a cluster; f is the earliest end of its
operations, s the latest start. A history is linearizable exactly when no read returns what was never written or ends before
its write starts, and no two clusters A, B have A.f < B.s and B.f < A.s (each would have to be before the other). The
condition is Gibbons and Korach's (Testing shared memories, 1997).
"""
import bisect
import collections

Op = collections.namedtuple("Op", "kind block value start end who")  # kind: "r" or "w"; times in ns, one clock
INITIAL = 0  # the value of a block that was never written


class Cluster:
    def __init__(self, value):
        self.value, self.write, self.ops = value, None, []

    @property
    def f(self):
        return min(op.end for op in self.ops)

    @property
    def s(self):
        return max(op.start for op in self.ops)


def make_clusters(ops):
    """Returns (clusters, None), or (None, complaint)."""
    never = Op("w", None, INITIAL, -1, -1, "before")
    clusters = {}
    for op in [never] + [op for op in ops if op.kind == "w"]:
        if op.value in clusters:
            return None, f"the test wrote one value twice: {op}"
        clusters[op.value] = cluster = Cluster(op.value)
        cluster.write = op
        cluster.ops.append(op)
    for op in ops:
        if op.kind != "r":
            continue
        cluster = clusters.get(op.value)
        if cluster is None:
            return None, f"read a value that nobody wrote: {op}"
        if op.end < cluster.write.start:
            return None, f"read a value before it was written: {op}, {cluster.write}"
        cluster.ops.append(op)
    return list(clusters.values()), None


def find_conflict(clusters):
    """Two clusters that would each have to be before the other, or None. One of any such pair has f < s."""
    spans = [(cluster.f, cluster.s, cluster) for cluster in clusters]
    forward = sorted((span for span in spans if span[0] < span[1]), key=lambda span: span[0])
    starts = [span[0] for span in forward]
    best = []  # the two latest s among the first i + 1
    two = []
    for span in forward:
        two = sorted(two + [span], key=lambda item: -item[1])[:2]
        best.append(two)
    for f, s, cluster in spans:
        index = bisect.bisect_left(starts, s)  # those before it have A.f < s
        for other in best[index - 1] if index else []:
            if other[2] is not cluster and f < other[1]:
                return other[2], cluster
    return None


def check_block(ops):
    """None when the history of one block is right, else a sentence."""
    clusters, complaint = make_clusters(ops)
    if complaint:
        return complaint
    conflict = find_conflict(clusters)
    if conflict is None:
        return None
    words = []
    for cluster in conflict:
        first, last = min(cluster.ops, key=lambda op: op.end), max(cluster.ops, key=lambda op: op.start)
        words.append(f"value {cluster.value}: {first} ended, and yet {last} started later")
    return "no order is possible: " + "; ".join(words)


def check_history(ops):
    blocks = collections.defaultdict(list)
    for op in ops:
        blocks[op.block].append(op)
    for block, history in sorted(blocks.items()):
        complaint = check_block(history)
        if complaint:
            return f"block {block}: {complaint}"
    return None
