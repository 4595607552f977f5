"""What a report is about: which cameras, which local dates, in which bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.lake.catalog import Connection

MOST_BINS = 200
"""Bins along one chart: a day of quarter hours fits, and each bar is two pixels wide on a phone."""

_LADDER_S = (60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)

FEWEST_BINS = 6
"""Bins along one chart where nobody asked for their length: fewer show no course of time."""

_USUAL_S = (900, 300, 60, 30, 10, 5, 1)

_CAMERAS = "SELECT camera_id, time_zone FROM cameras"
_SPAN = """
SELECT camera_id, min(started_at) AS started_at, max(ended_at) AS ended_at FROM ledger
WHERE started_at IS NOT NULL GROUP BY camera_id
"""


@dataclass(frozen=True, slots=True)
class Period:
    """The cameras and the time of a report.

    zones        camera_id -> IANA zone, in the order in which cameras are shown
    first_date, last_date  local dates, both included: those asked for, else those of the footage; None without any
    asked        first and last date as somebody asked for them, None where nobody did: what the macros take
    start, end   instants of the first and the last footage in it, None where there is none
    bin_s        length of the bins that charts and tables show, seconds
    by_s         length of the bins asked for; `bin_s` is a multiple where so many would not fit
    """

    zones: dict[str, str]
    first_date: str | None
    last_date: str | None
    asked: tuple[str | None, str | None]
    start: datetime | None
    end: datetime | None
    bin_s: int
    by_s: int

    @property
    def cameras(self) -> list[str]:
        """Cameras in the order in which they are shown."""
        return list(self.zones)

    @property
    def zone(self) -> str:
        """The zone most of its cameras have, for what several of them share."""
        return Counter(self.zones.values()).most_common(1)[0][0] if self.zones else "UTC"

    @property
    def whole(self) -> bool:
        """Whether both ends were asked for: then all the time between them was to be watched, as in `camera_bins`."""
        return None not in self.asked

    @property
    def shown(self) -> tuple[datetime, datetime] | None:
        """The instants between which it is drawn: all of the dates asked for, else the footage's; None without any."""
        if self.whole and self.zones:
            ends = [self.limits(camera) for camera in self.zones]
            return min(start for start, _ in ends), max(end for _, end in ends)
        return None if self.start is None else (self.start, self.end)

    def limits(self, camera: str) -> tuple[datetime, datetime] | None:
        """Return the instants at which the period begins and ends on a camera's wall clock."""
        if self.first_date is None:
            return None
        return day_start(self.first_date, self.zones[camera]), day_start(next_day(self.last_date), self.zones[camera])


def read_period(
    connection: Connection,
    *,
    by_s: int | None = None,
    first_date: str | None = None,
    last_date: str | None = None,
    cameras: Sequence[str] | None = None,
) -> Period:
    """Return what a report over these cameras (None: all) and local dates (None: no limit) is about.

    Without `by_s`, bins are quarter hours, or shorter where what is shown is no longer than a few of them.

    Raises UserError for dates in the wrong order, or a camera that the lake does not have.
    """
    if first_date and last_date and first_date > last_date:
        raise UserError(f"the first date {first_date} is later than the last, {last_date}; exchange them")
    known = {row["camera_id"]: row["time_zone"] for row in catalog.select(connection, _CAMERAS).to_pylist()}
    for camera in cameras or ():
        if camera not in known:
            raise UserError(f"no camera {camera!r} in this lake; it has {', '.join(sorted(known)) or 'none'}")
    zones = {camera: known[camera] for camera in (cameras or sorted(known))}
    spans = {
        row["camera_id"]: (row["started_at"], row["ended_at"])
        for row in catalog.select(connection, _SPAN).to_pylist()
        if row["camera_id"] in zones
    }
    days = [_local(at, zones[camera]).date().isoformat() for camera, span in spans.items() for at in _within(span)]
    first, last = first_date or min(days, default=last_date), last_date or max(days, default=first_date)
    if first and last and first > last:
        first = last = first_date or last_date
    made = Period(zones, first, last, (first_date, last_date), None, None, 0, 0)
    inside = [_clipped(span, made.limits(camera)) for camera, span in spans.items()]
    inside = [(start, end) for start, end in inside if start < end]
    start = min((start for start, _ in inside), default=None)
    end = max((end for _, end in inside), default=None)
    made = replace(made, start=start, end=end)
    by_s = by_s or _usual(*(made.shown or (None, None)))
    return replace(made, bin_s=_fitting(*(made.shown or (None, None)), by_s), by_s=by_s)


def day_start(day: str, zone: str) -> datetime:
    """Return the instant at which a local date begins; where midnight is skipped, that of the change."""
    local = datetime.combine(date.fromisoformat(day), time(), ZoneInfo(zone))
    return local.astimezone(UTC)


def next_day(day: str) -> str:
    """Return the date after a date, both `YYYY-MM-DD`."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def days_between(first: str, last: str) -> list[str]:
    """Return all dates from the first to the last, both included."""
    count = (date.fromisoformat(last) - date.fromisoformat(first)).days + 1
    return [(date.fromisoformat(first) + timedelta(days=k)).isoformat() for k in range(count)]


def _usual(start: datetime | None, end: datetime | None) -> int:
    """Return a quarter hour, or the longest shorter bin of which the time from start to end has a few."""
    if start is None or end is None:
        return _USUAL_S[0]
    length_s = (end - start).total_seconds()
    return next((bin_s for bin_s in _USUAL_S if length_s / bin_s >= FEWEST_BINS), _USUAL_S[-1])


def _fitting(start: datetime | None, end: datetime | None, by_s: int) -> int:
    """Return the shortest multiple of `by_s` of which at most MOST_BINS cover the time from start to end."""
    if start is None or end is None:
        return by_s
    length_s = (end - start).total_seconds()
    fitting = (bin_s for bin_s in (by_s, *_LADDER_S) if bin_s % by_s == 0 and length_s / bin_s <= MOST_BINS)
    return min(fitting, default=max(by_s, _LADDER_S[-1]))


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def _within(span: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
    """Return the first and the last instant that lie in a span that ends just before its end."""
    start, end = span
    return start, max(start, end - timedelta(microseconds=1))


def _clipped(span: tuple[datetime, datetime], limits: tuple[datetime, datetime] | None) -> tuple[datetime, datetime]:
    return span if limits is None else (max(span[0], limits[0]), min(span[1], limits[1]))
