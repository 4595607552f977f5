"""How the counts compare with a truth, line by line, for reports that are given one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Stream:
    """One line, direction and class: true and measured crossings over all compared bins, and the worst GEH of one, its
    flows being those of the part of the bin that footage covers."""

    camera_id: str
    line_id: str
    direction: str
    class_name: str
    truth: int
    measured: int
    worst_geh: float

    @property
    def error_percent(self) -> float | None:
        """Measured above (or below, negative) the truth, per cent of it; None for a truth of 0."""
        return None if self.truth == 0 else 100 * (self.measured - self.truth) / self.truth


@dataclass(frozen=True, slots=True)
class Trial:
    """The section: what `nightfleet evaluate counts` says, added up by stream. Errors are shares of the truth; they and
    share_below_5 are None where they are not known, as where no cell was compared."""

    source: str
    truth_total: int
    measured_total: int
    total_error: float | None
    net_error: float | None
    cells: int
    share_below_5: float | None
    streams: list[Stream]
    notes: list[str]


def trial(result: Mapping[str, Any], source: str) -> Trial:
    """Return an evaluation (see pipeline.evaluation.counts.compare) as a report shows it; `source` names its file."""
    found: dict[tuple[str, str, str, str], list[Mapping[str, Any]]] = {}
    for cell in result["per_cell"]:
        key = (cell["camera_id"], cell["line_id"], cell["direction"], cell["class"])
        found.setdefault(key, []).append(cell)
    streams = [
        Stream(
            *key,
            sum(cell["truth"] for cell in cells),
            sum(cell["measured"] for cell in cells),
            max(cell["GEH"] for cell in cells),
        )
        for key, cells in sorted(found.items())
    ]
    return Trial(
        source=source,
        truth_total=result["truth_total"],
        measured_total=result["measured_total"],
        total_error=result["total_error"],
        net_error=result["net_error"],
        cells=result["cells"],
        share_below_5=result["GEH"]["share_below_5"],
        streams=streams,
        notes=list(result.get("notes", ())),
    )
