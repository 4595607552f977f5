"""Thumbnails in a lake: one file a unit, beside its rows and always true of them.

A unit that is made anew takes along only those that show a tracklet it still has, in the same box; readers therefore
need not ask what an entered unit's thumbnails were made from.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from pipeline.errors import LakeError
from pipeline.lake import schema, tables
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.pictured import About, Thumbnails
from pipeline.lake.writer import READERS, Lake, unit_path

_ABOUT = b"nightfleet.thumbnails"
_BOX = ("x1", "y1", "x2", "y2")

Place = tuple[str, str, str]
"""Where a unit lies: camera id, local date, segment id."""


def write(lake: Lake, place: Place, rows: Thumbnails, about: About) -> None:
    """Write the thumbnails of an entered unit in place of earlier ones."""
    lake.storage.write(_path(place), tables.to_parquet(table(place[0], rows, about)))


def read(lake: Lake, place: Place) -> tuple[Thumbnails, About] | None:
    """Return a unit's thumbnails and what they were made by; None where there are none, or their file is damaged."""
    content = lake.storage.read(_path(place))
    if content is None:
        return None
    try:
        found = tables.from_parquet(content, lake.storage.location(_path(place)))
    except LakeError:
        return None  # they are made anew
    about = _said(found.schema)
    return None if about is None else (_rows(found), about)


def abouts(lake: Lake, places: Iterable[Place]) -> dict[Place, About]:
    """Return what the thumbnails of units were made by; units without any are left out."""
    held = units(lake)
    wanted = [place for place in places if place in held]
    with ThreadPoolExecutor(READERS) as pool:
        found = dict(zip(wanted, pool.map(lambda place: _about(lake, place), wanted), strict=True))
    return {place: about for place, about in found.items() if about is not None}


def is_current(entry: LedgerEntry, about: About | None, settings: dict) -> bool:
    """Tell whether nothing is left to do for a unit's thumbnails: made by these settings, or there is none to make."""
    if entry.tracklets == 0:
        return True
    return about is not None and about.whole and (about.key, about.settings) == (entry.key, settings)


def units(lake: Lake) -> set[Place]:
    """Return the units that have a file of thumbnails, entered or not."""
    found = (path.removesuffix(".parquet").split("/")[1:] for path in lake.storage.files("thumbnails", ".parquet"))
    return {(camera.removeprefix("camera="), day.removeprefix("date="), name) for day, camera, name in found}


def table(camera_id: str, rows: Thumbnails, about: About) -> pa.Table:
    """Return N thumbnails of one camera as a table of schema.THUMBNAILS, what they were made by in its metadata."""
    named = tables.named_table(
        "thumbnails",
        {
            "tracklet_id": rows.tracklet_id,
            "camera_id": np.full(len(rows), camera_id, dtype=object),
            "captured_at": rows.captured_at_us,
            "frame": rows.frame,
            **{name: rows.xyxy[:, i] for i, name in enumerate(_BOX)},
            "width": rows.size_px[:, 0],
            "height": rows.size_px[:, 1],
            "heads_blurred": rows.heads_blurred,
            "jpeg": rows.jpeg,
        },
    )
    return named.replace_schema_metadata({**schema.THUMBNAILS.metadata, _ABOUT: about.to_json().encode()})


def _rows(found: pa.Table) -> Thumbnails:
    columns = tables.columns_of(found)
    jpeg = np.empty(len(found), object)
    jpeg[:] = found["jpeg"].to_pylist()
    return Thumbnails(
        tracklet_id=columns["tracklet_id"],
        captured_at_us=columns["captured_at"],
        frame=columns["frame"],
        xyxy=np.stack([columns[name] for name in _BOX], axis=1),
        size_px=np.stack([columns[name] for name in ("width", "height")], axis=1),
        heads_blurred=columns["heads_blurred"],
        jpeg=jpeg,
    )


def _said(found: pa.Schema) -> About | None:
    return About.from_json((found.metadata or {}).get(_ABOUT, b"").decode())


def _about(lake: Lake, place: Place) -> About | None:
    content = lake.storage.read(_path(place))
    if content is None:
        return None
    try:
        found = tables.schema_from_parquet(content, lake.storage.location(_path(place)))
    except LakeError:
        return None
    return _said(found)


def _path(place: Place) -> str:
    camera_id, local_date, segment_id = place
    return unit_path("thumbnails", local_date, camera_id, segment_id)
