"""One frame with what nightfleet saw in it: lines, zones, boxes, the ways objects came, and who they are."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import pyarrow as pa

LINE_RGB, ZONE_RGB, _TEXT_RGB = (255, 196, 61), (86, 204, 157), (255, 255, 255)
ZONE_OPACITY = 0.22
_FONT = cv2.FONT_HERSHEY_SIMPLEX
SHOWN_ID_LENGTH = 7
"""An identity's first characters tell it from the others in a picture; its colour does too."""
REFERENCE_HEIGHT_PX = 480
"""Height of picture at which strokes are one or two pixels wide; larger pictures get thicker ones."""


def draw_scene(
    image_rgb: np.ndarray,
    observations: pa.Table,
    lines: pa.Table,
    zones: pa.Table,
    *,
    at_us: int,
    tail_s: float = 3.0,
    identity_of: dict[str, str] | None = None,
) -> np.ndarray:
    """Return a copy of a frame (H, W, 3) uint8 RGB with one camera's scene drawn on it.

    observations  rows of schema.OBSERVATIONS of that camera, at least those of the last `tail_s` seconds
    lines, zones  rows of schema.LINES and schema.ZONES of that camera
    at_us         instant of the frame, microseconds since 1970 UTC: rows of this instant are its boxes
    identity_of   identity by tracklet; a box shows it, and has its colour, where there is one

    Boxes that no detection stands behind are drawn thin.
    """
    image = np.ascontiguousarray(image_rgb).copy()
    scale = max(1.0, image.shape[0] / REFERENCE_HEIGHT_PX)
    _draw_zones(image, zones, scale)
    _draw_lines(image, lines, scale)
    captured_us = observations["captured_at"].cast(pa.int64()).to_numpy()
    recent = (captured_us <= at_us) & (captured_us >= at_us - round(tail_s * 1e6))
    rows = observations.filter(pa.array(recent)).sort_by([("tracklet_id", "ascending"), ("captured_at", "ascending")])
    for track in _tracks(rows):
        _draw_track(image, track, at_us, identity_of or {}, scale)
    return image


def colour_of(name: str) -> tuple[int, int, int]:
    """Return an id's own RGB colour: the same in every picture, bright enough on footage."""
    hue = zlib.crc32(name.encode()) % 180  # OpenCV counts hue in half degrees
    pixel = cv2.cvtColor(np.array([[[hue, 190, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    return tuple(int(channel) for channel in pixel)


def _tracks(rows: pa.Table) -> list[pa.Table]:
    """Split rows sorted by tracklet into one table a tracklet."""
    ids = rows["tracklet_id"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, int)
    return [rows.slice(a, b - a) for a, b in zip(starts, [*starts[1:], len(ids)])]


def _draw_track(image: np.ndarray, track: pa.Table, at_us: int, identity_of: dict[str, str], scale: float) -> None:
    corners = np.stack([track[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)  # (N, 4)
    tracklet_id = track["tracklet_id"][0].as_py()
    identity = identity_of.get(tracklet_id)
    colour = colour_of(identity or tracklet_id)
    stroke = round(2 * scale)
    tail = np.stack([(corners[:, 0] + corners[:, 2]) / 2, corners[:, 3]], axis=1).round().astype(np.int32)
    cv2.polylines(image, [tail.reshape(-1, 1, 2)], False, colour, stroke, cv2.LINE_AA)
    if track["captured_at"].cast(pa.int64())[-1].as_py() != at_us:
        return
    x1, y1, x2, y2 = (int(v) for v in corners[-1].round())
    width = 1 if track["interpolated"][-1].as_py() else stroke
    cv2.rectangle(image, (x1, y1), (x2, y2), colour, width, cv2.LINE_AA)
    # A tracklet's number in its camera is the last part of its id; the rest is camera and time.
    name = tracklet_id.rsplit("-", 1)[-1] if identity is None else identity[:SHOWN_ID_LENGTH]
    label = f"{track['class'][-1].as_py()} {name}"
    write_label(image, label, (x1, y1), colour, scale)


def _draw_lines(image: np.ndarray, lines: pa.Table, scale: float) -> None:
    for line in lines.to_pylist():
        draw_line(image, line, scale)
        write_label(image, f"{line['line_id']} > {line['forward']}", _pixel((line["x1"], line["y1"])), LINE_RGB, scale)


def draw_line(image: np.ndarray, line: dict, scale: float) -> None:
    """Draw a line, a row of schema.LINES, into an image (H, W, 3) RGB; its arrow points where `forward` goes."""
    a = np.array([line["x1"], line["y1"]])
    b = np.array([line["x2"], line["y2"]])
    cv2.line(image, _pixel(a), _pixel(b), LINE_RGB, round(2 * scale), cv2.LINE_AA)
    # That is to the right hand of one who walks from a to b (y down).
    right = np.array([-(b - a)[1], (b - a)[0]]) / np.hypot(*(b - a))
    middle = (a + b) / 2
    tip = middle + right * 22 * scale
    cv2.arrowedLine(image, _pixel(middle), _pixel(tip), LINE_RGB, round(2 * scale), cv2.LINE_AA, tipLength=0.35)


def _draw_zones(image: np.ndarray, zones: pa.Table, scale: float) -> None:
    for zone in zones.to_pylist():
        corners = np.stack([zone["x"], zone["y"]], axis=1).round().astype(np.int32).reshape(-1, 1, 2)
        filled = cv2.fillPoly(image.copy(), [corners], ZONE_RGB)
        cv2.addWeighted(filled, ZONE_OPACITY, image, 1 - ZONE_OPACITY, 0, dst=image)
        cv2.polylines(image, [corners], True, ZONE_RGB, round(scale), cv2.LINE_AA)
        write_label(image, zone["zone_id"], tuple(int(v) for v in corners[0, 0]), ZONE_RGB, scale)


def write_label(image: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int], scale: float) -> None:
    """Write a label on a dark plate whose lower left corner is at `at`, kept inside the picture."""
    size = 0.4 * scale
    (width, height), _ = cv2.getTextSize(text, _FONT, size, 1)
    x = int(np.clip(at[0], 0, max(0, image.shape[1] - width - 4)))
    y = int(np.clip(at[1], height + 4, image.shape[0]))
    cv2.rectangle(image, (x, y - height - 4), (x + width + 4, y), tuple(c // 4 for c in colour), cv2.FILLED)
    cv2.putText(image, text, (x + 2, y - 3), _FONT, size, _TEXT_RGB, 1, cv2.LINE_AA)


def _pixel(point: Sequence[float] | np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
