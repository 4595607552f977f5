"""What of a lake a search looks at: classes, cameras and a time, as somebody writes them on a command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipeline.errors import LakeError, UserError
from pipeline.lake.catalog import Connection
from pipeline.lake.writer import Lake
from pipeline.types import CLASS_GROUPS, COCO_CLASSES, class_group

EVER_US = (-(2**62), 2**62)
"""Bounds of no time at all, in microseconds since 1970."""

_EXTREME_ZONES = ("Etc/GMT-14", "Etc/GMT+12")
"""Where a date begins first (14 hours before UTC) and last: what is empty in both is empty everywhere."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is searched.

    classes   names of COCO classes, or None for all
    cameras   camera ids, or None for all
    first     local date, or instant (local where it has no offset), that a tracklet must not end before; or None
    last      the same for what it must begin before; a date counts to its end
    named     those of the classes that were written as such, not as a group
    """

    classes: tuple[str, ...] | None
    cameras: tuple[str, ...] | None
    first: date | datetime | None
    last: date | datetime | None
    named: tuple[str, ...] = ()

    @property
    def groups(self) -> set[str] | None:
        """Class groups of the classes, or None for all."""
        if self.classes is None:
            return None
        return {class_group(COCO_CLASSES.index(name)) for name in self.classes}

    def bounds_us(self, time_zone: str) -> tuple[int, int]:
        """Return the time searched, [from, to) in microseconds since 1970, of a camera whose clock is in a zone.

        Of a local hour that comes twice all is searched, and one that the clock leaves out begins with the leap.
        """
        zone = ZoneInfo(time_zone)
        earliest = EVER_US[0] if self.first is None else min(_instants_us(self.first, zone))
        last = self.last
        if last is not None and not isinstance(last, datetime):
            last = last + timedelta(days=1) if last < date.max else None
        return earliest, EVER_US[1] if last is None else max(_instants_us(last, zone))

    @property
    def any(self) -> bool:
        """Whether anything is left out."""
        return any(part is not None for part in (self.classes, self.cameras, self.first, self.last))

    def to_json(self) -> dict[str, str]:
        """Return what is left out, name -> value, in words."""
        parts = {
            "class": ", ".join(self.classes or ()),
            "camera": ", ".join(self.cameras or ()),
            "from": "" if self.first is None else self.first.isoformat(),
            "to": "" if self.last is None else self.last.isoformat(),
        }
        return {name: value for name, value in parts.items() if value}


def parse(class_name: str | None, cameras: Sequence[str] | None, first: str | None, last: str | None) -> Filters:
    """Return the filters as written. Raises UserError for an unknown class and for what is no instant."""
    earliest, latest = _when("--from", first), _when("--to", last)
    classes, named = _classes(class_name)
    filters = Filters(classes, tuple(cameras) if cameras else None, earliest, latest, named)
    bounds = [filters.bounds_us(name) for name in _EXTREME_ZONES]
    if all(begin >= end for begin, end in bounds):  # with one offset given, it depends on the camera's zone
        raise UserError(f"--from {first} is not before --to {last}, so nothing lies between them; swap them")
    return filters


def check_cameras(filters: Filters, known: Iterable[str], lake_url: str) -> None:
    """Raise UserError for a camera that the lake knows nothing of."""
    known = sorted(known)
    for name in filters.cameras or ():
        if name not in known:
            names = ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
            raise UserError(f"--camera: {lake_url} has no camera {name!r}{_close(name, known)}; it has {names}")


def check_classes(filters: Filters, connection: Connection, lake_url: str) -> None:
    """Raise UserError for a class that the fleet's detectors do not look for and no tracklet of the lake has.

    COCO has bananas too: that none was seen says nothing where nobody looked for them. Groups are not checked.
    """
    known = _looked_for(lake_url) if filters.named else set()
    if known.issuperset(filters.named):
        return
    known |= {seen for (seen,) in connection.execute("SELECT DISTINCT class FROM tracklets").fetchall()}
    for name in filters.named:
        if name not in known:
            raise UserError(
                f"--class: {name!r} is no class of {lake_url}{_close(name, sorted(known))}; it has "
                f"{', '.join(sorted(known)) or 'none'}, or vehicle for all that drive"
            )


def _looked_for(lake_url: str) -> set[str]:
    """Return the classes that the fleet's detectors keep; none where the lake does not say."""
    try:
        config = Lake.open(lake_url).read_config()
    except LakeError:
        return set()
    return {name for camera in config.cameras for name in config.detector_for(camera).classes}


def _classes(text: str | None) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Split A,B into classes, or None for all, and those of them written by their own name."""
    if text is None:
        return None, ()
    groups: Mapping[str, list[str]] = {}
    for member, group in CLASS_GROUPS.items():
        groups.setdefault(group, []).append(member)
    names = [name.strip() for name in text.split(",") if name.strip()] or [text]
    for name in names:
        if name not in COCO_CLASSES and name not in groups:
            raise UserError(
                f"--class: {name!r} is no class{_close(name, [*groups, *COCO_CLASSES])}; write one of COCO, such as "
                "car, or vehicle for all that drive"
            )
    classes = [member for name in names for member in ((name,) if name in COCO_CLASSES else groups[name])]
    return tuple(dict.fromkeys(classes)), tuple(name for name in names if name in COCO_CLASSES)


def _close(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _when(option: str, text: str | None) -> date | datetime | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if len(text) <= 10 else datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{option}: expected a date or an instant of the cameras' clocks, such as 2026-03-01 or 2026-03-01T08:00, "
            f"or with an offset, 2026-03-01T08:00+01:00; got {text!r}"
        ) from None


def _instants_us(when: date | datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Return the instants that a moment may be: two of a local one that comes twice or is left out, else one twice."""
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    if when.tzinfo is None:
        before, after = when.replace(tzinfo=zone, fold=0), when.replace(tzinfo=zone, fold=1)
    else:
        before = after = when
    return (before - _EPOCH) // timedelta(microseconds=1), (after - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00+00:00")
