"""Write viewer pages: one HTML file a camera, and the videos they play beside them."""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import search_filters
from pipeline import __version__
from pipeline.errors import SegmentError, UserError
from pipeline.execution.progress import Progress, Silence
from pipeline.footage import recorded
from pipeline.footage.playable import make_playable
from pipeline.lake import catalog
from pipeline.reports import camera_span
from pipeline.reports.camera_span import Piece, Span, local_text
from pipeline.reports.viewer import Part, Seen, viewer_data, viewer_page

LONGEST_US = 3600 * 1_000_000
"""Shown unless a time is asked for: an hour of a busy camera is about as much as a page stays quick with."""

MAX_THUMBNAILS = 2000
"""Kept pictures that a page carries, 3 KB each: those of the identities with most sightings elsewhere are asked for."""

_VIDEOS = "videos"

_SIGHTINGS = """
SELECT tracklet_id, camera_id, class, identity_id, epoch_us(started_at) AS started_at_us,
    epoch_us(ended_at) AS ended_at_us, confidence, travel_s
FROM identity_sightings
WHERE list_contains($identities, identity_id)
ORDER BY identity_id, nth
"""
_THUMBNAILS = "SELECT tracklet_id, jpeg FROM thumbnails WHERE list_contains($names, tracklet_id)"
_HAS_IDENTITY = "SELECT count(*) FROM identities WHERE identity_id = $identity"


def view(
    lake: str,
    cameras: Sequence[str],
    out: Path,
    *,
    first: str | None = None,
    last: str | None = None,
    class_name: str | None = None,
    identity: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the pages of some cameras into a folder, and return what was written.

    Without `last` an hour at most is shown, from `first` or the beginning. Footage that is gone is named in `missing`
    of its page, which then shows what was seen on a plain ground. Raises UserError for what is not in the lake, and
    where the folder cannot be written.
    """
    progress = progress or Silence()
    filters = search_filters.parse(class_name, cameras, first, last)
    with catalog.connect(lake) as connection:
        _check_identity(connection, identity, lake)
        search_filters.check_classes(filters, connection, lake)
        longest_us = None if filters.last is not None else LONGEST_US
        spans = [_span(connection, camera, filters, longest_us) for camera in dict.fromkeys(cameras)]
        files = {span.camera_id: f"{safe_name(span.camera_id)}.html" for span in spans}
        told = _told(progress, spans)
        pages = []
        try:
            out.mkdir(parents=True, exist_ok=True)
            for span in spans:
                others = {one.camera_id: (files[one.camera_id], one) for one in spans if one is not span}
                pages.append(_page(connection, span, out, filters.classes, identity, others, told))
        except OSError as error:
            raise UserError(
                f"{error.filename or out}: cannot be written: {error.strerror}; give another --out"
            ) from None
        finally:
            progress.end()
    return {"out": str(out), "pages": pages}


def safe_name(name: str) -> str:
    """Return a name as part of a file name anywhere; what had to be changed gets a digest, so that none collide."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".")[:100]
    return plain if plain == name else f"{plain}-{zlib.crc32(name.encode()):08x}"


def _check_identity(connection: catalog.Connection, identity: str | None, lake: str) -> None:
    if identity is not None:
        (n,) = connection.execute(_HAS_IDENTITY, {"identity": identity}).fetchone()
        if not n:
            raise UserError(f"--identity: {lake} has no identity {identity!r}; see `nightfleet sql` over identities")


def _span(connection: catalog.Connection, camera: str, filters: search_filters.Filters, longest_us: int | None) -> Span:
    zones = dict(connection.execute("SELECT camera_id, time_zone FROM cameras").fetchall())
    return camera_span.choose(connection, camera, filters.bounds_us(zones.get(camera, "UTC")), longest_us=longest_us)


def _told(progress: Progress, spans: Sequence[Span]) -> Callable[[str, int], None]:
    """Return what hears of a camera and how many microseconds more of its footage are done."""
    total_us = sum(piece.last_us - piece.first_us for span in spans for piece in span.pieces)
    done_us = 0

    def told(camera_id: str, more_us: int) -> None:
        nonlocal done_us
        done_us += more_us
        progress.making(f"video of {camera_id}", done_us / 1e6, total_us / 1e6)

    return told


def _page(
    connection: catalog.Connection,
    span: Span,
    out: Path,
    classes: Sequence[str] | None,
    identity: str | None,
    others: dict[str, tuple[str, Span]],
    told: Callable[[str, int], None],
) -> dict[str, Any]:
    seen = seen_in(connection, span, classes, identity)
    parts = [_part(piece, out, told) for piece in span.pieces]
    parts = _sized(parts, seen)
    data = viewer_data(span, parts, seen, others)
    notes = _notes(span, parts)
    made = f"Made by nightfleet {__version__}."
    file = out / f"{safe_name(span.camera_id)}.html"
    _write(file, viewer_page(data, span, notes=notes, made=made))
    return {
        "camera_id": span.camera_id,
        "file": str(file),
        "from": local_text(span.first_us, span.time_zone),
        "to": local_text(span.last_us, span.time_zone),
        "time_zone": span.time_zone,
        "tracks": len(data["tracks"]["id"]),
        "crossings": len(data["crossings"]["at"]),
        "videos": [
            {
                "file": str(part.playable.path),
                "copied": part.playable.copied,
                "bytes": part.playable.path.stat().st_size,
            }
            for part in parts
            if part.playable is not None
        ],
        "missing": [part.note for part in parts if part.playable is None],
        "notes": notes,
    }


def seen_in(connection: catalog.Connection, span: Span, classes: Sequence[str] | None, identity: str | None) -> Seen:
    """Read what is shown, narrowed to some classes and an identity."""
    rows, tracks = camera_span.rows_of(connection, span, span.pieces), camera_span.tracks_of(connection, span)
    if classes is not None:
        kept = tracks.filter(pc.is_in(tracks["class"], pa.array(classes)))["tracklet_id"]
        ended = pc.is_in(rows["tracklet_id"], tracks["tracklet_id"].combine_chunks())
        going_on = pc.and_(pc.invert(ended), pc.is_in(rows["class"], pa.array(classes)))
        rows = rows.filter(pc.or_(pc.is_in(rows["tracklet_id"], kept.combine_chunks()), going_on))
    if identity is not None:
        kept = tracks.filter(pc.equal(tracks["identity_id"], identity))["tracklet_id"]
        rows = rows.filter(pc.is_in(rows["tracklet_id"], kept.combine_chunks()))
    shown = rows["tracklet_id"].unique()
    tracks = tracks.filter(pc.is_in(tracks["tracklet_id"], shown))
    known = sorted({name for name in tracks["identity_id"].to_pylist() if name is not None})
    sightings = connection.sql(_SIGHTINGS, params={"identities": known}).to_arrow_table()
    names = sorted({*shown.to_pylist()[:MAX_THUMBNAILS], *sightings["tracklet_id"].to_pylist()})[:MAX_THUMBNAILS]
    kept_pictures = connection.sql(_THUMBNAILS, params={"names": names}).to_arrow_table()
    return Seen(
        rows=rows,
        tracks=tracks,
        crossings=camera_span.crossings_of(connection, span),
        visits=camera_span.visits_of(connection, span),
        lines=camera_span.shapes_of(connection, span, "lines"),
        zones=camera_span.shapes_of(connection, span, "zones"),
        sightings=sightings,
        thumbnails=dict(zip(kept_pictures["tracklet_id"].to_pylist(), kept_pictures["jpeg"].to_pylist())),
    )


def _part(piece: Piece, out: Path, told: Callable[[str, int], None]) -> Part:
    """Make the video of a piece, or say why there is none."""
    unit, before_us = piece.recorded, piece.first_us - piece.recorded.started_at_us

    def advance(done_us: int) -> None:
        nonlocal before_us
        told(unit.camera_id, max(0, done_us - before_us))
        before_us = max(before_us, done_us)

    try:
        found = recorded.find(unit)
        changed = recorded.has_changed(unit, found)
        video = make_playable(
            replace(found, segment_id=safe_name(unit.segment_id)),
            out / _VIDEOS,
            first_us=piece.first_us,
            last_us=piece.last_us,
            damaged=unit.damaged,
            advance=advance,
        )
    except SegmentError as error:
        told(unit.camera_id, piece.last_us - unit.started_at_us - before_us)
        return Part(piece, None, None, 0, 0, str(error))
    told(unit.camera_id, piece.last_us - unit.started_at_us - before_us)
    note = f"{unit.url}: the file has changed since it was processed; boxes may not fit" if changed else ""
    source = f"{_VIDEOS}/{quote(video.path.name)}"
    return Part(piece, video, source, found.width_px, found.height_px, note)


def _sized(parts: list[Part], seen: Seen) -> list[Part]:
    """Give parts without footage a picture's size: that of another, or one that all boxes, lines and zones fit into."""
    known = next(((part.width_px, part.height_px) for part in parts if part.width_px), None)
    if known is None:
        reach = []
        for places in (("x1", "x2"), ("y1", "y2")):
            most = [pc.max(seen.rows[places[1]]).as_py()]
            most += [value for name in places for value in seen.lines[name].to_pylist()]
            most += [value for corners in seen.zones[places[0][0]].to_pylist() for value in corners]
            reach.append(max(16, int(np.ceil(max((value for value in most if value is not None), default=16)))))
        known = (reach[0], reach[1])
    return [part if part.width_px else replace(part, width_px=known[0], height_px=known[1]) for part in parts]


def _notes(span: Span, parts: Sequence[Part]) -> list[str]:
    notes = []
    if span.is_part:
        first, last = (local_text(at_us, span.time_zone) for at_us in span.of_us)
        notes.append(f"This is a part of the camera's footage, {first} to {last}: --from and --to write another.")
    missing = [part for part in parts if part.playable is None]
    if missing:
        notes.append(
            f"{len(missing)} of {len(parts)} video files cannot be shown, what was seen is drawn without them: "
            f"{missing[0].note}."
        )
    return notes


def _write(file: Path, page: str) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(page, encoding="utf-8")
        os.replace(temporary, file)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
