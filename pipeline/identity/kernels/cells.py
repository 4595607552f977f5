"""Compiled loops over cells: a cell is the evidence between two clusters, summed over the pairs of their items."""

from __future__ import annotations

import numpy as np

from pipeline.identity.kernels.compiling import compiled

SCORE_UNIT = 2.0**-24
"""Scores are added up as whole multiples of this, the precision of a float32 near 1: so sums do not depend on the order
of adding, and merges that do not concern each other can be made at the same time."""

MAX_SCORE = 2.0**20
"""Scores are clipped here: log odds of a million either way are as good as certain. Half a million of them add up."""


@compiled
def in_units(score):
    """Return a score in whole multiples of SCORE_UNIT."""
    return np.int64(np.rint(min(MAX_SCORE, max(-MAX_SCORE, np.float64(score))) / SCORE_UNIT))


@compiled
def row_starts(pairs, n_items):
    """Return (N + 1,) where the pairs (P, 2), sorted, of each first item begin."""
    start = np.zeros(n_items + 1, np.int64)
    for row in range(len(pairs)):
        start[pairs[row, 0] + 1] += 1
    for item in range(n_items):
        start[item + 1] += start[item]
    return start


@compiled
def _root(parent, cluster):
    while parent[cluster] != cluster:
        parent[cluster] = parent[parent[cluster]]
        cluster = parent[cluster]
    return cluster


@compiled
def _ahead(a, b, average, cell, other):
    """Tell which of two cells is joined first: higher average, then lower a, then lower b."""
    if average[cell] != average[other]:
        return average[cell] > average[other]
    return a[cell] < a[other] or (a[cell] == a[other] and b[cell] < b[other])


@compiled
def summits(a, b, average, most, parent, first):
    """Return the first cell of every summit, (K,) int64: no two share a cluster.

    A summit is a set of cells (L,) of one average, connected by their clusters, next to which no cell is higher. most
    (N,) float64, parent and first (N,) int64 are work space.
    """
    for cell in range(len(a)):
        for cluster in (a[cell], b[cell]):
            most[cluster], parent[cluster], first[cluster] = -np.inf, cluster, -1
    for cell in range(len(a)):
        for cluster in (a[cell], b[cell]):
            most[cluster] = max(most[cluster], average[cell])
    for cell in range(len(a)):
        if average[cell] == most[a[cell]] and average[cell] == most[b[cell]]:
            p, q = _root(parent, a[cell]), _root(parent, b[cell])
            parent[max(p, q)] = min(p, q)
    for cell in range(len(a)):
        here, there = average[cell] == most[a[cell]], average[cell] == most[b[cell]]
        if here and there:
            root = _root(parent, a[cell])
            if first[root] == -1 or (first[root] >= 0 and _ahead(a, b, average, cell, first[root])):
                first[root] = cell
        elif here or there:
            first[_root(parent, a[cell] if here else b[cell])] = -2  # one of its clusters has something better to do
    found = np.zeros(len(a), np.bool_)
    for cell in range(len(a)):
        for cluster in (a[cell], b[cell]):
            if first[cluster] >= 0:
                found[first[cluster]] = True
    return np.flatnonzero(found)


@compiled
def best(a, b, average):
    """Return the one cell that is joined before all others, (1,) int64; none of none."""
    found = 0
    for cell in range(len(a)):
        if _ahead(a, b, average, cell, found):
            found = cell
    return np.arange(min(1, len(a))) + found


@compiled
def missing(start, a, b, low, high, gone, out_low, out_high, out_group):
    """List the cells that groups of cells lack, and return how many there are; write them where there is room.

    Group g, cells start[g] to start[g + 1] of a, b (T,), becomes the cell of low[g] and high[g]; a cluster c that was
    merged stands for itself and gone[c], the other stands for itself alone (gone -1).
    """
    n_missing = 0
    for group in range(len(low)):
        for left in (low[group], gone[low[group]]):
            for right in (high[group], gone[high[group]]):
                if left < 0 or right < 0:
                    continue
                there = False
                for cell in range(start[group], start[group + 1]):
                    if a[cell] == min(left, right) and b[cell] == max(left, right):
                        there = True
                        break
                if not there:
                    if n_missing < len(out_low):
                        out_low[n_missing], out_high[n_missing], out_group[n_missing] = left, right, group
                    n_missing += 1
    return n_missing


@compiled
def _firmer(pair, other, score):
    """Return which of two candidate pairs, rows or -1 for none, has the higher score; ties: the lower row."""
    if pair < 0 or other < 0:
        return max(pair, other)
    if score[pair] == score[other]:
        return min(pair, other)
    return pair if score[pair] > score[other] else other


@compiled
def add_up(start, total, count, tie, score, sum_total, sum_count, sum_tie):
    """Add the cells of each group: total, count (T,) and the pair with the highest score, `tie` (-1: none)."""
    for group in range(len(start) - 1):
        for cell in range(start[group], start[group + 1]):
            sum_total[group] += total[cell]
            sum_count[group] += count[cell]
            sum_tie[group] = _firmer(sum_tie[group], tie[cell], score)


@compiled
def _find(pairs, row_start, i, j):
    """Return the row of the pair (i, j), i < j, in pairs (P, 2), sorted, or -1."""
    lower, upper = row_start[i], row_start[i + 1]
    end = upper
    while lower < upper:
        middle = (lower + upper) // 2
        if pairs[middle, 1] < j:
            lower = middle + 1
        else:
            upper = middle
    return lower if lower < end and pairs[lower, 1] == j else -1


@compiled
def look_up(low, high, owner, following, row_start, pairs, score, total, count, tie, asked_i, asked_j, asked_owner):
    """Add the candidate pairs between clusters low[m] and high[m] to what owner[m] holds; list the other pairs.

    following (N,) leads from an item of a cluster to the next, -1 at the end. pairs (P, 2) are the candidates, score
    (P,) theirs, and those of first item i begin at row_start[i]. Returns how many pairs are no candidates; they are
    written to asked_*, unless that has no room at all: then nothing is added up either.
    """
    n_asked, counting = 0, len(asked_i) == 0
    for m in range(len(low)):
        left = low[m]
        while left >= 0:
            right = high[m]
            while right >= 0:
                i, j = min(left, right), max(left, right)
                row = _find(pairs, row_start, i, j)
                if row < 0:
                    if not counting:
                        asked_i[n_asked], asked_j[n_asked], asked_owner[n_asked] = i, j, owner[m]
                    n_asked += 1
                elif not counting:
                    total[owner[m]] += in_units(score[row])
                    count[owner[m]] += 1
                    tie[owner[m]] = _firmer(tie[owner[m]], row, score)
                right = following[right]
            left = following[left]
    return n_asked


@compiled
def chain(kept, gone, following, tail):
    """Append the items of gone[m] to those of kept[m]. tail (N,) is the last item of each cluster."""
    for m in range(len(kept)):
        following[tail[kept[m]]] = gone[m]
        tail[kept[m]] = tail[gone[m]]


@compiled
def leaders(a, b, average, latest, leader):
    """Set leader[m] to that of the merges below m, itself among them, which comes last in a greedy order.

    Merges (M,) of clusters a < b, those below earlier; latest (N,) int64, all -1 at first. In a greedy order the merge
    of highest average comes first (ties: lowest a, then b) among those whose parts are already merged.
    """
    for m in range(len(a)):
        last = m
        for part in (latest[a[m]], latest[b[m]]):
            if part < 0:
                continue
            if _ahead(a, b, average, last, leader[part]):
                last = leader[part]
        leader[m] = last
        latest[a[m]] = m


@compiled
def spread(following, label):
    """Set label[n] of every item to the first of the chain it stands in. label (N,) begins as 0 to N - 1."""
    for item in range(len(label)):
        if label[item] == item:  # nothing lower leads here: a chain begins with its lowest item
            other = following[item]
            while other >= 0:
                label[other] = item
                other = following[other]
