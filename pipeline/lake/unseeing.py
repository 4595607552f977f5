"""Kept detections of erased tracklets: which they are, and a segment's file without them.

Tracks know the boxes they were smoothed to, not the detections they came from: a detection is a tracklet's where it
overlaps the tracklet's box of that frame by half or more, and no other tracklet's box by more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline import boxes
from pipeline.lake import keeping, tables
from pipeline.lake.writer import Lake, unit_path
from pipeline.types import EMBEDDING_DIM, Observations

MIN_OVERLAP = 0.5
"""Intersection over union from which on two boxes of one frame show one object."""


@dataclass(frozen=True, eq=False, slots=True)
class Unseen:
    """A file of kept detections, and what of it goes: rows (N,) bool, and the vectors (M, 128) float16 of those."""

    path: str
    rows: np.ndarray
    vectors: np.ndarray


def detections_of(lake: Lake, camera_id: str, erased: Observations, others: Callable[[], Observations]) -> list[Unseen]:
    """Find the kept detections of boxes that are to go; `others` gives those of all other tracklets of the camera."""
    wanted = set(erased.segment_id.tolist())
    places = sorted(place for place in keeping.units(lake) if place[0] == camera_id and place[2] in wanted)
    found, rest = [], None
    for camera, local_date, segment_id in places:
        path = unit_path("detections", local_date, camera, segment_id)
        content = lake.storage.read(path)
        if content is None:
            continue
        rest = others() if rest is None else rest
        table = tables.from_parquet(content, lake.storage.location(path))
        at_us = table["captured_at"].cast("int64").to_numpy()
        xyxy = np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
        rows = _theirs(at_us, xyxy, erased.take(erased.segment_id == segment_id), rest)
        if rows.any():
            vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, EMBEDDING_DIM)[rows]
            found.append(Unseen(path, rows, vectors))
    return found


def remove(lake: Lake, unseen: Unseen) -> None:
    """Write a file of kept detections without those rows, and their number into its unit's ledger entry."""
    content = lake.storage.read(unseen.path)
    table = tables.from_parquet(content, lake.storage.location(unseen.path))
    if len(table) != len(unseen.rows):
        return  # written anew since
    left = table.filter(~unseen.rows)
    lake.storage.write(unseen.path, tables.to_parquet(left))
    _, day, camera, name = unseen.path.removesuffix(".parquet").split("/")
    entry = lake.entry(camera.removeprefix("camera="), day.removeprefix("date="), name)
    if entry is not None:
        lake.amend(replace(entry, detections=len(left)))


def _theirs(at_us: np.ndarray, xyxy: np.ndarray, erased: Observations, others: Observations) -> np.ndarray:
    """Return (N,) bool, which detections are those of the erased boxes; at_us (N,) ascending, xyxy (N, 4)."""
    rows = np.zeros(len(at_us), bool)
    instants = np.unique(erased.captured_at_us)
    others = others.take(np.isin(others.captured_at_us, instants))
    for instant in instants.tolist():
        first, last = np.searchsorted(at_us, [instant, instant + 1])
        if first == last:
            continue
        mine = erased.xyxy[erased.captured_at_us == instant]
        theirs = others.xyxy[others.captured_at_us == instant]
        overlap = boxes.iou(xyxy[first:last], mine).max(axis=1)
        claimed = boxes.iou(xyxy[first:last], theirs).max(axis=1, initial=0)
        rows[first:last] = (overlap >= MIN_OVERLAP) & (overlap >= claimed)
    return rows
