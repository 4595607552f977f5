"""How far measured traffic counts are from the truth, cell by cell.

A cell is one camera, line, direction, class and time bin. GEH, by which traffic engineers accept a count when it is
below 5, is sqrt(2 (M - C)^2 / (M + C)) on hourly flows (UK Design Manual for Roads and Bridges, DMRB 12.2.1; the
Wisconsin DOT guidelines use the same bound), M measured and C true.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

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


def geh(measured_per_hour: np.ndarray, true_per_hour: np.ndarray) -> np.ndarray:
    """Return the GEH of hourly flows, any shape; 0 where both are 0."""
    total = measured_per_hour + true_per_hour
    squared = 2.0 * (measured_per_hour - true_per_hour) ** 2
    return np.sqrt(np.divide(squared, total, out=np.zeros_like(squared), where=total > 0))


def compare(truth: Mapping[Cell, int], measured: Mapping[Cell, int], bin_s: float) -> dict[str, Any]:
    """Compare counts over every cell that either side has; a cell that one side lacks counts 0 there.

    Returned:
        cells           how many cells were compared; cells empty on both sides are only there if a mapping holds them
        exact_cells     how many of them are equal
        truth_total, measured_total
        abs_error       sum over cells of |measured - truth|
        total_error     abs_error / truth_total: counts too many and too few do not cancel
        WAPE            the forecasting field's name for total_error
        net_error       (measured_total - truth_total) / truth_total: they do cancel
        GEH             mean and max over cells, and share_below_5, on counts scaled from `bin_s` to the hour
        per_cell        one dict a cell, sorted by cell: camera_id, line_id, direction, class, bin_start (ISO 8601),
                        truth, measured, GEH

    A ratio over a truth of 0 is 0 where nothing was measured either, else None.
    """
    cells = sorted({*truth, *measured})
    true = np.array([truth.get(cell, 0) for cell in cells], dtype=np.float64)
    seen = np.array([measured.get(cell, 0) for cell in cells], dtype=np.float64)
    per_hour = SECONDS_PER_HOUR / bin_s
    cell_geh = geh(seen * per_hour, true * per_hour)
    truth_total, measured_total = int(true.sum()), int(seen.sum())
    abs_error = int(np.abs(seen - true).sum())
    total_error = _ratio(abs_error, truth_total)
    return {
        "cells": len(cells),
        "exact_cells": int(np.sum(seen == true)),
        "truth_total": truth_total,
        "measured_total": measured_total,
        "abs_error": abs_error,
        "total_error": total_error,
        "net_error": _ratio(measured_total - truth_total, truth_total),
        "WAPE": total_error,
        "GEH": {
            "mean": float(cell_geh.mean()) if cells else 0.0,
            "max": float(cell_geh.max(initial=0.0)),
            "share_below_5": float(np.mean(cell_geh < ACCEPTED_GEH)) if cells else 1.0,
        },
        "per_cell": [
            {**_key(cell), "truth": int(of_truth), "measured": int(of_seen), "GEH": float(of_geh)}
            for cell, of_truth, of_seen, of_geh in zip(cells, true, seen, cell_geh)
        ],
    }


def _key(cell: Cell) -> dict[str, str]:
    start = datetime.fromtimestamp(cell.bin_start_us / 1e6, UTC)
    return {
        "camera_id": cell.camera_id,
        "line_id": cell.line_id,
        "direction": cell.direction,
        "class": cell.class_name,
        "bin_start": start.isoformat().replace("+00:00", "Z"),
    }


def _ratio(error: int, truth_total: int) -> float | None:
    if truth_total:
        return error / truth_total
    return None if error else 0.0
