"""Tracks that somebody else made, as tracklets of a camera: `import_tracks` is what `nightfleet import` calls.

All files are read before anything is written. A file is one unit of the ledger, known by its content and by how it was
read, so that the same import again does nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from jobs.identify import identify
from jobs.imported import footage_of, is_imported
from jobs.survey import geometry_mistakes
from pipeline import __version__
from pipeline.config import CameraConfig, FleetConfig, digest
from pipeline.errors import ConfigError, SegmentError, TruthError, UserError
from pipeline.evaluation.foreign import READERS, ForeignTracks, duration_us, lake_rows
from pipeline.evaluation.foreign_classes import checked_mapping
from pipeline.footage import clock
from pipeline.footage.frame_times import frame_times
from pipeline.footage.segments import OVERLAP_US
from pipeline.lake import crossed, erasures
from pipeline.lake.ledger import IMPORTED, LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, Exemplars, Observations, Segment, Tracklets

IMPORT_VERSION = 1
"""Raised by one whenever the same file would give other rows than before: it is then imported anew."""

_ENDINGS = {".ottrk": "ottrk", ".txt": "mot", ".csv": "mot", ".json": "json"}


@dataclass(frozen=True, eq=False, slots=True)
class _Read:
    """One file, read and placed on the clock; `key` is a digest of all its rows depend on.

    footage   what the tracks are of, or None where it was not named
    """

    segment: Segment
    tracks: ForeignTracks
    key: str
    footage: Segment | None = None


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What was imported: one row a file, {file, footage, outcome, segment_id, started_at_us, ended_at_us, frames,
    observations, interpolated, tracklets, by_class, left_out, erased}; `outcome` is "imported", "replaced" or
    "unchanged"."""

    camera_id: str
    files: list[dict]
    identities: int
    lake: str

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


def import_tracks(
    config: FleetConfig,
    files: Sequence[Path],
    *,
    camera_id: str,
    format: str | None = None,
    started_at: str | None = None,
    fps: float | None = None,
    class_name: str | None = None,
    names: Mapping[str, str] | None = None,
    footage: Sequence[str] = (),
    replace_others: bool = False,
) -> ImportSummary:
    """Write tracks into the fleet's lake, and link its nights anew where that changed them.

    format      "mot", "ottrk" or "json"; by a file's ending without it
    started_at  ISO 8601, the camera's wall clock unless it has an offset; without it what the file says, else the
                camera's `started_at`
    fps         frame rate of MOTChallenge text, before that of its seqinfo.ini
    class_name  of every track, whatever the file says; names: COCO's names of other classes
    footage     videos, or folders of pictures, that the files are of, one a file in their order, or none: frame k of
                the tracks is frame k of the video, at its time, and pages and videos are drawn over it
    replace_others  whether tracks of the same time that came from another file give way; else they are refused

    Raises UserError, one sentence, before anything is written.
    """
    camera = config.camera(camera_id)
    if not camera.imported:
        raise ConfigError(
            f"camera {camera_id} has footage ({camera.footage}), which imported tracks would be counted beside; add a "
            "camera to the fleet.yaml with `imported: true` in place of `footage`, with the same lines, and import "
            "into that"
        )
    how = {"class": class_name, "names": dict(checked_mapping(names or {}))}
    if class_name is not None and class_name not in COCO_CLASSES:
        raise UserError(f"--class {class_name}: not a COCO class; write one such as person, bicycle or car")
    if footage and len(footage) != len(files):
        raise UserError(
            f"--footage: expected a video for each of {len(files)} files, in their order, got {len(footage)}"
        )
    videos = footage or [None] * len(files)
    read = [_read(Path(file), video, camera, format, started_at, fps, how) for file, video in zip(files, videos)]
    _refuse_overlaps(read)
    lake = Lake.open_or_create(config.lake)
    ledger = [entry for entry in lake.ledger() if entry.camera_id == camera_id]
    _refuse_footage(camera_id, ledger)
    rivals = {one.key: _rivals(one, ledger, replace_others) for one in read}
    digests = erasures.erased(lake)
    lake.write_fleet(config)
    rows = [_enter(one, rivals[one.key], ledger, digests, lake) for one in read]
    n_identities = identify(config, lake)
    crossed.refresh(lake.url)
    return ImportSummary(camera_id, rows, n_identities, lake.url)


def _read(
    file: Path,
    video: str | None,
    camera: CameraConfig,
    format: str | None,
    started_at: str | None,
    fps: float | None,
    how: dict,
) -> _Read:
    """Read a file and place it on the clock."""
    format = format or _ENDINGS.get(file.suffix.lower())
    if format is None:
        raise UserError(f"{file}: its ending does not say what it is; give --format mot, ottrk or json")
    tracks = READERS[format](file, how["names"])
    if fps is not None and format != "mot":
        raise UserError(f"{file}: says itself that it has {tracks.frame_rate_fps:g} frames a second; leave out --fps")
    footage = None
    if video is not None:
        footage = footage_of(file, tracks, video, camera.id, fps)
        try:
            tracks = tracks.on_frames(frame_times(footage), footage.fps)
        except TruthError as error:
            raise UserError(f"{file}: {error} ({footage.url}); name the video these tracks are of") from None
    elif tracks.since_start_us is None:
        rate = fps or tracks.frame_rate_fps
        if rate is None:
            raise UserError(f"{file}: nothing says how many frames a second it has; give --fps or a seqinfo.ini")
        tracks = tracks.timed(rate)
    if how["class"] is not None:
        class_id = np.full(len(tracks), COCO_CLASSES.index(how["class"]), np.int16)
        tracks = replace(tracks, class_id=class_id)
    start_us = _start_us(file, camera, tracks, started_at)
    content = hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    segment = Segment(
        segment_id=f"{camera.id}-{clock.stamp(start_us)}",
        camera_id=camera.id,
        url=str(file.absolute()),
        started_at_us=start_us,
        duration_us=duration_us(tracks) if footage is None else footage.duration_us,
        local_date=clock.local_date(start_us, camera.time_zone),
        clock_source=IMPORTED,
        width_px=(tracks.width_px or 0) if footage is None else footage.width_px,
        height_px=(tracks.height_px or 0) if footage is None else footage.height_px,
        fps=tracks.frame_rate_fps,
        fingerprint=content,
    )
    mistakes = geometry_mistakes(camera, [segment]) if segment.width_px and segment.height_px else []
    if mistakes:
        raise ConfigError(mistakes[0])
    made_from = [content, start_us, segment.duration_us, tracks.frame_rate_fps, format, how, IMPORT_VERSION]
    if footage is not None:
        made_from += [footage.url, footage.fingerprint]
    return _Read(segment, tracks, digest(made_from), footage)


def _start_us(file: Path, camera: CameraConfig, tracks: ForeignTracks, started_at: str | None) -> int:
    """Return the instant of a video's first frame. Raises UserError where nothing tells it."""
    if started_at is not None:
        try:
            return clock.wall_to_us(datetime.fromisoformat(started_at), camera.time_zone, camera.fold, "--started-at")
        except ValueError:
            raise UserError(f"--started-at: expected a time such as 2026-03-01T07:30:00, got {started_at!r}") from None
        except SegmentError as error:
            raise UserError(str(error)) from None
    if tracks.started_at_us is not None:
        return tracks.started_at_us
    configured_us = clock.configured_instant_us(camera)
    if configured_us is None:
        raise UserError(
            f"{file}: nothing says when it begins; give --started-at, `startedAt` in its seqinfo.ini, or `started_at` "
            f"of camera {camera.id} in the fleet.yaml"
        )
    return configured_us


def _refuse_overlaps(read: Sequence[_Read]) -> None:
    """Raise UserError where two of the files given are of one time."""
    for number, one in enumerate(read):
        for other in read[:number]:
            if _meet(one.segment, other.segment.segment_id, other.segment.started_at_us, other.segment.ended_at_us):
                raise UserError(
                    f"{one.segment.url}: covers a time that {other.segment.url} covers too, from "
                    f"{clock.local_time(one.segment.started_at_us, 'UTC')} UTC on; give files of different times, or "
                    "import them into different cameras"
                )


def _refuse_footage(camera_id: str, ledger: Sequence[LedgerEntry]) -> None:
    for entry in ledger:
        if not is_imported(entry):
            raise ConfigError(
                f"camera {camera_id}: the lake has tracks of it that were made from footage ({entry.url}), and "
                "imported ones would be counted beside them; import into a camera of its own"
            )


def _rivals(one: _Read, ledger: Sequence[LedgerEntry], replace_others: bool) -> list[LedgerEntry]:
    """Return the units that a file takes the place of: itself as it was imported before, and, where that is wanted, of
    other files of the same time. Raises UserError where it is not."""
    segment = one.segment
    rivals = []
    for entry in ledger:
        if entry.url == segment.url or entry.fingerprint == segment.fingerprint:
            rivals.append(entry)
        elif _meet(segment, entry.segment_id, entry.started_at_us, entry.ended_at_us):
            if not replace_others:
                raise UserError(
                    f"{segment.url}: camera {segment.camera_id} has tracks of that time already, imported from "
                    f"{entry.url} ({entry.segment_id}); say --replace to put these in their place, or import them into "
                    "another camera"
                )
            rivals.append(entry)
    return rivals


def _meet(segment: Segment, segment_id: str, started_at_us: int, ended_at_us: int) -> bool:
    """Tell whether a file covers the time of another by more than recorders do where they change files."""
    shared_us = min(segment.ended_at_us, ended_at_us) - max(segment.started_at_us, started_at_us)
    shorter_us = min(segment.duration_us, ended_at_us - started_at_us)
    return segment.segment_id == segment_id or shared_us > min(OVERLAP_US, shorter_us / 2)


def _enter(
    one: _Read, rivals: Sequence[LedgerEntry], ledger: Sequence[LedgerEntry], erased: frozenset[str], lake: Lake
) -> dict:
    """Write a file's unit, unless it is there, and return what is said of it."""
    segment = one.segment
    standing = next((entry for entry in ledger if entry.key == one.key), None)
    if standing is not None:
        return _told(one, standing, "unchanged", one.tracks)
    observations, tracklets = lake_rows(one.tracks, segment.camera_id, segment.segment_id, segment.started_at_us)
    gone = erasures.is_erased(tracklets.tracklet_id, erased)
    observations = observations.take(~erasures.is_erased(observations.tracklet_id, erased))
    tracklets = tracklets.take(~gone)
    for entry in rivals:
        if (entry.segment_id, entry.local_date) != (segment.segment_id, segment.local_date):
            lake.remove_unit(entry.camera_id, entry.local_date, entry.segment_id)
    entry = lake.write_unit(
        _entry(one, observations), segment.local_date, observations, tracklets, Exemplars.none(), None
    )
    outcome = "replaced" if rivals else "imported"
    return {**_told(one, entry, outcome, one.tracks), **_counts(tracklets), "erased": int(gone.sum())}


def _entry(one: _Read, observations: Observations) -> LedgerEntry:
    segment = one.segment
    return LedgerEntry(
        segment_id=segment.segment_id,
        camera_id=segment.camera_id,
        local_date=segment.local_date,
        url=segment.url,
        status="done",
        reason="",
        key=one.key,
        fingerprint=segment.fingerprint,
        config_digest="",
        weights_digest="",
        state_in_digest="",
        state_out_digest="",
        started_at_us=segment.started_at_us,
        ended_at_us=segment.ended_at_us,
        clock_source=IMPORTED,
        frames=one.tracks.length_frames,
        detections=int((~observations.interpolated).sum()),
        **dict.fromkeys(("observations", "tracklets", "embeddings", "bad_packets", "motion_unknown"), 0),
        **dict.fromkeys(("decode_s", "detect_s", "embed_s", "track_s", "write_s"), 0.0),
        wall_s=0.0,  # nothing was looked at, so there is no speed to tell
        version=__version__,
        finished_at_us=time.time_ns() // 1000,
        footage="" if one.footage is None else one.footage.url,
        footage_fingerprint="" if one.footage is None else one.footage.fingerprint,
    )


def _told(one: _Read, entry: LedgerEntry, outcome: str, tracks: ForeignTracks) -> dict:
    return {
        "file": one.segment.url,
        "footage": None if one.footage is None else one.footage.url,
        "outcome": outcome,
        "segment_id": entry.segment_id,
        "started_at_us": entry.started_at_us,
        "ended_at_us": entry.ended_at_us,
        "frames": entry.frames,
        "observations": entry.observations,
        "interpolated": int(tracks.interpolated.sum()),
        "tracklets": entry.tracklets,
        "by_class": {},
        "left_out": tracks.left_out,
        "erased": 0,
    }


def _counts(tracklets: Tracklets) -> dict:
    by_class = Counter(COCO_CLASSES[one] for one in tracklets.class_id.tolist())
    return {"by_class": dict(sorted(by_class.items()))}
