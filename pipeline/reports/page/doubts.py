"""What in the tracks makes a count doubtful: the self-check of `nightfleet report self-check`, as a page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.lake.catalog import Connection
from pipeline.reports import self_check
from pipeline.reports.page.period import Period

MANY_PERCENT = 10.0
"""Doubtful crossings of a line, per cent, from which it is named among the caveats."""

MOST_LISTED = 80


@dataclass(frozen=True, slots=True)
class Doubts:
    """The section.

    lines     a row a line, cameras a row a camera: the tables of the self-check
    listed    the first MOST_LISTED doubts near lines, of `near_lines` in all
    """

    lines: list[dict[str, Any]]
    cameras: list[dict[str, Any]]
    listed: list[dict[str, Any]]
    near_lines: int

    @property
    def doubtful(self) -> list[str]:
        """Lines with many doubtful crossings."""
        many = [row for row in self.lines if (row["doubtful_pct"] or 0) > MANY_PERCENT]
        return [f"{row['camera_id']} · {row['line_id']}" for row in many]


def doubts(connection: Connection, period: Period) -> Doubts:
    """Return the doubts about the counts of a period's cameras."""
    first, last = period.asked
    tables = self_check.make(connection, first=first, last=last, cameras=period.cameras).tables
    near = [row for row in tables["doubts"].to_pylist() if row["line_id"] is not None]
    return Doubts(tables["lines"].to_pylist(), tables["cameras"].to_pylist(), near[:MOST_LISTED], len(near))
