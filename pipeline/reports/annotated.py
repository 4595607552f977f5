"""What was seen, drawn into every frame of a video: boxes, trails, lines with their counts so far, zones, the clock.

`scene.draw_scene` draws one frame from tables; this draws a hundred a second, from rows laid out by track beforehand.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pyarrow as pa

from pipeline.reports.scene import (
    LINE_RGB,
    REFERENCE_HEIGHT_PX,
    SHOWN_ID_LENGTH,
    ZONE_OPACITY,
    ZONE_RGB,
    colour_of,
    draw_line,
    write_label,
)

TAIL_US = 3_000_000
"""How long a trail stays behind."""

_SAME_US = 500
_CLOCK_RGB = (200, 208, 216)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False, slots=True)
class Track:
    """One tracklet's N rows of a stretch of footage, in order of time.

    at_us        N instants, microseconds since 1970 UTC; a list, for it is searched once a frame
    xyxy         (N, 4) float32, pixels
    feet         (N, 2) int32, pixels: bottom centres
    thin         (N,) bool, no detection stands behind the row
    """

    label: str
    colour: tuple[int, int, int]
    at_us: list[int]
    xyxy: np.ndarray
    feet: np.ndarray
    thin: np.ndarray

    def box(self, at_us: int, step_us: float) -> tuple[np.ndarray, bool] | None:
        """Return the box (4,) at an instant and whether it is thin; between rows of sampled footage it moves evenly."""
        row = bisect_right(self.at_us, at_us + _SAME_US) - 1
        if row < 0:
            return None
        if at_us - self.at_us[row] <= _SAME_US:
            return self.xyxy[row], bool(self.thin[row])
        if row + 1 == len(self.at_us) or self.at_us[row + 1] - self.at_us[row] > 1.5 * step_us:
            return None
        share = (at_us - self.at_us[row]) / (self.at_us[row + 1] - self.at_us[row])
        return self.xyxy[row] + share * (self.xyxy[row + 1] - self.xyxy[row]), True

    def tail(self, at_us: int) -> np.ndarray:
        """Return the feet (M, 2) of the last TAIL_US."""
        return self.feet[bisect_left(self.at_us, at_us - TAIL_US) : bisect_right(self.at_us, at_us + _SAME_US)]


@dataclass(frozen=True, eq=False, slots=True)
class Stretch:
    """The tracks of a piece of footage, in order of their first row, and the usual time between rows."""

    tracks: Sequence[Track]
    step_us: float


def stretch(rows: pa.Table, class_of: dict[str, str], identity_of: dict[str, str]) -> Stretch:
    """Lay out rows (columns: camera_span) sorted by tracklet and time; class by tracklet where its life decided it."""
    whose = rows["tracklet_id"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.r_[True, whose[1:] != whose[:-1]]) if len(whose) else np.zeros(0, int)
    at_us = rows["at_us"].to_numpy()
    xyxy = np.stack([rows[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
    thin = rows["interpolated"].to_numpy(zero_copy_only=False)
    feet = np.stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]], axis=1).round().astype(np.int32)
    tracks = []
    for a, b in zip(starts, [*starts[1:], len(whose)]):
        name, identity = whose[a], identity_of.get(whose[a])
        short = name.rsplit("-", 1)[-1] if identity is None else identity[:SHOWN_ID_LENGTH]
        label = f"{class_of.get(name) or rows['class'][int(a)].as_py()} {short}"
        part = slice(a, b)
        colour = colour_of(identity or name)
        tracks.append(Track(label, colour, at_us[part].tolist(), xyxy[part], feet[part], thin[part]))
    tracks.sort(key=lambda track: track.at_us[0])
    steps = np.diff(at_us)[whose[1:] == whose[:-1]] if len(whose) else np.zeros(0)
    return Stretch(tracks, float(np.median(steps)) if len(steps) else 0.0)


@dataclass(eq=False, slots=True)
class Annotator:
    """Draws one camera's frames.

    lines, zones       rows of schema.LINES and schema.ZONES
    crossings, visits  as in camera_span: counted from the first frame on
    """

    time_zone: str
    lines: Sequence[dict]
    zones: Sequence[dict]
    crossings: pa.Table
    visits: pa.Table
    _passed: dict[tuple[str, str], list[int]] = field(init=False)
    _stays: dict[str, tuple[list[int], list[int]]] = field(init=False)
    _static: dict[tuple[int, ...], list] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._passed, self._stays = {}, {}
        for row in self.crossings.to_pylist():
            self._passed.setdefault((row["line_id"], row["direction"]), []).append(row["at_us"])
        for row in self.visits.to_pylist():
            entered, left = self._stays.setdefault(row["zone_id"], ([], []))
            entered.append(row["entered_at_us"])
            left.append(row["left_at_us"])
        for entered, left in self._stays.values():
            entered.sort()
            left.sort()

    def draw(self, image: np.ndarray, at_us: int, seen: Stretch, *, corner: str = "") -> None:
        """Draw into a frame (H, W, 3) uint8 RGB captured at an instant; `corner` is added to the clock."""
        scale = max(1.0, image.shape[0] / REFERENCE_HEIGHT_PX)
        self._draw_zones(image, at_us, scale)
        for line in self.lines:
            draw_line(image, line, scale)
        live = []
        for track in seen.tracks:
            if track.at_us[0] > at_us + _SAME_US:
                break
            if track.at_us[-1] >= at_us - TAIL_US:
                live.append(track)
        for track in live:
            cv2.polylines(
                image, [track.tail(at_us).reshape(-1, 1, 2)], False, track.colour, round(2 * scale), cv2.LINE_AA
            )
        for track in live:
            _draw_box(image, track, track.box(at_us, seen.step_us), scale)
        for line in self.lines:
            self._write_counts(image, line, at_us, scale)
        instant = (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(self.time_zone))
        clock = f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond // 100_000} {instant:%z}"
        write_label(image, f"{clock}{corner}", (0, image.shape[0]), _CLOCK_RGB, scale)

    def _write_counts(self, image: np.ndarray, line: dict, at_us: int, scale: float) -> None:
        name = line["line_id"]
        counts = [
            f"{way} {bisect_right(self._passed.get((name, way), ()), at_us + _SAME_US)}"
            for way in (line["forward"], line["backward"])
        ]
        text = f"{name}: {', '.join(counts)}"
        write_label(image, text, (round(line["x1"]), round(line["y1"])), LINE_RGB, scale)

    def _draw_zones(self, image: np.ndarray, at_us: int, scale: float) -> None:
        if image.shape not in self._static:
            self._static[image.shape] = [_zone_layer(zone, image.shape) for zone in self.zones]
        for zone, layer in zip(self.zones, self._static[image.shape]):
            if layer is not None:
                window, colours, mask = layer
                part = image[window]
                cv2.copyTo(cv2.addWeighted(colours, ZONE_OPACITY, part, 1 - ZONE_OPACITY, 0), mask, part)
            corners = np.stack([zone["x"], zone["y"]], axis=1).round().astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(image, [corners], True, ZONE_RGB, round(scale), cv2.LINE_AA)
            entered, left = self._stays.get(zone["zone_id"], ((), ()))
            inside = bisect_right(entered, at_us + _SAME_US) - bisect_left(left, at_us - _SAME_US)
            top = corners[corners[:, 0, 1].argmin(), 0]
            write_label(image, f"{zone['zone_id']}: {inside} inside", (int(top[0]), int(top[1])), ZONE_RGB, scale)


def _zone_layer(zone: dict, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray] | None:
    """Return the window of a zone, its colour in that size, and which of its pixels it covers; None outside."""
    corners = np.stack([zone["x"], zone["y"]], axis=1).round().astype(np.int32)
    left, top = np.maximum(corners.min(axis=0), 0)
    right, bottom = np.minimum(corners.max(axis=0) + 1, (shape[1], shape[0]))
    if right <= left or bottom <= top:
        return None
    mask = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillPoly(mask, [corners - (left, top)], 255)
    colours = np.full((*mask.shape, 3), ZONE_RGB, np.uint8)
    return (slice(top, bottom), slice(left, right)), colours, mask


def _draw_box(image: np.ndarray, track: Track, box: tuple[np.ndarray, bool] | None, scale: float) -> None:
    if box is None:
        return
    (x1, y1, x2, y2), thin = (int(value) for value in box[0].round()), box[1]
    cv2.rectangle(image, (x1, y1), (x2, y2), track.colour, 1 if thin else round(2 * scale), cv2.LINE_AA)
    write_label(image, track.label, (x1, y1), track.colour, scale)
