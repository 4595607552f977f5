"""Turning movements: which gate of a camera objects came in by, and which they left by."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.period import Period

ONE_GATE = "no other gate"
"""Where those went who passed a single gate."""

_MOVEMENTS = """
SELECT camera_id, from_gate, from_direction, to_gate, to_direction, class, sum(count)::BIGINT AS count
FROM turning_movements(86400, $1, $2)
GROUP BY ALL
HAVING sum(count) > 0
ORDER BY camera_id, from_gate, from_direction, to_gate NULLS LAST, to_direction, class
"""
_GATES = """
SELECT camera_id, gate_id, avg((x1 + x2) / 2) AS x, avg((y1 + y2) / 2) AS y FROM lines GROUP BY ALL ORDER BY ALL
"""

_WIDEST, _THINNEST = 2.4, 0.4
"""Strokes of the greatest and the least flow, hundredths of the picture's width."""

_BEND = 0.16
"""How far a flow bends off the straight way, as a share of it, so that the way back lies beside it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One arrow in a picture: SVG path, stroke width in pixels, the head's points, its number and where that stands."""

    path: str
    stroke: float
    head: str
    count: int
    label_at: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Movements:
    """One camera's matrix: `counts` by (from, to), rows and columns in order; `ways` are the rows behind it."""

    camera_id: str
    gates: list[str]
    columns: list[str]
    counts: dict[tuple[str, str], int]
    ways: list[dict[str, Any]]
    flows: list[Flow]

    @property
    def most(self) -> int:
        """The greatest number of the matrix."""
        return max(self.counts.values(), default=0)

    def row_sum(self, gate: str) -> int:
        """Return how many came in by a gate."""
        return sum(n for (origin, _), n in self.counts.items() if origin == gate)

    def column_sum(self, column: str) -> int:
        """Return how many left by a gate."""
        return sum(n for (_, target), n in self.counts.items() if target == column)

    @property
    def total(self) -> int:
        """Everybody who passed a gate."""
        return sum(self.counts.values())


def movements(connection: Connection, period: Period, widths: dict[str, float]) -> list[Movements]:
    """Return the turning movements of the cameras that have two gates or more.

    widths  camera_id -> width of its picture, pixels
    """
    places: dict[str, dict[str, tuple[float, float]]] = {}
    for row in catalog.select(connection, _GATES).to_pylist():
        places.setdefault(row["camera_id"], {})[row["gate_id"]] = (row["x"], row["y"])
    ways = catalog.select(connection, _MOVEMENTS, list(period.asked)).to_pylist()
    return [
        _camera(camera, places[camera], [way for way in ways if way["camera_id"] == camera], widths[camera])
        for camera in period.cameras
        if len(places.get(camera, ())) > 1
    ]


def _camera(camera: str, places: dict[str, tuple[float, float]], ways: list[dict], width: float) -> Movements:
    counts: Counter[tuple[str, str]] = Counter()
    for way in ways:
        counts[way["from_gate"], way["to_gate"] or ONE_GATE] += way["count"]
    gates = list(places)
    columns = [*gates, ONE_GATE] if any(target == ONE_GATE for _, target in counts) else gates
    between = {pair: n for pair, n in counts.items() if pair[0] != pair[1] and pair[0] in places and pair[1] in places}
    most = max(between.values(), default=1)
    flows = [
        _flow(places[origin], places[target], n, n / most, width / 100)
        for (origin, target), n in sorted(between.items(), key=lambda item: (-item[1], item[0]))
    ]
    return Movements(camera, gates, columns, dict(counts), ways, flows)


def _flow(start: tuple[float, float], end: tuple[float, float], count: int, share: float, unit: float) -> Flow:
    """Return an arrow bent to its own right, so that two ways between the same gates lie apart."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    bend = max(_BEND * length, 5 * unit)
    side = (-dy / length, dx / length)
    middle = ((start[0] + end[0]) / 2 + side[0] * bend, (start[1] + end[1]) / 2 + side[1] * bend)
    control = (2 * middle[0] - (start[0] + end[0]) / 2, 2 * middle[1] - (start[1] + end[1]) / 2)
    stroke = max(_THINNEST, _WIDEST * share) * unit
    reach = 2.2 * unit + stroke
    ahead = math.atan2(end[1] - control[1], end[0] - control[0])
    back = (end[0] - reach * math.cos(ahead), end[1] - reach * math.sin(ahead))
    wing = (0.9 * unit + stroke * 0.8) * math.sin(ahead), -(0.9 * unit + stroke * 0.8) * math.cos(ahead)
    head = [end, (back[0] + wing[0], back[1] + wing[1]), (back[0] - wing[0], back[1] - wing[1])]
    return Flow(
        path=f"M{start[0]:.1f} {start[1]:.1f}Q{control[0]:.1f} {control[1]:.1f} {back[0]:.1f} {back[1]:.1f}",
        stroke=round(stroke, 2),
        head=" ".join(f"{x:.1f},{y:.1f}" for x, y in head),
        count=count,
        label_at=(round(middle[0] + side[0] * 2.5 * unit, 1), round(middle[1] + side[1] * 2.5 * unit, 1)),
    )
