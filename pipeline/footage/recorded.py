"""Footage found again by what a lake's ledger says of it."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import SegmentError
from pipeline.footage import files
from pipeline.footage.probe import probe_folder, probe_video
from pipeline.types import Segment


@dataclass(frozen=True, slots=True)
class Recorded:
    """A done unit's footage as it was when the unit was made; instants in microseconds since 1970 UTC.

    url       "" where the unit's tracks were imported without naming their footage
    damaged   whether packets of it could not be decoded then
    """

    segment_id: str
    camera_id: str
    url: str
    started_at_us: int
    ended_at_us: int
    fingerprint: str
    damaged: bool


def find(recorded: Recorded) -> Segment:
    """Return the footage as a segment, on the clock it had then. Raises SegmentError, one sentence, where it is gone.

    The rate of an image folder is its number of pictures by the time they took.
    """
    if not recorded.url:
        raise SegmentError(
            f"camera {recorded.camera_id} holds imported tracks, and their footage was not named; import them again "
            "with --footage VIDEO"
        )
    try:
        if not files.exists(recorded.url):
            raise SegmentError(f"{recorded.url}: the footage is no longer there; put it back at that place")
        if files.is_folder(recorded.url):
            duration_s = max(1, recorded.ended_at_us - recorded.started_at_us) / 1e6
            found = probe_folder(recorded.url, len(files.pictures_in(recorded.url)) / duration_s)
        else:
            found = probe_video(recorded.url)
    except (OSError, ImportError, ValueError) as error:
        raise SegmentError(f"{recorded.url}: the footage cannot be read: {error}") from None
    return Segment(
        segment_id=recorded.segment_id,
        camera_id=recorded.camera_id,
        url=recorded.url,
        started_at_us=recorded.started_at_us,
        duration_us=found.duration_us,
        local_date="",
        clock_source="ledger",
        width_px=found.width_px,
        height_px=found.height_px,
        fps=found.fps,
        fingerprint=found.fingerprint,
    )


def has_changed(recorded: Recorded, segment: Segment) -> bool:
    """Tell whether the file at that place is another than the one the unit was made from."""
    return recorded.fingerprint != segment.fingerprint
