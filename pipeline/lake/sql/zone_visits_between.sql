-- zone_visits_between(first_date, last_date): one row per stay of a tracklet in a zone, entered on those local dates.
-- Columns: date (local, of the entry), camera_id, zone_id, class (of the tracklet), tracklet_id, entered_at and left_at
-- (first and last frame inside), dwell_s (between the two). A date that is NULL sets no limit on its side.
--
-- Inside is where the bottom centre of the box is, by the even-odd rule. A stay goes on over frames in which the object
-- was not detected (no row says that it left), and over frames outside for at most 1 s, which is the jitter of a box
-- on the zone's edge and not a walk out and in.
CREATE MACRO zone_visits_between(first_date, last_date) AS TABLE
WITH place AS (
    SELECT
        camera,
        tracklet_id,
        captured_at,
        (x1 + x2) / 2.0 AS px,
        y2::DOUBLE AS py,
        row_number() OVER (PARTITION BY camera, tracklet_id ORDER BY captured_at) AS nth
    FROM observations AS o
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
),
inside AS (
    SELECT p.camera AS camera_id, z.zone_id, p.tracklet_id, p.captured_at, p.nth
    FROM place AS p
    JOIN (
        SELECT
            camera_id, zone_id, x, y,
            list_min(x) AS left_px, list_max(x) AS right_px, list_min(y) AS top_px, list_max(y) AS bottom_px
        FROM zones
    ) AS z
        ON p.camera = z.camera_id
        AND px BETWEEN z.left_px AND z.right_px
        AND py BETWEEN z.top_px AND z.bottom_px
    WHERE
        -- Edges i to i + 1 that a ray from the point to the right meets: an odd number from inside.
        list_sum(list_transform(range(1, len(x) + 1), lambda i: (
            (y[i] > py) <> (y[i % len(x) + 1] > py)
            AND px < x[i] + (x[i % len(x) + 1] - x[i]) * (py - y[i]) / (y[i % len(x) + 1] - y[i])
        )::INTEGER)) % 2 = 1
),
numbered AS (
    SELECT *, count_if(is_entry) OVER (
        PARTITION BY camera_id, tracklet_id, zone_id ORDER BY captured_at ROWS UNBOUNDED PRECEDING
    ) AS stay
    FROM (
        SELECT
            *,
            coalesce(
                nth - lag(nth) OVER track > 1 AND captured_at - lag(captured_at) OVER track > INTERVAL 1 SECOND, false
            ) AS is_entry
        FROM inside
        WINDOW track AS (PARTITION BY camera_id, tracklet_id, zone_id ORDER BY captured_at)
    )
),
visit AS (
    SELECT camera_id, zone_id, tracklet_id, min(captured_at) AS entered_at, max(captured_at) AS left_at
    FROM numbered
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
    (epoch_us(v.left_at) - epoch_us(v.entered_at)) / 1e6 AS dwell_s
FROM visit AS v
JOIN cameras AS c ON c.camera_id = v.camera_id
JOIN (
    SELECT tracklet_id, class
    FROM tracklets AS k
    WHERE
        (first_date IS NULL OR k.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR k.date <= last_date::DATE + 2)
) AS t ON t.tracklet_id = v.tracklet_id
WHERE
    (first_date IS NULL OR timezone(c.time_zone, v.entered_at)::DATE >= first_date::DATE)
    AND (last_date IS NULL OR timezone(c.time_zone, v.entered_at)::DATE <= last_date::DATE);
