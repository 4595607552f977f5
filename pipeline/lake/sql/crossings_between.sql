-- crossings_between(first_date, last_date): one row per crossing of a line by a tracklet, on those local dates.
-- Columns: date (local, of the crossing), camera_id, line_id, direction (the line's own name for it), class (of the
-- tracklet), tracklet_id, crossed_at (interpolated between frames). A date that is NULL sets no limit on its side.
--
-- What crosses is the bottom centre of the box, where the object stands. `side_px` is its distance from the line
-- through both ends, positive on the right hand of one who walks from the first end to the second (picture, y down);
-- `along` is 0 at the first end and 1 at the second. From negative to positive is `forward`.
--
-- Boxes jitter, so a change of sides holds only between two decided places: those further from the line than 0.1 of the
-- box's height, which is two standard deviations of a measured position in Deep SORT (h / 20, Wojke et al. 2017, as in
-- its Kalman filter). A track's first and last place are decided wherever they are, or a line near the picture's edge
-- would never count; but then the two places must be that far apart. The crossing happens at the last change of sides
-- between the two decided places, and counts when that lies between the line's ends.
--
-- What is over and back within 2 s did not cross: at 1.4 m/s (HCM 2016, walking) a person gets a metre over a line and back
-- in that time, while boxes that another object pulls over and lets go are back as soon as it has passed. So crossings
-- of one line by one tracklet that follow on each other within 2 s are one episode, of which only the surplus of one
-- direction over the other counts, its last ones.
CREATE MACRO crossings_between(first_date, last_date) AS TABLE
WITH place AS (
    SELECT
        camera,
        tracklet_id,
        epoch_us(captured_at) AS at_us,
        (x1 + x2) / 2.0 AS x,
        y2::DOUBLE AS y,
        0.1 * (y2 - y1) AS margin_px
    FROM observations AS o
    -- A segment belongs to the date it starts on and may run into the next; a track may come from the one before.
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
),
-- Every place with its two neighbours, found once for all lines.
step AS (
    SELECT
        *,
        lag(at_us) OVER track AS at_us_0,
        lag(x) OVER track AS x_0,
        lag(y) OVER track AS y_0,
        lag(margin_px) OVER track AS margin_px_0,
        lead(x) OVER track AS x_2,
        lead(y) OVER track AS y_2,
        lead(margin_px) OVER track AS margin_px_2
    FROM place
    WINDOW track AS (PARTITION BY camera, tracklet_id ORDER BY at_us)
),
sided AS (
    SELECT
        s.camera AS camera_id,
        s.tracklet_id,
        l.line_id,
        at_us,
        at_us_0,
        margin_px,
        margin_px_0,
        margin_px_2,
        x_0 IS NULL OR x_2 IS NULL AS is_end,
        (dx * (y - l.y1) - dy * (x - l.x1)) / length_px AS side_px,
        (dx * (y_0 - l.y1) - dy * (x_0 - l.x1)) / length_px AS side_px_0,
        (dx * (y_2 - l.y1) - dy * (x_2 - l.x1)) / length_px AS side_px_2,
        (dx * (x - l.x1) + dy * (y - l.y1)) / length_px ** 2 AS along,
        (dx * (x_0 - l.x1) + dy * (y_0 - l.y1)) / length_px ** 2 AS along_0
    FROM step AS s
    JOIN (
        SELECT camera_id, line_id, x1, y1, x2 - x1 AS dx, y2 - y1 AS dy, sqrt(dx ** 2 + dy ** 2) AS length_px FROM lines
    ) AS l ON s.camera = l.camera_id
),
-- Most places are decided, between two that are decided for the same side: they cannot bound a crossing.
changed AS (
    SELECT
        *,
        coalesce((side_px < 0) <> (side_px_0 < 0), false) AS changes_side,
        side_px_0 / (side_px_0 - side_px) AS share_of_step,
        side_px <> 0 AND (is_end OR abs(side_px) >= margin_px) AS is_decided
    FROM sided
    WHERE
        is_end
        OR changes_side
        OR (
            is_decided
            AND (
                (side_px < 0) <> (side_px_2 < 0) OR abs(side_px_0) < margin_px_0 OR abs(side_px_2) < margin_px_2
            )
        )
),
decided AS (
    SELECT
        *,
        last_value(CASE WHEN changes_side THEN at_us_0 + share_of_step * (at_us - at_us_0) END IGNORE NULLS)
            OVER track AS changed_at_us,
        last_value(CASE WHEN changes_side THEN along_0 + share_of_step * (along - along_0) END IGNORE NULLS)
            OVER track AS changed_along
    FROM changed
    WINDOW track AS (
        PARTITION BY camera_id, tracklet_id, line_id ORDER BY at_us ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),
pair AS (
    SELECT
        *,
        lag(side_px) OVER track AS decided_before_px,
        lag(margin_px) OVER track AS margin_before_px
    FROM decided
    WHERE is_decided
    WINDOW track AS (PARTITION BY camera_id, tracklet_id, line_id ORDER BY at_us)
),
passage AS (
    SELECT
        camera_id,
        line_id,
        side_px > 0 AS is_forward,
        tracklet_id,
        changed_at_us,
        coalesce(changed_at_us - lag(changed_at_us) OVER track > 2e6, true) AS begins_episode
    FROM pair
    WHERE
        (side_px < 0) <> (decided_before_px < 0)
        AND abs(side_px - decided_before_px) >= least(margin_px, margin_before_px)
        AND changed_along BETWEEN 0 AND 1
    WINDOW track AS (PARTITION BY camera_id, tracklet_id, line_id ORDER BY changed_at_us)
),
episode AS (
    SELECT *, count_if(begins_episode) OVER (
        PARTITION BY camera_id, tracklet_id, line_id ORDER BY changed_at_us
    ) AS episode
    FROM passage
),
netted AS (
    SELECT
        *,
        sum(CASE WHEN is_forward THEN 1 ELSE -1 END) OVER whole AS surplus,
        row_number() OVER (
            PARTITION BY camera_id, tracklet_id, line_id, episode, is_forward ORDER BY changed_at_us DESC
        ) AS from_last
    FROM episode
    WINDOW whole AS (PARTITION BY camera_id, tracklet_id, line_id, episode)
),
crossing AS (
    SELECT camera_id, line_id, is_forward, tracklet_id, make_timestamptz(changed_at_us::BIGINT) AS crossed_at
    FROM netted
    WHERE (surplus > 0) = is_forward AND from_last <= abs(surplus)
)
SELECT
    timezone(c.time_zone, x.crossed_at)::DATE AS date,
    x.camera_id,
    x.line_id,
    CASE WHEN x.is_forward THEN l.forward ELSE l.backward END AS direction,
    t.class,
    x.tracklet_id,
    x.crossed_at
FROM crossing AS x
JOIN lines AS l ON l.camera_id = x.camera_id AND l.line_id = x.line_id
JOIN cameras AS c ON c.camera_id = x.camera_id
JOIN (
    SELECT tracklet_id, class
    FROM tracklets AS k
    WHERE
        (first_date IS NULL OR k.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR k.date <= last_date::DATE + 2)
) AS t ON t.tracklet_id = x.tracklet_id AND (l.classes IS NULL OR list_contains(l.classes, t.class))
WHERE
    (first_date IS NULL OR timezone(c.time_zone, x.crossed_at)::DATE >= first_date::DATE)
    AND (last_date IS NULL OR timezone(c.time_zone, x.crossed_at)::DATE <= last_date::DATE);
