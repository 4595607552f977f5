"""When a segment began: from its sidecar, its file name, the configuration, or its container, in this order of trust.

A name gives the camera's wall clock, which says one hour twice when summer time ends and skips one when it begins.
Neither is guessed: a repeated time is settled by the camera's `fold` or by the order of the recordings, or refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from pipeline.config import CameraConfig
from pipeline.errors import ConfigError, SegmentError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CODE_WIDTHS = {
    **dict.fromkeys("mdHIMSy", r"\d{2}"),
    **dict.fromkeys("bBaAp", r"[^\W\d_]+\.?"),
    "Y": r"\d{4}",
    "j": r"\d{3}",
    "f": r"\d{1,6}",
    "z": r"(?:Z|[+-]\d{2}:?\d{2}(?::?\d{2})?)",
    "%": "%",
}
"""strptime takes `7` where `07` is meant and so misreads digits that stand together; here every code has its width."""

UNSET_BEFORE_US = round((datetime(1980, 1, 1, tzinfo=UTC) - EPOCH).total_seconds() * 1e6)
"""Containers count from 1904 or 1970 and leave zero where no time was set; what lies before this was not recorded."""


def sidecar_instant_us(content: bytes, where: str) -> int:
    """Return the instant a sidecar states. `where` names it in messages. Raises SegmentError, one sentence."""
    wanted = 'expected {"started_at": "2026-03-01T07:30:00+01:00"}'
    try:
        stated = json.loads(content)
    except ValueError:
        raise SegmentError(f"{where}: the sidecar is not JSON; {wanted}, or remove it") from None
    if not isinstance(stated, dict) or not isinstance(stated.get("started_at"), str):
        raise SegmentError(f"{where}: the sidecar has no text under `started_at`; {wanted}, or remove it")
    try:
        instant = datetime.fromisoformat(stated["started_at"])
    except ValueError:
        raise SegmentError(f"{where}: {stated['started_at']!r} is not an ISO 8601 time; {wanted}") from None
    if instant.tzinfo is None:
        raise SegmentError(f"{where}: {stated['started_at']!r} has no offset from UTC; {wanted}")
    return to_us(instant)


def configured_instant_us(camera: CameraConfig) -> int | None:
    """Return the instant the camera's `started_at` names, its clock offset added, or None where it is not set.

    Raises ConfigError where that wall-clock time was skipped, or came twice and `fold` does not say which is meant.
    """
    if camera.started_at is None:
        return None
    try:
        instant_us = wall_to_us(camera.started_at, camera.time_zone, camera.fold, f"camera {camera.id}: started_at")
    except SegmentError as error:
        raise ConfigError(str(error)) from None
    return instant_us + round(camera.clock_offset_s * 1e6)


def container_instant_us(metadata: dict[str, str]) -> int | None:
    """Return the creation time a container states (UTC, where it names no offset), or None where it states none."""
    for key, text in metadata.items():
        if key.lower() != "creation_time":
            continue
        try:
            instant = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        instant_us = to_us(instant if instant.tzinfo else instant.replace(tzinfo=UTC))
        return instant_us if instant_us >= UNSET_BEFORE_US else None
    return None


def read_name(name: str, pattern: str) -> datetime:
    """Read the time in a file name; the pattern has to match the whole of it, every code at its full width.

    Returns a wall-clock time without zone, or an aware one where the pattern contains `%z`. Raises SegmentError.
    """
    lacking = [text for text, codes in (("%Y", "Yy"), ("%m", "mbBj"), ("%d", "dj")) if not _has(pattern, codes)]
    if lacking:
        raise SegmentError(f"{name}: time_pattern {pattern!r} has no date; add {', '.join(lacking)} to it")
    example = "write it as the names are, e.g. gate_%Y%m%d_%H%M%S.mp4"
    if not re.fullmatch(_expression(pattern), name, re.IGNORECASE):
        raise SegmentError(f"{name}: the file name has no time in the form {pattern!r} (time_pattern); {example}")
    try:
        return datetime.strptime(name, pattern)
    except ValueError as error:
        raise SegmentError(f"{name}: no time can be read by time_pattern {pattern!r}: {error}") from None


def wall_to_us(wall: datetime, time_zone: str, fold: int | None, name: str) -> int:
    """Return the instant of a wall-clock time in an IANA zone; an aware time is taken as it is.

    fold: which of the two a repeated time is, 0 the first, 1 the second, None where not known. `name` is the file.
    Raises SegmentError where the time was skipped, or repeated and `fold` is None.
    """
    if wall.tzinfo is not None:
        return to_us(wall)
    zone = ZoneInfo(time_zone)
    first, second = (wall.replace(tzinfo=zone, fold=each) for each in (0, 1))
    change = second.utcoffset() - first.utcoffset()  # positive: clocks sprang forward over it; negative: went back
    if change > timedelta(0):
        raise SegmentError(
            f"{name}: {_shown(wall)} was skipped in {time_zone}, where clocks went forward by {_hours(change)}; "
            "correct the name, or if the camera ignores summer time, set time_zone to a fixed one such as Etc/GMT-1"
        )
    if change < timedelta(0) and fold is None:
        raise SegmentError(
            f"{name}: {_shown(wall)} came twice in {time_zone}, where clocks went back by {_hours(-change)}; set "
            "`fold` of the camera to 0 for the first or 1 for the second"
        )
    return to_us(second if fold == 1 else first)


def folds_by_order(places: Sequence[str], walls: Sequence[datetime | None], time_zone: str) -> list[int | None]:
    """Settle repeated times by the order of the recordings: a clock that steps back within the repeated hour went back.

    places  folder of every file; walls: the time its name tells, None where none; both in natural order of the paths.
    Returns 0 or 1 where a run of files within one repeated hour steps back exactly once, else None. The step has to lie
    between two folders: within one, the order is that of the names, hence of the very times in question, and proves
    nothing.
    """
    zone = ZoneInfo(time_zone)
    folds: list[int | None] = [None] * len(walls)
    run: list[int] = []
    for index in range(len(walls) + 1):
        wall = walls[index] if index < len(walls) else None
        if run and (not _repeats(wall, zone) or not _same_change(walls[run[-1]], wall)):
            for member, fold in zip(run, _folds_of_run([places[i] for i in run], [walls[i] for i in run])):
                folds[member] = fold
            run = []
        if _repeats(wall, zone):
            run.append(index)
    return folds


def _folds_of_run(places: list[str], walls: list[datetime]) -> list[int | None]:
    """Return the folds of files that all lie in one repeated hour."""
    back = [i for i in range(1, len(walls)) if walls[i] <= walls[i - 1]]
    if len(back) != 1 or places[back[0]] == places[back[0] - 1]:
        return [None] * len(walls)
    return [0 if i < back[0] else 1 for i in range(len(walls))]


def _repeats(wall: datetime | None, zone: ZoneInfo) -> bool:
    """Tell whether a wall-clock time without zone comes twice in the zone."""
    if wall is None or wall.tzinfo is not None:
        return False
    return wall.replace(tzinfo=zone, fold=1).utcoffset() < wall.replace(tzinfo=zone, fold=0).utcoffset()


def _same_change(a: datetime, b: datetime) -> bool:
    """Tell whether two repeated times belong to one change of clocks: zones change them weeks apart at least."""
    return abs(a - b) < timedelta(days=1)


def local_date(instant_us: int, time_zone: str) -> str:
    """Return the date on the wall clock of a zone, `YYYY-MM-DD`."""
    return _aware(instant_us).astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d")


def local_time(instant_us: int, time_zone: str) -> str:
    """Return an instant as people at the camera would read it, for messages."""
    return _aware(instant_us).astimezone(ZoneInfo(time_zone)).isoformat(sep=" ", timespec="milliseconds")


def stamp(instant_us: int) -> str:
    """Return an instant in UTC in the form ids carry: 20260301T073000.000Z, milliseconds cut, not rounded."""
    return _aware(instant_us // 1000 * 1000).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"


def to_us(instant: datetime) -> int:
    """Return an aware time as microseconds since 1970 UTC, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def _aware(instant_us: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant_us)


def _has(pattern: str, codes: str) -> bool:
    """Tell whether a pattern contains one of the strptime codes."""
    return any(code in codes for code in re.findall(r"%(.)", pattern))


def _expression(pattern: str) -> str:
    """Return the regular expression that a name in this pattern fulfils. Raises SegmentError for an unknown code."""
    text = ""
    for literal, code in re.findall(r"([^%]+)|%(.?)", pattern):
        if literal:
            text += re.escape(literal)
        elif code in CODE_WIDTHS:
            text += CODE_WIDTHS[code]
        else:
            raise SegmentError(
                f"time_pattern {pattern!r}: `%{code}` is no code for a time; write %% for a percent sign"
            )
    return text


def _shown(wall: datetime) -> str:
    return wall.strftime("%Y-%m-%d %H:%M:%S")


def _hours(change: timedelta) -> str:
    minutes = round(change.total_seconds() / 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"
