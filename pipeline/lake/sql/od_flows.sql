-- od_flows(first_date, last_date, gap_min := 30): trips of identities by the cameras they began and ended in.
-- Columns: date (local, of the trip's begin), origin_camera_id, destination_camera_id, class, count, median_s (of the
-- time from the first sighting's begin to the last one's end).
-- Sorted by all of these. Trips are those of trip_sightings; one that a single camera saw has it as both.
CREATE MACRO od_flows(first_date, last_date, gap_min := 30) AS TABLE
SELECT date, origin_camera_id, destination_camera_id, class, count(*) AS count, median(trip_s) AS median_s
FROM (
    SELECT
        date,
        class,
        arg_min(camera_id, (started_at, tracklet_id)) AS origin_camera_id,
        arg_max(camera_id, (ended_at, tracklet_id)) AS destination_camera_id,
        (max(epoch_us(ended_at)) - min(epoch_us(started_at))) / 1e6 AS trip_s
    FROM trip_sightings(first_date, last_date, gap_min := gap_min)
    GROUP BY date, identity_id, trip, class
)
GROUP BY date, origin_camera_id, destination_camera_id, class
ORDER BY date, origin_camera_id, destination_camera_id, class;
