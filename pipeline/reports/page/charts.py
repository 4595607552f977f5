"""Charts as numbers: shares of a plot's width and height, for templates that draw them at any size.

The marks of a plot are one stretched SVG path a series, so that a day of bins stays small and sharp; words stay HTML,
so that they keep their size on a phone and in print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.reports.page.axis import Tick, TimeAxis

WIDE, HIGH = 1000, 100
"""Units of a plot's box; it is stretched to what room there is."""

_BAR_SHARE = 0.86
"""Of a bin's width; the rest parts it from its neighbour."""

_NICE_STEPS = (1, 2, 5, 10)
_NICE_TOPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of one line: its time, how much of it was watched (per cent), and the count upward and downward.

    Counts are None where nobody watched.
    """

    start: datetime
    end: datetime
    covered: float
    up: float | None
    down: float | None


@dataclass(frozen=True, slots=True)
class Hatch:
    """A part of the plot, as shares of its width, in which the camera watched nothing ("none") or a part ("part")."""

    left: float
    width: float
    kind: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars over time, one series upward from the middle, the other downward.

    up, down  path data in a box of WIDE x HIGH
    zero      path of the baseline, only where the camera watched: that is how a count of 0 looks
    y_labels  (share from the top, number)
    """

    up: str
    down: str
    zero: str
    hatches: list[Hatch]
    y_labels: list[tuple[float, str]]
    x_ticks: list[Tick]
    mirrored: bool

    def has(self, kind: str) -> bool:
        """Tell whether a part of it is hatched so."""
        return any(hatch.kind == kind for hatch in self.hatches)


def bar_chart(bins: Sequence[Bin], axis: TimeAxis) -> BarChart:
    """Lay out bars of both directions, to one scale; only upward where there is nothing the other way."""
    mirrored = any(each.down is not None for each in bins)
    top = nice_top(max((n for each in bins for n in (each.up, each.down) if n is not None), default=0))
    base = HIGH / 2 if mirrored else HIGH
    scale = base / top
    edges = [(axis.share(each.start) * WIDE, axis.share(each.end) * WIDE) for each in bins]
    watched = [(edge, each) for edge, each in zip(edges, bins) if each.up is not None or each.down is not None]
    return BarChart(
        up="".join(_bar(*edge, base, -scale * each.up) for edge, each in watched if each.up),
        down="".join(_bar(*edge, base, scale * each.down) for edge, each in watched if each.down),
        zero="".join(f"M{left:.1f} {base:g}H{right:.1f}" for left, right in _joined([edge for edge, _ in watched])),
        hatches=_hatches(bins, axis),
        y_labels=_y_labels(top, mirrored),
        x_ticks=axis.ticks(),
        mirrored=mirrored,
    )


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts over equal classes of a quantity: path data, and labels along it as (share, text)."""

    path: str
    labels: list[tuple[float, str]]
    marks: list[tuple[float, str]]
    width: float
    most: int


def histogram(values: Sequence[float], marks: Sequence[tuple[float, str]], *, classes: int = 24) -> Histogram | None:
    """Return a small distribution from the least to the most, with named marks; None for fewer than two values."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    width = nice_step((high - low) / classes) if high > low else 1.0
    first = math.floor(low / width)
    n = math.floor(high / width) - first + 1
    counts = [0] * n
    for value in values:
        counts[math.floor(value / width) - first] += 1
    most = max(counts)
    bar = WIDE / n
    path = "".join(_bar(k * bar, (k + 1) * bar, HIGH, -HIGH * count / most) for k, count in enumerate(counts) if count)

    def place(value: float) -> float:
        return (value / width - first) / n

    ends = [(0.0, f"{first * width:g}"), (1.0, f"{(first + n) * width:g}")]
    return Histogram(path, ends, [(place(value), name) for value, name in marks], width, most)


def nice_top(most: float) -> float:
    """Return the least round number that is not below a number of 0 or more: an axis' end; 1 for 0."""
    if most <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(most))
    top = next(step * power for step in _NICE_TOPS if step * power >= most * (1 - 1e-9))
    return math.ceil(top) if float(most).is_integer() else round(top, 10)


def nice_step(least: float) -> float:
    """Return the least of ..., 0.1, 0.2, 0.5, 1, 2, 5, 10, ... that is not below a positive number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _NICE_STEPS if step * power >= least * (1 - 1e-9))


def _bar(left: float, right: float, base: float, height: float) -> str:
    slack = (right - left) * (1 - _BAR_SHARE) / 2
    return f"M{left + slack:.1f} {base:g}v{height:.1f}h{right - left - 2 * slack:.2f}v{-height:.1f}z"


def _joined(edges: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for left, right in edges:
        if joined and left - joined[-1][1] < 0.05:
            joined[-1] = (joined[-1][0], right)
        else:
            joined.append((left, right))
    return joined


def _hatches(bins: Sequence[Bin], axis: TimeAxis) -> list[Hatch]:
    """Return runs of bins nobody watched, and of bins watched in part."""
    runs: list[list] = []
    for each in bins:
        kind = "none" if each.covered <= 0 else "part" if each.covered < 99.95 else ""
        left, right = axis.share(each.start), axis.share(each.end)
        if runs and runs[-1][2] == kind and left - runs[-1][1] < 1e-6:
            runs[-1][1] = right
        else:
            runs.append([left, right, kind])
    return [Hatch(left, right - left, kind) for left, right, kind in runs if kind]


def _y_labels(top: float, mirrored: bool) -> list[tuple[float, str]]:
    if not mirrored:
        return [(0.0, f"{top:g}"), (1.0, "0")]
    return [(0.0, f"{top:g}"), (0.5, "0"), (1.0, f"{top:g}")]
