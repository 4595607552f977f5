"""Counts made by hand, as a CSV: one row a line, direction, class and bin. docs/accuracy.md describes the format.

Every mistake is a TruthError of one sentence with the file and the row, the header being row 1.
"""

from __future__ import annotations

import bisect
import csv
import difflib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.errors import TruthError
from pipeline.evaluation.counted_classes import ANY, class_of, lacking
from pipeline.evaluation.counts import Cell
from pipeline.evaluation.tables import Crossings
from pipeline.types import CLASS_GROUPS, COCO_CLASSES

COLUMNS = ("camera", "line", "direction", "class", "start", "count")
OPTIONAL = ("length",)
SYNONYMS = {"camera_id": "camera", "line_id": "line", "bin_start": "start", "bin_local": "start", "bin_s": "length"}
"""Column names of our own reports, so that one of them with its counts overwritten can be read too."""

_LENGTH = re.compile(r"(\d+)\s*(s|min|h)?")
_SECONDS = {"s": 1, "min": 60, "h": 3600, None: 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """What a count may name; a mapping that is None is not checked.

    zones       camera -> IANA zone of its clock, or None where there is no lake: instants need an offset then
    directions  (camera, line) -> names of its two directions, or None likewise
    classes     (camera, line) -> the only COCO classes it counts; lines that count every class are not in it
    """

    zones: Mapping[str, str] | None = None
    directions: Mapping[tuple[str, str], tuple[str, ...]] | None = None
    classes: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManualCounts:
    """counts: cell -> number; bin_s: cell -> length of its bin; row: cell -> its row in the file (0: not in it)."""

    counts: dict[Cell, int]
    bin_s: dict[Cell, int]
    row: dict[Cell, int]


def is_manual(path: Path) -> bool:
    """Tell by the header whether a file holds counts rather than crossings. Raises TruthError where it has neither."""
    header = [SYNONYMS.get(name, name) for name in _table(path)[0]]
    if "count" not in header and "crossed_at" not in header:
        raise TruthError(
            f"{path}, row 1: expected a manual count with the columns {', '.join(COLUMNS)}, or crossings with "
            f"crossed_at, got {', '.join(header) or 'an empty file'}"
        )
    return "count" in header


def read(path: Path, known: Known, default_bin_s: int | None = None) -> ManualCounts:
    """Read a manual count. `default_bin_s` is the length of bins where the file has no column `length`.

    A bin that the file has a row for, of one line, counts as watched by hand for all directions and classes that the
    file names for that line: those without a row in that bin get 0.
    """
    header, rows = _table(path)
    _check_header(path, header)
    found = ManualCounts({}, {}, {})
    for number, row in rows:
        cell, bin_s, count = _cell(f"{path}, row {number}", row, known, default_bin_s)
        if cell in found.counts:
            raise TruthError(
                f"{path}, row {number}: counts the same line, direction, class and bin as row {found.row[cell]}; "
                "keep one of them"
            )
        found.counts[cell], found.bin_s[cell], found.row[cell] = count, bin_s, number
    _check_classes(path, found)
    _check_overlaps(path, found)
    return _with_zeros(found)


def count_in(crossings: Crossings, manual: ManualCounts) -> tuple[dict[Cell, int], dict[str, int]]:
    """Count measured crossings in the cells of a manual count.

    Returns the counts, and how many crossings lie in bins that were counted by hand but were not counted themselves:
    {"direction": of a direction that was not, "class": of a class that was not in their direction}.
    """
    counts = dict.fromkeys(manual.counts, 0)
    classes: dict[tuple[str, str], set[str]] = {}
    directions = {(cell.camera_id, cell.line_id, cell.direction) for cell in manual.counts}
    bins: dict[tuple[str, str], dict[int, int]] = {}
    for cell in manual.counts:
        place = cell.camera_id, cell.line_id
        classes.setdefault(place, set()).add(cell.class_name)
        bins.setdefault(place, {})[cell.bin_start_us] = cell.bin_start_us + manual.bin_s[cell] * 1_000_000
    starts = {place: sorted(of) for place, of in bins.items()}
    not_counted = {"direction": 0, "class": 0}
    columns = (crossings.camera_id, crossings.line_id, crossings.direction, crossings.class_name)
    for camera, line, direction, name, at_us in zip(*columns, crossings.crossed_at_us.tolist()):
        place = camera, line
        before = bisect.bisect_right(starts.get(place, ()), at_us) - 1
        if before < 0 or at_us >= bins[place][starts[place][before]]:
            continue
        cell = Cell(camera, line, direction, class_of(name, classes[place]) or "", starts[place][before])
        if cell in counts:
            counts[cell] += 1
        else:
            not_counted["class" if (*place, direction) in directions else "direction"] += 1
    return counts, not_counted


def _table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read header and rows; commas, semicolons or tabs separate. Rows without any value are passed over."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TruthError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise TruthError(f"{path}: expected a text file, got bytes that are not UTF-8; save it as CSV UTF-8") from None
    except OSError as error:
        raise TruthError(f"{path}: cannot be read: {error.strerror}") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    rows = []
    for values in reader:
        values = [value.strip() for value in values]
        if any(values):
            if len(values) > len(header):
                raise TruthError(
                    f"{path}, row {reader.line_num}: expected {len(header)} values, as many as the header has, "
                    f"got {len(values)}"
                )
            values += [""] * (len(header) - len(values))
            rows.append((reader.line_num, {SYNONYMS.get(name, name): value for name, value in zip(header, values)}))
    return header, rows


def _check_header(path: Path, header: Sequence[str]) -> None:
    names = [SYNONYMS.get(name, name) for name in header]
    for name in names:
        if name not in (*COLUMNS, *OPTIONAL):
            raise TruthError(
                f"{path}, row 1: unknown column {name!r}{_close(name, (*COLUMNS, *OPTIONAL))}; "
                f"known are {', '.join(COLUMNS)} and {', '.join(OPTIONAL)}"
            )
        if names.count(name) > 1:
            raise TruthError(f"{path}, row 1: the column {name!r} is there twice; keep one")
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise TruthError(f"{path}, row 1: the column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}")


def _cell(where: str, row: Mapping[str, str], known: Known, default_bin_s: int | None) -> tuple[Cell, int, int]:
    """Read one row: its cell, the length of its bin and its count."""
    for name in COLUMNS:
        if not row[name]:
            raise TruthError(f"{where}: expected a value for {name}, got nothing")
    camera, line, direction, class_name = (row[name] for name in ("camera", "line", "direction", "class"))
    _check_names(where, camera, line, direction, known)
    classes = (*COCO_CLASSES, *dict.fromkeys(CLASS_GROUPS.values()), ANY)
    if class_name not in classes:
        raise TruthError(
            f"{where}: {class_name!r} is no class{_close(class_name, classes)}; write one of COCO, such as car, or "
            "vehicle for all that drive, or any"
        )
    of_line = known.classes.get((camera, line))
    if lacking(class_name, of_line) == "all":
        raise TruthError(
            f"{where}: line {line} of camera {camera} counts only {', '.join(of_line)}, so {class_name!r} cannot be "
            "compared; leave such rows out, or add it to the line's classes"
        )
    zone = None if known.zones is None else known.zones[camera]
    start_us = _start_us(where, row["start"], zone)
    bin_s = _length_s(where, row.get("length", ""), default_bin_s)
    if not re.fullmatch(r"\d+", row["count"]):
        raise TruthError(f"{where}: expected a whole count of at least 0, got {row['count']!r}")
    return Cell(camera, line, direction, class_name, start_us), bin_s, int(row["count"])


def _check_names(where: str, camera: str, line: str, direction: str, known: Known) -> None:
    if known.zones is not None and camera not in known.zones:
        raise TruthError(
            f"{where}: the lake has no camera {camera!r}{_close(camera, known.zones)}; it has {', '.join(known.zones)}"
        )
    if known.directions is None:
        return
    names = [name for of, name in known.directions if of == camera]
    if line not in names:
        raise TruthError(
            f"{where}: camera {camera} has no line {line!r}{_close(line, names)}; it has {', '.join(names) or 'none'}"
        )
    directions = known.directions[camera, line]
    if direction not in directions:
        raise TruthError(
            f"{where}: line {line} of camera {camera} has no direction {direction!r}{_close(direction, directions)}; "
            f"they are {' and '.join(directions)}"
        )


def _start_us(where: str, text: str, zone: str | None) -> int:
    """Read the start of a bin: local time of the camera, or with an offset."""
    try:
        start = datetime.fromisoformat(text)
    except ValueError:
        start = None
    if start is None or len(text) < len("2026-03-01T07:30"):
        raise TruthError(f"{where}: start: expected a time such as 2026-03-01T07:30 or ...+01:00, got {text!r}")
    if start.tzinfo is None:
        if zone is None:
            raise TruthError(
                f"{where}: start: {text!r} has no offset from UTC, and without a lake the camera's time zone is not "
                "known; write it as 2026-03-01T07:30+01:00"
            )
        first, second = (start.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
        change = second.utcoffset() - first.utcoffset()
        if change > timedelta(0):
            raise TruthError(
                f"{where}: start: {text} did not exist in {zone}: clocks were put forward over it that day; correct "
                "the time"
            )
        if change:
            raise TruthError(
                f"{where}: start: {text} came twice in {zone}, where clocks were put back; write its offset from UTC "
                f"too, as in {text}{first.isoformat()[-6:]}"
            )
        start = first
    return (start - _EPOCH) // timedelta(microseconds=1)


def _length_s(where: str, text: str, default_s: int | None) -> int:
    if not text:
        if default_s is None:
            raise TruthError(f"{where}: expected the length of the bin, got nothing; fill in length, or say --by 15min")
        return default_s
    found = _LENGTH.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise TruthError(f"{where}: length: expected seconds, or a length such as 15min or 1h, got {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def _check_classes(path: Path, found: ManualCounts) -> None:
    """Refuse classes of one line that contain each other: what crossed would be counted twice."""
    first: dict[tuple[str, str, str], int] = {}
    for cell, row in found.row.items():
        first.setdefault((cell.camera_id, cell.line_id, cell.class_name), row)
    for (camera, line, name), row in first.items():
        for wider in {CLASS_GROUPS.get(name, name), ANY} - {name}:
            if (camera, line, wider) in first:
                raise TruthError(
                    f"{path}, row {max(row, first[camera, line, wider])}: line {line} of camera {camera} is counted by "
                    f"{wider!r} and by {name!r}, which is part of it; count by one of them"
                )


def _check_overlaps(path: Path, found: ManualCounts) -> None:
    """Refuse bins of one line that are neither the same nor apart."""
    lines: dict[tuple[str, str], dict[tuple[int, int], int]] = {}
    for cell, row in found.row.items():
        lines.setdefault((cell.camera_id, cell.line_id), {}).setdefault((cell.bin_start_us, found.bin_s[cell]), row)
    for bins in lines.values():
        ordered = sorted(bins)
        for before, after in itertools.pairwise(ordered):
            if before[0] + before[1] * 1_000_000 > after[0]:
                raise TruthError(
                    f"{path}, row {max(bins[before], bins[after])}: its bin overlaps that of row "
                    f"{min(bins[before], bins[after])} of the same line; correct start or length"
                )


def _with_zeros(found: ManualCounts) -> ManualCounts:
    """Add the cells that a counter leaves out because nothing crossed."""
    streams: dict[tuple[str, str], set[tuple[str, str]]] = {}
    bins: dict[tuple[str, str], dict[tuple[int, int], None]] = {}
    for cell in found.counts:
        place = cell.camera_id, cell.line_id
        streams.setdefault(place, set()).add((cell.direction, cell.class_name))
        bins.setdefault(place, {})[cell.bin_start_us, found.bin_s[cell]] = None
    every = [
        (Cell(*place, direction, class_name, start_us), bin_s)
        for place, of in streams.items()
        for direction, class_name in of
        for start_us, bin_s in bins[place]
    ]
    every.sort()
    return ManualCounts(
        counts={cell: found.counts.get(cell, 0) for cell, _ in every},
        bin_s=dict(every),
        row={cell: found.row.get(cell, 0) for cell, _ in every},
    )


def _close(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
