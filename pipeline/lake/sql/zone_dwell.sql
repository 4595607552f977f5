-- zone_dwell(first_date, last_date): how long objects stayed in zones, on those local dates.
-- Columns: camera_id, zone_id, class, visits, total_s, mean_s, median_s, longest_s. A zone nobody entered has one row,
-- its class NULL and 0 visits.
CREATE MACRO zone_dwell(first_date, last_date) AS TABLE
SELECT
    z.camera_id,
    z.zone_id,
    v.class,
    count(v.tracklet_id) AS visits,
    -- Whole microseconds add up to the same total in whatever order.
    coalesce(sum(epoch_us(v.left_at) - epoch_us(v.entered_at)), 0) / 1e6 AS total_s,
    total_s / nullif(visits, 0) AS mean_s,
    median(v.dwell_s) AS median_s,
    max(v.dwell_s) AS longest_s
FROM zones AS z
LEFT JOIN zone_visits_between(first_date, last_date) AS v ON v.camera_id = z.camera_id AND v.zone_id = z.zone_id
GROUP BY z.camera_id, z.zone_id, v.class
ORDER BY z.camera_id, z.zone_id, v.class;
