-- zone_visits_between(first_date, last_date): one row per stay of a tracklet in a zone, entered on those local dates.
-- Columns: date (local, of the entry), camera_id, zone_id, class (of the tracklet), tracklet_id, entered_at and left_at
-- (first and last frame inside), dwell_s (between the two), began_inside and ended_inside (the track began or ended
-- inside, so that the dwell is a lower bound). A date that is NULL sets no limit on its side.
--
-- Inside is where the anchor of the box is (the bottom centre, unless the zone says otherwise), by the even-odd rule. A
-- stay goes on over frames in which the object was not detected (no row says that it left), and over frames outside for
-- at most 1 s, which is the jitter of a box on the zone's edge and not a walk out and in.
--
-- For speed, only boxes in a zone are laid in order. Of pauses between two of them of more than 1 s, and only of those,
-- the track is asked again whether it had a box in between, which then was outside.
CREATE MACRO zone_visits_between(first_date, last_date) AS TABLE
WITH inside AS MATERIALIZED (
    SELECT tracklet_id, camera_id, zone_id, captured_at
    FROM (
        SELECT
            o.tracklet_id,
            o.captured_at,
            z.camera_id,
            z.zone_id,
            z.x,
            z.y,
            z.left_px,
            z.right_px,
            z.top_px,
            z.bottom_px,
            o.x1 + z.anchor_x * (o.x2 - o.x1) AS px,
            o.y1 + z.anchor_y * (o.y2 - o.y1) AS py
        FROM observations AS o
        JOIN (
            SELECT
                *,
                list_min(x) AS left_px,
                list_max(x) AS right_px,
                list_min(y) AS top_px,
                list_max(y) AS bottom_px
            FROM zones
        ) AS z ON z.camera_id = o.camera
        WHERE
            (first_date IS NULL OR o.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
    )
    WHERE
        px BETWEEN left_px AND right_px
        AND py BETWEEN top_px AND bottom_px
        -- Edges i to i + 1 that a ray from the point to the right meets: an odd number from inside.
        AND list_sum(list_transform(range(1, len(x) + 1), lambda i: (
            (y[i] > py) <> (y[i % len(x) + 1] > py)
            AND px < x[i] + (x[i % len(x) + 1] - x[i]) * (py - y[i]) / (y[i % len(x) + 1] - y[i])
        )::INTEGER)) % 2 = 1
),
pause AS MATERIALIZED (
    -- As one list and out of it again: the planner takes it for one row, and reads the boxes past it, not it past them.
    SELECT unnest(list(p), recursive := true)
    FROM (
        SELECT *
        FROM (SELECT *, lag(captured_at) OVER track AS before_at FROM inside WINDOW track AS (
            PARTITION BY tracklet_id, zone_id ORDER BY captured_at
        ))
        WHERE captured_at - before_at > INTERVAL 1 SECOND
    ) AS p
),
entry AS MATERIALIZED (
    SELECT DISTINCT p.tracklet_id, p.zone_id, p.captured_at
    FROM observations AS o
    JOIN pause AS p
        ON p.tracklet_id = o.tracklet_id AND o.captured_at > p.before_at AND o.captured_at < p.captured_at
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
),
numbered AS (
    SELECT i.*, count(e.captured_at) OVER (
        PARTITION BY i.tracklet_id, i.zone_id ORDER BY i.captured_at ROWS UNBOUNDED PRECEDING
    ) AS stay
    FROM inside AS i
    SEMI JOIN entry AS t ON t.tracklet_id = i.tracklet_id AND t.zone_id = i.zone_id
    LEFT JOIN entry AS e
        ON e.tracklet_id = i.tracklet_id AND e.zone_id = i.zone_id AND e.captured_at = i.captured_at
),
visit AS (
    SELECT camera_id, zone_id, tracklet_id, min(captured_at) AS entered_at, max(captured_at) AS left_at
    FROM (
        SELECT *, 0 AS stay FROM inside ANTI JOIN entry USING (tracklet_id, zone_id)
        UNION ALL BY NAME
        FROM numbered
    )
    GROUP BY camera_id, zone_id, tracklet_id, stay
)
SELECT
    timezone(c.time_zone, v.entered_at)::DATE AS date,
    v.camera_id,
    v.zone_id,
    t.class,
    v.tracklet_id,
    v.entered_at,
    v.left_at,
    (epoch_us(v.left_at) - epoch_us(v.entered_at)) / 1e6 AS dwell_s,
    v.entered_at <= t.started_at AS began_inside,
    v.left_at >= t.ended_at AS ended_inside
FROM visit AS v
JOIN cameras AS c ON c.camera_id = v.camera_id
JOIN (
    SELECT tracklet_id, class, started_at, ended_at
    FROM tracklets AS k
    WHERE
        (first_date IS NULL OR k.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR k.date <= last_date::DATE + 2)
) AS t ON t.tracklet_id = v.tracklet_id
WHERE
    (first_date IS NULL OR timezone(c.time_zone, v.entered_at)::DATE >= first_date::DATE)
    AND (last_date IS NULL OR timezone(c.time_zone, v.entered_at)::DATE <= last_date::DATE);
