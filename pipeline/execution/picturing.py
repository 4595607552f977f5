"""Thumbnails of a unit, cut once its rows are final: which frame shows a tracklet best, and the picture of it there.

Only the frames needed are decoded again, out of the unit's own file wherever it shows the tracklet, else out of the
file before. Neither the tracker nor the models take part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from pipeline.config import FleetConfig
from pipeline.errors import SegmentError
from pipeline.execution.plan import Unit
from pipeline.footage import files, fingerprint
from pipeline.footage.decode import frames_at
from pipeline.footage.thumbnail import Settings, cut_out
from pipeline.lake import thumbnails
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.pictured import About, Thumbnails
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, Exemplars, Observations, Segment, Tracklets

Rows = tuple[Observations, Tracklets, Exemplars]
_PERSON = COCO_CLASSES.index("person")


@dataclass(frozen=True, eq=False, slots=True)
class _Choice:
    """The frame that is to show a tracklet, and its box (4,) float32 there."""

    tracklet_id: str
    captured_at_us: int
    frame: int
    segment_id: str
    xyxy: np.ndarray


def settings_of(config: FleetConfig) -> dict:
    """Return what shapes thumbnails, as it is kept beside them."""
    return Settings(blur_heads=config.execution.blur_heads).to_json()


def picture(unit: Unit, entry: LedgerEntry, config: FleetConfig, lake: Lake) -> None:
    """Make the thumbnails of an entered unit, unless they are there already.

    What cannot be decoded is left out and counted, with the reason, beside those that can.
    """
    place = (entry.camera_id, entry.local_date, entry.segment_id)
    held = thumbnails.read(lake, place)
    settings = Settings(blur_heads=config.execution.blur_heads)
    if thumbnails.is_current(entry, held and held[1], settings.to_json()):
        return
    rows = lake.read_unit(entry)
    seen = _seen(unit, rows, lake)
    choices = _choices(unit, rows, seen)
    # A picture without mosaics depends on nothing but its frame and its box.
    reusable = held and held[1].settings == settings.to_json() and not settings.blur_heads
    pictures = {(row[0], row[1]): row for row in _rows(held[0])} if reusable else {}
    found = [pictures[key] for key in _matching(choices, held[0])] if reusable else []
    have = {row[0] for row in found}
    reason = ""
    for segment_id, wanted in _by_segment([choice for choice in choices if choice.tracklet_id not in have]).items():
        try:
            segment = unit.segment if segment_id == unit.segment.segment_id else _earlier(segment_id, unit, lake)
            for row in _cut(segment, wanted, seen, settings, config.camera(entry.camera_id).image_fps):
                found.append(row)  # one by one: what came before a failure stays
        except (SegmentError, OSError) as error:
            reason = reason or str(error)
    n_missing = len(rows[1]) - len(found)
    about = About(entry.key, settings.to_json(), made=len(found), missing=n_missing, reason=reason)
    thumbnails.write(lake, place, Thumbnails.of(found), about)


def carried(unit: Unit, key: str, rows: Rows, lake: Lake) -> pa.Table | None:
    """Return the unit's thumbnails of an earlier run that show a tracklet of its new rows in the same box, if any.

    They become those of the unit's new `key`; they are whole only where a run would choose no other frame.
    """
    segment = unit.segment
    held = thumbnails.read(lake, (segment.camera_id, segment.local_date, segment.segment_id))
    if held is None:
        return None
    old, about = held
    seen = _seen(unit, rows, lake)
    boxes = _boxes_at(seen, old.captured_at_us)
    there = set(rows[1].tracklet_id.tolist())
    same = [
        name in there and np.array_equal(boxes.get((name, at_us)), box)
        for name, at_us, box in zip(old.tracklet_id.tolist(), old.captured_at_us.tolist(), old.xyxy)
    ]
    kept = old.take(np.array(same, bool))
    whole = about.whole and len(_matching(_choices(unit, rows, seen), kept)) == len(rows[1])
    about = replace(about, key=key, whole=whole, made=len(kept), missing=0, reason="")
    return thumbnails.table(segment.camera_id, kept, about)


def _choices(unit: Unit, rows: Rows, seen: Observations) -> list[_Choice]:
    """Choose an exemplar of each tracklet: of those in the unit's own file, or else of all, the best; of equals the
    first. Tracklets of which no exemplar has a box are left out."""
    exemplars = rows[2]
    where = _places_at(seen, exemplars.captured_at_us)
    best: dict[str, tuple[tuple, int]] = {}
    for name, at_us, quality in zip(
        exemplars.tracklet_id.tolist(), exemplars.captured_at_us.tolist(), exemplars.quality.tolist()
    ):
        place = where.get((name, at_us))
        if place is None:
            continue
        rank = (seen.segment_id[place] != unit.segment.segment_id, -quality, at_us)
        if name not in best or rank < best[name][0]:
            best[name] = (rank, place)
    return [
        _Choice(name, int(seen.captured_at_us[i]), int(seen.frame[i]), str(seen.segment_id[i]), seen.xyxy[i])
        for name, (_, i) in sorted(best.items())
    ]


def _seen(unit: Unit, rows: Rows, lake: Lake) -> Observations:
    """Return the boxes of the unit, and those of units before it where a tracklet shows in no frame of its own file."""
    own, tracklets, exemplars = rows
    here = _places_at(own, exemplars.captured_at_us)
    at_hand = {
        name
        for name, at_us in zip(exemplars.tracklet_id.tolist(), exemplars.captured_at_us.tolist())
        if (name, at_us) in here and own.segment_id[here[name, at_us]] == unit.segment.segment_id
    }
    missing = ~np.isin(tracklets.tracklet_id.astype(str), sorted(at_hand))
    if not missing.any():
        return own
    since_us = int(tracklets.started_at_us[missing].min())
    before = [entry for entry in _entries_before(unit, lake) if entry.observations and entry.ended_at_us >= since_us]
    return Observations.concatenate([own, *(lake.read_observations(entry) for entry in before)])


def _entries_before(unit: Unit, lake: Lake) -> list[LedgerEntry]:
    """Return the camera's entered units of this date and the one before that begin before this one."""
    day = date.fromisoformat(unit.segment.local_date)
    dates = [(day - timedelta(days=1)).isoformat(), day.isoformat()]
    return [
        entry
        for entry in lake.camera_ledger(unit.segment.camera_id, dates)
        if entry.started_at_us is not None
        and entry.ended_at_us is not None
        and entry.started_at_us < unit.segment.started_at_us
    ]


def _earlier(segment_id: str, unit: Unit, lake: Lake) -> Segment:
    """Return the segment of a unit before this one. Raises SegmentError where its file is gone or another."""
    for entry in _entries_before(unit, lake):
        if entry.segment_id != segment_id:
            continue
        try:
            folder = files.is_folder(entry.url)
            now = fingerprint.of_folder(files.pictures_in(entry.url)) if folder else fingerprint.of_file(entry.url)
        except OSError:
            raise SegmentError(f"{entry.url}: the file is gone, and some thumbnails need it") from None
        if now != entry.fingerprint:
            raise SegmentError(f"{entry.url}: the file changed since, and some thumbnails need it as it was")
        return replace(
            unit.segment,
            segment_id=segment_id,
            url=entry.url,
            started_at_us=entry.started_at_us,
            duration_us=entry.ended_at_us - entry.started_at_us,
            fingerprint=entry.fingerprint,
        )
    raise SegmentError(f"segment {segment_id} is not in the lake any more, and some thumbnails need it")


def _cut(
    segment: Segment, choices: list[_Choice], seen: Observations, settings: Settings, image_fps: float | None
) -> Iterator[tuple]:
    """Yield the rows of the thumbnails of one file, as Thumbnails.of takes them."""
    by_instant = defaultdict(list)
    for choice in choices:
        by_instant[choice.captured_at_us].append(choice)
    people = seen.take(np.isin(seen.captured_at_us, list(by_instant)) & (seen.class_id == _PERSON))
    for at_us, image in frames_at(segment, list(by_instant), image_fps):
        for choice in by_instant[at_us]:
            cut = cut_out(image, choice.xyxy, people.xyxy[people.captured_at_us == at_us], settings)
            if cut is not None:
                size_px = (cut.width_px, cut.height_px)
                row = (choice.tracklet_id, at_us, choice.frame, choice.xyxy, size_px, settings.blur_heads, cut.jpeg)
                yield row


def _by_segment(choices: list[_Choice]) -> dict[str, list[_Choice]]:
    grouped = defaultdict(list)
    for choice in choices:
        grouped[choice.segment_id].append(choice)
    return grouped


def _places_at(seen: Observations, captured_at_us: np.ndarray) -> dict[tuple[str, int], int]:
    """Return the row of every box of these instants that a detection stands behind, by tracklet and instant."""
    rows = np.flatnonzero(np.isin(seen.captured_at_us, captured_at_us) & ~seen.interpolated).tolist()
    return {(seen.tracklet_id[i], int(seen.captured_at_us[i])): i for i in rows}


def _boxes_at(seen: Observations, captured_at_us: np.ndarray) -> dict[tuple[str, int], np.ndarray]:
    return {key: seen.xyxy[i] for key, i in _places_at(seen, captured_at_us).items()}


def _matching(choices: list[_Choice], held: Thumbnails) -> list[tuple[str, int]]:
    """Return tracklet and instant of the choices that a thumbnail shows already, in the same box."""
    boxes = dict(zip(zip(held.tracklet_id.tolist(), held.captured_at_us.tolist()), held.xyxy))
    keys = [(choice.tracklet_id, choice.captured_at_us) for choice in choices]
    return [key for key, choice in zip(keys, choices) if np.array_equal(boxes.get(key), choice.xyxy)]


def _rows(held: Thumbnails) -> Iterator[tuple]:
    return zip(
        held.tracklet_id.tolist(),
        held.captured_at_us.tolist(),
        held.frame.tolist(),
        held.xyxy,
        [tuple(size) for size in held.size_px.tolist()],
        held.heads_blurred.tolist(),
        held.jpeg.tolist(),
    )
