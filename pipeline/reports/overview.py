"""A night in one picture: the flow over every line by time, and the journeys between the cameras."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pyarrow as pa
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator

_UP, _DOWN, _INK, _UNWATCHED = "#2a6f97", "#e07a5f", "#22303c", "#d9d9d9"
_ROW_INCHES, _WIDTH_INCHES, _MAP_INCHES = 1.7, 9.0, 4.5
_MAX_TICKS = 8


def draw_counts(table: pa.Table, path: str | os.PathLike[str], journeys: pa.Table | None = None) -> Path:
    """Draw a table of counts (columns: lake/sql/traffic_counts.sql) as a PNG, and return its path.

    One strip a line: one direction upwards, the other downwards, all classes together; grey where the camera did not
    watch the whole bin. With `journeys` (columns: lake/sql/origin_destination.sql), a map of the cameras beside it.
    """
    strips = _strips(table)
    width = _WIDTH_INCHES + (_MAP_INCHES if journeys is not None else 0)
    figure = Figure(figsize=(width, _ROW_INCHES * max(len(strips), 2) + 0.6), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    flows, plan = figure, None
    if journeys is not None:
        flows, plan = figure.subfigures(1, 2, width_ratios=[_WIDTH_INCHES, _MAP_INCHES])
    if not strips:
        flows.text(0.5, 0.5, "no line was watched", ha="center", color=_INK)
    else:
        for axes, (name, bins) in zip(flows.subplots(len(strips), 1, squeeze=False)[:, 0], strips.items()):
            _draw_strip(axes, name, bins)
    if plan is not None:
        _draw_map(plan.subplots(), journeys)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    return path


def _strips(table: pa.Table) -> dict[tuple[str, str], dict[str, dict]]:
    """Gather counts by (camera, line), then by bin: its coverage and the count in each direction."""
    strips: dict[tuple[str, str], dict[str, dict]] = {}
    columns = ["camera_id", "line_id", "direction", "bin_start", "bin_local", "count", "coverage_pct"]
    for row in sorted(table.select(columns).to_pylist(), key=lambda row: (row["bin_start"], row["direction"])):
        bins = strips.setdefault((row["camera_id"], row["line_id"]), {})
        here = bins.setdefault(row["bin_local"], {"coverage_pct": row["coverage_pct"], "counts": {}})
        here["counts"][row["direction"]] = here["counts"].get(row["direction"], 0) + (row["count"] or 0)
    return dict(sorted(strips.items()))


def _draw_strip(axes, name: tuple[str, str], bins: dict[str, dict]) -> None:
    place = range(len(bins))
    directions = sorted({direction for here in bins.values() for direction in here["counts"]})
    highest = max((count for here in bins.values() for count in here["counts"].values()), default=0) or 1
    for x, here in zip(place, bins.values()):
        if here["coverage_pct"] < 100:
            axes.axvspan(x - 0.5, x + 0.5, color=_UNWATCHED, alpha=1 - here["coverage_pct"] / 100, lw=0)
    for direction, sign, colour in zip(directions, (1, -1), (_UP, _DOWN)):
        counts = [here["counts"].get(direction, 0) for here in bins.values()]
        axes.bar(place, [sign * n for n in counts], width=0.9, color=colour, label=f"{direction} ({sum(counts)})")
    axes.axhline(0, color=_INK, lw=0.8)
    axes.set_ylim(-1.15 * highest, 1.15 * highest)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    step = max(1, math.ceil(len(bins) / _MAX_TICKS))
    axes.set_xticks(list(place)[::step], _clock_labels(list(bins))[::step], fontsize=8)
    axes.set_title(f"{name[0]} · {name[1]}", loc="left", fontsize=10, color=_INK)
    axes.legend(loc="upper right", fontsize=8, ncols=2, frameon=False, bbox_to_anchor=(1, 1.3))
    axes.spines[["top", "right"]].set_visible(False)


def _clock_labels(starts: list[str]) -> list[str]:
    """Shorten local starts (ISO 8601) to the clock, with seconds or the date only where they tell bins apart."""
    end = 16 if all(start[16:19] == ":00" for start in starts) else 19
    several_dates = len({start[:10] for start in starts}) > 1
    return [(f"{start[5:10]}\n" if several_dates else "") + start[11:end] for start in starts]


def _draw_map(axes, journeys: pa.Table) -> None:
    """Draw the cameras on a circle, an arrow for journeys between two, a number for identities seen by one only."""
    flows: dict[tuple[str, str], int] = {}
    for row in journeys.to_pylist():
        pair = (row["origin_camera_id"], row["destination_camera_id"])
        flows[pair] = flows.get(pair, 0) + row["count"]
    cameras = sorted({camera for pair in flows for camera in pair})
    places = {}
    for k, camera in enumerate(cameras):
        angle = math.pi / 2 - 2 * math.pi * k / len(cameras)
        places[camera] = (math.cos(angle), math.sin(angle))
    most = max((n for (a, b), n in flows.items() if a != b), default=1)
    for (origin, destination), n in sorted(flows.items()):
        if origin == destination:
            continue
        arrow = FancyArrowPatch(
            places[origin],
            places[destination],
            connectionstyle="arc3,rad=0.18",
            arrowstyle="-|>",
            mutation_scale=12,
            shrinkA=24,
            shrinkB=24,
            lw=1 + 4 * n / most,
            color=_UP,
            alpha=0.75,
        )
        axes.add_patch(arrow)
        (x1, y1), (x2, y2) = places[origin], places[destination]
        # On the arc's own side: arc3 bends by half of `rad` times the distance at its middle.
        axes.text((x1 + x2) / 2 + 0.09 * (y2 - y1), (y1 + y2) / 2 - 0.09 * (x2 - x1), str(n), fontsize=9, ha="center")
    for camera, (x, y) in places.items():
        axes.plot(x, y, "o", ms=34, color="white", mec=_INK, mew=1.2, zorder=3)
        alone = flows.get((camera, camera), 0)
        axes.text(x, y, f"{camera}\n{alone} here", fontsize=7, ha="center", va="center", color=_INK, zorder=4)
    axes.set_xlim(-1.5, 1.5)
    axes.set_ylim(-1.5, 1.5)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title("identities, first camera to last", fontsize=10, color=_INK)
