"""The tracklets behind a count: who crossed a line or gate, or came into a zone, when, how fast, and in what doubt."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs import search_filters
from pipeline.errors import SegmentError, UserError
from pipeline.footage.clock import wall_to_us
from pipeline.lake import catalog, crossed
from pipeline.reports.selection import parse_bin

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MOMENTS = {
    "line": """
SELECT line_id, direction, class, tracklet_id, crossed_at AS moment, x, y, NULL::DOUBLE AS dwell_s,
    NULL::BOOLEAN AS began_inside, NULL::BOOLEAN AS ended_inside
FROM crossings_between($first, $last)
WHERE camera_id = $camera AND line_id = $name
""",
    "gate": """
SELECT line_id, direction, class, tracklet_id, crossed_at AS moment, x, y, NULL::DOUBLE AS dwell_s,
    NULL::BOOLEAN AS began_inside, NULL::BOOLEAN AS ended_inside
FROM gate_crossings_between($first, $last)
WHERE camera_id = $camera AND gate_id = $name
""",
    "zone": """
SELECT NULL AS line_id, NULL AS direction, class, tracklet_id, entered_at AS moment, NULL AS x, NULL AS y, dwell_s,
    began_inside, ended_inside
FROM zone_visits_between($first, $last)
WHERE camera_id = $camera AND zone_id = $name
""",
}

_COUNTED = """
SELECT
    m.line_id,
    m.direction,
    m.class,
    m.tracklet_id,
    m.moment AS at_utc,
    local_text(m.moment, $zone) AS at_local,
    m.x,
    m.y,
    m.dwell_s,
    m.began_inside,
    m.ended_inside,
    s.speed_kmh,
    s.error_kmh,
    i.identity_id,
    local_text(t.started_at, $zone) AS first_seen_local,
    local_text(t.ended_at, $zone) AS last_seen_local,
    t.n_observations
FROM ({moments}) AS m
JOIN tracklets AS t ON t.camera = $camera AND t.tracklet_id = m.tracklet_id
LEFT JOIN identities AS i ON i.tracklet_id = m.tracklet_id
LEFT JOIN (FROM line_speeds($first, $last) WHERE camera_id = $camera) AS s
    ON s.line_id = m.line_id AND s.tracklet_id = m.tracklet_id AND s.crossed_at = m.moment
WHERE
    epoch_us(m.moment) >= $from_us
    AND epoch_us(m.moment) < $until_us
    AND ($direction IS NULL OR m.direction = $direction)
    AND ($classes IS NULL OR list_contains($classes, m.class))
ORDER BY m.moment, m.line_id, m.tracklet_id
"""

_DOUBTS = """
SELECT kind, line_id, tracklet_id, other_tracklet_id, about
FROM counting_doubts($first::DATE - 1, $last::DATE + 1)
WHERE camera_id = $camera AND (list_contains($tracks, tracklet_id) OR list_contains($tracks, other_tracklet_id))
"""

_WATCHED = """
SELECT epoch_us(started_at) AS from_us, epoch_us(ended_at) AS until_us
FROM watched
WHERE camera_id = $camera
ORDER BY from_us
"""

_NAMES = {
    "line": "SELECT line_id AS name FROM lines WHERE camera_id = $camera ORDER BY name",
    "gate": "SELECT DISTINCT gate_id AS name FROM lines WHERE camera_id = $camera ORDER BY name",
    "zone": "SELECT zone_id AS name FROM zones WHERE camera_id = $camera ORDER BY name",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was counted: a camera, a line, gate or zone of it, and what of that.

    kind        "line", "gate" or "zone"
    direction, classes    None for all
    bounds_us   [from, to) in microseconds since 1970 UTC
    """

    camera_id: str
    time_zone: str
    kind: str
    name: str
    direction: str | None
    classes: tuple[str, ...] | None
    bounds_us: tuple[int, int]


def explain(
    lake: str,
    camera: str,
    *,
    line: str | None = None,
    gate: str | None = None,
    zone: str | None = None,
    direction: str | None = None,
    class_name: str | None = None,
    at: str | None = None,
    by: str = "15min",
    first: str | None = None,
    last: str | None = None,
) -> dict[str, Any]:
    """Return the tracklets behind a cell of a report, or behind all cells of a selection.

    at      an instant on the camera's clock (or with an offset): the bin of length `by` that it lies in
    first, last    dates or instants on that clock, instead of `at`

    Returns camera_id, kind, name, direction, class, time_zone, from_local, until_local (where no bound was given, that
    of the camera's footage; None without any), coverage_pct (how much of that time was watched), count (of a zone: of
    the stays; None where nobody watched), entered (of a zone: the stays that did not begin inside), doubtful and
    crossings: one row each with line_id, direction, class, tracklet_id, identity_id, at_utc, at_local, x, y, speed_kmh,
    error_kmh, dwell_s, began_inside and ended_inside (of a zone), first_seen_local, last_seen_local, n_observations,
    doubts (in words), doubtful (whether one of them is about the line itself).
    Raises UserError for what the lake does not have, and for times that make no sense.
    """
    given = {kind: name for kind, name in (("line", line), ("gate", gate), ("zone", zone)) if name is not None}
    if len(given) != 1:
        raise UserError("give exactly one of --line, --gate and --zone")
    if at is not None and (first is not None or last is not None):
        raise UserError("--at names one bin, --from and --to a period; give one or the other")
    ((kind, name),) = given.items()
    with catalog.connect(lake) as connection:
        asked = _asked(connection, lake, camera, kind, name, direction, class_name, at, by, first, last)
    crossed.refresh(lake, *(_date(at_us, asked.time_zone) for at_us in asked.bounds_us))
    with catalog.connect(lake) as connection:
        rows = _counted(connection, asked)
        from_us, until_us, coverage_pct = _watched(connection, asked)
    known = bool(rows) or coverage_pct > 0
    entered = sum(not row["began_inside"] for row in rows) if known and kind == "zone" else None
    return {
        "camera_id": camera,
        "kind": kind,
        "name": name,
        "direction": direction,
        "class": class_name,
        "time_zone": asked.time_zone,
        "from_local": None if from_us is None else _local(from_us, asked.time_zone),
        "until_local": None if until_us is None else _local(until_us, asked.time_zone),
        "coverage_pct": coverage_pct,
        "count": len(rows) if known else None,
        "entered": entered,
        "doubtful": sum(row["doubtful"] for row in rows) if known else None,
        "crossings": rows,
    }


def bin_us(at: str, by: str, time_zone: str) -> tuple[int, int]:
    """Return the bin of length `by` that an instant of a camera's clock lies in, [from, to) in microseconds since 1970.

    Bins start at multiples of their length from local midnight; a change of the clock cuts the bin it falls into, as
    in the reports. Raises UserError for what is no instant, or a local one that came twice or was skipped.
    """
    bin_s = parse_bin(by)
    with contextlib.suppress(ValueError):
        day = date.fromisoformat(at)
        raise UserError(f"--at: {at} is a whole day; write its time too, as in {day}T08:00, or --from {day} --to {day}")
    try:
        wall = datetime.fromisoformat(at)
        at_us = wall_to_us(wall, time_zone, None, f"--at {at}")
    except ValueError:
        raise UserError(f"--at: expected an instant such as 2026-03-01T07:30, got {at!r}") from None
    except SegmentError as error:
        if wall.replace(fold=1, tzinfo=ZoneInfo(time_zone)).utcoffset() is not None and "twice" in str(error):
            raise UserError(f"--at: {at} came twice in {time_zone}; write its offset too, as in {at}+01:00") from None
        raise UserError(f"--at: {at} was skipped in {time_zone}, where clocks went forward; take another") from None
    zone = ZoneInfo(time_zone)

    def offset_us(instant_us: int) -> int:
        local = (_EPOCH + timedelta(microseconds=instant_us)).astimezone(zone)
        return local.utcoffset() // timedelta(microseconds=1)

    length_us, offset = bin_s * 1_000_000, offset_us(at_us)
    begin = (at_us + offset) // length_us * length_us - offset
    quarters = range(begin, begin + length_us, min(length_us, 900_000_000))
    own = [quarter for quarter in quarters if offset_us(quarter) == offset]
    return own[0], min(begin + length_us, own[-1] + min(length_us, 900_000_000))


def _asked(
    connection: Any,
    lake: str,
    camera: str,
    kind: str,
    name: str,
    direction: str | None,
    class_name: str | None,
    at: str | None,
    by: str,
    first: str | None,
    last: str | None,
) -> Asked:
    zones = dict(connection.execute("SELECT camera_id, time_zone FROM cameras ORDER BY ALL").fetchall())
    _require("--camera", "the lake", "camera", camera, list(zones))
    names = [row["name"] for row in catalog.select(connection, _NAMES[kind], {"camera": camera}).to_pylist()]
    _require(f"--{kind}", f"camera {camera}", kind, name, names)
    if direction is not None:
        if kind == "zone":
            raise UserError("--direction is of lines and gates; a zone has none, so leave it out")
        sql = "SELECT forward, backward FROM lines WHERE camera_id = $1 AND (line_id = $2 OR gate_id = $2)"
        known = sorted({name for row in connection.execute(sql, [camera, name]).fetchall() for name in row})
        _require("--direction", f"{kind} {name}", "direction", direction, known)
    filters = search_filters.parse(class_name, [camera], first, last)
    search_filters.check_classes(filters, connection, lake)
    zone = zones[camera]
    bounds = filters.bounds_us(zone) if at is None else bin_us(at, by, zone)
    return Asked(camera, zone, kind, name, direction, filters.classes, bounds)


def _require(option: str, whose: str, what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        meant = f" (did you mean {close[0]!r}?)" if close else ""
        raise UserError(f"{option}: {whose} has no {what} {name!r}{meant}; it has {', '.join(known) or 'none'}")


def _counted(connection: Any, asked: Asked) -> list[dict[str, Any]]:
    """Return the rows behind the count, with their doubts."""
    first, last = (_date(at_us, asked.time_zone) for at_us in asked.bounds_us)
    params = {"camera": asked.camera_id, "first": first, "last": last}
    more = {
        "name": asked.name,
        "zone": asked.time_zone,
        "from_us": asked.bounds_us[0],
        "until_us": asked.bounds_us[1],
        "direction": asked.direction,
        "classes": None if asked.classes is None else list(asked.classes),
    }
    sql = _COUNTED.format(moments=_MOMENTS[asked.kind])
    rows = catalog.select(connection, sql, {**params, **more}).to_pylist()
    tracks = sorted({row["tracklet_id"] for row in rows})
    found = catalog.select(connection, _DOUBTS, {**params, "tracks": tracks}).to_pylist() if rows else []
    for row in rows:
        mine = [one for one in found if _concerns(one, row)]
        row["doubts"] = list(dict.fromkeys(map(_doubt, mine)))
        row["doubtful"] = any(one["line_id"] is not None for one in mine)
    return rows


def _watched(connection: Any, asked: Asked) -> tuple[int | None, int | None, float]:
    """Return the time asked for, where it is open that of the camera's footage, and how much of it was watched.

    An end is None where it is open and no footage lies before (after) the other.
    """
    stretches = catalog.select(connection, _WATCHED, {"camera": asked.camera_id}).to_pylist()
    from_us, until_us = asked.bounds_us
    if from_us == search_filters.EVER_US[0]:
        from_us = min((one["from_us"] for one in stretches if one["from_us"] < until_us), default=None)
    if until_us == search_filters.EVER_US[1]:
        begun_us = asked.bounds_us[0]
        until_us = max((one["until_us"] for one in stretches if one["until_us"] > begun_us), default=None)
    if from_us is None or until_us is None:
        return from_us, until_us, 0.0
    parts = (min(one["until_us"], until_us) - max(one["from_us"], from_us) for one in stretches)
    watched_us = sum(max(0, part) for part in parts)
    return from_us, until_us, 100 * min(1.0, watched_us / max(1, until_us - from_us))


def _concerns(doubt: dict[str, Any], row: dict[str, Any]) -> bool:
    whose = row["tracklet_id"] in (doubt["tracklet_id"], doubt["other_tracklet_id"])
    return whose and doubt["line_id"] in (None, row["line_id"])


def _doubt(doubt: dict[str, Any]) -> str:
    other = f" ({doubt['tracklet_id']} to {doubt['other_tracklet_id']})" if doubt["other_tracklet_id"] else ""
    return f"{doubt['kind']}{other}"


def _date(at_us: int, time_zone: str) -> str | None:
    """Return the local date of an instant; None where it is no bound at all."""
    if at_us in search_filters.EVER_US:
        return None
    return _at(at_us, time_zone).date().isoformat()


def _local(at_us: int, time_zone: str) -> str:
    return _at(at_us, time_zone).isoformat()


def _at(at_us: int, time_zone: str) -> datetime:
    earliest, latest = (datetime.combine(day, datetime.min.time(), UTC) for day in (date(2, 1, 1), date(9998, 1, 1)))
    instant = min(max(_EPOCH + timedelta(microseconds=at_us), earliest), latest)
    return instant.astimezone(ZoneInfo(time_zone))
