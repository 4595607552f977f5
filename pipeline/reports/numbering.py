"""Frame numbers over all of a camera's footage: several files, gaps and a varying frame rate on one count from 1.

Frame 1 is the first frame of the camera's earliest footage in the lake. A file's first frame has the number nearest to
its instant at the camera's frame rate, and from there on each frame the number nearest to its own presentation time.
Where nothing was recorded, the count goes on, so numbers there stand for no picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection

_MOST_FPS = 1000
"""A count finer than the milliseconds of containers would tell nothing more."""

_SEGMENTS = """
SELECT segment_id, epoch_us(started_at) AS start_us, epoch_us(ended_at) AS end_us, frames
FROM ledger
WHERE camera_id = $camera_id AND status = 'done' AND started_at IS NOT NULL
ORDER BY started_at, segment_id
"""

_SPANS = """
SELECT
    segment_id,
    min(frame) AS first_frame,
    max(frame) AS last_frame,
    epoch_us(min(captured_at)) AS first_us,
    epoch_us(max(captured_at)) AS last_us
FROM observations
WHERE camera = $camera_id
GROUP BY segment_id
ORDER BY first_us, segment_id
"""

# Frames of one file whose numbers at this rate would be the same.
_CROWDED = """
SELECT count(*) - count(DISTINCT (segment_id, number)) AS n_lost, min(gap_us) AS least_gap_us
FROM (
    SELECT
        segment_id,
        floor((at_us - start_us) * $fps / 1e6 + 0.5)::BIGINT AS number,
        at_us - lag(at_us) OVER (PARTITION BY segment_id ORDER BY at_us) AS gap_us
    FROM (
        SELECT DISTINCT o.segment_id, epoch_us(o.captured_at) AS at_us, s.start_us
        FROM observations AS o
        JOIN (SELECT unnest($segment_id) AS segment_id, unnest($start_us) AS start_us) AS s USING (segment_id)
        WHERE o.camera = $camera_id
    )
)
"""


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """The count of one camera.

    fps            numbers a second
    first_us       instant of frame 1, microseconds since 1970 UTC
    length_frames  number of the last frame of the footage
    starts_us      instant of each file's first frame, by segment id
    """

    fps: float
    first_us: int
    length_frames: int
    starts_us: dict[str, int]

    def of(self, segment_id: np.ndarray, captured_at_us: np.ndarray) -> np.ndarray:
        """Return the number, (N,) int64 from 1, of frames: the file each lies in (N,) object and its instant (N,)."""
        names, code = np.unique(segment_id.astype(str), return_inverse=True)
        start_us = np.array([self.starts_us[name] for name in names.tolist()], np.int64)[code]
        return 1 + _nearest(start_us - self.first_us, self.fps) + _nearest(captured_at_us - start_us, self.fps)

    def instants_us(self, number: np.ndarray) -> np.ndarray:
        """Return the instants (N,) int64 that the count gives to numbers (N,)."""
        return self.first_us + np.round((number - 1) * (1e6 / self.fps)).astype(np.int64)


def frame_numbers(connection: Connection, camera_id: str) -> FrameNumbers | None:
    """Lay out the count of a camera; None where the lake has no footage of it whose time is known.

    The rate is the frame rate of the files, the highest where they differ. Where frames come so unevenly that two of a
    file would share a number, it is that of the shortest time between two of them, up to 1000 a second.
    """
    segments = catalog.select(connection, _SEGMENTS, {"camera_id": camera_id}).to_pylist()
    spans = catalog.select(connection, _SPANS, {"camera_id": camera_id}).to_pylist()
    starts_us = {row["segment_id"]: row["first_us"] for row in spans}  # of a file that the ledger does not know
    starts_us |= {row["segment_id"]: row["start_us"] for row in segments}
    if not starts_us:
        return None
    rates = [_rate(row["last_frame"] - row["first_frame"], row["last_us"] - row["first_us"]) for row in spans]
    if not any(rates):
        rates = [_rate(row["frames"], row["end_us"] - row["start_us"]) for row in segments]
    fps = max([rate for rate in rates if rate], default=1.0)
    names = sorted(starts_us)
    params = {"camera_id": camera_id, "segment_id": names, "start_us": [starts_us[name] for name in names]}
    crowded = catalog.select(connection, _CROWDED, {**params, "fps": fps}).to_pylist()[0]
    if crowded["n_lost"]:
        fps = float(min(_MOST_FPS, math.ceil(1e6 / max(1, crowded["least_gap_us"]))))
    first_us = min(starts_us.values())
    lasts = [(row["start_us"], row["end_us"], 0) for row in segments]
    lasts += [(starts_us[row["segment_id"]], row["last_us"], 1) for row in spans]
    length = max(n + int(_nearest(start - first_us, fps) + _nearest(end - start, fps)) for start, end, n in lasts)
    return FrameNumbers(fps, first_us, max(1, length), starts_us)


def _rate(n_frames: int, span_us: int) -> float | None:
    """Return the frame rate that so many frames in that time stand for: a whole one, or that of television (1000/1001
    of a whole one), where it cannot be told from it to half a frame; None where there is none."""
    if n_frames <= 0 or span_us <= 0:
        return None
    measured = n_frames * 1e6 / span_us
    usual = min((float(round(measured)), round(measured * 1.001) * 1000 / 1001), key=lambda rate: abs(rate - measured))
    return usual if usual > 0 and abs(usual - measured) * span_us / 1e6 < 0.5 else measured


def _nearest(since_us: np.ndarray | int, fps: float) -> np.ndarray:
    """Return the whole number of frames nearest to a time; halfway between two it is the later."""
    return np.floor(np.asarray(since_us) * (fps / 1e6) + 0.5).astype(np.int64)
