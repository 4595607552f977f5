"""What was counted, to look at: a contact sheet of the moments, or a clip of a few seconds around each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import LakeError, SegmentError, UserError
from pipeline.footage import recorded, thumbnail
from pipeline.footage.decode import frames_at, frames_between
from pipeline.footage.h264 import H264File
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.reports.camera_span import RECORDED, choose
from pipeline.reports.counted_sheet import counted_sheet
from pipeline.reports.formats import put
from pipeline.reports.scene import REFERENCE_HEIGHT_PX, draw_scene, write_label

AROUND_S = 2.0
"""Seconds of a clip before and after each moment: time to see who it was and where they went."""

SHOWN_BOXES = 3.0
"""Width and height of a picture in boxes: the line and what stands beside are to be seen too."""

LEAST_SHARE = 0.25
"""A picture shows at least this share of the frame's width."""

LONGEST_PX = 420

_BOXES = """
SELECT o.*, t.class AS of_class
FROM observations AS o
JOIN tracklets AS t ON t.camera = o.camera AND t.tracklet_id = o.tracklet_id
WHERE o.camera = $camera AND list_contains($tracks, o.tracklet_id)
ORDER BY o.tracklet_id, o.captured_at
"""

_PEOPLE = """
SELECT epoch_us(captured_at) AS at_us, x1, y1, x2, y2
FROM observations
WHERE camera = $camera AND class = 'person' AND list_contains($instants, epoch_us(captured_at))
"""

_PEOPLE_AROUND = """
SELECT DISTINCT epoch_us(captured_at) AS at_us, x1, y1, x2, y2
FROM observations
JOIN (SELECT unnest($moments) AS moment_us) ON abs(epoch_us(captured_at) - moment_us) <= $reach_us
WHERE camera = $camera AND class = 'person'
"""

_SHAPES = "FROM {table} WHERE camera_id = $camera"

_THUMBNAILS = "SELECT tracklet_id, jpeg FROM thumbnails WHERE list_contains($tracks, tracklet_id)"


def write_sheet(lake: str, result: Mapping[str, Any], out: Path, *, limit: int) -> dict[str, Any]:
    """Write the contact sheet of what `explain` returned, its first `limit` crossings.

    Returns written, shown (pictures cut from the footage), thumbnails (kept ones shown instead), missing (why footage
    could not be read) and notes. Raises UserError where the file cannot be written.
    """
    rows = result["crossings"][:limit]
    with catalog.connect(lake) as connection:
        boxes = _boxes(connection, result, rows)
        pictures, missing = _moments(connection, lake, result, rows, boxes)
        bare = [row["tracklet_id"] for row, picture in zip(rows, pictures) if picture is None]
        kept = _kept(connection, bare) if bare else {}
    notes = list(missing)
    shown = sum(picture is not None for picture in pictures)
    pictures = [picture or kept.get(row["tracklet_id"]) for row, picture in zip(rows, pictures)]
    instead = sum(picture is not None for picture in pictures) - shown
    if instead:
        notes.append(f"{instead} of the pictures are kept thumbnails of the whole track, not of the moment")
    page = counted_sheet(result, rows, pictures, notes=notes, lake=lake, made_at=datetime.now(UTC))
    put(out, page.encode())
    return {"written": str(out), "shown": shown, "thumbnails": instead, "missing": missing, "notes": notes}


def write_clip(lake: str, result: Mapping[str, Any], out: Path, *, limit: int) -> dict[str, Any]:
    """Write an .mp4 of the first `limit` crossings of what `explain` returned, one after another.

    Returns written, shown, missing and notes, as above. Raises UserError where there is nothing to show, or the file
    cannot be written.
    """
    if out.suffix.lower() != ".mp4":
        raise UserError(f"--clip: expected the name of an .mp4 file, got {str(out)!r}")
    rows = result["crossings"][:limit]
    if result["count"] is None:
        raise UserError(
            f"--clip: camera {result['camera_id']} has no footage of that time, so there is nothing to show"
        )
    if not rows:
        raise UserError("--clip: nothing was counted there, so there is nothing to show")
    with catalog.connect(lake) as connection:
        clip = _Clip(result, len(rows), _people_around(connection, result, rows) if _blurs(lake) else {})
        boxes = _boxes(connection, result, rows)
        lines, zones = _shapes(connection, result)
        spans = [_around(connection, result["camera_id"], _us(row["at_utc"])) for row in rows]
    rate = max((piece.fps for span in spans for piece, _, _ in span[0]), default=0)
    notes = list(dict.fromkeys(note for _, lost in spans for note in lost))
    if not rate:
        raise UserError(f"--clip: {notes[0] if notes else 'there is no footage of these moments'}")
    try:
        with H264File(out, fps=rate) as video:
            for nth, (row, (pieces, _)) in enumerate(zip(rows, spans), start=1):
                clip.add(video, nth, row, pieces, boxes.filter(_is(boxes, row)), lines, zones)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}; give another --clip") from None
    except SegmentError as error:
        raise UserError(f"--clip: {error}") from None
    return {"written": str(out), "shown": clip.shown, "missing": notes, "notes": notes}


class _Clip:
    """A clip being written: where it stands on its own clock, and how many moments are in it."""

    def __init__(self, result: Mapping[str, Any], n_rows: int, heads_of: Mapping[int, np.ndarray]) -> None:
        self.shown = 0
        self._result, self._n_rows, self._heads_of = result, n_rows, heads_of
        self._time_us = 0

    def add(
        self,
        video: H264File,
        nth: int,
        row: Mapping[str, Any],
        pieces: Iterable[tuple[Any, int, int]],
        boxes: pa.Table,
        lines: pa.Table,
        zones: pa.Table,
    ) -> None:
        """Append the frames around one moment."""
        before_us, n_frames = None, 0
        for segment, first_us, last_us in pieces:
            for at_us, image in frames_between(segment, first_us, last_us):
                usual_us = round(1e6 / segment.fps)
                self._time_us += usual_us if before_us is None else max(1, at_us - before_us)
                before_us, n_frames = at_us, n_frames + 1
                if at_us in self._heads_of:
                    image = thumbnail.hide_heads(image, self._heads_of[at_us])
                drawn = draw_scene(image, boxes, lines, zones, at_us=at_us, tail_s=1.0)
                self._label(drawn, nth, row, at_us)
                video.write(_fitted(drawn, video), self._time_us)
        self.shown += n_frames > 0

    def _label(self, image: np.ndarray, nth: int, row: Mapping[str, Any], at_us: int) -> None:
        off_s = (at_us - _us(row["at_utc"])) / 1e6
        told = " ".join(part for part in (row["class"], row["direction"]) if part)
        text = f"{nth} of {self._n_rows}  {row['at_local'][11:21]}  {told}  {off_s:+.1f} s"
        scale = max(1.0, image.shape[0] / REFERENCE_HEIGHT_PX)
        colour = (255, 196, 61) if off_s >= 0 else (190, 198, 205)
        write_label(image, text, (4, image.shape[0] - 4), colour, 1.2 * scale)


def _moments(
    connection: Any, lake: str, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], boxes: pa.Table
) -> tuple[list[bytes | None], list[str]]:
    """Cut a picture of each crossing from the footage, as JPEG, and say why some could not be."""
    nearest = [_nearest(boxes, row) for row in rows]
    people = _people(connection, result["camera_id"], [at_us for at_us, _, _ in nearest])
    settings = thumbnail.Settings(blur_heads=_blurs(lake), longest_px=LONGEST_PX, margin=0.0)
    lines, zones = _shapes(connection, result)
    pictures: list[bytes | None] = [None] * len(rows)
    notes: dict[str, None] = {}
    for segment_id in dict.fromkeys(name for _, name, _ in nearest):
        mine = [at for at, (_, name, _) in enumerate(nearest) if name == segment_id]
        segment, note = _found(connection, result["camera_id"], segment_id)
        if segment is None:
            notes[note] = None
            continue
        try:
            for at_us, image in frames_at(segment, sorted({nearest[at][0] for at in mine})):
                for at in (at for at in mine if nearest[at][0] == at_us):
                    track = boxes.filter(_is(boxes, rows[at]))
                    drawn = draw_scene(image, track, lines, zones, at_us=at_us, tail_s=1.0)
                    window = _window(nearest[at][2], image.shape[1], image.shape[0])
                    cut = thumbnail.cut_out(drawn, window, people.get(at_us, np.zeros((0, 4))), settings)
                    pictures[at] = None if cut is None else cut.jpeg
        except SegmentError as error:
            notes[str(error)] = None
    return pictures, list(notes)


def _window(box: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Return the part of the frame (4,) that shows a box (4,) and what is about it: 4 by 3, moved into the frame."""
    side_px = SHOWN_BOXES * max(box[2] - box[0], 4 / 3 * (box[3] - box[1]))
    width = min(float(width_px), max(side_px, LEAST_SHARE * width_px))
    height = min(float(height_px), 0.75 * width)
    left = np.clip((box[0] + box[2] - width) / 2, 0, width_px - width)
    top = np.clip((box[1] + box[3] - height) / 2, 0, height_px - height)
    return np.array([left, top, left + width, top + height])


def _nearest(boxes: pa.Table, row: Mapping[str, Any]) -> tuple[int, str, np.ndarray]:
    """Return instant, segment and corners (4,) of the track's box nearest in time to the moment; detected or not."""
    track = boxes.filter(_is(boxes, row))
    at_us = track["captured_at"].cast(pa.int64()).to_numpy()
    best = int(np.argmin(np.abs(at_us - _us(row["at_utc"]))))
    corners = np.array([track[name][best].as_py() for name in ("x1", "y1", "x2", "y2")], np.float64)
    return int(at_us[best]), track["segment_id"][best].as_py(), corners


def _found(connection: Any, camera_id: str, segment_id: str) -> tuple[Any, str]:
    """Return a segment's footage as it was when it was processed, or None and why not."""
    sql = f"SELECT {RECORDED} FROM ledger WHERE camera_id = $camera AND segment_id = $segment"
    told = catalog.select(connection, sql, {"camera": camera_id, "segment": segment_id}).to_pylist()
    if not told:
        return None, f"{segment_id}: the lake does not say where its footage is"
    return _unchanged(recorded.Recorded(**told[0]))


def _unchanged(one: recorded.Recorded) -> tuple[Any, str]:
    try:
        segment = recorded.find(one)
    except SegmentError as error:
        return None, str(error)
    if recorded.has_changed(one, segment):
        return None, f"{one.url}: the file is another than the one that was processed, so it is not shown"
    return segment, ""


def _around(connection: Any, camera_id: str, at_us: int) -> tuple[list[tuple[Any, int, int]], list[str]]:
    """Return the footage around a moment, as segments with the part of each, and why some is missing."""
    reach_us = round(AROUND_S * 1e6)
    pieces, notes = [], []
    for piece in choose(connection, camera_id, (at_us - reach_us, at_us + reach_us)).pieces:
        segment, note = _unchanged(piece.recorded)
        if segment is None:
            notes.append(note)
        else:
            pieces.append((segment, piece.first_us, piece.last_us))
    return pieces, notes


def _boxes(connection: Any, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return all boxes of the tracks shown, each with the class of its whole track."""
    tracks = sorted({row["tracklet_id"] for row in rows})
    found = catalog.select(connection, _BOXES, {"camera": result["camera_id"], "tracks": tracks})
    place = found.schema.get_field_index("class")
    return found.set_column(place, "class", found["of_class"]).drop_columns(["of_class"])


def _shapes(connection: Any, result: Mapping[str, Any]) -> tuple[pa.Table, pa.Table]:
    """Return the lines and zones to draw: those that were asked for."""
    params = {"camera": result["camera_id"]}
    lines, zones = (catalog.select(connection, _SHAPES.format(table=name), params) for name in ("lines", "zones"))
    column = {"line": "line_id", "gate": "gate_id"}.get(result["kind"])
    lines = lines.slice(0, 0) if column is None else lines.filter(pc.equal(lines[column], result["name"]))
    return lines, zones.filter(pc.equal(zones["zone_id"], result["name"] if column is None else ""))


def _people(connection: Any, camera_id: str, instants: Sequence[int]) -> dict[int, np.ndarray]:
    """Return the boxes (P, 4) of all people in some frames, by instant."""
    return _by_instant(catalog.select(connection, _PEOPLE, {"camera": camera_id, "instants": sorted(set(instants))}))


def _people_around(
    connection: Any, result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[int, np.ndarray]:
    """Return the boxes (P, 4) of all people in the frames of a clip, by instant."""
    moments = sorted({_us(row["at_utc"]) for row in rows})
    params = {"camera": result["camera_id"], "moments": moments, "reach_us": round(AROUND_S * 1e6)}
    return _by_instant(catalog.select(connection, _PEOPLE_AROUND, params))


def _by_instant(found: pa.Table) -> dict[int, np.ndarray]:
    by_instant: dict[int, list] = {}
    for row in found.to_pylist():
        by_instant.setdefault(row["at_us"], []).append([row["x1"], row["y1"], row["x2"], row["y2"]])
    return {at_us: np.array(boxes, np.float64) for at_us, boxes in by_instant.items()}


def _kept(connection: Any, tracks: Sequence[str]) -> dict[str, bytes]:
    rows = catalog.select(connection, _THUMBNAILS, {"tracks": sorted(set(tracks))}).to_pylist()
    return {row["tracklet_id"]: row["jpeg"] for row in rows}


def _blurs(lake: str) -> bool:
    """Tell whether heads are to be made unrecognisable in pictures of this fleet."""
    try:
        return Lake.open(lake).read_config().execution.blur_heads
    except LakeError:
        return False


def _fitted(image: np.ndarray, video: H264File) -> np.ndarray:
    """Return a picture in the size of the video's first, should the camera's picture have changed its size."""
    size = (video.width_px, video.height_px)
    if not size[0] or (abs(image.shape[1] - size[0]) <= 1 and abs(image.shape[0] - size[1]) <= 1):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _is(boxes: pa.Table, row: Mapping[str, Any]) -> pa.ChunkedArray:
    return pc.equal(boxes["tracklet_id"], row["tracklet_id"])


def _us(instant: datetime) -> int:
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
