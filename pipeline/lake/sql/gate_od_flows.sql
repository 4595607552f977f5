-- gate_od_flows(first_date, last_date, gap_min := 30): trips of identities by the first and the last gate they passed,
-- where these are in different cameras (within one camera: turning_movements).
-- Columns: date (local, of the trip's begin), from_camera_id, from_gate, from_direction, to_camera_id, to_gate,
-- to_direction, class, count, median_s (of the time between the two passages).
-- Sorted by all of these. Trips are those of trip_sightings.
CREATE MACRO gate_od_flows(first_date, last_date, gap_min := 30) AS TABLE
WITH passage AS (
    SELECT s.date, s.identity_id, s.trip, s.class, s.camera_id, x.gate_id, x.direction, x.crossed_at, x.tracklet_id
    FROM trip_sightings(first_date, last_date, gap_min := gap_min) AS s
    JOIN gate_crossings_between(first_date::DATE - 1, last_date::DATE + 1) AS x
        ON x.tracklet_id = s.tracklet_id AND x.camera_id = s.camera_id
),
journey AS (
    SELECT
        date,
        class,
        arg_min((camera_id, gate_id, direction), (crossed_at, tracklet_id, gate_id)) AS origin,
        arg_max((camera_id, gate_id, direction), (crossed_at, tracklet_id, gate_id)) AS destination,
        (max(epoch_us(crossed_at)) - min(epoch_us(crossed_at))) / 1e6 AS travel_s
    FROM passage
    GROUP BY date, identity_id, trip, class
)
SELECT
    date,
    origin[1] AS from_camera_id,
    origin[2] AS from_gate,
    origin[3] AS from_direction,
    destination[1] AS to_camera_id,
    destination[2] AS to_gate,
    destination[3] AS to_direction,
    class,
    count(*) AS count,
    median(travel_s) AS median_s
FROM journey
WHERE origin[1] <> destination[1]
GROUP BY ALL
ORDER BY ALL;
