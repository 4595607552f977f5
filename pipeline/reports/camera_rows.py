"""A camera's tracklets and boxes out of a lake, an hour at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection

_HOUR_US = 3_600_000_000

_TRACKLETS = """
SELECT
    t.tracklet_id,
    t.class,
    epoch_us(t.started_at) AS start_us,
    epoch_us(t.ended_at) AS end_us,
    t.n_observations,
    t.mean_score,
    t.entry_x,
    t.entry_y,
    t.exit_x,
    t.exit_y,
    i.identity_id
FROM tracklets AS t LEFT JOIN identities AS i USING (tracklet_id)
WHERE t.camera = $camera_id
ORDER BY start_us, t.tracklet_id
"""

_HOURS = """
SELECT DISTINCT unnest(range(epoch_us(started_at) // $hour_us, epoch_us(ended_at) // $hour_us + 1)) AS hour
FROM tracklets
WHERE camera = $camera_id
ORDER BY hour
"""

# A unit is filed under the date its footage begins on, and may hold the last boxes of the unit before.
_BOXES = """
SELECT tracklet_id, segment_id, frame, epoch_us(captured_at) AS at_us, class, score, x1, y1, x2, y2, interpolated
FROM observations
WHERE
    camera = $camera_id
    AND date BETWEEN $first_date::DATE AND $last_date::DATE
    AND captured_at >= make_timestamptz($from_us::BIGINT)
    AND captured_at < make_timestamptz($to_us::BIGINT)
    AND ($tracklets IS NULL OR list_contains($tracklets, tracklet_id))
ORDER BY captured_at, tracklet_id
"""


@dataclass(frozen=True, eq=False, slots=True)
class Boxes:
    """N boxes of a camera, sorted by (at_us, tracklet_id).

    tracklet_id, segment_id, class_name  (N,) object (str); class_name is the detector's in this frame
    frame         (N,)   int64, index in its file, from 0
    at_us         (N,)   int64, microseconds since 1970 UTC
    score         (N,)   float32
    xyxy          (N, 4) float32, pixels
    interpolated  (N,)   bool
    """

    tracklet_id: np.ndarray
    segment_id: np.ndarray
    class_name: np.ndarray
    frame: np.ndarray
    at_us: np.ndarray
    score: np.ndarray
    xyxy: np.ndarray
    interpolated: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, index: np.ndarray) -> Boxes:
        """Return the rows at `index` (integers or a boolean mask), in that order."""
        return Boxes(*(getattr(self, name)[index] for name in Boxes.__slots__))


def tracklets(connection: Connection, camera_id: str) -> pa.Table:
    """Return all tracklets of a camera, by their start, with the identity of each, null where it has none."""
    return catalog.select(connection, _TRACKLETS, {"camera_id": camera_id})


def hours_us(connection: Connection, camera_id: str, from_us: int, to_us: int) -> Iterator[tuple[int, int]]:
    """Yield the hours, [from, to) in microseconds since 1970, in which a camera saw something between two instants."""
    hours = catalog.select(connection, _HOURS, {"camera_id": camera_id, "hour_us": _HOUR_US})["hour"].to_pylist()
    for hour in hours:
        begin, end = max(hour * _HOUR_US, from_us), min((hour + 1) * _HOUR_US, to_us)
        if begin < end:
            yield begin, end


def boxes(
    connection: Connection, camera_id: str, from_us: int, to_us: int, tracklet_ids: Sequence[str] | None = None
) -> Boxes:
    """Return a camera's boxes of a time, [from, to); of some tracklets only where they are named."""
    table = catalog.select(
        connection,
        _BOXES,
        {
            "camera_id": camera_id,
            "first_date": _day(from_us, -2),
            "last_date": _day(to_us, 2),
            "from_us": from_us,
            "to_us": to_us,
            "tracklets": None if tracklet_ids is None else list(tracklet_ids),
        },
    )
    return Boxes(
        tracklet_id=_texts(table["tracklet_id"]),
        segment_id=_texts(table["segment_id"]),
        class_name=_texts(table["class"]),
        frame=table["frame"].to_numpy().astype(np.int64),
        at_us=table["at_us"].to_numpy().astype(np.int64),
        score=table["score"].to_numpy().astype(np.float32),
        xyxy=np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1).astype(np.float32),
        interpolated=table["interpolated"].to_numpy().astype(bool),
    )


def _day(instant_us: int, shift: int) -> str:
    return (datetime.fromtimestamp(instant_us / 1e6, UTC) + timedelta(days=shift)).strftime("%Y-%m-%d")


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    out = np.empty(len(column), dtype=object)
    out[:] = column.to_pylist()
    return out
