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
-- For speed: pieces of tracks (see extents_computed) that lie on one side of the line, sure of it, are left out, and so
-- are tracks none of whose other pieces can be between the line's ends. Of each other track one stretch of boxes is
-- read, from the first piece that may touch the line to the last: before and after these it is on one side, sure of it,
-- and the stretch begins and ends with such a place, or with the track. Where a line settles by boxes, the stretch begins
-- with the track, since boxes are counted from there.
-- Then tracks are summed up by the side of the line, which takes no order. Most leave the one for good before they come
-- to the other, sure of both: then the two places between are all that is needed. Only of the others is every place laid
-- in order: of all tracks at once, since thousands of small windows take longer than one that goes through all of them.
CREATE MACRO passages_computed(first_date, last_date) AS TABLE
WITH line AS MATERIALIZED (
    SELECT DISTINCT * EXCLUDE (date)
    FROM line_reads
    WHERE
        (first_date IS NULL OR date >= first_date::DATE)
        AND (last_date IS NULL OR date <= last_date::DATE)
),
shape AS MATERIALIZED (
    SELECT DISTINCT * EXCLUDE (ended_on) FROM line
),
extent AS (
    SELECT * EXCLUDE (camera_id) FROM stored_extents
    UNION ALL BY NAME
    SELECT * EXCLUDE (camera_id), camera_id AS camera
    FROM extents_computed(first_date::DATE - 1, last_date::DATE + 2)
),
stretch AS (
    SELECT tracklet_id, nth_line, min(from_at) AS from_at, max(until_at) AS until_at
    FROM (
        SELECT
            e.tracklet_id,
            l.nth_line,
            e.from_at,
            e.until_at,
            0.2 * (e.y2_most - e.y1_least) + 0.001 AS margins_px,
            -- Over a piece's boxes, twice the middle of where `side_px` and `along` may lie, and how far they may spread.
            l.left * (e.x1_least + e.x1_most)
            + l.right * (e.x2_least + e.x2_most)
            + l.top * (e.y1_least + e.y1_most)
            + l.bottom * (e.y2_least + e.y2_most)
            - 2 * l.middle AS sides_px,
            abs(l.left) * (e.x1_most - e.x1_least)
            + abs(l.right) * (e.x2_most - e.x2_least)
            + abs(l.top) * (e.y1_most - e.y1_least)
            + abs(l.bottom) * (e.y2_most - e.y2_least) AS spread_px,
            l.left_along * (e.x1_least + e.x1_most)
            + l.right_along * (e.x2_least + e.x2_most)
            + l.top_along * (e.y1_least + e.y1_most)
            + l.bottom_along * (e.y2_least + e.y2_most)
            - 2 * l.middle_along AS alongs,
            abs(l.left_along) * (e.x1_most - e.x1_least)
            + abs(l.right_along) * (e.x2_most - e.x2_least)
            + abs(l.top_along) * (e.y1_most - e.y1_least)
            + abs(l.bottom_along) * (e.y2_most - e.y2_least) AS spread
        FROM extent AS e
        JOIN line AS l ON l.camera_id = e.camera AND l.ended_on = e.date
        WHERE
            (first_date IS NULL OR e.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR e.date <= last_date::DATE + 2)
    )
    WHERE abs(sides_px) <= spread_px + margins_px
    GROUP BY tracklet_id, nth_line
    HAVING bool_or(abs(alongs - 1) <= spread + 1.001)
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
            CASE WHEN l.settle_frames IS NULL THEN s.from_at ELSE t.started_at END AS from_at,
            s.until_at,
            l.nth_line,
            l.settle_frames,
            l.left,
            l.right,
            l.top,
            l.bottom,
            l.middle
        FROM tracklets AS t
        JOIN stretch AS s ON s.tracklet_id = t.tracklet_id
        JOIN shape AS l ON l.nth_line = s.nth_line
        WHERE
            (first_date IS NULL OR t.date >= first_date::DATE - 1)
            AND (last_date IS NULL OR t.date <= last_date::DATE + 2)
    ) AS k
),
near AS MATERIALIZED (
    SELECT
        p.pair,
        epoch_us(o.captured_at) AS at_us,
        o.x1,
        o.y1,
        o.x2,
        o.y2,
        p.left * o.x1 + p.right * o.x2 + p.top * o.y1 + p.bottom * o.y2 - p.middle AS side_px
    FROM observations AS o
    JOIN pair AS p
        ON p.tracklet_id = o.tracklet_id AND o.captured_at >= p.from_at AND o.captured_at <= p.until_at
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 2)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 2)
),
by_side AS MATERIALIZED (
    SELECT
        pair,
        side_px < 0 AS is_left,
        min(at_us) AS first_us,
        max(at_us) AS last_us,
        max(abs(side_px) - 0.1 * (y2 - y1)) > 0 AS is_sure
    FROM near
    GROUP BY pair, is_left
),
candidate AS MATERIALIZED (
    SELECT unnest(list(k), recursive := true)
    FROM (
        SELECT
            p.*,
            a.last_us < b.first_us AND a.is_sure AND b.is_sure AND p.settle_frames IS NULL AS is_straight,
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
    FROM near AS o
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
            CASE WHEN lag(pair) OVER track = pair THEN lag(side) OVER track END AS side_before,
            CASE WHEN lead(pair) OVER track = pair THEN lead(side) OVER track END AS side_after
        FROM place
        WHERE NOT is_straight
        WINDOW track AS (ORDER BY pair, at_us)
    )
    WHERE side_before IS DISTINCT FROM side OR side_after IS DISTINCT FROM side
),
step AS (
    SELECT
        *,
        lag(side_px) OVER track / (lag(side_px) OVER track - side_px) AS share,
        -- The first place of a track has no side before.
        CASE WHEN (side < 0) <> (side_before < 0) THEN {
            'at_us': lag(at_us) OVER track + share * (at_us - lag(at_us) OVER track),
            'along': lag(along) OVER track + share * (along - lag(along) OVER track),
            'x': lag(x) OVER track + share * (x - lag(x) OVER track),
            'y': lag(y) OVER track + share * (y - lag(y) OVER track),
            'nth': nth
        } END AS step
    FROM run
    WINDOW track AS (ORDER BY pair, at_us)
),
changed AS (
    SELECT *, last_value(step IGNORE NULLS) OVER (ORDER BY pair, at_us ROWS UNBOUNDED PRECEDING) AS change
    FROM step
),
sure AS (
    SELECT
        *,
        CASE WHEN lag(pair) OVER track = pair THEN lag(side_px) OVER track END AS before_px,
        lag(margin_px) OVER track AS before_margin_px,
        lag(nth) OVER track AS before_nth,
        lag(at_us) OVER track AS before_us
    FROM changed
    WHERE is_sure
    WINDOW track AS (ORDER BY pair, at_us)
),
passage AS (
    SELECT
        *,
        CASE WHEN change.along NOT BETWEEN 0 AND 1 THEN 0 ELSE sign(side) END AS of_line,
        CASE
            WHEN lag(pair) OVER track IS DISTINCT FROM pair THEN true
            WHEN settle_frames IS NULL THEN before_us - lag(at_us) OVER track >= 1000000
            ELSE before_nth - lag(nth) OVER track + 1 >= settle_frames
        END AS begins_episode
    FROM sure
    WHERE
        (side_px < 0) <> (before_px < 0)
        AND abs(side_px - before_px) >= least(margin_px, before_margin_px)
    WINDOW track AS (ORDER BY pair, at_us)
),
episode AS (
    SELECT *, count_if(begins_episode) OVER (ORDER BY pair, at_us ROWS UNBOUNDED PRECEDING) AS episode
    FROM passage
),
netted AS (
    SELECT
        pair,
        any_value(settle_frames) AS settle_frames,
        sum(of_line) AS surplus,
        arg_max(change, at_us) FILTER (of_line = 1) AS last_forward,
        arg_max(change, at_us) FILTER (of_line = -1) AS last_backward
    FROM episode
    GROUP BY pair, episode
),
winding AS (
    SELECT
        c.pair,
        c.surplus > 0 AS is_forward,
        c.change.at_us::BIGINT AS crossed_us,
        c.change.x,
        c.change.y,
        CASE WHEN c.settle_frames IS NOT NULL THEN (c.change.nth - f.nth + 1)::INTEGER END AS nth
    FROM (
        SELECT *, CASE WHEN surplus > 0 THEN last_forward ELSE last_backward END AS change
        FROM netted
        WHERE surplus <> 0
    ) AS c
    JOIN (SELECT pair, min(nth) AS nth FROM run GROUP BY pair) AS f ON f.pair = c.pair
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
