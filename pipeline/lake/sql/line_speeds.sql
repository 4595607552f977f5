-- line_speeds(first_date, last_date): how fast every crossing was, on those local dates; one row per crossing.
-- Columns: date, camera_id, line_id, gate_id, direction, class, tracklet_id, crossed_at (see crossings_between),
-- speed_kmh, error_kmh (its standard deviation: that of the boxes and, where known, of the calibration), box_error_kmh
-- (that of the boxes alone), scale_error (relative, that of the calibration; NULL where it is not known), n_boxes and
-- way_m (detected boxes it was measured over, and how far they reach).
-- speed_kmh and its errors are NULL where the camera has no homography, and where the speed cannot be measured: fewer
-- than 5 detected boxes within half a second of the crossing, less than 0.5 s between the first and the last of them,
-- or less than 0.5 m covered. A date that is NULL sets no limit on its side.
--
-- The bottom centres of those boxes are laid on the ground by the camera's homography, whatever the anchor of the line.
-- The velocity is, for each axis, the median of the slopes of all pairs of them (Theil 1950, Sen 1968), which up to 29 %
-- of bad boxes cannot spoil. Its error takes the boxes to be off by 1/20 of their height, at least a pixel, as in the
-- Kalman filter of Deep SORT (Wojke et al. 2017), at both ends of the way independently: neighbouring boxes err alike,
-- so those between add nothing. It is carried to the ground by the homography's derivative at the crossing.
CREATE MACRO line_speeds(first_date, last_date) AS TABLE
WITH crossing AS (
    SELECT x.*, l.scale_error, c.homography AS h
    FROM crossings_between(first_date, last_date) AS x
    JOIN lines AS l ON l.camera_id = x.camera_id AND l.line_id = x.line_id
    JOIN cameras AS c ON c.camera_id = x.camera_id
),
-- What a crossing is told from another by; the sign of the depth says on which side of the horizon the ground lies.
known AS (
    SELECT camera_id, line_id, tracklet_id, crossed_at, h, h[7] * x + h[8] * y + h[9] AS depth
    FROM crossing
    WHERE h IS NOT NULL
),
box AS (
    SELECT
        k.camera_id,
        k.line_id,
        k.tracklet_id,
        k.crossed_at,
        (epoch_us(o.captured_at) - epoch_us(k.crossed_at)) / 1e6 AS t_s,
        (o.x1 + o.x2) / 2.0 AS x,
        o.y2::DOUBLE AS y,
        (o.y2 - o.y1)::DOUBLE AS height_px,
        h[7] * x + h[8] * y + h[9] AS deep,
        (h[1] * x + h[2] * y + h[3]) / deep AS x_m,
        (h[4] * x + h[5] * y + h[6]) / deep AS y_m
    FROM observations AS o
    JOIN known AS k ON o.camera = k.camera_id AND o.tracklet_id = k.tracklet_id
    WHERE
        NOT o.interpolated
        AND (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
        AND abs(epoch_us(o.captured_at) - epoch_us(k.crossed_at)) <= 500000
        AND (h[7] * ((o.x1 + o.x2) / 2.0) + h[8] * o.y2 + h[9]) * k.depth > 0
),
span AS (
    SELECT
        camera_id,
        line_id,
        tracklet_id,
        crossed_at,
        count(*) AS n_boxes,
        max(t_s) - min(t_s) AS span_s,
        median(x) AS x,
        median(y) AS y,
        greatest(1.0, avg(height_px) / 20) AS noise_px
    FROM box
    GROUP BY camera_id, line_id, tracklet_id, crossed_at
    HAVING n_boxes >= 5 AND span_s >= 0.5
),
velocity AS (
    SELECT
        camera_id,
        line_id,
        tracklet_id,
        crossed_at,
        median((b.x_m - a.x_m) / (b.t_s - a.t_s)) AS x_ms,
        median((b.y_m - a.y_m) / (b.t_s - a.t_s)) AS y_ms
    FROM box AS a
    JOIN box AS b USING (camera_id, line_id, tracklet_id, crossed_at)
    WHERE a.t_s < b.t_s
    GROUP BY camera_id, line_id, tracklet_id, crossed_at
),
-- The way's direction, seen through the homography's derivative: metres along the way for a pixel right, and down.
moved AS (
    SELECT
        camera_id,
        line_id,
        tracklet_id,
        crossed_at,
        n_boxes,
        span_s,
        noise_px,
        sqrt(x_ms ** 2 + y_ms ** 2) AS speed_ms,
        h[7] * x + h[8] * y + h[9] AS deep,
        (h[1] * x + h[2] * y + h[3]) / deep AS x_m,
        (h[4] * x + h[5] * y + h[6]) / deep AS y_m,
        (x_ms * (h[1] - x_m * h[7]) + y_ms * (h[4] - y_m * h[7])) / (speed_ms * deep) AS right_m,
        (x_ms * (h[2] - x_m * h[8]) + y_ms * (h[5] - y_m * h[8])) / (speed_ms * deep) AS down_m,
        sqrt(2) * noise_px * sqrt(right_m ** 2 + down_m ** 2) / span_s AS box_error_ms
    FROM span
    JOIN velocity USING (camera_id, line_id, tracklet_id, crossed_at)
    JOIN known USING (camera_id, line_id, tracklet_id, crossed_at)
    WHERE speed_ms * span_s >= 0.5
)
SELECT
    c.date,
    c.camera_id,
    c.line_id,
    c.gate_id,
    c.direction,
    c.class,
    c.tracklet_id,
    c.crossed_at,
    3.6 * m.speed_ms AS speed_kmh,
    3.6 * sqrt(m.box_error_ms ** 2 + coalesce(c.scale_error * m.speed_ms, 0) ** 2) AS error_kmh,
    3.6 * m.box_error_ms AS box_error_kmh,
    c.scale_error,
    m.n_boxes,
    m.speed_ms * m.span_s AS way_m
FROM crossing AS c
LEFT JOIN moved AS m USING (camera_id, line_id, tracklet_id, crossed_at);
