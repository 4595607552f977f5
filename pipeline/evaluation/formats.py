"""The field's text formats: MOTChallenge boxes and seqinfo.ini, AI City multi-camera boxes, crossings as CSV.

Every reader raises TruthError with one sentence that names the file, the line, what was expected and what was found.
"""

from __future__ import annotations

import configparser
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.boxes import xywh_to_xyxy
from pipeline.errors import TruthError
from pipeline.evaluation.confidences import ScoreScale, to_scores
from pipeline.evaluation.tables import CameraBoxes, Crossings, SequenceInfo, TrackedBoxes

CROSSING_COLUMNS = ("camera_id", "line_id", "direction", "class", "object_id", "crossed_at")
"""Header of a crossings CSV, one row a crossing; `crossed_at` is ISO 8601 with its offset from UTC."""

MOT_COLUMNS = ("frame", "id", "x", "y", "w", "h", "conf", "class", "visibility")
MTMC_COLUMNS = ("camera", "id", "frame", "x", "y", "w", "h", "xworld", "yworld")

_FARTHEST_PX = 1e9
"""Detections farther out are no boxes of a picture; the areas of those within are far from the end of float32."""


def read_mot(path: Path) -> TrackedBoxes:
    """Read MOTChallenge text: truth (gt.txt) and tracking results are written alike.

    Seven to nine columns are `frame,id,x,y,w,h,conf[,class[,visibility]]` (MOT16 and later); ten are
    `frame,id,x,y,w,h,conf,x,y,z` (MOT15 and every result file), whose class is 1. Commas or blanks separate.
    Raises TruthError also for a track with two boxes in one frame, and for id -1, which marks bare detections.
    """
    table, lines = _numbers(path, MOT_COLUMNS, range(7, 11))
    frame = _whole(path, lines, table[:, 0], "frame", least=1)
    track_id = _whole(path, lines, table[:, 1], "track id", least=0)
    _require_boxes(path, lines, table[:, 2:6])
    n_rows, n_columns = table.shape
    has_class, has_visibility = n_columns in (8, 9), n_columns == 9
    order = np.lexsort((track_id, frame))
    repeated = (np.diff(frame[order]) == 0) & (np.diff(track_id[order]) == 0)
    if repeated.any():
        row = order[1:][repeated][0]
        raise TruthError(
            f"{path}, line {lines[row]}: expected one box a track and frame, "
            f"got track {track_id[row]} a second time in frame {frame[row]}"
        )
    return TrackedBoxes(
        frame=frame[order],
        track_id=track_id[order],
        xywh=table[order, 2:6],
        conf=table[order, 6],
        mot_class=_whole(path, lines, table[:, 7], "class")[order] if has_class else np.ones(n_rows, np.int64),
        visibility=table[order, 8] if has_visibility else np.ones(n_rows),
    )


def read_detections(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, ScoreScale]:
    """Read MOTChallenge detections (det.txt): frame (N,) int64 from 1, xyxy (N, 4) float32, score (N,) float32.

    Rows are sorted by frame, within a frame in the order of the file. Seven to ten columns; those after conf are not
    read, nor is the id. Scores lie in [0, 1], whatever scale the file's confidences are on: shares, percents, log odds
    or none (-1 throughout), see pipeline.evaluation.confidences. Which it was is returned last.
    """
    table, lines = _numbers(path, MOT_COLUMNS, range(7, 11), free_from=7)
    frame = _whole(path, lines, table[:, 0], "frame", least=1)
    _require_boxes(path, lines, table[:, 2:6])
    xyxy = xywh_to_xyxy(table[:, 2:6])
    _require(path, lines, (np.abs(xyxy) <= _FARTHEST_PX).all(axis=1), xyxy, f"corners within {_FARTHEST_PX:.0e} pixels")
    score, scale = to_scores(table[:, 6])
    order = np.argsort(frame, kind="stable")
    return frame[order], xyxy[order].astype(np.float32), score[order].astype(np.float32), scale


def write_mot(path: Path, boxes: TrackedBoxes) -> None:
    """Write MOTChallenge text with its nine columns; reading it back gives equal values."""
    _write_lines(path, mot_lines(boxes))


def mot_lines(boxes: TrackedBoxes) -> Iterator[str]:
    """Yield the lines of `write_mot`."""
    rows = zip(boxes.frame, boxes.track_id, boxes.xywh, boxes.conf, boxes.mot_class, boxes.visibility, strict=True)
    for frame, track, xywh, conf, cls, visibility in rows:
        yield ",".join([str(frame), str(track), *map(_plain, xywh), _plain(conf), str(cls), _plain(visibility)])


def read_mtmc(path: Path) -> CameraBoxes:
    """Read AI City multi-camera text: `camera id frame x y w h [xworld yworld]`, blanks or commas between."""
    table, lines = _numbers(path, MTMC_COLUMNS, (7, 9), free_from=7)
    _require_boxes(path, lines, table[:, 3:7])
    return CameraBoxes(
        camera=_whole(path, lines, table[:, 0], "camera number", least=0),
        track_id=_whole(path, lines, table[:, 1], "id", least=0),
        frame=_whole(path, lines, table[:, 2], "frame", least=1),
        xywh=table[:, 3:7],
        world_xy=table[:, 7:9] if table.shape[1] == 9 else np.full((len(table), 2), np.nan),
    )


def write_mtmc(path: Path, boxes: CameraBoxes) -> None:
    """Write AI City multi-camera text with its nine columns; reading it back gives equal values."""
    _write_lines(path, mtmc_lines(boxes))


def mtmc_lines(boxes: CameraBoxes) -> Iterator[str]:
    """Yield the lines of `write_mtmc`."""
    rows = zip(boxes.camera, boxes.track_id, boxes.frame, boxes.xywh, boxes.world_xy, strict=True)
    for camera, track, frame, xywh, world in rows:
        yield " ".join([str(camera), str(track), str(frame), *map(_plain, xywh), *map(_plain, world)])


def read_seqinfo(path: Path) -> SequenceInfo:
    """Read a seqinfo.ini: MOTChallenge's keys, and `startedAt` (ISO 8601 with offset) where frame 1 has a clock."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(path))
    except configparser.Error as error:
        raise TruthError(f"{path}: expected an ini file with a [Sequence] section, got: {_one_line(error)}") from None
    if not parser.has_section("Sequence"):
        raise TruthError(f"{path}: expected a section [Sequence], got {parser.sections() or 'no section'}")
    section = parser["Sequence"]
    width, height, started = section.get("imWidth"), section.get("imHeight"), section.get("startedAt")
    return SequenceInfo(
        name=section.get("name", path.resolve().parent.name),
        frame_rate_fps=_positive(path, "frameRate", section.get("frameRate")),
        length_frames=int(_positive(path, "seqLength", section.get("seqLength"))),
        width_px=None if width is None else int(_positive(path, "imWidth", width)),
        height_px=None if height is None else int(_positive(path, "imHeight", height)),
        started_at_us=None if started is None else _instant_us(f"{path}: startedAt", started),
    )


def write_seqinfo(path: Path, info: SequenceInfo) -> None:
    """Write a seqinfo.ini; reading it back gives equal values."""
    keys = {"name": info.name, "frameRate": _plain(info.frame_rate_fps), "seqLength": str(info.length_frames)}
    sizes = {"imWidth": info.width_px, "imHeight": info.height_px}
    keys |= {key: str(size) for key, size in sizes.items() if size is not None}
    if info.started_at_us is not None:
        started_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=info.started_at_us)
        keys["startedAt"] = started_at.isoformat(timespec="microseconds")
    _write_lines(path, ["[Sequence]", *(f"{key}={value}" for key, value in keys.items())])


def read_crossings(path: Path) -> Crossings:
    """Read a crossings CSV: header CROSSING_COLUMNS in any order (more columns may follow), one row a crossing."""
    reader = csv.DictReader(_text(path).splitlines())
    header = [name.strip() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    missing = [name for name in CROSSING_COLUMNS if name not in header]
    if missing:
        raise TruthError(
            f"{path}, line 1: expected the columns {', '.join(CROSSING_COLUMNS)}, "
            f"got {', '.join(header) or 'an empty file'}"
        )
    columns: dict[str, list] = {name: [] for name in CROSSING_COLUMNS}
    for row in reader:
        for name in CROSSING_COLUMNS:
            value = row[name]
            if not value or not value.strip():
                raise TruthError(f"{path}, line {reader.line_num}: expected a value for {name}, got nothing")
            columns[name].append(value.strip())
        columns["crossed_at"][-1] = _instant_us(
            f"{path}, line {reader.line_num}: crossed_at", columns["crossed_at"][-1]
        )
    *texts, crossed_at = columns.values()
    return Crossings(*(np.array(text, dtype=object) for text in texts), np.array(crossed_at, dtype=np.int64))


def _text(path: Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TruthError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise TruthError(f"{path}: expected a text file, got bytes that are not UTF-8") from None
    except OSError as error:
        raise TruthError(f"{path}: cannot be read: {error.strerror}") from None


def _numbers(
    path: Path, columns: Sequence[str], widths: Sequence[int], free_from: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Read lines of numbers: (N, C) float64 and the (N,) line number of each row; blank lines are passed over.

    Columns from `free_from` on may be NaN or infinite, all others must be finite.
    """
    names = ",".join(columns)
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = re.split(r"\s*,\s*|\s+", line.strip().rstrip(","))
        if words == [""]:
            continue
        expected = len(rows[0]) if rows else None
        if len(words) not in widths or (expected is not None and len(words) != expected):
            wanted = (
                f"{expected} numbers as on the lines before" if expected else f"{widths[0]} to {widths[-1]} numbers"
            )
            raise TruthError(f"{path}, line {number}: expected {wanted} ({names}), got {len(words)} in {line!r:.80}")
        try:
            rows.append([float(word) for word in words])
        except ValueError:
            bad = next(word for word in words if not _is_number(word))
            raise TruthError(f"{path}, line {number}: expected numbers ({names}), got {bad!r}") from None
        lines.append(number)
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else widths[-1])
    _require(path, lines, np.isfinite(table[:, :free_from]).all(axis=1), table, "finite numbers")
    return table, np.array(lines, dtype=np.int64)


def _whole(path: Path, lines: np.ndarray, values: np.ndarray, what: str, least: int | None = None) -> np.ndarray:
    """Return values as int64, refusing fractions and what is below `least`."""
    fine = values == np.floor(values)
    wanted = f"a whole {what}"
    if least is not None:
        fine &= values >= least
        wanted += f" of at least {least}"
    _require(path, lines, fine, values, wanted)
    return values.astype(np.int64)


def _require_boxes(path: Path, lines: np.ndarray, xywh: np.ndarray) -> None:
    _require(path, lines, (xywh[:, 2:] >= 0).all(axis=1), xywh[:, 2:], "a width and height of at least 0")


def _require(path: Path, lines: Sequence[int], fine: np.ndarray, values: np.ndarray, wanted: str) -> None:
    """Refuse the first row that is not fine."""
    if not fine.all():
        row = int(np.flatnonzero(~fine)[0])
        shown = ", ".join(_plain(value) for value in np.atleast_1d(values[row]))
        raise TruthError(f"{path}, line {lines[row]}: expected {wanted}, got {shown}")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _positive(path: Path, key: str, text: str | None) -> float:
    if text is None:
        raise TruthError(f"{path}: expected a key {key} in [Sequence], got none")
    if not _is_number(text) or not 0 < float(text) < float("inf"):
        raise TruthError(f"{path}: {key}: expected a number above 0, got {text!r}")
    return float(text)


def _instant_us(where: str, text: str) -> int:
    """Parse an ISO 8601 instant that carries its offset into microseconds since 1970 UTC."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise TruthError(f"{where}: expected an instant such as 2026-03-01T07:30:00.5+01:00 or ...Z, got {text!r}")
    since = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _plain(value: float) -> str:
    """Write a number in the fewest digits that read back the same."""
    value = float(value)
    return str(int(value)) if value.is_integer() else repr(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
