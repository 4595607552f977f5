"""A camera's footage as segments on the clock; what cannot be one is named with its reason."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipeline.config import CameraConfig, LiveConfig
from pipeline.errors import ConfigError, SegmentError
from pipeline.footage import clock, files
from pipeline.footage.probe import Probe, probe_folder, probe_video
from pipeline.types import Segment

OVERLAP_US = 1_000_000
"""Recorders start a file up to a second before they close the one before; more is a wrong clock or a copy."""

STEM_LENGTH = 80
"""Characters of a file's name that go into the id of a file without a clock; file names end at 255."""


@dataclass(frozen=True)
class UnusableFile:
    """Footage that was found but cannot be processed.

    segment_id     from the clock where it could be read, else `<camera_id>-<file name made safe>`; unique
    local_date     from the clock where it could be read, else of the file's last change: the lake's partition
    started_at_us  microseconds since 1970 UTC, or None where the clock could not be read
    reason         one sentence for the user
    """

    camera_id: str
    url: str
    segment_id: str
    local_date: str
    started_at_us: int | None
    reason: str


@dataclass(frozen=True)
class CameraFootage:
    """All a camera's glob matched. `segments` are sorted by start and overlap by a second at most."""

    camera_id: str
    segments: tuple[Segment, ...]
    unusable: tuple[UnusableFile, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """One file or folder on its way to becoming a segment. `error` is the first thing that was wrong with it."""

    url: str
    folder: bool = False
    wall: datetime | None = None
    started_at_us: int | None = None
    clock_source: str = ""
    error: str = ""


def discover(camera: CameraConfig) -> CameraFootage:
    """Find, date and probe a camera's footage; headers only are read, and one bad file never raises.

    The start is taken from a sidecar `<file>.json`, else from the name by `time_pattern`, else from the camera's
    `started_at` (each file following on the one before, in the order of their names), else from the container's
    creation time, and `clock_offset_s` is added. A segment that starts more than OVERLAP_US before an earlier one ends
    is unusable. Raises ConfigError where the glob matches nothing or cannot be listed.
    """
    found, unusable = [], []
    follows_us = clock.configured_instant_us(camera)
    for each in _read_clocks(_candidates(camera), camera):
        if follows_us is not None and each.started_at_us is None and not each.error:
            each = replace(each, started_at_us=follows_us, clock_source="configuration")
        outcome = _segment(each, camera)
        if isinstance(outcome, Segment) and outcome.clock_source == "configuration":
            follows_us = outcome.ended_at_us
        (found if isinstance(outcome, Segment) else unusable).append(outcome)
    found.sort(key=lambda segment: (segment.started_at_us, files.natural_key(segment.url), segment.url))
    segments, overlapping = _without_overlaps(found, camera)
    taken = {segment.segment_id for segment in segments}
    return CameraFootage(camera.id, tuple(segments), tuple(_with_own_ids([*unusable, *overlapping], taken)))


def _candidates(camera: CameraConfig) -> list[_Found]:
    """Return what the glob matches, less sidecars; pictures matched one by one stand as one mistake per folder."""
    try:
        matched = [(url, pattern) for pattern in camera.globs for url in files.expand(pattern)]
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(f"camera {camera.id}: footage {_shown(camera)} cannot be listed: {error}") from None
    urls = dict(reversed(matched))  # each once, by its first glob
    urls = {url: urls[url] for url, _ in matched}
    folders = {url for url in urls if files.is_folder(url)}
    holding_pictures: dict[str, None] = {}
    candidates = []
    for url, pattern in urls.items():
        if url in folders:
            # A recursive glob matches the folders on its way too; they are no footage unless pictures lie in them.
            if "**" not in pattern or files.pictures_in(url):
                candidates.append(_Found(url, folder=True))
        elif files.is_picture(url):
            holding_pictures[files.parent(url)] = None
        elif not url.lower().endswith(".json"):
            candidates.append(_Found(url))
    for folder in holding_pictures:
        if folder not in folders:
            error = f"{folder}: the glob matches its pictures one by one; end `footage` at the folder that holds them"
            candidates.append(_Found(folder, folder=True, error=error))
    if not candidates:
        if isinstance(camera.footage, LiveConfig):
            raise ConfigError(
                f"camera {camera.id}: nothing is recorded in {camera.footage.folder} yet; `nightfleet run` records "
                f"{camera.footage.seconds:g} s first"
            )
        raise ConfigError(f"camera {camera.id}: footage {_shown(camera)} matches no file; check the path or the glob")
    return candidates


def _shown(camera: CameraConfig) -> str:
    return ", ".join(camera.globs)


def _read_clocks(found: list[_Found], camera: CameraConfig) -> list[_Found]:
    """Date every file by sidecar or name; what needs the container's word is left undated."""
    found = [_from_sidecar_or_name(each, camera) for each in found]
    places, walls = [files.parent(each.url) for each in found], [each.wall for each in found]
    folds = clock.folds_by_order(places, walls, camera.time_zone)
    return [_from_wall(each, camera, fold) if each.wall else each for each, fold in zip(found, folds)]


def _from_sidecar_or_name(found: _Found, camera: CameraConfig) -> _Found:
    if found.error:
        return found
    sidecar = f"{found.url.rstrip('/')}.json"
    try:
        if files.exists(sidecar):
            instant_us = clock.sidecar_instant_us(files.read_bytes(sidecar), sidecar)
            return _dated(found, instant_us, "sidecar", camera)
        if camera.time_pattern is None:
            return found
        return replace(found, wall=clock.read_name(files.base_name(found.url), camera.time_pattern))
    except OSError as error:
        return replace(found, error=f"{sidecar}: cannot be read: {error.strerror or error}")
    except SegmentError as error:
        return replace(found, error=str(error))


def _from_wall(found: _Found, camera: CameraConfig, fold_by_order: int | None) -> _Found:
    fold = fold_by_order if camera.fold is None else camera.fold
    try:
        instant_us = clock.wall_to_us(found.wall, camera.time_zone, fold, files.base_name(found.url))
    except SegmentError as error:
        return replace(found, error=str(error))
    return _dated(found, instant_us, "file name", camera)


def _dated(found: _Found, instant_us: int, source: str, camera: CameraConfig) -> _Found:
    return replace(found, started_at_us=instant_us + round(camera.clock_offset_s * 1e6), clock_source=source)


def _segment(found: _Found, camera: CameraConfig) -> Segment | UnusableFile:
    """Probe one file and make it a segment, or say why it is none."""
    if found.error:
        return _unusable(found, found.error, camera)
    try:
        probe = probe_folder(found.url, camera.image_fps) if found.folder else probe_video(found.url)
    except SegmentError as error:
        return _unusable(found, str(error), camera)
    except OSError as error:
        return _unusable(found, f"{found.url}: cannot be read: {error.strerror or error}", camera)
    if found.started_at_us is None:
        if probe.created_at_us is None:
            reason = (
                f"{found.url}: nothing says when it begins; set `time_pattern` of the camera to how its names tell the "
                f"time, or `started_at` if they do not, or put {files.base_name(found.url)}.json with a `started_at` "
                "beside it"
            )
            return _unusable(found, reason, camera)
        found = _dated(found, probe.created_at_us, "container", camera)
    return _as_segment(found, probe, camera)


def _as_segment(found: _Found, probe: Probe, camera: CameraConfig) -> Segment:
    return Segment(
        segment_id=f"{camera.id}-{clock.stamp(found.started_at_us)}",
        camera_id=camera.id,
        url=found.url,
        started_at_us=found.started_at_us,
        duration_us=probe.duration_us,
        local_date=clock.local_date(found.started_at_us, camera.time_zone),
        clock_source=found.clock_source,
        width_px=probe.width_px,
        height_px=probe.height_px,
        fps=probe.fps,
        fingerprint=probe.fingerprint,
    )


def _unusable(found: _Found, reason: str, camera: CameraConfig) -> UnusableFile:
    if found.started_at_us is not None:
        segment_id = f"{camera.id}-{clock.stamp(found.started_at_us)}"
        date = clock.local_date(found.started_at_us, camera.time_zone)
    else:
        name = files.base_name(found.url)
        stem = name if found.folder else name.rpartition(".")[0] or name
        segment_id = f"{camera.id}-{re.sub(r'[^A-Za-z0-9_-]+', '_', stem)[:STEM_LENGTH]}"
        changed = files.modified_at(found.url) or datetime(1970, 1, 1, tzinfo=UTC)
        date = clock.local_date(clock.to_us(changed), camera.time_zone)
    return UnusableFile(camera.id, found.url, segment_id, date, found.started_at_us, reason)


def _without_overlaps(ordered: list[Segment], camera: CameraConfig) -> tuple[list[Segment], list[UnusableFile]]:
    """Keep segments, in order of start, that begin no more than OVERLAP_US before all kept ones have ended."""
    kept, refused = [], []
    last: Segment | None = None  # of those kept, the one that ends last
    for segment in ordered:
        clash = last is not None and segment.started_at_us < last.ended_at_us - OVERLAP_US
        if not clash and not (kept and kept[-1].segment_id == segment.segment_id):
            kept.append(segment)
            last = segment if last is None or segment.ended_at_us >= last.ended_at_us else last
            continue
        other = last if clash else kept[-1]
        start, end = (clock.local_time(us, camera.time_zone) for us in (segment.started_at_us, other.ended_at_us))
        reason = (
            f"{segment.url}: starts at {start}, before {other.url} ends at {end}; one of the two has a wrong time or "
            "is a copy, correct or remove it"
        )
        refused.append(
            UnusableFile(camera.id, segment.url, segment.segment_id, segment.local_date, segment.started_at_us, reason)
        )
    return kept, refused


def _with_own_ids(unusable: list[UnusableFile], taken: set[str]) -> list[UnusableFile]:
    """Give a file whose id is taken another one, made from its place, so that it never replaces another unit."""
    result, taken = [], set(taken)
    for file in unusable:
        if file.segment_id in taken:
            suffix = hashlib.blake2b(file.url.encode(), digest_size=4).hexdigest()
            file = replace(file, segment_id=f"{file.segment_id}-{suffix}")
        taken.add(file.segment_id)
        result.append(file)
    return result
