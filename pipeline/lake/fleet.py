"""The fleet as configured, as tables: cameras, lines and zones, measured on the ground where a camera is calibrated."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.config import BOTTOM_CENTRE, FleetConfig, Point, digest
from pipeline.homography import across_error
from pipeline.lake import schema

_DEFAULTS = {"anchor_x": BOTTOM_CENTRE[0], "anchor_y": BOTTOM_CENTRE[1]}
"""What older lakes, which lack these columns, were made with."""


def fleet_tables(config: FleetConfig) -> dict[str, pa.Table]:
    """Return the tables `cameras`, `lines` and `zones` of a fleet, in the order of its file."""
    cameras, lines, zones = [], [], []
    for camera in config.cameras:
        homography = None if camera.homography is None else np.array(camera.homography, np.float64)
        fitted = camera.ground_fit()
        cameras.append(
            {
                "camera_id": camera.id,
                "time_zone": camera.time_zone,
                "homography": None if homography is None else homography.ravel().tolist(),
                "config_digest": digest(camera),
            }
        )
        for line in camera.lines:
            (x1, y1), (x2, y2) = line.points
            lines.append(
                {
                    "camera_id": camera.id,
                    "line_id": line.name,
                    "x1": x1,
                    "y1": y1,
                    "x2": x2,
                    "y2": y2,
                    "forward": line.forward,
                    "backward": line.backward,
                    "classes": None if line.classes is None else list(line.classes),
                    "length_m": None if homography is None else _length(_on_ground(homography, line.points)),
                    "gate_id": line.gate or line.name,
                    "anchor_x": line.anchor[0],
                    "anchor_y": line.anchor[1],
                    "settle_frames": line.settle_frames,
                    "scale_error": None if fitted is None else across_error(fitted, np.array(line.points, np.float64)),
                }
            )
        for zone in camera.zones:
            zones.append(
                {
                    "camera_id": camera.id,
                    "zone_id": zone.name,
                    "x": [x for x, _ in zone.polygon],
                    "y": [y for _, y in zone.polygon],
                    "area_sqm": None if homography is None else _area(_on_ground(homography, zone.polygon)),
                    "anchor_x": zone.anchor[0],
                    "anchor_y": zone.anchor[1],
                }
            )
    rows = {"cameras": cameras, "lines": lines, "zones": zones}
    return {name: pa.Table.from_pylist(rows[name], schema=schema.TABLES[name]) for name in rows}


def completed(name: str, table: pa.Table) -> pa.Table:
    """Return a fleet table of an older lake with the columns it lacks: their defaults, or NULL where unknown."""
    for field in schema.TABLES[name]:
        if field.name in table.schema.names:
            continue
        if field.name == "gate_id":
            values = table["line_id"]
        else:
            values = pa.array([_DEFAULTS.get(field.name)] * len(table), field.type)
        table = table.append_column(field, values)
    return table.select(schema.TABLES[name].names)


def _on_ground(homography: np.ndarray, points: tuple[Point, ...]) -> np.ndarray:
    """Project picture points (N, 2) to metres (N, 2)."""
    homogeneous = np.column_stack([np.array(points, np.float64), np.ones(len(points))]) @ homography.T
    return homogeneous[:, :2] / homogeneous[:, 2:]


def _length(ends_m: np.ndarray) -> float:
    return float(np.linalg.norm(ends_m[1] - ends_m[0]))


def _area(corners_m: np.ndarray) -> float:
    """Area of a polygon (N, 2) by the shoelace formula."""
    x, y = corners_m.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)
