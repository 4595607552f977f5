"""Kept detections in a lake: two files a segment, beside its unit and older than its ledger entry.

Those of an entered unit are always of the footage and models that its rows were made from: to write or remove them
withdraws the entry first, and the unit is entered anew after them.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from pipeline.lake import schema, tables
from pipeline.lake.kept import About, KeptDetections
from pipeline.lake.writer import READERS, Lake, unit_path
from pipeline.types import Segment

Place = tuple[str, str, str]
"""Where a unit lies: camera id, local date, segment id."""


def write(lake: Lake, kept: KeptDetections) -> None:
    """Keep a segment's detections in place of earlier ones. Its unit is withdrawn, and must be written after this."""
    segment = kept.about.segment
    contents = {"detections": tables.detections_table(kept), "frames": tables.frames_table(kept)}
    remove(lake, segment)
    for table, rows in contents.items():
        path = unit_path(table, segment.local_date, segment.camera_id, segment.segment_id)
        lake.storage.write(path, tables.to_parquet(rows))


def remove(lake: Lake, segment: Segment) -> None:
    """Forget a segment's kept detections. Its unit is withdrawn, and must be written after this."""
    lake.withdraw(segment.camera_id, segment.local_date, segment.segment_id)
    for table in reversed(schema.KEPT):  # without its frames, nothing is kept of a segment
        lake.storage.remove(unit_path(table, segment.local_date, segment.camera_id, segment.segment_id))


def about(lake: Lake, place: Place) -> About | None:
    """Return what a segment's kept detections were made from, or None where none are kept. Raises LakeError."""
    path = _path("frames", place)
    content = lake.storage.read(path)
    if content is None:
        return None
    origin = lake.storage.location(path)
    return tables.kept_about(tables.schema_from_parquet(content, origin), origin)


def abouts(lake: Lake, places: Iterable[Place]) -> dict[Place, About]:
    """Return what the kept detections of units were made from; units without any are left out. Raises LakeError."""
    held = units(lake)
    wanted = [place for place in places if place in held]
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda place: about(lake, place), wanted)
        return {place: facts for place, facts in zip(wanted, found, strict=True) if facts is not None}


def read(lake: Lake, wanted: About) -> KeptDetections | None:
    """Return a segment's kept detections if they fit what they would be made from now, else None.

    Raises LakeError where they are damaged.
    """
    place = (wanted.segment.camera_id, wanted.segment.local_date, wanted.segment.segment_id)
    facts = about(lake, place)
    if facts is None or not facts.fits(wanted):
        return None
    parts = []
    for table in ("frames", "detections"):
        path = _path(table, place)
        content = lake.storage.read(path)
        if content is None:
            return None
        parts.append(tables.from_parquet(content, lake.storage.location(path)))
    return tables.to_kept(*parts, lake.storage.location(_path("detections", place)))


def units(lake: Lake) -> set[Place]:
    """Return the units whose detections are kept, entered or not."""
    found = [
        {tuple(path.removesuffix(".parquet").split("/")[1:]) for path in lake.storage.files(table, ".parquet")}
        for table in schema.KEPT
    ]
    both = set.intersection(*found)
    return {(camera.removeprefix("camera="), day.removeprefix("date="), name) for day, camera, name in both}


def _path(table: str, place: Place) -> str:
    camera_id, local_date, segment_id = place
    return unit_path(table, local_date, camera_id, segment_id)
