"""Write one camera's footage with what was seen drawn into it, as an mp4 anything plays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import search_filters
from pipeline.errors import SegmentError, UserError
from pipeline.execution.progress import Progress, Silence
from pipeline.footage import recorded
from pipeline.footage.decode import frames_between
from pipeline.footage.h264 import H264File
from pipeline.lake import catalog
from pipeline.reports import annotated, camera_span
from pipeline.reports.camera_span import Piece, Span, local_text
from pipeline.types import Segment

GAP_US = 1_000_000
"""A longer pause between two frames is left out of the video: the clock in the picture shows the jump."""

_PROCESSED_FPS = "SELECT segment_id, frames / wall_s FROM ledger WHERE camera_id = $camera AND wall_s > 0"


def annotate(
    lake: str,
    camera: str,
    out: Path,
    *,
    first: str | None = None,
    last: str | None = None,
    class_name: str | None = None,
    fps_overlay: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the annotated video of a camera, every frame of its footage at its own time; it appears when it is done.

    Gaps in the footage are left out, and so is what is gone or damaged: `missing` says so, a sentence each. Raises
    UserError for what is not in the lake, where no footage can be read, and where the file cannot be written.
    """
    progress, began = progress or Silence(), time.perf_counter()
    if out.suffix.lower() != ".mp4":
        raise UserError(f"--out: expected the name of an .mp4 file, got {str(out)!r}")
    filters = search_filters.parse(class_name, [camera], first, last)
    with catalog.connect(lake) as connection:
        search_filters.check_classes(filters, connection, lake)
        zones = dict(connection.execute("SELECT camera_id, time_zone FROM cameras").fetchall())
        span = camera_span.choose(connection, camera, filters.bounds_us(zones.get(camera, "UTC")))
        drawing = _Drawing(connection, span, filters.classes, fps_overlay)
        found, missing = _found(span)  # all of them, before hours of work
        try:
            with H264File(out, fps=next(one.fps for one in found if one is not None)) as video:
                frames = _write(drawing, found, missing, video, progress)
                if not frames:
                    nothing = f"camera {camera}: no frame of its footage lies in the time asked for"
                    raise UserError(missing[0] if missing else nothing)
        except OSError as error:
            raise UserError(f"{out}: cannot be written: {error.strerror or error}; give another --out") from None
        finally:
            progress.end()
    wall_s = time.perf_counter() - began
    return {
        "out": str(out),
        "camera_id": camera,
        "from": local_text(span.first_us, span.time_zone),
        "to": local_text(span.last_us, span.time_zone),
        "time_zone": span.time_zone,
        "frames": frames,
        "wall_s": round(wall_s, 2),
        "frames_per_s": round(frames / wall_s, 1),
        "bytes": out.stat().st_size,
        "pieces": len(span.pieces),
        "missing": missing,
    }


def _found(span: Span) -> tuple[list[Segment | None], list[str]]:
    """Return the footage of a span's pieces, None where there is none, and why. Raises UserError without any."""
    found: list[Segment | None] = []
    missing: list[str] = []
    for piece in span.pieces:
        try:
            found.append(recorded.find(piece.recorded))
        except SegmentError as error:
            found.append(None)
            missing.append(str(error))
    if len(missing) == len(found):
        more = f" (and so with all {len(missing)} of its videos)" if len(missing) > 1 else ""
        raise UserError(f"{missing[0]}{more}")
    return found, missing


class _Drawing:
    """What is drawn, read from the lake piece by piece: of rows only one piece's are in memory."""

    def __init__(
        self, connection: catalog.Connection, span: Span, classes: tuple[str, ...] | None, fps_overlay: bool
    ) -> None:
        self.span, self.fps_overlay = span, fps_overlay
        self._connection, self._classes = connection, classes
        tracks = camera_span.tracks_of(connection, span)
        names = tracks["tracklet_id"].to_pylist()
        self._class_of = dict(zip(names, tracks["class"].to_pylist()))
        known = zip(names, tracks["identity_id"].to_pylist())
        self._identity_of = {name: identity for name, identity in known if identity is not None}
        self.annotator = annotated.Annotator(
            span.time_zone,
            camera_span.shapes_of(connection, span, "lines").to_pylist(),
            camera_span.shapes_of(connection, span, "zones").to_pylist(),
            self._narrowed(camera_span.crossings_of(connection, span)),
            self._narrowed(camera_span.visits_of(connection, span)),
        )
        self._tail: pa.Table | None = None
        self._processed_fps = dict(connection.execute(_PROCESSED_FPS, {"camera": span.camera_id}).fetchall())

    def rates(self, piece: Piece, segment: Segment | None) -> str:
        """Say the frames a second of a piece's footage and those that it was processed at; nothing if not wanted."""
        if not self.fps_overlay or segment is None:
            return ""
        processed_fps = self._processed_fps.get(piece.recorded.segment_id)
        processed = "" if processed_fps is None else f", processed at {processed_fps:.0f}"
        return f"  {segment.fps:.4g} frames/s{processed}"

    def stretch(self, piece: Piece) -> annotated.Stretch:
        """Return what was seen in a piece, with the ends of trails from the piece before; call in order."""
        rows = self._narrowed(camera_span.rows_of(self._connection, self.span, [piece]))
        if self._tail is not None:
            rows = pa.concat_tables([self._tail, rows])
            rows = rows.sort_by([("tracklet_id", "ascending"), ("at_us", "ascending")])
        self._tail = rows.filter(pc.greater_equal(rows["at_us"], piece.last_us - annotated.TAIL_US))
        return annotated.stretch(rows, self._class_of, self._identity_of)

    def _narrowed(self, rows: pa.Table) -> pa.Table:
        """Return rows of some classes only: of a track's own, or of the row's while the track has not ended."""
        if self._classes is None:
            return rows
        own = rows["class"].to_pylist() if "class" in rows.column_names else [None] * len(rows)
        names = rows["tracklet_id"].to_pylist()
        kept = [self._class_of.get(name, other) in self._classes for name, other in zip(names, own)]
        return rows.filter(pa.array(kept, pa.bool_()))


def _write(
    drawing: _Drawing, found: list[Segment | None], missing: list[str], video: H264File, progress: Progress
) -> int:
    """Draw and append every frame; returns how many. Pictures of another size are brought to the first one's.

    Footage that turns out damaged is left out from there on, and is added to `missing`.
    """
    total_s = sum(piece.last_us - piece.first_us for piece in drawing.span.pieces) / 1e6
    frames, done_s, size = 0, 0.0, None
    skipped_us = last_us = drawing.span.first_us
    interval_us = round(1e6 / next(segment.fps for segment in found if segment is not None))
    for piece, segment in zip(drawing.span.pieces, found):
        seen, corner = drawing.stretch(piece), drawing.rates(piece, segment)
        for at_us, image in _frames(piece, segment, missing):
            if not frames:
                skipped_us = at_us
            elif at_us - last_us > GAP_US:
                skipped_us += at_us - last_us - interval_us
            else:
                interval_us = at_us - last_us
            drawing.annotator.draw(image, at_us, seen, corner=corner)
            size = size or (image.shape[1], image.shape[0])
            if (image.shape[1], image.shape[0]) != size:
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            video.write(image, at_us - skipped_us)
            frames, last_us = frames + 1, at_us
            progress.making(f"video of {piece.recorded.camera_id}", done_s + (at_us - piece.first_us) / 1e6, total_s)
        done_s += (piece.last_us - piece.first_us) / 1e6
    progress.making(f"video of {drawing.span.camera_id}", total_s, total_s)
    return frames


def _frames(piece: Piece, segment: Segment | None, missing: list[str]) -> Iterator[tuple[int, np.ndarray]]:
    if segment is None:
        return
    try:
        yield from frames_between(segment, piece.first_us, piece.last_us, image_fps=segment.fps)
    except SegmentError as error:
        missing.append(str(error))
