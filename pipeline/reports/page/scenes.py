"""A camera's picture with what is counted in it: the empty scene, its lines with their directions, its zones."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.heatmap import picture_size
from pipeline.reports.page.period import Period

PICTURES_BYTES = 1_600_000
"""Of all backdrops of a page together, about: the more cameras, the smaller their pictures."""

_LONGEST_PX, _SHORTEST_PX = 1120, 480
_JPEG_BYTES_PER_PX = 0.16
"""Of a street at the quality below; measured on eight views."""

_JPEG_QUALITY = 74
_FALLBACK_SIZE = (640.0, 360.0)

_LINES = "SELECT camera_id, line_id, x1, y1, x2, y2, forward, backward FROM lines"
_ZONES = "SELECT camera_id, zone_id, x, y FROM zones"


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """A line in picture pixels: its ends, the arrow of its forward direction, and where its words stand."""

    name: str
    forward: str
    backward: str
    ends: tuple[float, float, float, float]
    arrow: str
    shaft: tuple[float, float, float, float]
    name_at: tuple[float, float]
    forward_at: tuple[float, float]
    anchor: str


@dataclass(frozen=True, slots=True)
class DrawnZone:
    """A zone in picture pixels: SVG points, and where its name stands."""

    name: str
    points: str
    name_at: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """A camera's picture. `unit` is a hundredth of its width, in which strokes and letters are measured."""

    camera_id: str
    width: float
    height: float
    picture: str | None
    lines: list[DrawnLine]
    zones: list[DrawnZone]

    @property
    def unit(self) -> float:
        """A hundredth of the width, pixels of the footage."""
        return self.width / 100


def scenes(connection: Connection, period: Period, backdrops: Mapping[str, np.ndarray]) -> dict[str, Scene]:
    """Return each camera's scene; `backdrops` are pictures (H, W, 3) uint8 RGB in the size of the footage, for the
    cameras that have one."""
    lines = catalog.select(connection, _LINES).to_pylist()
    zones = catalog.select(connection, _ZONES).to_pylist()
    longest_px = fitting_px(len([camera for camera in period.cameras if camera in backdrops]))
    made = {}
    for camera in period.cameras:
        mine = [line for line in lines if line["camera_id"] == camera]
        areas = [zone for zone in zones if zone["camera_id"] == camera]
        image = backdrops.get(camera)
        if image is None:
            width, height = _hull(mine, areas, picture_size(connection, camera))
        else:
            height, width = (float(side) for side in image.shape[:2])
        made[camera] = Scene(
            camera_id=camera,
            width=width,
            height=height,
            picture=None if image is None else jpeg_url(image, longest_px),
            lines=[_drawn(line, width, height) for line in mine],
            zones=[_zone(zone, width, height) for zone in areas],
        )
    return made


def fitting_px(n: int) -> int:
    """Return the longer side in pixels at which n pictures of 16:9 fit the page."""
    if n == 0:
        return _LONGEST_PX
    fitting = math.sqrt(PICTURES_BYTES / n / _JPEG_BYTES_PER_PX * 16 / 9)
    return round(min(_LONGEST_PX, max(_SHORTEST_PX, fitting)))


def jpeg_url(image: np.ndarray, longest_px: int) -> str:
    """Return a picture (H, W, 3) uint8 RGB as a data URL of a JPEG, its longer side at most so long."""
    scale = longest_px / max(image.shape[:2])
    if scale < 1:
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode("ascii")


def _drawn(line: dict, width: float, height: float) -> DrawnLine:
    a, b = np.array([line["x1"], line["y1"]]), np.array([line["x2"], line["y2"]])
    unit = width / 100
    length = float(np.hypot(*(b - a))) or 1.0
    right = np.array([-(b - a)[1], (b - a)[0]]) / length  # of one who walks from a to b, y down: where forward goes
    middle = (a + b) / 2
    tip = middle + right * 5.5 * unit
    side = np.array([-right[1], right[0]])
    head = [tip, tip - right * 2.2 * unit + side * 1.1 * unit, tip - right * 2.2 * unit - side * 1.1 * unit]
    beyond = _kept(middle + right * 8 * unit, width, height)
    name_at = _kept(a + (a - b) / length * 1.5 * unit - right * 2.2 * unit, width, height)
    return DrawnLine(
        name=line["line_id"],
        forward=line["forward"],
        backward=line["backward"],
        ends=(*_rounded(a), *_rounded(b)),
        arrow=" ".join(f"{x:.1f},{y:.1f}" for x, y in head),
        shaft=(*_rounded(middle), *_rounded(tip - right * 1.6 * unit)),
        name_at=name_at,
        forward_at=beyond,
        anchor="start" if right[0] > 0.35 else "end" if right[0] < -0.35 else "middle",
    )


def _zone(zone: dict, width: float, height: float) -> DrawnZone:
    points = list(zip(zone["x"], zone["y"]))
    lowest = np.add(max(points, key=lambda point: point[1]), (0.0, 2.6 * width / 100))
    shape = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return DrawnZone(zone["zone_id"], shape, _kept(lowest, width, height))


def _kept(point: np.ndarray, width: float, height: float) -> tuple[float, float]:
    """Return a point moved far enough inside the picture for a word there to be read."""
    x = min(max(float(point[0]), width * 0.07), width * 0.93)
    y = min(max(float(point[1]), height * 0.05), height * 0.97)
    return round(x, 1), round(y, 1)


def _rounded(point) -> tuple[float, float]:
    return round(float(point[0]), 1), round(float(point[1]), 1)


def _hull(lines: list[dict], zones: list[dict], reach: tuple[int, int]) -> tuple[float, float]:
    """Return a size that holds all lines, zones and boxes, where no picture says how large it is."""
    xs = [line[k] for line in lines for k in ("x1", "x2")] + [x for zone in zones for x in zone["x"]]
    ys = [line[k] for line in lines for k in ("y1", "y2")] + [y for zone in zones for y in zone["y"]]
    if not any(reach) and not xs:
        return _FALLBACK_SIZE
    return float(max([*xs, reach[0], 1])), float(max([*ys, reach[1], 1]))
