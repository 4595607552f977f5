-- trip_sightings(first_date, last_date, gap_min := 30): the sightings of identities, cut into trips, of the trips that
-- began on those local dates (or local date-times) at the camera that saw them first.
-- Columns: date (local, of the trip's begin), identity_id, trip (number of the identity's trip, from 1), class (of the
-- trip: the one most of its boxes have, of equals the first by name), camera_id, tracklet_id, started_at, ended_at.
-- A trip ends where no camera saw the identity for longer than gap_min minutes.
CREATE MACRO trip_sightings(first_date, last_date, gap_min := 30) AS TABLE
WITH sighting AS (
    SELECT
        i.identity_id,
        t.camera_id,
        t.tracklet_id,
        t.class,
        t.n_observations,
        t.started_at,
        t.ended_at,
        max(t.ended_at) OVER (
            PARTITION BY i.identity_id ORDER BY t.started_at, t.tracklet_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS seen_until
    FROM identities AS i JOIN tracklets AS t USING (tracklet_id)
    WHERE
        (first_date IS NULL OR t.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR t.date <= last_date::DATE + 2)
),
numbered AS MATERIALIZED (
    SELECT *, count_if(seen_until IS NULL OR epoch_us(started_at) - epoch_us(seen_until) > gap_min::DOUBLE * 6e7) OVER (
        PARTITION BY identity_id ORDER BY started_at, tracklet_id ROWS UNBOUNDED PRECEDING
    ) AS trip
    FROM sighting
),
trip_class AS (
    SELECT identity_id, trip, arg_min(class, (-boxes, class)) AS class
    FROM (SELECT identity_id, trip, class, sum(n_observations) AS boxes FROM numbered GROUP BY ALL)
    GROUP BY identity_id, trip
),
begun AS (
    SELECT n.identity_id, n.trip, timezone(c.time_zone, n.started_at) AS began_local
    FROM (
        SELECT
            identity_id,
            trip,
            min(started_at) AS started_at,
            arg_min(camera_id, (started_at, tracklet_id)) AS camera_id
        FROM numbered
        GROUP BY identity_id, trip
    ) AS n
    JOIN cameras AS c USING (camera_id)
)
SELECT
    b.began_local::DATE AS date,
    n.identity_id,
    n.trip,
    k.class,
    n.camera_id,
    n.tracklet_id,
    n.started_at,
    n.ended_at
FROM numbered AS n
JOIN trip_class AS k USING (identity_id, trip)
JOIN begun AS b USING (identity_id, trip)
WHERE
    (first_date IS NULL OR b.began_local >= local_from(first_date))
    AND (last_date IS NULL OR b.began_local < local_until(last_date))
ORDER BY n.identity_id, n.trip, n.started_at, n.tracklet_id;
