"""Crossings, gates and stays by a plain program that walks one track after another: the oracle of the SQL."""

from __future__ import annotations

import numpy as np

MARGIN = 0.1
"""Share of the box's height that a place must be away from a line to be sure."""

SETTLE_US = 1_000_000


def crossings(
    anchor: np.ndarray, height: np.ndarray, at_us: np.ndarray, ends, settle_frames: int | None = None
) -> list[tuple[str, int, int]]:
    """Walk one track (N, 2) over one line: ("in" forward or "out", instant, first box beyond) of each crossing."""
    a, b = np.array(ends, float)
    d = (b - a) / np.hypot(*(b - a))
    side = [d[0] * (y - a[1]) - d[1] * (x - a[0]) for x, y in anchor]
    along = [((x - a[0]) * d[0] + (y - a[1]) * d[1]) / np.hypot(*(b - a)) for x, y in anchor]
    passages, before, change = [], None, None
    for i in range(len(anchor)):
        if i and (side[i] < 0) != (side[i - 1] < 0):
            f = side[i - 1] / (side[i - 1] - side[i])
            place = along[i - 1] + f * (along[i] - along[i - 1])
            change = (int(at_us[i - 1] + f * (at_us[i] - at_us[i - 1])), 0 <= place <= 1, i + 1)
        margin = MARGIN * height[i]
        if side[i] == 0 or (abs(side[i]) < margin and i not in (0, len(anchor) - 1)):
            continue
        changes = before is not None and (side[i] < 0) != (side[before] < 0)
        if changes and abs(side[i] - side[before]) >= min(margin, MARGIN * height[before]):
            passages.append({"from": before, "to": i, "change": change, "way": 1 if side[i] > 0 else -1})
        before = i
    return [_named(crossing) for crossing in _netted(passages, at_us, settle_frames)]


def _netted(passages: list[dict], at_us: np.ndarray, settle_frames: int | None) -> list[dict]:
    """Take passages without a stay that holds between them as one, and let those cancel that lead to and fro."""
    episodes: list[list[dict]] = []
    for passage in passages:
        if episodes:
            came, left = episodes[-1][-1]["to"], passage["from"]
            by_time = at_us[left] - at_us[came] >= SETTLE_US
            holds = by_time if settle_frames is None else left - came + 1 >= settle_frames
        if not episodes or holds:
            episodes.append([])
        episodes[-1].append(passage)
    kept = []
    for episode in episodes:
        of_line = [passage for passage in episode if passage["change"][1]]
        surplus = sum(passage["way"] for passage in of_line)
        if surplus:
            kept.append([passage for passage in of_line if passage["way"] * surplus > 0][-1])
    return kept


def _named(passage: dict) -> tuple[str, int, int]:
    at_us, _, nth = passage["change"]
    return ("in" if passage["way"] > 0 else "out", at_us, nth)


def gate_passages(crossed: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """Passages of a gate, of one track's crossings of its lines: (instant, line, direction), lines settling by time."""
    turns: list[tuple[int, str, str]] = []
    for crossing in sorted(crossed):
        if not turns or turns[-1][2] != crossing[2]:
            turns.append(crossing)
    kept: list[list[tuple[int, str, str]]] = []
    for turn in turns:
        if not kept or turn[0] - kept[-1][-1][0] >= SETTLE_US:
            kept.append([])
        kept[-1].append(turn)
    return [episode[-1] for episode in kept if len(episode) % 2]
