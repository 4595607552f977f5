"""Counts of a lake beside a truth: crossings one by one, or a count made by hand. docs/accuracy.md explains both."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jobs import lake_tracks
from pipeline.errors import UserError
from pipeline.evaluation import comparable, counts, crossing_matches, manual_counts
from pipeline.evaluation.comparable import NothingToCompareError, Stretches
from pipeline.evaluation.crossing_matches import ERROR_COLUMNS
from pipeline.evaluation.formats import read_crossings
from pipeline.evaluation.tables import Crossings
from pipeline.lake import catalog
from pipeline.types import CLASS_GROUPS

Classes = Literal["class", "group", "any"]

DEFAULT_BY = "15min"

CELL_COLUMNS = ("camera_id", "line_id", "direction", "class", "bin_start", "bin_s", "truth", "measured", "error", "GEH")

_SECONDS = {"s": 1, "min": 60, "h": 3600}

NO_LAKE = "without a lake it is not known when there was footage: every bin and hour counts as watched in full"


def evaluate_counts(
    truth: Path,
    predicted: str | Path,
    *,
    by: str | None = None,
    classes: Classes | None = None,
    tolerance_s: float = crossing_matches.TOLERANCE_S,
) -> dict[str, Any]:
    """Compare counts per cell (camera, line, direction, class, bin); see pipeline.evaluation.counts for the fields.

    truth        crossings CSV, one row a crossing, or a manual count CSV, one row a cell
    predicted    crossings CSV, or a lake
    by           length of a bin: 30s, 15min, 1h; bins start at multiples of it in UTC. For a manual count, the length
                 of bins whose length the file does not give; 15min without
    classes      "class" counts each COCO class apart, "group" persons and vehicles, "any" all together; without it,
                 groups for crossings, and for a manual count the classes that it names
    tolerance_s  how far apart in time a true and a measured crossing may be and still be one

    Besides the fields of `counts.compare`: by, classes, truth_kind ("crossings" or "manual"), by_class, notes (what the
    numbers do not show, in sentences), outside_truth (crossings measured where there is no truth), unwatched_truth
    (true crossings at instants without footage; they are not compared). With crossings as truth, where each error
    comes from too: tolerance_s, matched, missed, double, false, wrong_direction, wrong_class, confusion, errors (see
    pipeline.evaluation.crossing_matches), and `hourly` is that of `counts.compare_hours`, the same whatever `by`.

    Raises NothingToCompareError where no cell can be compared, other UserErrors where something cannot be read.
    """
    if tolerance_s < 0:
        raise UserError(f"--tolerance: expected seconds of at least 0, got {tolerance_s:g}")
    bin_s = None if by is None else bin_seconds(by)
    measured, known, stretches = _measured(predicted)
    if manual_counts.is_manual(Path(truth)):
        return _of_manual(Path(truth), measured, known, stretches, by, bin_s, classes)
    return _of_crossings(Path(truth), measured, known, stretches, by or DEFAULT_BY, classes or "group", tolerance_s)


def write_errors(result: Mapping[str, Any], out: Path) -> Path:
    """Write the errors that `evaluate_counts` found as CSV; of a manual count, the cells that are off.

    Raises UserError where the file cannot be written.
    """
    rows = result["errors"] if "errors" in result else [row for row in result["per_cell"] if row["error"]]
    names = ERROR_COLUMNS if "errors" in result else CELL_COLUMNS
    try:
        with Path(out).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}; name another file for --out") from None
    return Path(out)


def bin_seconds(by: str) -> int:
    """Return the length of a bin in seconds: "30s", "15min", "1h". Raises UserError for anything else."""
    match = re.fullmatch(r"(\d+)(s|min|h)", by)
    if match is None or int(match[1]) == 0:
        raise UserError(f"expected the length of a bin such as 30s, 15min or 1h, got {by!r}")
    return int(match[1]) * _SECONDS[match[2]]


def _measured(predicted: str | Path) -> tuple[Crossings, manual_counts.Known, Stretches | None]:
    """Read what was measured: its crossings, what may be named, and when there was footage (None where not known)."""
    if not lake_tracks.is_lake(predicted):
        return read_crossings(Path(predicted)), manual_counts.Known(), None
    with catalog.connect(str(predicted)) as connection:
        zones, directions = lake_tracks.zones_and_directions(connection)
        known = manual_counts.Known(zones, directions, lake_tracks.line_classes(connection))
        return lake_tracks.crossings(connection), known, lake_tracks.watched(connection)


def _of_crossings(
    path: Path,
    measured: Crossings,
    known: manual_counts.Known,
    stretches: Stretches | None,
    by: str,
    classes: Classes,
    tolerance_s: float,
) -> dict[str, Any]:
    """Compare with true crossings; cameras that the truth has no crossing of are left out."""
    bin_s = bin_seconds(by)
    everything = read_crossings(path)
    seen_at = comparable.watched(everything.camera_id, everything.crossed_at_us, stretches)
    of_line = comparable.of_counted_class(everything, known)
    comparable.refuse_nothing(path, everything, seen_at, of_line, known, stretches)
    true = _take(everything, seen_at & of_line)
    in_truth = np.isin(measured.camera_id.astype(str), everything.camera_id.astype(str))
    ours = _take(measured, in_truth)
    cells = [counts.count(_with_classes(side, classes), bin_s) for side in (true, ours)]
    covered = comparable.covered({*cells[0], *cells[1]}, bin_s, stretches)
    result = counts.compare(*cells, bin_s, covered, known.zones)
    result["hourly"] = _hourly(_with_classes(true, classes), _with_classes(ours, classes), known, stretches)
    matches = crossing_matches.match(true, ours, tolerance_s)
    errors = crossing_matches.errors(true, ours, matches, known.zones)
    tally = {
        "tolerance_s": tolerance_s,
        "matched": len(matches.pairs),
        "missed": len(matches.missed),
        "double": len(matches.double),
        "false": len(matches.false),
        "wrong_direction": len(matches.wrong_direction),
        "wrong_class": sum(row["error"] == "wrong class" for row in errors),
    }
    unwatched = int(np.sum(~seen_at))
    notes = [] if stretches is not None else [NO_LAKE]
    if unwatched:
        notes.append(f"{unwatched} true crossings lie where there is no footage; they are not compared")
    other = int(np.sum(seen_at & ~of_line))
    if other:
        notes.append(f"{other} true crossings are of a class that their line does not count; they are not compared")
    outside = int(np.sum(~in_truth))
    if outside:
        notes.append(f"{outside} crossings were measured in cameras that the truth has no crossing of")
    about = {"by": by, "classes": classes, "outside_truth": outside, "unwatched_truth": unwatched}
    confusion = crossing_matches.confusion(true, ours, matches)
    return _arranged(result, "crossings", about, notes, {**tally, "confusion": confusion, "errors": errors})


def _of_manual(
    path: Path,
    measured: Crossings,
    known: manual_counts.Known,
    stretches: Stretches | None,
    by: str | None,
    bin_s: int | None,
    classes: Classes | None,
) -> dict[str, Any]:
    """Compare with counts made by hand, in the bins that the file has."""
    manual = manual_counts.read(path, known, bin_seconds(DEFAULT_BY) if bin_s is None else bin_s)
    if not manual.counts:
        raise NothingToCompareError(f"{path}: holds no count, only a header; write one row for every bin")
    seen, not_counted = manual_counts.count_in(measured, manual)
    true, lengths = manual.counts, manual.bin_s
    if classes in ("group", "any"):
        true, seen, lengths = _merged(true, seen, lengths, classes)
    covered = comparable.covered(true, lengths, stretches)
    result = counts.compare(counts.within_footage(true, covered), seen, lengths, covered, known.zones)
    if not result["cells"]:
        instants = [(cell.camera_id, cell.bin_start_us) for cell in true]
        raise NothingToCompareError(comparable.no_footage(path, "bins", instants, known, stretches))
    notes = [
        "a manual count says how many, not who: surplus and deficit by class hint at classes taken for each other, but "
        "missed, double and confused crossings cannot be told apart"
    ]
    if stretches is None:
        notes.append(NO_LAKE)
    if result["not_compared"]:
        notes.append(f"{len(result['not_compared'])} cells have no footage; they are not compared")
    if result["partial_cells"]:
        notes.append(
            f"{result['partial_cells']} cells are covered by footage in part; as much of their truth is compared"
        )
    if not_counted["direction"]:
        notes.append(
            f"{not_counted['direction']} crossings in the counted bins go in a direction that was not counted by hand"
        )
    if not_counted["class"]:
        notes.append(f"{not_counted['class']} crossings in the counted bins have a class that was not counted by hand")
    notes += comparable.wider_than_lines(manual, known)
    about = {"by": by, "classes": classes, "outside_truth": sum(not_counted.values()), "unwatched_truth": 0}
    return _arranged(result, "manual", about, notes, {})


def _hourly(
    true: Crossings, ours: Crossings, known: manual_counts.Known, stretches: Stretches | None
) -> dict[str, Any]:
    """Compare by the hour, over all that the camera watched of it."""
    hours = [counts.count_hours(side, known.zones) for side in (true, ours)]
    shares = comparable.covered({*hours[0], *hours[1]}, counts.SECONDS_PER_HOUR, stretches)
    covered_s = {hour: share * counts.SECONDS_PER_HOUR for hour, share in shares.items()}
    return counts.compare_hours(*hours, covered_s, known.zones)


def _arranged(result: dict, kind: str, about: dict, notes: list[str], more: dict) -> dict[str, Any]:
    """Put numbers first, long lists last."""
    last = {name: result.pop(name) for name in ("hourly", "not_compared", "per_cell")}
    per_class = counts.by_class(last["per_cell"])
    return {**result, "truth_kind": kind, **about, "notes": notes, "by_class": per_class, **more, **last}


def _merged(true: dict, seen: dict, lengths: dict, classes: Classes) -> tuple[dict, dict, dict]:
    """Sum cells whose classes are not to be told apart."""
    sums: tuple[dict, dict, dict] = ({}, {}, {})
    for cell, count in true.items():
        name = "any" if classes == "any" else CLASS_GROUPS.get(cell.class_name, cell.class_name)
        wider = cell._replace(class_name=name)
        sums[0][wider] = sums[0].get(wider, 0) + count
        sums[1][wider] = sums[1].get(wider, 0) + seen[cell]
        sums[2][wider] = lengths[cell]
    return sums


def _with_classes(crossings: Crossings, classes: Classes) -> Crossings:
    if classes == "group":
        return counts.group_classes(crossings)
    return counts.merge_classes(crossings) if classes == "any" else crossings


def _take(crossings: Crossings, rows: np.ndarray) -> Crossings:
    return Crossings(*(getattr(crossings, name)[rows] for name in Crossings.__slots__))
