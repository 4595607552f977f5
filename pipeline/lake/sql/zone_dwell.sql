-- zone_dwell(first_date, last_date): how long objects stayed in zones, of the stays that began on those local dates (or
-- local date-times).
-- Columns: camera_id, zone_id, class, visits, lower_bounds (how many of them are: the track began or ended inside, so
-- that the object stayed at least as long), total_s, mean_s, median_s, longest_s (all visits, each as long as it was
-- seen). A zone nobody entered has one row, its class NULL and 0 visits; where its camera did not watch at all in that
-- time, NULL visits.
CREATE MACRO zone_dwell(first_date, last_date) AS TABLE
SELECT
    z.camera_id,
    z.zone_id,
    v.class,
    CASE WHEN count(v.tracklet_id) > 0 OR any_value(w.camera_id) IS NOT NULL THEN count(v.tracklet_id) END AS visits,
    CASE WHEN visits IS NOT NULL THEN coalesce(count_if(v.is_lower_bound), 0)::BIGINT END AS lower_bounds,
    -- Whole microseconds add up to the same total in whatever order.
    CASE
        WHEN visits IS NOT NULL THEN coalesce(sum(epoch_us(v.left_at) - epoch_us(v.entered_at)), 0) / 1e6
    END AS total_s,
    total_s / nullif(visits, 0) AS mean_s,
    median(v.dwell_s) AS median_s,
    max(v.dwell_s) AS longest_s
FROM zones AS z
LEFT JOIN zone_stays(first_date, last_date) AS v ON v.camera_id = z.camera_id AND v.zone_id = z.zone_id
LEFT JOIN (
    SELECT DISTINCT s.camera_id
    FROM watched AS s
    JOIN cameras AS c USING (camera_id)
    WHERE
        (first_date IS NULL OR timezone(c.time_zone, s.ended_at) > local_from(first_date))
        AND (last_date IS NULL OR timezone(c.time_zone, s.started_at) < local_until(last_date))
) AS w ON w.camera_id = z.camera_id
GROUP BY z.camera_id, z.zone_id, v.class
ORDER BY z.camera_id, z.zone_id, v.class;
