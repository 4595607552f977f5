"""How far measured traffic counts are from the truth, cell by cell.

A cell is one camera, line, direction, class and time bin. GEH, by which traffic engineers accept a count when it is
below 5, is sqrt(2 (M - C)^2 / (M + C)) on hourly flows (UK Design Manual for Roads and Bridges, DMRB 12.2.1; the
Wisconsin DOT guidelines use the same bound), M measured and C true.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.evaluation.tables import Crossings
from pipeline.types import CLASS_GROUPS

ACCEPTED_GEH = 5.0
"""A flow is accepted below this (DMRB 12.2.1)."""

SECONDS_PER_HOUR = 3600.0


class Cell(NamedTuple):
    """What is counted apart. `bin_start_us` is microseconds since 1970 UTC."""

    camera_id: str
    line_id: str
    direction: str
    class_name: str
    bin_start_us: int


def group_classes(crossings: Crossings) -> Crossings:
    """Replace each class by its coarse group (person, vehicle), for detectors that know no finer one."""
    names = [CLASS_GROUPS.get(name, name) for name in crossings.class_name]
    return dataclasses.replace(crossings, class_name=np.array(names, dtype=object))


def merge_classes(crossings: Crossings) -> Crossings:
    """Replace each class by "any"."""
    return dataclasses.replace(crossings, class_name=np.full(len(crossings), "any", dtype=object))


def count(crossings: Crossings, bin_s: float) -> dict[Cell, int]:
    """Count crossings by cell. Bins of `bin_s` seconds start at whole multiples of it since 1970 UTC; a crossing on an
    edge belongs to the later bin. Cells that nobody crossed are left out."""
    bin_us = round(bin_s * 1e6)
    start_us = crossings.crossed_at_us // bin_us * bin_us
    columns = (crossings.camera_id, crossings.line_id, crossings.direction, crossings.class_name)
    cells = zip(*(column.tolist() for column in (*columns, start_us)))
    return dict(sorted(Counter(Cell(*cell) for cell in cells).items()))


def count_hours(crossings: Crossings, zones: Mapping[str, str] | None = None) -> dict[Cell, int]:
    """Count crossings by the hour of their camera's clock (`zones` as in `compare`); cells begin where the hour does.
    Hours that nobody crossed in are left out."""
    zone_of = zones or {}
    columns = (crossings.camera_id, crossings.line_id, crossings.direction, crossings.class_name)
    rows = zip(*(column.tolist() for column in (*columns, crossings.crossed_at_us)))
    hours = (Cell(*row[:4], hour_start_us(row[4], zone_of.get(row[0]))) for row in rows)
    return dict(sorted(Counter(hours).items()))


def geh(measured_per_hour: np.ndarray, true_per_hour: np.ndarray) -> np.ndarray:
    """Return the GEH of hourly flows, any shape; 0 where both are 0."""
    total = measured_per_hour + true_per_hour
    squared = 2.0 * (measured_per_hour - true_per_hour) ** 2
    return np.sqrt(np.divide(squared, total, out=np.zeros_like(squared), where=total > 0))


def compare(
    truth: Mapping[Cell, float],
    measured: Mapping[Cell, int],
    bin_s: float | Mapping[Cell, float],
    covered: Mapping[Cell, float] | None = None,
    zones: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Compare counts over every cell that either side has; a cell that one side lacks counts 0 there.

    bin_s     length of every bin, or of each cell's
    covered   the share of a cell that footage covers, 0 to 1; a cell that is not in it, or no mapping: all of it
    zones     camera -> IANA zone, for whole hours of its clock; UTC without

    The truth is to be that of the covered time (see within_footage). A cell without footage is not compared but listed.

    Returned:
        cells           how many cells were compared; cells empty on both sides are only there if a mapping holds them
        exact_cells     how many of them are equal
        truth_total, measured_total
        abs_error       sum over cells of |measured - truth|
        total_error     abs_error / truth_total: counts too many and too few do not cancel
        WAPE            the forecasting field's name for total_error
        net_error       (measured_total - truth_total) / truth_total: they do cancel
        GEH             mean and max over cells, and share_below_5, on counts scaled to the hour from the covered part
                        of the cell's bin: 75 s of footage in a bin of 900 s are 1/48 of an hour, not a quarter
        hourly          the same over hourly cells, as GEH is defined: bins that begin in one hour of the camera's clock
                        are summed, and scaled where their covered parts are together less than the hour (or more):
                        cells, mean, max, share_below_5, and per_hour, one dict each; what no cell holds is not in it,
                        so that where single crossings are known `compare_hours` is to be asked instead
        partial_cells   how many cells footage covers in part
        not_compared    the cells without footage, one dict each with its truth
        per_cell        one dict a cell, sorted by cell: camera_id, line_id, direction, class, bin_start (ISO 8601),
                        bin_local (the same by the camera's clock), truth, measured, GEH, error (measured - truth),
                        bin_s, coverage_pct

    A ratio over a truth of 0 is 0 where nothing was measured either, else None. Without any cell to compare, the ratios
    and the figures of GEH and hourly are None: nothing was shown to be right.
    """
    covered, zones = covered or {}, zones or {}
    everything = sorted({*truth, *measured})
    cells = [cell for cell in everything if covered.get(cell, 1.0) > 0]
    share = np.array([covered.get(cell, 1.0) for cell in cells], dtype=np.float64)
    length_s = np.array([bin_s if isinstance(bin_s, (int, float)) else bin_s[cell] for cell in cells], np.float64)
    true = np.array([truth.get(cell, 0) for cell in cells], dtype=np.float64)
    seen = np.array([measured.get(cell, 0) for cell in cells], dtype=np.float64)
    covered_s = length_s * share
    cell_geh = geh(seen * SECONDS_PER_HOUR / covered_s, true * SECONDS_PER_HOUR / covered_s)
    truth_total, measured_total = _plain(true.sum()), _plain(seen.sum())
    abs_error = _plain(np.abs(seen - true).sum())
    total_error = _ratio(abs_error, truth_total) if cells else None
    per_cell = zip(cells, true, seen, cell_geh, length_s, share)
    return {
        "cells": len(cells),
        "exact_cells": int(np.sum(seen == true)),
        "truth_total": truth_total,
        "measured_total": measured_total,
        "abs_error": abs_error,
        "total_error": total_error,
        "net_error": _ratio(measured_total - truth_total, truth_total) if cells else None,
        "WAPE": total_error,
        "GEH": _spread(cell_geh),
        "hourly": _hourly(cells, true, seen, covered_s, zones),
        "partial_cells": int(np.sum(share < 1)),
        "not_compared": [
            {**_key(cell, zones), "truth": truth.get(cell, 0)} for cell in everything if covered.get(cell, 1.0) <= 0
        ],
        "per_cell": [
            {
                **_key(cell, zones),
                "truth": _plain(of_truth),
                "measured": _plain(of_seen),
                "GEH": float(of_geh),
                "error": _plain(of_seen - of_truth),
                "bin_s": _plain(of_bin),
                "coverage_pct": 100 * float(of_share),
            }
            for cell, of_truth, of_seen, of_geh, of_bin, of_share in per_cell
        ],
    }


def compare_hours(
    truth: Mapping[Cell, int],
    measured: Mapping[Cell, int],
    covered_s: Mapping[Cell, float],
    zones: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Compare crossings by the hour (see `count_hours`), as `hourly` of `compare` is, on flows of the watched time.

    covered_s     how many seconds of the hour the camera watched, whether or not anybody crossed; an hour that is not
                  in it was watched in full, one of 0 s is left out
    """
    hours = [hour for hour in sorted({*truth, *measured}) if covered_s.get(hour, SECONDS_PER_HOUR) > 0]
    true, seen = (np.array([side.get(hour, 0) for hour in hours], np.float64) for side in (truth, measured))
    watched_s = np.array([covered_s.get(hour, SECONDS_PER_HOUR) for hour in hours], np.float64)
    return _of_hours(hours, true, seen, watched_s, zones or {})


def within_footage(truth: Mapping[Cell, int], covered: Mapping[Cell, float]) -> dict[Cell, float]:
    """Return the part of each cell's truth that falls into the share covered by footage, were traffic even over the
    bin; the whole of it where there is no footage at all, so that it can be said what is not compared."""
    return {cell: count * (covered.get(cell, 1.0) or 1.0) for cell, count in truth.items()}


def by_class(per_cell: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sum the cells of `compare` by class: truth, measured, surplus (what was counted too much in cells with too much),
    deficit (too little in those with too little). A class that lacks what another has too much of may be taken for it,
    but counts alone do not prove that."""
    rows: dict[str, dict[str, Any]] = {}
    for cell in per_cell:
        row = rows.setdefault(cell["class"], {"class": cell["class"], "truth": 0, "measured": 0})
        row["truth"] += cell["truth"]
        row["measured"] += cell["measured"]
        row["surplus"] = row.get("surplus", 0) + max(0, cell["error"])
        row["deficit"] = row.get("deficit", 0) + max(0, -cell["error"])
    return [rows[name] for name in sorted(rows)]


def hour_start_us(at_us: int, zone: str | None) -> int:
    """Return when the hour began in which an instant lies by the clock of a zone (UTC without)."""
    offset_us = 0
    if zone is not None:
        local = datetime.fromtimestamp(at_us // 1_000_000, ZoneInfo(zone))
        offset_us = round(local.utcoffset().total_seconds() * 1e6)
    hour_us = round(SECONDS_PER_HOUR * 1e6)
    return (at_us + offset_us) // hour_us * hour_us - offset_us


def _hourly(
    cells: Sequence[Cell], true: np.ndarray, seen: np.ndarray, covered_s: np.ndarray, zones: Mapping[str, str]
) -> dict[str, Any]:
    """Sum cells by the hour they begin in, and compare the sums."""
    sums: dict[Cell, np.ndarray] = {}
    for cell, *values in zip(cells, true, seen, covered_s):
        hour = cell._replace(bin_start_us=hour_start_us(cell.bin_start_us, zones.get(cell.camera_id)))
        sums[hour] = sums.get(hour, np.zeros(3)) + values
    hours = sorted(sums)
    return _of_hours(hours, *np.array([sums[hour] for hour in hours]).reshape(-1, 3).T, zones)


def _of_hours(
    hours: Sequence[Cell], true: np.ndarray, seen: np.ndarray, covered_s: np.ndarray, zones: Mapping[str, str]
) -> dict[str, Any]:
    """Return the GEH of the flows of H hours from their counts and covered seconds, (H,) each."""
    hourly_geh = geh(seen * SECONDS_PER_HOUR / covered_s, true * SECONDS_PER_HOUR / covered_s)
    names = ("truth", "measured", "covered_s", "GEH")
    per_hour = []
    for hour, *values in zip(hours, true, seen, covered_s, hourly_geh):
        key = {name.replace("bin_", "hour_"): value for name, value in _key(hour, zones).items()}
        per_hour.append({**key, **dict(zip(names, map(_plain, values)))})
    return {"cells": len(hours), **_spread(hourly_geh), "per_hour": per_hour}


def _spread(values: np.ndarray) -> dict[str, float | None]:
    if not len(values):
        return dict.fromkeys(("mean", "max", "share_below_5"))
    return {
        "mean": float(values.mean()),
        "max": float(values.max()),
        "share_below_5": float(np.mean(values < ACCEPTED_GEH)),
    }


def _key(cell: Cell, zones: Mapping[str, str]) -> dict[str, str]:
    start = datetime.fromtimestamp(cell.bin_start_us / 1e6, UTC)
    return {
        "camera_id": cell.camera_id,
        "line_id": cell.line_id,
        "direction": cell.direction,
        "class": cell.class_name,
        "bin_start": start.isoformat().replace("+00:00", "Z"),
        "bin_local": start.astimezone(ZoneInfo(zones.get(cell.camera_id, "UTC"))).isoformat(),
    }


def _plain(value: float) -> int | float:
    """Return a whole number as int."""
    return int(value) if float(value).is_integer() else float(value)


def _ratio(error: float, truth_total: float) -> float | None:
    if truth_total:
        return error / truth_total
    return None if error else 0.0
