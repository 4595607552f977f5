"""What a lake says, in the forms the evaluation reads: boxes on a truth's frames, identities, crossings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import is_url
from pipeline.errors import TruthError
from pipeline.evaluation.framing import nearest_frames, on_frames
from pipeline.evaluation.tables import CameraBoxes, Crossings, SequenceInfo, TrackedBoxes
from pipeline.lake import catalog
from pipeline.lake.writer import MARKER

_CAMERAS = "SELECT camera_id FROM cameras"

_SEGMENTS = "SELECT DISTINCT segment_id FROM ledger WHERE camera_id = ? AND status = 'done' AND observations > 0"

_BOXES = """
SELECT tracklet_id, epoch_us(captured_at) AS at_us, frame, x1, y1, x2, y2
FROM observations
WHERE camera = ?
ORDER BY captured_at, tracklet_id
"""

_IDENTITIES = "SELECT tracklet_id, identity_id FROM identities"

_CROSSINGS = """
SELECT camera_id, line_id, direction, class, tracklet_id, epoch_us(crossed_at) AS at_us
FROM crossings
ORDER BY ALL
"""


_ZONES = "SELECT camera_id, time_zone FROM cameras"

_DIRECTIONS = "SELECT camera_id, line_id, forward, backward FROM lines"

_CLASSES = "SELECT camera_id, line_id, classes FROM lines WHERE classes IS NOT NULL"

_WATCHED = "SELECT camera_id, epoch_us(started_at) AS from_us, epoch_us(ended_at) AS to_us FROM watched ORDER BY ALL"


def is_lake(location: str | Path) -> bool:
    """Tell whether predictions are a lake rather than a file: any URL is one."""
    return is_url(str(location)) or (Path(location) / MARKER).is_file()


def camera_ids(connection: Any) -> list[str]:
    """Return the lake's cameras, in the order of the fleet's configuration."""
    return catalog.select(connection, _CAMERAS)["camera_id"].to_pylist()


def tracked_boxes(connection: Any, camera_id: str, info: SequenceInfo | None) -> TrackedBoxes:
    """Return a camera's tracked boxes on the truth's frames; tracks are numbered from 1, ascending by tracklet_id.

    Raises TruthError where the truth does not say when its first frame was, and the camera has several segments.
    """
    names, boxes = _boxes(connection, camera_id)
    _, number = np.unique(names, return_inverse=True)
    return _framed(connection, camera_id, info, number.astype(np.int64) + 1, boxes)


def identified_boxes(
    connection: Any, cameras: Mapping[int, str], infos: Mapping[str, SequenceInfo | None]
) -> CameraBoxes:
    """Return the boxes of several cameras (by their number in the truth) under their identities.

    Identities are numbered from 1, ascending by identity_id; a tracklet without an identity is one of its own. Sorted
    by camera, frame, identity. Raises TruthError as tracked_boxes does.
    """
    linked = catalog.select(connection, _IDENTITIES)
    identity_of = dict(zip(linked["tracklet_id"].to_pylist(), linked["identity_id"].to_pylist()))
    read = {number: _boxes(connection, camera_id) for number, camera_id in sorted(cameras.items())}
    named = {number: [identity_of.get(name, name) for name in names.tolist()] for number, (names, _) in read.items()}
    id_of = {name: at for at, name in enumerate(sorted({name for names in named.values() for name in names}), start=1)}
    parts = []
    for number, (_, boxes) in read.items():
        track_id = np.array([id_of[name] for name in named[number]], dtype=np.int64)
        camera_id = cameras[number]
        parts.append((number, _framed(connection, camera_id, infos.get(camera_id), track_id, boxes)))
    return CameraBoxes(
        camera=np.concatenate([np.full(len(boxes), number, np.int64) for number, boxes in parts]),
        track_id=np.concatenate([boxes.track_id for _, boxes in parts]),
        frame=np.concatenate([boxes.frame for _, boxes in parts]),
        xywh=np.concatenate([boxes.xywh for _, boxes in parts]),
        world_xy=np.full((sum(len(boxes) for _, boxes in parts), 2), np.nan),
    )


def crossings(connection: Any) -> Crossings:
    """Return every crossing of the lake's `crossings` view; the object is the tracklet."""
    table = catalog.select(connection, _CROSSINGS)
    texts = (
        np.array(table[name].to_pylist(), dtype=object)
        for name in ("camera_id", "line_id", "direction", "class", "tracklet_id")
    )
    return Crossings(*texts, table["at_us"].to_numpy().astype(np.int64))


def zones_and_directions(connection: Any) -> tuple[dict[str, str], dict[tuple[str, str], tuple[str, str]]]:
    """Return the IANA zone of every camera, and the names of both directions of every (camera, line)."""
    zones = {row["camera_id"]: row["time_zone"] for row in catalog.select(connection, _ZONES).to_pylist()}
    lines = catalog.select(connection, _DIRECTIONS).to_pylist()
    return zones, {(row["camera_id"], row["line_id"]): (row["forward"], row["backward"]) for row in lines}


def line_classes(connection: Any) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the COCO classes of every (camera, line) that counts only some."""
    rows = catalog.select(connection, _CLASSES).to_pylist()
    return {(row["camera_id"], row["line_id"]): tuple(row["classes"]) for row in rows}


def watched(connection: Any) -> dict[str, np.ndarray]:
    """Return the stretches of time that each camera's footage covers, (K, 2) int64 microseconds since 1970 UTC."""
    table = catalog.select(connection, _WATCHED)
    camera = np.array(table["camera_id"].to_pylist(), dtype=object)
    bounds = np.column_stack([table["from_us"].to_numpy(), table["to_us"].to_numpy()]).astype(np.int64).reshape(-1, 2)
    return {name: bounds[camera == name] for name in dict.fromkeys(camera.tolist())}


def _boxes(connection: Any, camera_id: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a camera's tracklet ids (N,) str, and its instants, frames and corners."""
    table = catalog.select(connection, _BOXES, [camera_id])
    corners = [table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")]
    return np.array(table["tracklet_id"].to_pylist(), dtype=str), {
        "at_us": table["at_us"].to_numpy().astype(np.int64),
        "frame": table["frame"].to_numpy().astype(np.int64),
        "xyxy": np.stack(corners, axis=1).reshape(-1, 4),
    }


def _framed(
    connection: Any, camera_id: str, info: SequenceInfo | None, track_id: np.ndarray, boxes: dict[str, np.ndarray]
) -> TrackedBoxes:
    """Lay boxes on the truth's frames: by the clock where the truth has one, else by the frames of the only segment."""
    length = None if info is None else info.length_frames
    if info is not None and info.started_at_us is not None:
        frame, off_us = nearest_frames(boxes["at_us"], info.started_at_us, info.frame_rate_fps)
        return on_frames(track_id, frame, off_us, boxes["xyxy"], length)
    segments = catalog.select(connection, _SEGMENTS, [camera_id])["segment_id"].to_pylist()
    if len(segments) > 1:
        raise TruthError(
            f"the truth of camera {camera_id} needs a seqinfo.ini with startedAt and frameRate beside it: "
            f"the lake has {len(segments)} segments of that camera, so its frames cannot be counted from 1"
        )
    return on_frames(track_id, boxes["frame"] + 1, np.zeros(len(track_id)), boxes["xyxy"], length)
