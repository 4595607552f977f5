"""Reports over a lake. `report` is what the sub-commands of `nightfleet report` call."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.lake import catalog, crossed
from pipeline.reports import self_check as self_check_report
from pipeline.reports import speeds as speeds_report
from pipeline.reports.selection import dates_around, parse_bin
from pipeline.reports.tabular import DEFAULT_GAP_MIN, KINDS, Report, make


def opened(lake: str, first: str | None = None, last: str | None = None) -> catalog.Connection:
    """Open a lake for a report of a period, whose crossings are stored first where they are not yet."""
    return crossed.connect(lake, *dates_around(first, last))


def report(
    lake: str,
    name: str,
    *,
    by: str | None = None,
    first: str | None = None,
    last: str | None = None,
    cameras: Sequence[str] | None = None,
    gap_min: float = DEFAULT_GAP_MIN,
    main_only: bool = False,
) -> Report:
    """Return the report `name` of a lake; see pipeline.reports.tabular.KINDS and make."""
    if by is not None:
        parse_bin(by)  # a mistake is told before a large lake is read
    with opened(lake, first, last) if KINDS[name].crossings else catalog.connect(lake) as connection:
        asked = {"by": by, "first": first, "last": last, "cameras": cameras, "gap_min": gap_min}
        return make(connection, name, **asked, lake=lake, main_only=main_only)


def speeds(
    lake: str,
    *,
    by: str | None = None,
    first: str | None = None,
    last: str | None = None,
    cameras: Sequence[str] | None = None,
) -> Report:
    """Return the report of speeds at lines; see pipeline.reports.speeds."""
    with opened(lake, first, last) as connection:
        return speeds_report.make(connection, by=by, first=first, last=last, cameras=cameras, lake=lake)


def self_check(
    lake: str, *, first: str | None = None, last: str | None = None, cameras: Sequence[str] | None = None
) -> Report:
    """Return what makes the counts of a lake doubtful; see pipeline.reports.self_check."""
    with opened(lake, first, last) as connection:
        return self_check_report.make(connection, first=first, last=last, cameras=cameras, lake=lake)
