-- counting_doubts(first_date, last_date): what in the tracks of those local dates makes a count doubtful, one row per
-- doubt; a count without truth to compare with can be checked by looking at these. docs/accuracy.md says how.
-- Columns: kind, camera_id, line_id (NULL where no line is near), tracklet_id, other_tracklet_id (of an id switch, the
-- track that goes on), at, x, y (place of the box's anchor, pixels), about (in words). kind is one of
--   begins on line, ends on line   the track's first (last) box stands within half its height of the line, so that it
--                                  was perhaps not counted, or twice
--   few boxes                      a crossing by a track of fewer than 10 detected boxes, perhaps of nobody
--   id switch                      a track ends near a line and within a second another of its class group begins within
--                                  one box's size: one of them may have lost, or doubled, a crossing
--   appears in mid-scene, vanishes in mid-scene   a track's first (last) box lies further inside the picture than half
--                                  its longer side: something hid it, or it was missed, or it was never there
-- The picture's edges are learned: on each side, 98 of 100 tracks of that camera and those dates stay within. Where
-- footage begins or ends, everything appears or vanishes in mid-scene: within 2 s of it nothing is said to.
-- A date that is NULL sets no limit on its side; a track belongs to the date on which it ends.
CREATE MACRO counting_doubts(first_date, last_date) AS TABLE
WITH track AS (
    SELECT
        k.camera AS camera_id,
        tracklet_id,
        class,
        class_group(class) AS class_group,
        started_at,
        ended_at,
        n_observations
    FROM tracklets AS k
    JOIN cameras AS c ON c.camera_id = k.camera
    WHERE
        (first_date IS NULL OR k.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR k.date <= last_date::DATE + 1)
        AND (first_date IS NULL OR timezone(c.time_zone, ended_at)::DATE >= first_date::DATE)
        AND (last_date IS NULL OR timezone(c.time_zone, ended_at)::DATE <= last_date::DATE)
),
-- The box at both ends of every track, found by their instants.
tip AS (
    SELECT
        t.*,
        o.captured_at = t.started_at AS is_first,
        o.captured_at AS at,
        o.x1::DOUBLE AS x1,
        o.y1::DOUBLE AS y1,
        o.x2::DOUBLE AS x2,
        o.y2::DOUBLE AS y2
    FROM observations AS o
    JOIN track AS t ON o.camera = t.camera_id AND o.tracklet_id = t.tracklet_id
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 2)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
        AND (o.captured_at = t.started_at OR o.captured_at = t.ended_at)
),
edge AS (
    SELECT
        camera_id,
        quantile_cont(left_px, 0.02) AS left_px,
        quantile_cont(top_px, 0.02) AS top_px,
        quantile_cont(right_px, 0.98) AS right_px,
        quantile_cont(bottom_px, 0.98) AS bottom_px
    FROM (
        SELECT
            camera AS camera_id,
            tracklet_id,
            min(x1) AS left_px,
            min(y1) AS top_px,
            max(x2) AS right_px,
            max(y2) AS bottom_px
        FROM observations AS o
        WHERE
            (first_date IS NULL OR o.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
        GROUP BY camera, tracklet_id
    )
    GROUP BY camera_id
),
-- The anchor of every tip beside every line of its camera, and how far it is from the line between its ends.
beside AS (
    SELECT
        p.*,
        l.line_id,
        l.x1 AS x_0,
        l.y1 AS y_0,
        l.x2 - l.x1 AS dx,
        l.y2 - l.y1 AS dy,
        p.x1 + l.anchor_x * (p.x2 - p.x1) AS x,
        p.y1 + l.anchor_y * (p.y2 - p.y1) AS y,
        greatest(0, least(1, ((x - x_0) * dx + (y - y_0) * dy) / (dx ** 2 + dy ** 2))) AS along,
        sqrt((x - x_0 - along * dx) ** 2 + (y - y_0 - along * dy) ** 2) AS away_px,
        p.y2 - p.y1 AS height_px
    FROM tip AS p
    JOIN lines AS l ON l.camera_id = p.camera_id AND (l.classes IS NULL OR list_contains(l.classes, p.class))
),
counted AS (
    SELECT
        camera_id,
        line_id,
        tracklet_id,
        count(*) AS n,
        min(crossed_at) AS at,
        min_by(x, crossed_at) AS x,
        min_by(y, crossed_at) AS y
    FROM crossings_between(first_date::DATE - 1, last_date::DATE + 1)
    GROUP BY camera_id, line_id, tracklet_id
),
on_line AS (
    SELECT
        CASE WHEN is_first THEN 'begins on line' ELSE 'ends on line' END AS kind,
        b.camera_id,
        b.line_id,
        b.tracklet_id,
        NULL::VARCHAR AS other_tracklet_id,
        b.at,
        b.x,
        b.y,
        CASE WHEN c.n IS NULL THEN 'not counted there' ELSE 'counted there' END AS about
    FROM beside AS b
    LEFT JOIN counted AS c USING (camera_id, line_id, tracklet_id)
    WHERE away_px <= 0.5 * height_px
),
few AS (
    SELECT
        'few boxes' AS kind,
        c.camera_id,
        c.line_id,
        c.tracklet_id,
        NULL::VARCHAR AS other_tracklet_id,
        c.at,
        c.x,
        c.y,
        'detected ' || n_observations || ' times' AS about
    FROM counted AS c
    JOIN track AS t USING (camera_id, tracklet_id)
    WHERE n_observations < 10
),
switched AS (
    SELECT
        'id switch' AS kind,
        a.camera_id,
        a.line_id,
        a.tracklet_id,
        b.tracklet_id AS other_tracklet_id,
        a.at,
        a.x,
        a.y,
        'another begins ' || round(epoch_us(b.at) / 1e6 - epoch_us(a.at) / 1e6, 1) || ' s later' AS about
    FROM beside AS a
    JOIN beside AS b ON
        a.camera_id = b.camera_id
        AND a.line_id = b.line_id
        AND a.class_group = b.class_group
        AND b.at BETWEEN a.at AND a.at + INTERVAL 1 SECOND
    WHERE
        NOT a.is_first
        AND b.is_first
        AND a.tracklet_id <> b.tracklet_id
        AND a.away_px <= 2 * a.height_px
        AND (a.x - b.x) ** 2 + (a.y - b.y) ** 2 <= greatest(a.height_px, b.height_px) ** 2
),
mid_scene AS (
    SELECT
        CASE WHEN is_first THEN 'appears in mid-scene' ELSE 'vanishes in mid-scene' END AS kind,
        p.camera_id,
        NULL::VARCHAR AS line_id,
        p.tracklet_id,
        NULL::VARCHAR AS other_tracklet_id,
        p.at,
        (p.x1 + p.x2) / 2 AS x,
        p.y2 AS y,
        p.class || ', detected ' || p.n_observations || ' times' AS about
    FROM tip AS p
    JOIN edge AS e USING (camera_id)
    WHERE
        p.x1 > left_px + 0.5 * greatest(p.x2 - p.x1, p.y2 - p.y1)
        AND p.x2 < right_px - 0.5 * greatest(p.x2 - p.x1, p.y2 - p.y1)
        AND p.y1 > top_px + 0.5 * greatest(p.x2 - p.x1, p.y2 - p.y1)
        AND p.y2 < bottom_px - 0.5 * greatest(p.x2 - p.x1, p.y2 - p.y1)
        AND EXISTS (
            FROM watched AS w
            WHERE
                w.camera_id = p.camera_id
                AND p.at BETWEEN w.started_at + INTERVAL 2 SECOND AND w.ended_at - INTERVAL 2 SECOND
        )
)
FROM (FROM on_line UNION ALL FROM few UNION ALL FROM switched UNION ALL FROM mid_scene)
ORDER BY camera_id, "at", kind, line_id, tracklet_id, other_tracklet_id;
