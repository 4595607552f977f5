"""What makes a count doubtful where there is no truth to compare with: see lake/sql/counting_doubts.sql."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.lake.catalog import Connection
from pipeline.lake.catalog import select as answer
from pipeline.reports.selection import select
from pipeline.reports.tabular import Kind, Report, about_of

KIND = Kind(
    "Self-check of counts",
    "lines: doubtful crossings are by a track that begins or ends on that line, was detected fewer than 10 times, or "
    "took part in a suspected id switch near it; perhaps_missed are tracks that begin or end on the line and were not "
    "counted there; id_switches are suspected near the line. cameras: tracks whose first or last box lies in mid-scene "
    "(a door, a pillar or a parked vehicle makes everyone who uses it do so). A doubt is a place to look at, not an "
    "error: `nightfleet explain count` shows the tracks.",
    (("lines", "counting_doubts"),),
)

_DOUBT = """
WITH doubt AS (
    SELECT d.*, c.time_zone, timezone(c.time_zone, d."at") AS wall
    FROM counting_doubts($first, $last) AS d
    JOIN cameras AS c USING (camera_id)
    WHERE
        ($first IS NULL OR wall >= local_from($first))
        AND ($last IS NULL OR wall < local_until($last))
        AND ($cameras IS NULL OR list_contains($cameras, d.camera_id))
),
on_watch AS (
    SELECT DISTINCT w.camera_id
    FROM watched AS w
    JOIN cameras AS c USING (camera_id)
    WHERE
        ($first IS NULL OR timezone(c.time_zone, w.ended_at) > local_from($first))
        AND ($last IS NULL OR timezone(c.time_zone, w.started_at) < local_until($last))
)
"""

_LINES = (
    _DOUBT
    + """,
-- Either track of a suspected switch may be the one that was counted.
suspect AS (
    SELECT DISTINCT camera_id, line_id, unnest([tracklet_id, other_tracklet_id]) AS tracklet_id
    FROM doubt
    WHERE line_id IS NOT NULL
),
crossing AS (
    SELECT x.camera_id, x.line_id, count(*) AS crossings, count(s.tracklet_id) AS doubtful
    FROM crossings_between($first, $last) AS x
    JOIN cameras AS c USING (camera_id)
    LEFT JOIN suspect AS s USING (camera_id, line_id, tracklet_id)
    WHERE
        ($first IS NULL OR timezone(c.time_zone, x.crossed_at) >= local_from($first))
        AND ($last IS NULL OR timezone(c.time_zone, x.crossed_at) < local_until($last))
    GROUP BY x.camera_id, x.line_id
),
kind AS (
    SELECT
        camera_id,
        line_id,
        count(DISTINCT tracklet_id) FILTER (kind IN ('begins on line', 'ends on line')) AS touch,
        count(DISTINCT tracklet_id) FILTER (
            kind IN ('begins on line', 'ends on line') AND about = 'not counted there'
        ) AS perhaps_missed,
        count(*) FILTER (kind = 'few boxes') AS few_boxes,
        count(DISTINCT tracklet_id) FILTER (kind = 'id switch') AS id_switches
    FROM doubt
    WHERE line_id IS NOT NULL
    GROUP BY camera_id, line_id
)
SELECT
    l.camera_id,
    l.line_id,
    coalesce(crossings, nothing) AS crossings,
    coalesce(doubtful, nothing) AS doubtful,
    CASE WHEN crossing.crossings > 0 THEN 100.0 * doubtful / crossing.crossings END AS doubtful_pct,
    coalesce(perhaps_missed, nothing) AS perhaps_missed,
    coalesce(touch, nothing) AS begin_or_end_on_line,
    coalesce(id_switches, nothing) AS id_switches,
    coalesce(few_boxes, nothing) AS few_boxes
FROM (
    SELECT camera_id, line_id, CASE WHEN o.camera_id IS NOT NULL THEN 0 END AS nothing
    FROM lines LEFT JOIN on_watch AS o USING (camera_id)
) AS l
LEFT JOIN crossing USING (camera_id, line_id)
LEFT JOIN kind USING (camera_id, line_id)
WHERE $cameras IS NULL OR list_contains($cameras, l.camera_id)
ORDER BY l.camera_id, l.line_id
"""
)

_CAMERAS = (
    _DOUBT
    + """
SELECT
    c.camera_id,
    coalesce(t.tracks, CASE WHEN o.camera_id IS NOT NULL THEN 0 END) AS tracks,
    CASE
        WHEN tracks IS NOT NULL THEN count(DISTINCT d.tracklet_id) FILTER (d.kind = 'appears in mid-scene')
    END AS appear_in_mid_scene,
    CASE WHEN tracks > 0 THEN 100.0 * appear_in_mid_scene / tracks END AS appear_pct,
    CASE
        WHEN tracks IS NOT NULL THEN count(DISTINCT d.tracklet_id) FILTER (d.kind = 'vanishes in mid-scene')
    END AS vanish_in_mid_scene,
    CASE WHEN tracks > 0 THEN 100.0 * vanish_in_mid_scene / tracks END AS vanish_pct
FROM cameras AS c
LEFT JOIN (
    SELECT k.camera AS camera_id, count(*) AS tracks
    FROM tracklets AS k
    JOIN cameras AS z ON z.camera_id = k.camera
    WHERE
        ($first IS NULL OR timezone(z.time_zone, ended_at) >= local_from($first))
        AND ($last IS NULL OR timezone(z.time_zone, ended_at) < local_until($last))
    GROUP BY k.camera
) AS t USING (camera_id)
LEFT JOIN on_watch AS o USING (camera_id)
LEFT JOIN doubt AS d USING (camera_id)
WHERE $cameras IS NULL OR list_contains($cameras, c.camera_id)
GROUP BY c.camera_id, o.camera_id, t.tracks
ORDER BY c.camera_id
"""
)

_DOUBTS = (
    _DOUBT
    + """
SELECT
    kind,
    camera_id,
    line_id,
    local_text("at", time_zone) AS at_local,
    "at",
    tracklet_id,
    other_tracklet_id,
    x,
    y,
    about
FROM doubt
ORDER BY camera_id, "at", kind, line_id, tracklet_id, other_tracklet_id
"""
)


def make(
    connection: Connection,
    *,
    first: str | None = None,
    last: str | None = None,
    cameras: Sequence[str] | None = None,
    lake: str = "",
) -> Report:
    """Make the self-check: a row a line, a row a camera, and every doubt. Raises UserError for dates and cameras."""
    asked = select(connection, first, last, cameras)
    chosen = None if asked.cameras is None else list(asked.cameras)
    params = {"first": asked.first, "last": asked.last, "cameras": chosen}
    named = (("lines", _LINES), ("cameras", _CAMERAS), ("doubts", _DOUBTS))
    tables = {name: answer(connection, sql, params) for name, sql in named}
    return Report("self-check", tables, about_of(connection, KIND, asked, "", 0.0, lake))
