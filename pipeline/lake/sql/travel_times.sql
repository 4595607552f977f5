-- travel_times(first_date, last_date, gap_min := 30): how long identities took from one camera to the next.
-- Columns: from_camera_id, to_camera_id, class (of the trip), count, overlapping (how many of them both cameras saw at
-- once: their time is below 0), min_s, median_s, p85_s (85th percentile, interpolated).
-- Sorted by cameras and class. The time runs from leaving one camera's picture (the end of the tracklet) to entering the
-- other's (the begin of the next one in the trip), of trips that began on those local dates; see trip_sightings.
CREATE MACRO travel_times(first_date, last_date, gap_min := 30) AS TABLE
SELECT
    from_camera_id,
    camera_id AS to_camera_id,
    class,
    count(*) AS count,
    count_if(travel_s < 0) AS overlapping,
    min(travel_s) AS min_s,
    median(travel_s) AS median_s,
    quantile_cont(travel_s, 0.85) AS p85_s
FROM (
    SELECT
        class,
        camera_id,
        lag(camera_id) OVER trip AS from_camera_id,
        (epoch_us(started_at) - epoch_us(lag(ended_at) OVER trip)) / 1e6 AS travel_s
    FROM trip_sightings(first_date, last_date, gap_min := gap_min)
    WINDOW trip AS (PARTITION BY identity_id, trip ORDER BY started_at, tracklet_id)
)
WHERE from_camera_id <> camera_id
GROUP BY ALL
ORDER BY ALL;
