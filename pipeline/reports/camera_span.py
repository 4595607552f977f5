"""What a stretch of one camera's time holds: footage, tracks, crossings, stays in zones, and who else saw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.errors import UserError
from pipeline.footage.recorded import Recorded
from pipeline.lake.catalog import Connection

RECORDED = """
segment_id, camera_id, if(clock_source = 'import', footage, url) AS url,
    epoch_us(started_at) AS started_at_us, epoch_us(ended_at) AS ended_at_us,
    if(clock_source = 'import', footage_fingerprint, fingerprint) AS fingerprint, bad_packets > 0 AS damaged
"""
"""What makes a Recorded of a row of the ledger; of imported tracks, the footage that they are of."""

_RECORDED = f"""
SELECT {RECORDED}
FROM ledger
WHERE camera_id = $camera AND status = 'done' AND started_at IS NOT NULL AND ended_at > started_at
ORDER BY started_at, segment_id
"""

_ROWS = """
SELECT tracklet_id, epoch_us(captured_at) AS at_us, class, x1, y1, x2, y2, interpolated
FROM observations
WHERE camera = $camera AND date BETWEEN $first_date::DATE - 1 AND $last_date::DATE
    AND list_contains($segments, segment_id)
    AND epoch_us(captured_at) >= $first_us AND epoch_us(captured_at) < $last_us
ORDER BY tracklet_id, captured_at
"""

_TRACKS = """
SELECT t.tracklet_id, t.class, t.mean_score, t.n_observations, epoch_us(t.started_at) AS started_at_us,
    epoch_us(t.ended_at) AS ended_at_us, i.identity_id, i.confidence
FROM tracklets AS t LEFT JOIN identities AS i USING (tracklet_id)
WHERE t.camera = $camera AND t.date BETWEEN $first_date::DATE - 1 AND $last_date::DATE + 1
    AND epoch_us(t.ended_at) >= $first_us AND epoch_us(t.started_at) < $last_us
"""

_CROSSINGS = """
SELECT tracklet_id, line_id, direction, class, epoch_us(crossed_at) AS at_us
FROM crossings_between($first_date, $last_date)
WHERE camera_id = $camera AND epoch_us(crossed_at) >= $first_us AND epoch_us(crossed_at) < $last_us
ORDER BY crossed_at, line_id, tracklet_id
"""

_VISITS = """
SELECT tracklet_id, zone_id, epoch_us(entered_at) AS entered_at_us, epoch_us(left_at) AS left_at_us
FROM zone_visits_between($first_date::DATE - 1, $last_date)
WHERE camera_id = $camera AND epoch_us(left_at) >= $first_us AND epoch_us(entered_at) < $last_us
ORDER BY entered_at, zone_id, tracklet_id
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part [first_us, last_us) of a unit's footage that is shown, microseconds since 1970 UTC."""

    recorded: Recorded
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch [first_us, last_us) of one camera's time, microseconds since 1970 UTC, and the footage in it.

    pieces     the footage in it, in order, none reaching into the next
    of_us      the footage of the whole camera, from its first frame to the end of its last
    time_zone  IANA zone of the camera's wall clock
    """

    camera_id: str
    time_zone: str
    first_us: int
    last_us: int
    pieces: tuple[Piece, ...]
    of_us: tuple[int, int]

    @property
    def is_part(self) -> bool:
        """Whether there is more footage of the camera."""
        return self.first_us > self.of_us[0] or self.last_us < self.of_us[1]

    @property
    def params(self) -> dict:
        """The span as parameters of its queries; dates are local and reach over it."""
        zone = ZoneInfo(self.time_zone)
        dates = [
            datetime.fromtimestamp(at_us / 1e6, zone).date().isoformat() for at_us in (self.first_us, self.last_us)
        ]
        return {
            "camera": self.camera_id,
            "first_us": self.first_us,
            "last_us": self.last_us,
            "first_date": dates[0],
            "last_date": dates[1],
        }


def choose(
    connection: Connection, camera_id: str, bounds_us: tuple[int, int], *, longest_us: int | None = None
) -> Span:
    """Return the span of a camera's footage within some bounds, its first `longest_us` at most.

    Raises UserError where the lake does not have the camera, or no processed footage of it in the bounds.
    """
    zones = dict(connection.execute("SELECT camera_id, time_zone FROM cameras").fetchall())
    recorded = [Recorded(**row) for row in _select(connection, _RECORDED, {"camera": camera_id}).to_pylist()]
    if camera_id not in zones and not recorded:
        raise UserError(f"the lake has no camera {camera_id!r}; it has {', '.join(sorted(zones)) or 'none'}")
    zone = zones.get(camera_id, "UTC")
    if not recorded:
        raise UserError(f"camera {camera_id}: no footage of it has been processed; see `nightfleet status`")
    of_us = (recorded[0].started_at_us, max(one.ended_at_us for one in recorded))
    first_us, last_us = max(bounds_us[0], of_us[0]), min(bounds_us[1], of_us[1])
    inside = _cut(recorded, first_us, last_us)
    if not inside:
        has = " to ".join(local_text(at_us, zone) for at_us in of_us)
        raise UserError(f"camera {camera_id}: no footage lies in the time asked for; there is {has} ({zone})")
    first_us = inside[0].first_us
    if longest_us is not None and last_us > first_us + longest_us:
        inside = _cut(recorded, first_us, first_us + longest_us)
    return Span(camera_id, zone, first_us, inside[-1].last_us, tuple(inside), of_us)


def rows_of(connection: Connection, span: Span, pieces: Sequence[Piece]) -> pa.Table:
    """Return what was seen in some of a span's pieces, by tracklet and time (columns: _ROWS)."""
    return _select(connection, _ROWS, {**span.params, "segments": [one.recorded.segment_id for one in pieces]})


def tracks_of(connection: Connection, span: Span) -> pa.Table:
    """Return the tracklets that were there in a span, with their identities (columns: _TRACKS)."""
    return _select(connection, _TRACKS, span.params)


def crossings_of(connection: Connection, span: Span) -> pa.Table:
    """Return the crossings in a span, in order of time (columns: _CROSSINGS)."""
    return _select(connection, _CROSSINGS, span.params)


def visits_of(connection: Connection, span: Span) -> pa.Table:
    """Return the stays in zones that reach into a span (columns: _VISITS)."""
    return _select(connection, _VISITS, span.params)


def shapes_of(connection: Connection, span: Span, table: str) -> pa.Table:
    """Return the camera's rows of `lines` or `zones`, in the order of the configuration."""
    return _select(connection, f"FROM {table} WHERE camera_id = $camera", {"camera": span.camera_id})


def local_text(at_us: int, time_zone: str) -> str:
    """Return an instant on a zone's wall clock: 2026-05-12 07:30:00."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    return instant.astimezone(ZoneInfo(time_zone)).strftime("%Y-%m-%d %H:%M:%S")


def _cut(recorded: Sequence[Recorded], first_us: int, last_us: int) -> list[Piece]:
    """Return the parts of units, in order of their start, that lie in bounds and after the end of the one before."""
    cut = []
    for one in recorded:
        begin, end = max(one.started_at_us, first_us), min(one.ended_at_us, last_us)
        if begin < end:
            cut.append(Piece(one, begin, end))
            first_us = end
    return cut


def _select(connection: Connection, sql: str, params: dict) -> pa.Table:
    return connection.sql(sql, params=params).to_arrow_table()
