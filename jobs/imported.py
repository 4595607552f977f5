"""Imported units and footage: a camera has the one or the other, never both; but tracks may name what they are of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jobs.survey import Survey
from pipeline.errors import ConfigError, SegmentError, UserError
from pipeline.evaluation.foreign import ForeignTracks
from pipeline.footage import files
from pipeline.footage.probe import probe_folder, probe_video
from pipeline.lake.ledger import IMPORTED, LedgerEntry
from pipeline.types import Segment


def is_imported(entry: LedgerEntry) -> bool:
    """Tell whether a unit's rows were made elsewhere and came by `nightfleet import`."""
    return entry.clock_source == IMPORTED


def refuse_mixed(seen: Survey, ledger: Iterable[LedgerEntry]) -> None:
    """Raise ConfigError where a camera with footage has imported units in the lake: each would count the same street
    once more."""
    cameras = {footage.camera_id for footage in seen.footage}
    for entry in ledger:
        if entry.camera_id in cameras and is_imported(entry):
            raise ConfigError(
                f"camera {entry.camera_id}: the lake has tracks of it that were imported from {entry.url}, and its "
                "footage would be counted beside them; give the footage a camera id of its own and leave this camera "
                "`imported: true`, or name another lake"
            )


def footage_of(file: Path, tracks: ForeignTracks, video: str, camera_id: str, fps: float | None) -> Segment:
    """Return what tracks are of, its start not known yet. Raises UserError where it cannot be, or cannot be read."""
    url = video if "://" in video else str(Path(video).absolute())
    try:
        if not files.exists(url):
            raise UserError(f"--footage {video}: there is no such video; name the one that {file} is of")
        rate = fps or tracks.frame_rate_fps
        if files.is_folder(url) and rate is None:
            raise UserError(f"--footage {video}: a folder of pictures has no frame rate; give --fps")
        probe = probe_folder(url, rate) if files.is_folder(url) else probe_video(url)
    except SegmentError as error:
        raise UserError(f"--footage: {error}") from None
    theirs, ours = (tracks.width_px, tracks.height_px), (probe.width_px, probe.height_px)
    if all(theirs) and theirs != ours:
        sizes = [f"{width} x {height}" for width, height in (theirs, ours)]
        raise UserError(f"{file}: its boxes are in pictures of {sizes[0]} pixels, those of {url} have {sizes[1]}")
    return Segment(
        segment_id="",
        camera_id=camera_id,
        url=url,
        started_at_us=0,
        duration_us=probe.duration_us,
        local_date="",
        clock_source=IMPORTED,
        width_px=probe.width_px,
        height_px=probe.height_px,
        fps=probe.fps,
        fingerprint=probe.fingerprint,
    )
