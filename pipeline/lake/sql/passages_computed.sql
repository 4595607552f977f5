-- passages_computed(first_date, last_date): crossings as they are found in the boxes, of those lines and local dates of
-- which none are stored. It is what stored_crossings is filled from; ask crossings_between. docs/counting.md says what
-- counts and why.
-- Columns: date (local, of the crossing), camera_id, line_id, is_forward, class (of the tracklet), tracklet_id,
-- crossed_at (interpolated between frames), x, y (place of the anchor then, pixels), nth (first box of the track beyond
-- the line, counted from 1; NULL where the line settles by time). A date that is NULL sets no limit on its side.
--
-- What crosses is the anchor of the box. `side_px` is its distance from the line through both ends, positive on the
-- right hand of one who walks from the first end to the second (picture, y down); `along` is 0 at the first end and 1
-- at the second. From negative to positive is forward.
--
-- Boxes jitter, so a place is sure only where it is further from the line than 0.1 of the box's height, which is two
-- standard deviations of a measured position in Deep SORT (h / 20, Wojke et al. 2017, as in its Kalman filter). A
-- track's first and last place are sure wherever they are, or a line near the picture's edge would never count; but
-- then the two places must be that far apart. Two sure places that follow on each other, on different sides, are a
-- passage, at the last change of sides between them; it is one of the line if that lies between the line's ends.
--
-- What lies between two passages is a stay, from its first sure place to its last. A stay shorter than settle_frames
-- boxes, or 1 s where the line has no such number, did not hold: the passages before and after it are one episode. An
-- episode is one crossing, in the direction of its surplus of passages of the line, at the last of them; without a
-- surplus it is none.
--
-- For speed: a track whose extent does not meet the line cannot cross it. Of the others, only boxes near the line are
-- read: those that are less far beyond a sure distance than 1.2 times the longest step of their track. Who leaves that band cannot come to the other side but through it, and was sure in it before it left, for from one box to
-- the next the place changes by a step at most, and 0.1 of the height by 0.2 steps. Of tracks without a stored extent, or
-- with steps far longer than the others', and of lines that settle by boxes, all boxes are read (`is_slow`).
-- Then tracks are summed up by the side of the line, which takes no order. Most are on one side only, or leave the one for
-- good before they come to the other, sure of both: then the two places between are all that is needed. Only of the
-- others is every place laid in order.
CREATE MACRO passages_computed(first_date, last_date) AS TABLE
WITH extent AS MATERIALIZED (
    SELECT tracklet_id, camera AS camera_id, x1, y1, x2, y2, 1.2 * longest_step_px AS reach_px
    FROM stored_extents
    WHERE
        (first_date IS NULL OR date >= first_date::DATE - 1)
        AND (last_date IS NULL OR date <= last_date::DATE + 2)
        AND EXISTS (FROM line_reads)
),
line AS MATERIALIZED (
    SELECT DISTINCT l.* EXCLUDE (date), coalesce(e.band_px, -1) AS band_px
    FROM line_reads AS l
    LEFT JOIN (
        -- A few tracks with very long steps would make the band of all too wide.
        SELECT camera_id, least(max(reach_px), 2 * quantile_disc(reach_px, 0.98)) AS band_px
        FROM extent
        GROUP BY camera_id
    ) AS e USING (camera_id)
    WHERE
        (first_date IS NULL OR date >= first_date::DATE)
        AND (last_date IS NULL OR date <= last_date::DATE)
),
shape AS MATERIALIZED (
    SELECT DISTINCT * EXCLUDE (read_date) FROM line
),
pair AS MATERIALIZED (
    -- As one list and out of it again: the planner takes it for one row, and reads the boxes past it, not it past them.
    SELECT unnest(list(k), recursive := true)
    FROM (
        SELECT
            (row_number() OVER ())::INTEGER AS pair,
            t.tracklet_id,
            t.class,
            epoch_us(t.started_at) AS started_us,
            epoch_us(t.ended_at) AS ended_us,
            e.reach_px,
            coalesce(e.reach_px > l.band_px, true) OR l.settle_frames IS NOT NULL AS is_slow,
            l.nth_line
        FROM tracklets AS t
        JOIN shape AS l ON l.camera_id = t.camera
        LEFT JOIN extent AS e ON e.tracklet_id = t.tracklet_id
        WHERE
            (first_date IS NULL OR t.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR t.date <= last_date::DATE + 2)
            AND (
                e.tracklet_id IS NULL
                OR (
                    least((l.left + l.right) * e.x1, (l.left + l.right) * e.x2)
                    + least((l.top + l.bottom) * e.y1, (l.top + l.bottom) * e.y2) <= l.middle
                    AND greatest((l.left + l.right) * e.x1, (l.left + l.right) * e.x2)
                    + greatest((l.top + l.bottom) * e.y1, (l.top + l.bottom) * e.y2) >= l.middle
                )
            )
    ) AS k
),
slow AS MATERIALIZED (
    SELECT unnest(list(k), recursive := true)
    FROM (SELECT p.pair, p.tracklet_id, s.* FROM pair AS p JOIN shape AS s USING (nth_line) WHERE p.is_slow) AS k
),
near AS MATERIALIZED (
    SELECT p.pair, epoch_us(n.captured_at) AS at_us, n.x1, n.y1, n.x2, n.y2, n.side_px
    FROM (
        SELECT
            o.tracklet_id,
            o.captured_at,
            o.x1,
            o.y1,
            o.x2,
            o.y2,
            l.nth_line,
            l.band_px,
            l.left * o.x1 + l.right * o.x2 + l.top * o.y1 + l.bottom * o.y2 - l.middle AS side_px
        FROM observations AS o JOIN line AS l ON o.camera = l.camera_id AND o.date = l.read_date
        WHERE
            (first_date IS NULL OR o.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
    ) AS n
    JOIN (FROM pair WHERE NOT is_slow) AS p ON p.tracklet_id = n.tracklet_id AND p.nth_line = n.nth_line
    WHERE
        abs(n.side_px) - 0.1 * (n.y2 - n.y1) <= n.band_px
        AND abs(n.side_px) - 0.1 * (n.y2 - n.y1) <= p.reach_px
),
by_side AS MATERIALIZED (
    SELECT
        pair,
        side_px < 0 AS is_left,
        min(at_us) AS first_us,
        max(at_us) AS last_us,
        max(abs(side_px) - 0.1 * (y2 - y1)) > 0 AS is_sure
    FROM (
        FROM near
        UNION ALL
        SELECT
            p.pair, epoch_us(o.captured_at), o.x1, o.y1, o.x2, o.y2,
            p.left * o.x1 + p.right * o.x2 + p.top * o.y1 + p.bottom * o.y2 - p.middle
        FROM observations AS o JOIN slow AS p ON p.tracklet_id = o.tracklet_id
        WHERE
            (first_date IS NULL OR o.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
    )
    GROUP BY pair, is_left
),
candidate AS MATERIALIZED (
    SELECT unnest(list(k), recursive := true)
    FROM (
        SELECT
            p.*,
            a.last_us < b.first_us AND a.is_sure AND b.is_sure AND NOT p.is_slow AS is_straight,
            a.last_us,
            b.first_us
        -- Each track once, the side it was on first before the other.
        FROM by_side AS a
        JOIN by_side AS b ON a.pair = b.pair AND a.is_left <> b.is_left AND a.first_us < b.first_us
        JOIN pair AS p ON p.pair = a.pair
    ) AS k
),
place AS MATERIALIZED (
    SELECT
        k.pair,
        k.is_straight,
        o.at_us = k.last_us AS is_before,
        o.at_us IN (k.started_us, k.ended_us) AS is_end,
        l.settle_frames,
        o.at_us,
        o.x1 + l.anchor_x * (o.x2 - o.x1) AS x,
        o.y1 + l.anchor_y * (o.y2 - o.y1) AS y,
        o.side_px,
        l.left_along * o.x1 + l.right_along * o.x2 + l.top_along * o.y1 + l.bottom_along * o.y2 - l.middle_along
        AS along,
        0.1 * (o.y2 - o.y1) AS margin_px,
        -- The side, 1 or -1, and twice that where it is sure.
        CASE WHEN o.side_px < 0 THEN -1 ELSE 1 END
        * CASE WHEN o.side_px <> 0 AND (abs(o.side_px) >= margin_px OR is_end) THEN 2 ELSE 1 END AS side
    FROM (
        FROM near
        UNION ALL
        SELECT
            p.pair, epoch_us(o.captured_at), o.x1, o.y1, o.x2, o.y2,
            p.left * o.x1 + p.right * o.x2 + p.top * o.y1 + p.bottom * o.y2 - p.middle
        FROM observations AS o
        JOIN (FROM slow SEMI JOIN candidate USING (pair)) AS p ON p.tracklet_id = o.tracklet_id
        WHERE
            (first_date IS NULL OR o.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
    ) AS o
    JOIN candidate AS k ON k.pair = o.pair
    JOIN shape AS l ON l.nth_line = k.nth_line
    WHERE NOT k.is_straight OR o.at_us = k.last_us OR o.at_us = k.first_us
),
-- Within a run of places of one side, all sure or all not, only the first and the last tell something.
run AS (
    SELECT *, abs(side) = 2 AS is_sure
    FROM (
        SELECT
            *,
            row_number() OVER track AS nth,
            lag(side) OVER track AS side_before,
            lead(side) OVER track AS side_after
        FROM place
        WHERE NOT is_straight
        WINDOW track AS (PARTITION BY pair ORDER BY at_us)
    )
    WHERE side_before IS DISTINCT FROM side OR side_after IS DISTINCT FROM side
),
step AS (
    SELECT
        *,
        lag(side_px) OVER track / (lag(side_px) OVER track - side_px) AS share,
        CASE WHEN (side < 0) <> (side_before < 0) THEN {
            'at_us': lag(at_us) OVER track + share * (at_us - lag(at_us) OVER track),
            'along': lag(along) OVER track + share * (along - lag(along) OVER track),
            'x': lag(x) OVER track + share * (x - lag(x) OVER track),
            'y': lag(y) OVER track + share * (y - lag(y) OVER track),
            'nth': nth
        } END AS step
    FROM run
    WINDOW track AS (PARTITION BY pair ORDER BY at_us)
),
changed AS (
    SELECT
        *,
        last_value(step IGNORE NULLS) OVER (PARTITION BY pair ORDER BY at_us ROWS UNBOUNDED PRECEDING) AS change
    FROM step
),
sure AS (
    SELECT
        *,
        lag(side_px) OVER track AS before_px,
        lag(margin_px) OVER track AS before_margin_px,
        lag(nth) OVER track AS before_nth,
        lag(at_us) OVER track AS before_us
    FROM changed
    WHERE is_sure
    WINDOW track AS (PARTITION BY pair ORDER BY at_us)
),
passage AS (
    SELECT
        *,
        CASE WHEN change.along NOT BETWEEN 0 AND 1 THEN 0 ELSE sign(side) END AS of_line,
        coalesce(
            CASE
                WHEN settle_frames IS NULL THEN before_us - lag(at_us) OVER track >= 1000000
                ELSE before_nth - lag(nth) OVER track + 1 >= settle_frames
            END,
            true
        ) AS begins_episode
    FROM sure
    WHERE
        (side_px < 0) <> (before_px < 0)
        AND abs(side_px - before_px) >= least(margin_px, before_margin_px)
    WINDOW track AS (PARTITION BY pair ORDER BY at_us)
),
episode AS (
    SELECT
        *, count_if(begins_episode) OVER (PARTITION BY pair ORDER BY at_us ROWS UNBOUNDED PRECEDING) AS episode
    FROM passage
),
netted AS (
    SELECT
        *,
        sum(of_line) OVER (PARTITION BY pair, episode) AS surplus,
        row_number() OVER (PARTITION BY pair, episode, of_line ORDER BY at_us DESC) AS from_last
    FROM episode
),
winding AS (
    SELECT
        pair,
        of_line > 0 AS is_forward,
        change.at_us::BIGINT AS crossed_us,
        change.x,
        change.y,
        CASE WHEN settle_frames IS NOT NULL THEN change.nth::INTEGER END AS nth
    FROM netted
    WHERE surplus <> 0 AND of_line = sign(surplus) AND from_last = 1
),
straight AS (
    SELECT
        pair,
        side_px_2 >= 0 AS is_forward,
        (at_us_1 + share * (at_us_2 - at_us_1))::BIGINT AS crossed_us,
        x_1 + share * (x_2 - x_1) AS x,
        y_1 + share * (y_2 - y_1) AS y,
        NULL::INTEGER AS nth
    FROM (
        SELECT *, side_px_1 / (side_px_1 - side_px_2) AS share
        FROM (
            SELECT
                pair,
                max(at_us) FILTER (is_before) AS at_us_1,
                max(x) FILTER (is_before) AS x_1,
                max(y) FILTER (is_before) AS y_1,
                max(along) FILTER (is_before) AS along_1,
                max(side_px) FILTER (is_before) AS side_px_1,
                max(at_us) FILTER (NOT is_before) AS at_us_2,
                max(x) FILTER (NOT is_before) AS x_2,
                max(y) FILTER (NOT is_before) AS y_2,
                max(along) FILTER (NOT is_before) AS along_2,
                max(side_px) FILTER (NOT is_before) AS side_px_2
            FROM place
            WHERE is_straight
            GROUP BY pair
        )
    )
    WHERE along_1 + share * (along_2 - along_1) BETWEEN 0 AND 1
)
SELECT
    timezone(c.time_zone, make_timestamptz(n.crossed_us))::DATE AS date,
    l.camera_id,
    l.line_id,
    n.is_forward,
    k.class,
    k.tracklet_id,
    make_timestamptz(n.crossed_us) AS crossed_at,
    n.x,
    n.y,
    n.nth
FROM (FROM winding UNION ALL FROM straight) AS n
JOIN candidate AS k ON k.pair = n.pair
JOIN shape AS l ON l.nth_line = k.nth_line
JOIN cameras AS c ON c.camera_id = l.camera_id
WHERE
    (first_date IS NULL OR timezone(c.time_zone, make_timestamptz(n.crossed_us))::DATE >= first_date::DATE)
    AND (last_date IS NULL OR timezone(c.time_zone, make_timestamptz(n.crossed_us))::DATE <= last_date::DATE);
