"""The time axis that charts of a report share: instants to shares of its width, and labels that fit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.reports.page.words import day

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY_S = 86_400
_MOST_TICKS = 12


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a share (0 to 1) of the axis; `minor` ones are left out where it is narrow."""

    at: float
    label: str
    minor: bool


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Instants from `start` to `end`, labelled by the clock of `zone`."""

    start: datetime
    end: datetime
    zone: str

    def share(self, at: datetime) -> float:
        """Return where an instant lies, 0 at the start and 1 at the end; what lies outside is moved to the edge."""
        return min(1.0, max(0.0, (at - self.start) / (self.end - self.start)))

    def ticks(self) -> list[Tick]:
        """Return labels at round local times; by days where the axis is longer than two."""
        length_s = (self.end - self.start).total_seconds()
        if length_s > 2 * _DAY_S:
            return self._days(length_s)
        step_s = next((step for step in _STEPS_S if length_s / step <= _MOST_TICKS), _STEPS_S[-1])
        zone = ZoneInfo(self.zone)
        wall = self._first_wall(step_s)
        ticks: list[Tick] = []
        dated, last_at = None, None
        while (at := wall.replace(tzinfo=zone).astimezone(UTC)) <= self.end:
            local = at.astimezone(zone)  # where the clock skips `wall`, the hour after the change
            if at != last_at:
                label = f"{local:%H:%M:%S}" if step_s < 60 else f"{local:%H:%M}"
                if length_s > _DAY_S and local.date() != dated:
                    label, dated = f"{label} {local:%a}", local.date()
                ticks.append(Tick(self.share(at), label, len(ticks) % 2 == 1))
            last_at = at
            wall += timedelta(seconds=step_s)
        return ticks

    def title(self) -> str:
        """Return which dates and which clock the axis shows."""
        first, last = (f"{at.astimezone(ZoneInfo(self.zone)):%Y-%m-%d}" for at in (self.start, self._last()))
        dates = day(first) if first == last else f"{day(first)} to {day(last)}"
        return f"{dates}, local time ({self.zone})"

    def _last(self) -> datetime:
        return max(self.start, self.end - timedelta(microseconds=1))

    def _days(self, length_s: float) -> list[Tick]:
        """Return a label for every so many local midnights."""
        step = max(1, -(-int(length_s // _DAY_S) // _MOST_TICKS))
        local = self.start.astimezone(ZoneInfo(self.zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        ticks = []
        while local.astimezone(UTC) <= self.end:
            if local.astimezone(UTC) >= self.start:
                label = f"{local:%a} {local.day} {local:%b}"
                ticks.append(Tick(self.share(local.astimezone(UTC)), label, len(ticks) % 2 == 1))
                local += timedelta(days=step)  # wall clock: midnight stays midnight
            else:
                local += timedelta(days=1)
        return ticks

    def _first_wall(self, step_s: int) -> datetime:
        """Return the first time on the wall clock from the start on that is a multiple of the step from midnight."""
        local = self.start.astimezone(ZoneInfo(self.zone))
        past_s = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
        return (local + timedelta(seconds=-past_s % step_s)).replace(tzinfo=None)
