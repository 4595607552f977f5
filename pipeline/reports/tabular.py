"""The reports that are tables: each by its name, with what it says and how it is defined.

Every report is a macro or two of lake/sql asked for a period and some cameras; this module knows which.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.errors import UserError
from pipeline.lake.catalog import Connection
from pipeline.reports.selection import Selection, parse_bin, select
from pipeline.reports.traffic import LINE_STREAM, add_up, rows

DEFAULT_GAP_MIN = 30.0
"""A trip ends where nobody saw the identity for longer."""

_QUARTER = "15min"
_MINUTES_PER_YEAR = 366 * 24 * 60


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """What one report says.

    name     as `nightfleet report` calls it
    tables   by name; the first is the report's own, the others sum it up or stand beside it
    about    what is to be known of them, in words: lake, period, time zones, bin, coverage, definitions
    """

    name: str
    tables: dict[str, pa.Table]
    about: dict[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a report is made.

    title, definition   for whoever reads it
    macros              name of each table and the macro behind it
    cameras             columns a chosen camera may stand in
    binned              whether the first macro takes the length of a bin
    trips               whether the macros take the gap between trips
    crossings           whether crossings of lines stand behind it
    keys                what is counted apart, where the bins are to be added up
    """

    title: str
    definition: str
    macros: tuple[tuple[str, str], ...]
    cameras: tuple[str, ...] = ("camera_id",)
    binned: bool = False
    trips: bool = False
    crossings: bool = True
    keys: tuple[str, ...] = ()


KINDS: dict[str, Kind] = {
    "traffic": Kind(
        "Crossings of lines",
        "A crossing is the anchor of a tracked box passing a line, at the instant interpolated between two frames. "
        "Classes are those of whole tracks. Zones: the stays that began in the period; lower_bounds are those whose "
        "track began or ended inside.",
        (("counts", "traffic_counts"), ("dwell", "zone_dwell")),
        binned=True,
        keys=LINE_STREAM,
    ),
    "gates": Kind(
        "Passages of gates",
        "Lines of one gate count as one; a line without a gate is a gate of its own name.",
        (("counts", "gate_counts"),),
        binned=True,
        keys=("camera_id", "gate_id", "direction", "class"),
    ),
    "turns": Kind(
        "Turning movements",
        "From the first gate a track passed to the last; to is empty where it passed one gate only. A U-turn has the "
        "same gate twice, in opposite directions. The bin is that of the first passage.",
        (("turns", "turning_movements"),),
        binned=True,
        keys=("camera_id", "from_gate", "from_direction", "to_gate", "to_direction", "class"),
    ),
    "occupancy": Kind(
        "Occupancy of zones",
        "mean_occupancy is the time-weighted mean number of objects inside over the watched part of the bin, "
        "max_occupancy the most at once; entered and left count who was seen to come in and to go out.",
        (("occupancy", "zone_occupancy"),),
        binned=True,
        crossings=False,
    ),
    "dwell": Kind(
        "Dwell in zones",
        "Stays that began in the period, in seconds, each as long as it was seen. lower_bounds of them may be longer "
        "in truth: their track began or ended inside.",
        (("dwell", "zone_dwell"), ("stays", "zone_stays")),
        crossings=False,
    ),
    "od": Kind(
        "Origin and destination",
        "A trip is what an identity did without being unseen for longer than the gap. It counts from the camera of its "
        "first sighting to that of its last; at gates, from the first gate passed to the last, where these are of two "
        "cameras.",
        (("od", "od_flows"), ("gates", "gate_od_flows")),
        cameras=("origin_camera_id", "destination_camera_id"),
        trips=True,
    ),
    "travel-times": Kind(
        "Travel times between cameras",
        "Seconds from leaving one camera's picture to entering the next one's in a trip; below 0 where both cameras "
        "saw the object at once (overlapping). p85_s is the 85th percentile.",
        (("travel_times", "travel_times"),),
        cameras=("from_camera_id", "to_camera_id"),
        trips=True,
        crossings=False,
    ),
    "peak": Kind(
        "Peak hours",
        "The four consecutive, fully watched quarter hours of a date with the greatest volume V; phf = V / (4 V15), "
        "V15 the volume of the busiest of them (Highway Capacity Manual).",
        (("peak", "peak_hours"),),
    ),
}
"""Every report by its name."""

_CAMERAS_OF = {"gate_od_flows": ("from_camera_id", "to_camera_id")}
_COUNTS = "0: watched and nothing came; empty: not watched, nobody knows."


def make(
    connection: Connection,
    name: str,
    *,
    by: str | None = None,
    first: str | None = None,
    last: str | None = None,
    cameras: Sequence[str] | None = None,
    gap_min: float = DEFAULT_GAP_MIN,
    lake: str = "",
    main_only: bool = False,
) -> Report:
    """Make the report `name` of an open lake; `lake` is what it is called in `about`. With `main_only` the tables that
    stand beside the report's own are left out.

    Raises UserError for a bin, a date, a camera or a gap that makes no sense.
    """
    kind = KINDS[name]
    bin_s = parse_bin(by or _QUARTER) if kind.binned else None
    asked = select(connection, first, last, cameras, bin_s=bin_s)
    if not 0 <= gap_min <= _MINUTES_PER_YEAR:
        raise UserError(f"a gap of {gap_min:g} min between trips: expected minutes of 0 or more, such as 30")
    tables = {}
    for at, (table, macro) in enumerate(kind.macros[:1] if main_only else kind.macros):
        params: list = [asked.first, asked.last]
        if kind.binned and at == 0:
            params.insert(0, bin_s)
        if kind.trips:
            params.append(gap_min)
        chosen_in = _CAMERAS_OF.get(macro, kind.cameras)
        tables[table] = rows(connection, _call(macro, params, kind), params, asked, chosen_in)
        if at == 0 and kind.keys and not main_only:
            tables["totals"] = add_up(tables[table], kind.keys)
    return Report(name, tables, about_of(connection, kind, asked, by or _QUARTER, gap_min, lake))


def _call(macro: str, params: list, kind: Kind) -> str:
    places = [f"${place}" for place in range(1, len(params) + 1)]
    if kind.trips:
        places[-1] = f"gap_min := {places[-1]}"
    return f"{macro}({', '.join(places)})"


def about_of(
    connection: Connection, kind: Kind, asked: Selection, by: str, gap_min: float, lake: str
) -> dict[str, str]:
    """Return what is to be known of a report, in words."""
    zones = connection.execute(
        "SELECT time_zone, string_agg(camera_id, ', ' ORDER BY camera_id) FROM cameras GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    about = {
        "report": kind.title,
        "lake": lake,
        "period": f"{asked.first or 'from the first footage'} to {asked.last or 'the last'}, local time",
        "cameras": ", ".join(asked.cameras) if asked.cameras else "all",
        "time zones": "; ".join(f"{zone}: {cameras}" for zone, cameras in zones),
    }
    if kind.binned:
        about["bin"] = by
        about["counts"] = _COUNTS
    if kind.trips:
        about["gap between trips"] = f"{gap_min:g} min"
    about["definition"] = kind.definition
    for camera, hours, first_at, last_at, gaps in connection.execute(_WATCHED).fetchall():
        if asked.cameras is None or camera in asked.cameras:
            between = f" between {first_at} and {last_at}, {gaps} gap{'' if gaps == 1 else 's'}" if first_at else ""
            about[f"watched by {camera}"] = f"{hours:.2f} h{between}"
    return about


_WATCHED = """
SELECT
    camera_id,
    hours_done,
    strftime(timezone(time_zone, first_at), '%Y-%m-%d %H:%M:%S'),
    strftime(timezone(time_zone, last_at), '%Y-%m-%d %H:%M:%S'),
    gaps
FROM coverage JOIN cameras USING (camera_id)
ORDER BY camera_id
"""
"""How much of each camera was processed in all of the lake, on its own clock."""
