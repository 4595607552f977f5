"""What a report is asked for: a period on the wall clock of the site, cameras, and the length of a bin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.errors import UserError
from pipeline.lake.catalog import Connection

DAY_S = 86_400

_BIN = re.compile(r"(\d+)(s|min|h)")
_UNIT_S = {"s": 1, "min": 60, "h": 3600}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DATE_LENGTH = len("2026-03-01")
_EXPECTED = (
    "expected a local date YYYY-MM-DD, such as 2026-03-01, or a date-time, such as 2026-03-01T07:00 or "
    "2026-03-01T07:00+01:00"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The period and the cameras of a report.

    first, last   local dates (both included) or local date-times (from the first on, before the last), as the macros of
                  lake/sql take them; None sets no limit
    cameras       None stands for all
    """

    first: str | None
    last: str | None
    cameras: tuple[str, ...] | None


def parse_bin(text: str) -> int:
    """Return the length in seconds of a bin written `<n>s`, `<n>min` or `<n>h`.

    Raises UserError where it is written otherwise, or a day is not a whole number of such bins.
    """
    match = _BIN.fullmatch(text.strip())
    if match is None:
        raise UserError(f"time bin {text!r}: expected a whole number of s, min or h, such as 15min, 1h or 30s")
    bin_s = int(match[1]) * _UNIT_S[match[2]]
    if bin_s == 0 or DAY_S % bin_s:
        raise UserError(f"time bin {text!r}: a day is not a whole number of these; take one that is, such as 15min")
    return bin_s


def select(
    connection: Connection,
    first: str | None = None,
    last: str | None = None,
    cameras: Sequence[str] | None = None,
    *,
    bin_s: int | None = None,
) -> Selection:
    """Return what is asked for, checked; a date-time with an offset becomes one of the cameras' clocks.

    Raises UserError for a date or a camera that makes no sense, a date-time at which no bin starts, or one with an
    offset where the cameras' clocks differ or show that time twice.
    """
    chosen = _checked_cameras(connection, cameras)
    first, last = (_on_the_wall(connection, text, chosen) for text in (first, last))
    return Selection(*period(first, last, bin_s=bin_s), chosen)


def dates_around(first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """Return the dates a period touches, whatever the cameras' time zones: a date-time with an offset may be on the day
    before or after. Raises UserError for what makes no sense."""
    dates = []
    for text, days in ((first, -1), (last, 1)):
        at = _instant(text)
        dates.append(text if at is None else (at.astimezone(UTC).date() + timedelta(days=days)).isoformat())
    return tuple(None if text is None else text[:_DATE_LENGTH] for text in period(*dates))


def period(first: str | None, last: str | None, *, bin_s: int | None = None) -> tuple[str | None, str | None]:
    """Return both ends of a period, checked and in one form. Raises UserError for what makes no sense."""
    first, last = (_checked(text, bin_s) for text in (first, last))
    if first is not None and last is not None and _begin(first) >= _end(last):
        raise UserError(f"the first date {first} is later than the last, {last}; exchange them")
    return first, last


def _instant(text: str | None) -> datetime | None:
    """Return a date-time that has an offset, None for anything else."""
    try:
        at = None if text is None or _DATE.fullmatch(text) else datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _on_the_wall(connection: Connection, text: str | None, cameras: Sequence[str] | None) -> str | None:
    """Return a date-time with an offset as the cameras' clocks show it, without; anything else as it is."""
    at = _instant(text)
    if at is None:
        return text
    rows = connection.execute("SELECT camera_id, time_zone FROM cameras").fetchall()
    zones = sorted({zone for camera, zone in rows if cameras is None or camera in cameras})
    if len(zones) > 1:
        raise UserError(
            f"date {text!r}: the cameras are in several time zones ({', '.join(zones)}), whose clocks differ; leave "
            "out the offset, or choose --cameras of one zone"
        )
    local = at.astimezone(ZoneInfo(zones[0]) if zones else UTC)
    wall = local.replace(tzinfo=None)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        raise UserError(
            f"date {text!r}: the clocks of {zones[0]} show {wall.isoformat(timespec='minutes')} twice; take a time "
            "outside the repeated hour"
        )
    return wall.isoformat()


def _checked(text: str | None, bin_s: int | None) -> str | None:
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text).isoformat()
        at = datetime.fromisoformat(text) if "T" in text or " " in text else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        raise UserError(f"date {text!r}: {_EXPECTED}")
    since_midnight = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    if bin_s is not None and since_midnight % timedelta(seconds=bin_s):
        raise UserError(f"date {text!r}: no bin of {bin_s} s starts there; take a multiple of it from midnight on")
    return at.isoformat()


def _begin(first: str) -> datetime:
    return datetime.fromisoformat(first)


def _end(last: str) -> datetime:
    return datetime.fromisoformat(last) + (timedelta(days=1) if _DATE.fullmatch(last) else timedelta())


def _checked_cameras(connection: Connection, cameras: Sequence[str] | None) -> tuple[str, ...] | None:
    if cameras is None:
        return None
    known = [row[0] for row in connection.execute("SELECT camera_id FROM cameras ORDER BY camera_id").fetchall()]
    for camera in cameras:
        if camera not in known:
            raise UserError(f"no camera {camera!r} in this lake; it has {', '.join(known) or 'none'}")
    return tuple(cameras)
