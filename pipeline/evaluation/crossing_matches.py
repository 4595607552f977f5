"""Measured crossings matched with true ones, one to one, so that every error has a name and a tracklet to look at.

Crossings are matched within one line of one camera, by time: twice, first those of equal direction, then the rest, for
which a counter got the direction wrong. Each time as many pairs as the tolerance allows are made, and among those ways
the one with the least cost is taken (Kuhn 1955, the Hungarian method): seconds apart, plus the tolerance where the
classes differ and twice that where their groups (person, vehicle) differ. Of ways that cost the same, the solver's is
taken on rows sorted by time, which is the same every time.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.evaluation.tables import Crossings
from pipeline.types import CLASS_GROUPS

TOLERANCE_S = 2.0
"""A person walks about 3 m in this time: more than a line is marked wrong by, less than the usual gap between two."""

NOBODY = "none"
"""Stands in the confusion matrix for the side that has no crossing."""


ERROR_COLUMNS = (
    "error",
    "camera_id",
    "line_id",
    "direction",
    "class",
    "crossed_at",
    "crossed_local",
    "object_id",
    "tracklet_id",
    "measured_direction",
    "measured_class",
    "off_s",
)
"""Columns of a row of `errors`."""


@dataclass(frozen=True, eq=False, slots=True)
class Matches:
    """Which of N true and M measured crossings are one and the same, and what the others are.

    pairs             (P, 2) int64, rows of truth and of measured with equal direction, by truth
    wrong_direction   (Q, 2) int64, the same of those whose directions differ
    missed            (R,)   int64, rows of truth that nothing was matched with
    double            (D,)   int64, rows of measured: somebody already matched, counted again
    false             (F,)   int64, rows of measured: nobody there
    """

    pairs: np.ndarray
    wrong_direction: np.ndarray
    missed: np.ndarray
    double: np.ndarray
    false: np.ndarray


def match(truth: Crossings, measured: Crossings, tolerance_s: float = TOLERANCE_S) -> Matches:
    """Match crossings one to one.

    A measured crossing that is left over is a double where the true crossing of its line and direction nearest in time
    lies within the tolerance and is matched already, or where its own tracklet is matched with another crossing of that
    line and direction; else it is false.
    """
    tolerance_us = round(tolerance_s * 1e6)
    same = _matched(truth, measured, tolerance_us, ("camera_id", "line_id", "direction"))
    left_true = np.setdiff1d(np.arange(len(truth)), same[:, 0])
    left_measured = np.setdiff1d(np.arange(len(measured)), same[:, 1])
    other = _matched(_take(truth, left_true), _take(measured, left_measured), tolerance_us, ("camera_id", "line_id"))
    turned = np.column_stack([left_true[other[:, 0]], left_measured[other[:, 1]]])
    extra = np.setdiff1d(left_measured, turned[:, 1])
    again = _counted_again(truth, measured, extra, same, tolerance_us)
    return Matches(
        pairs=same,
        wrong_direction=turned,
        missed=np.setdiff1d(left_true, turned[:, 0]),
        double=extra[again],
        false=extra[~again],
    )


def errors(
    truth: Crossings, measured: Crossings, matches: Matches, zones: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return every error as a row, in order of camera, line and time; `zones` are the cameras' IANA zones, else UTC.

    Columns: error (missed, double, false, wrong direction, wrong class), camera_id, line_id, direction, class,
    crossed_at, crossed_local (by the camera's clock), object_id (all of the truth, or of the measured crossing where
    there is no true one), tracklet_id, measured_direction, measured_class, off_s (measured later than true; None where
    there is no pair).
    """
    rows = [_row("missed", truth, i, measured, None) for i in matches.missed]
    for name, which in (("double", matches.double), ("false", matches.false)):
        rows += [_row(name, truth, None, measured, j) for j in which]
    rows += [_row("wrong direction", truth, i, measured, j) for i, j in matches.wrong_direction]
    rows += [
        _row("wrong class", truth, i, measured, j)
        for i, j in matches.pairs
        if truth.class_name[i] != measured.class_name[j]
    ]
    for row in rows:
        instant = datetime.fromisoformat(row["crossed_at"])
        local = instant.astimezone(ZoneInfo((zones or {}).get(row["camera_id"], "UTC")))
        row["crossed_local"] = local.isoformat(timespec="milliseconds")
    return sorted(({name: row[name] for name in ERROR_COLUMNS} for row in rows), key=_order)


def _order(row: Mapping[str, Any]) -> tuple[str, ...]:
    return row["camera_id"], row["line_id"], row["crossed_at"], row["error"]


def confusion(truth: Crossings, measured: Crossings, matches: Matches) -> list[dict[str, Any]]:
    """Return the confusion matrix, one row a true class: class, then a column for each measured class and for NOBODY.

    The row NOBODY holds what was measured where nobody crossed (double and false), the column NOBODY what was missed.
    Pairs with the wrong direction are pairs too.
    """
    pairs = np.concatenate([matches.pairs, matches.wrong_direction])
    of = Counter((truth.class_name[i], measured.class_name[j]) for i, j in pairs)
    of.update((truth.class_name[i], NOBODY) for i in matches.missed)
    of.update((NOBODY, measured.class_name[j]) for j in np.concatenate([matches.double, matches.false]))
    names = [*sorted({name for pair in of for name in pair} - {NOBODY}), NOBODY]
    return [{"class": true, **{seen: of[true, seen] for seen in names}} for true in names]


def _matched(truth: Crossings, measured: Crossings, tolerance_us: int, names: tuple[str, ...]) -> np.ndarray:
    """Match what is equal in `names`; (P, 2) rows of both sides, ascending by truth."""
    pairs = [np.zeros((0, 2), np.int64)]
    for mine, theirs in _streams(truth, measured, names):
        mine, theirs = (
            rows[np.argsort(side.crossed_at_us[rows], kind="stable")]
            for side, rows in ((truth, mine), (measured, theirs))
        )
        for at, to in _chains(truth.crossed_at_us[mine], measured.crossed_at_us[theirs], tolerance_us):
            pairs.append(_assigned(truth, measured, mine[at], theirs[to], tolerance_us))
    found = np.concatenate(pairs)
    return found[np.argsort(found[:, 0], kind="stable")]


def _streams(truth: Crossings, measured: Crossings, names: tuple[str, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows of both sides that are equal in `names`, where both have some."""
    rows: dict[tuple, tuple[list, list]] = {}
    for side, crossings in enumerate((truth, measured)):
        for row, key in enumerate(zip(*(getattr(crossings, name) for name in names))):
            rows.setdefault(key, ([], []))[side].append(row)
    for key in sorted(rows):
        mine, theirs = rows[key]
        if mine and theirs:
            yield np.array(mine, np.int64), np.array(theirs, np.int64)


def _chains(mine_us: np.ndarray, theirs_us: np.ndarray, tolerance_us: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut sorted instants where nothing happens for longer than the tolerance: pairs lie within one piece."""
    at_us = np.concatenate([mine_us, theirs_us])
    order = np.argsort(at_us, kind="stable")
    piece = np.empty(len(at_us), np.int64)
    piece[order] = np.cumsum(np.diff(at_us[order], prepend=at_us[order][:1]) > tolerance_us)
    of_mine, of_theirs = piece[: len(mine_us)], piece[len(mine_us) :]
    for one in np.intersect1d(of_mine, of_theirs):
        yield np.flatnonzero(of_mine == one), np.flatnonzero(of_theirs == one)


def _assigned(
    truth: Crossings, measured: Crossings, mine: np.ndarray, theirs: np.ndarray, tolerance_us: int
) -> np.ndarray:
    """Match rows of one piece: as many as possible, at the least cost."""
    apart_us = np.abs(truth.crossed_at_us[mine][:, None] - measured.crossed_at_us[theirs][None]).astype(np.float64)
    true, seen = truth.class_name[mine], measured.class_name[theirs]
    differs = (true[:, None] != seen[None]).astype(np.float64)
    differs += _groups(true)[:, None] != _groups(seen)[None]
    cost = apart_us + differs * max(tolerance_us, 1)
    near = apart_us <= tolerance_us
    # A pair that is none costs more than all that are some together, so none is made while one more can be.
    forbidden = (3.0 * max(tolerance_us, 1) + 1) * (min(cost.shape) + 1)
    row, column = linear_sum_assignment(np.where(near, cost, forbidden))
    made = near[row, column]
    return np.column_stack([mine[row[made]], theirs[column[made]]])


def _groups(names: np.ndarray) -> np.ndarray:
    return np.array([CLASS_GROUPS.get(name, name) for name in names], dtype=object)


def _counted_again(
    truth: Crossings, measured: Crossings, extra: np.ndarray, pairs: np.ndarray, tolerance_us: int
) -> np.ndarray:
    """Tell which rows of `extra` (E,) are doubles, (E,) bool."""

    def place(side: Crossings, row: int) -> tuple[str, str, str]:
        return side.camera_id[row], side.line_id[row], side.direction[row]

    tracks = {(*place(measured, j), measured.object_id[j]) for j in pairs[:, 1]}
    taken = np.isin(np.arange(len(truth)), pairs[:, 0])
    of_line: dict[tuple[str, str, str], list[int]] = {}
    for row in range(len(truth)):
        of_line.setdefault(place(truth, row), []).append(row)
    again = np.zeros(len(extra), bool)
    for at, j in enumerate(extra):
        rows = np.array(of_line.get(place(measured, j), []), np.int64)
        apart_us = np.abs(truth.crossed_at_us[rows] - measured.crossed_at_us[j])
        near = len(rows) > 0 and apart_us.min() <= tolerance_us and taken[rows[np.argmin(apart_us)]]
        again[at] = near or (*place(measured, j), measured.object_id[j]) in tracks
    return again


def _take(crossings: Crossings, rows: np.ndarray) -> Crossings:
    names = [field.name for field in dataclasses.fields(crossings)]
    return Crossings(*(getattr(crossings, name)[rows] for name in names))


def _row(error: str, truth: Crossings, true: int | None, measured: Crossings, seen: int | None) -> dict[str, Any]:
    side, row = (measured, seen) if true is None else (truth, true)
    off_s = None
    if true is not None and seen is not None:
        off_s = (int(measured.crossed_at_us[seen]) - int(truth.crossed_at_us[true])) / 1e6
    at = datetime.fromtimestamp(int(side.crossed_at_us[row]) // 1_000_000, UTC)
    at = at.replace(microsecond=int(side.crossed_at_us[row]) % 1_000_000)
    return {
        "error": error,
        "camera_id": side.camera_id[row],
        "line_id": side.line_id[row],
        "direction": side.direction[row],
        "class": side.class_name[row],
        "crossed_at": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "object_id": None if true is None else truth.object_id[true],
        "tracklet_id": None if seen is None else measured.object_id[seen],
        "measured_direction": None if seen is None else measured.direction[seen],
        "measured_class": None if seen is None else measured.class_name[seen],
        "off_s": off_s,
    }
