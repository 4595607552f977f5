"""The exact truth of the footage, from the geometry it was painted with.

A box is the bounds of an object's whole outline (amodal), cut to the picture; the visibility column is the share of
the outline's pixels that lie in the picture and are not hidden (Milan et al. 2016, "MOT16"). An object is listed in a
frame while the middle of its uncut box is in the picture and visibility is at least LISTED_FROM.

Crossings and dwell follow the bottom centre of the uncut box, which is what an observer marks as the place where
someone stands, straight between frames. A crossing counts where that point passes the line inside the picture while
visibility (straight between the two frames) is at least COUNTED_FROM. Going forth and back are two crossings.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.boxes import bottom_centre

LISTED_FROM = 0.1
COUNTED_FROM = 0.25
VISIT_GAP_S = 1.0
"""Someone who leaves a zone and is back within this time never left: the edge of a zone is not a wall."""

MOT_CLASS = {"person": 1, "car": 3}
"""Class column of MOTChallenge: 1 pedestrian, 3 car."""


@dataclass(frozen=True, eq=False)
class Sightings:
    """Everything in one camera's pictures, sorted by (frame, object_index).

    frame         (M,) int64, 0-based over the camera's whole footage
    object_index  (M,) int64, index into Motion
    xyxy          (M, 4) float64, pixels, uncut
    visibility    (M,) float64, in [0, 1]
    """

    frame: np.ndarray
    object_index: np.ndarray
    xyxy: np.ndarray
    visibility: np.ndarray


@dataclass(frozen=True)
class Clock:
    """When the frames of the footage were taken."""

    started_at: datetime
    fps: float

    def at(self, frame: float) -> str:
        """Return the instant of a (fractional) frame as ISO 8601 in UTC, to the microsecond."""
        instant = self.started_at.astimezone(UTC) + timedelta(microseconds=round(frame / self.fps * 1e6))
        return instant.isoformat(timespec="microseconds")


def listed(sightings: Sightings, width_px: int, height_px: int) -> np.ndarray:
    """Tell which sightings (M,) belong into gt.txt."""
    middle = (sightings.xyxy[:, :2] + sightings.xyxy[:, 2:]) / 2
    inside = ((middle >= 0) & (middle < (width_px, height_px))).all(1)
    return inside & (sightings.visibility >= LISTED_FROM)


def crossings(sightings: Sightings, line: np.ndarray, width_px: int, height_px: int) -> list[tuple[float, int, bool]]:
    """Return (fractional frame, object_index, forward) for every crossing of a line (2, 2) in pixels, in order of time.

    Forward is from the line's left to its right, seen from its first end towards its second (picture, y down). A point
    exactly on the line belongs to its right.
    """
    point = bottom_centre(sightings.xyxy)
    order = np.lexsort((sightings.frame, sightings.object_index))
    before, after = order[:-1], order[1:]
    follows = (sightings.object_index[before] == sightings.object_index[after]) & (
        sightings.frame[after] == sightings.frame[before] + 1
    )
    before, after = before[follows], after[follows]
    along = line[1] - line[0]
    side = along[0] * (point[:, 1] - line[0, 1]) - along[1] * (point[:, 0] - line[0, 0])
    changes = (side[before] < 0) != (side[after] < 0)
    before, after = before[changes], after[changes]
    share = side[before] / (side[before] - side[after])
    place = point[before] + share[:, None] * (point[after] - point[before])
    on_line = (place - line[0]) @ along / (along @ along)
    seen = sightings.visibility[before] * (1 - share) + sightings.visibility[after] * share
    inside = ((place >= 0) & (place <= (width_px, height_px))).all(1)
    counted = (on_line >= 0) & (on_line <= 1) & inside & (seen >= COUNTED_FROM)
    when = sightings.frame[before] + share
    forward = side[before] < 0
    rows = zip(when[counted], sightings.object_index[before][counted], forward[counted], strict=True)
    return sorted((float(t), int(i), bool(f)) for t, i, f in rows)


def visits(sightings: Sightings, polygon: np.ndarray, fps: float) -> list[tuple[int, int, int]]:
    """Return (first frame, last frame, object_index) of every stay in a zone (K, 2) pixels, in order of time.

    A stay counts where the object was seen (COUNTED_FROM) in at least one of its frames.
    """
    inside = contains(polygon, bottom_centre(sightings.xyxy))
    found = []
    for index in np.unique(sightings.object_index[inside]):
        mine = inside & (sightings.object_index == index)
        frames, visibility = sightings.frame[mine], sightings.visibility[mine]
        for stay in np.split(np.arange(len(frames)), np.flatnonzero(np.diff(frames) > VISIT_GAP_S * fps) + 1):
            if visibility[stay].max() >= COUNTED_FROM:
                found.append((int(frames[stay[0]]), int(frames[stay[-1]]), int(index)))
    return sorted(found)


def contains(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tell which points (N, 2) lie in a polygon (K, 2), by the even-odd rule (Shimrat 1962)."""
    inside = np.zeros(len(points), bool)
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        straddles = (a[1] > points[:, 1]) != (b[1] > points[:, 1])
        height = b[1] - a[1] if b[1] != a[1] else 1.0
        inside ^= straddles & (points[:, 0] < a[0] + (points[:, 1] - a[1]) * (b[0] - a[0]) / height)
    return inside


# Files --------------------------------------------------------------------------------------------------------------


def write_mot(
    folder: Path, name: str, sightings: Sightings, kind: list[str], size: tuple[int, int], frames: int, clock: Clock
) -> None:
    """Write gt.txt (frame,id,x,y,w,h,conf,class,visibility; frame and id from 1) and seqinfo.ini."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for row in np.flatnonzero(listed(sightings, *size)):
        x, y, w, h = _cut(sightings.xyxy[row], size)
        index = int(sightings.object_index[row])
        lines.append(
            f"{sightings.frame[row] + 1},{index + 1},{x:.2f},{y:.2f},{w:.2f},{h:.2f},1,"
            f"{MOT_CLASS[kind[index]]},{sightings.visibility[row]:.4f}\n"
        )
    (folder / "gt.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={name}\nframeRate={clock.fps:g}\nseqLength={frames}\nimWidth={size[0]}\nimHeight={size[1]}\n"
        f"startedAt={clock.at(0)}\n",
        encoding="utf-8",
    )


def in_several_cameras(sightings: list[Sightings], sizes: list[tuple[int, int]]) -> np.ndarray:
    """Return the object_index (K,) of everything that is listed in two cameras or more, ascending."""
    by_camera = [np.unique(seen.object_index[listed(seen, *size)]) for seen, size in zip(sightings, sizes, strict=True)]
    index, n_cameras = np.unique(np.concatenate([np.zeros(0, np.int64), *by_camera]), return_counts=True)
    return index[n_cameras > 1]


def mtmc_lines(
    camera_index: int, sightings: Sightings, labelled: np.ndarray, xy_m: np.ndarray, size: tuple[int, int]
) -> list[str]:
    """Return the lines of one camera in AI City's form: camera id frame x y w h xworld yworld.

    labelled (K,) is the object_index of those to write: the challenge labels what passes two cameras or more (Tang et
    al. 2019, "CityFlow"). xy_m (T, N, 2) is where everything stands, in metres.
    """
    lines = []
    for row in np.flatnonzero(listed(sightings, *size) & np.isin(sightings.object_index, labelled)):
        x, y, w, h = _cut(sightings.xyxy[row], size)
        frame, index = int(sightings.frame[row]), int(sightings.object_index[row])
        east, north = xy_m[frame, index]
        lines.append(f"{camera_index} {index + 1} {frame + 1} {x:.2f} {y:.2f} {w:.2f} {h:.2f} {east:.3f} {north:.3f}\n")
    return lines


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    """Write a CSV file with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _cut(xyxy: np.ndarray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return x, y, w, h of a box cut to the picture."""
    x1, y1, x2, y2 = np.clip(xyxy, 0, (*size, *size))
    return x1, y1, x2 - x1, y2 - y1
