-- identity_sightings: where and when each identity was seen, in order.
-- Columns: identity_id, nth (1 for the first sighting), camera_id, class, tracklet_id, started_at, ended_at,
-- confidence, from_camera_id and travel_s (camera of the sighting before, and the time from its end to this start:
-- negative where both cameras saw the object at once; null in the first).
CREATE VIEW identity_sightings AS
SELECT
    i.identity_id,
    row_number() OVER sighting AS nth,
    t.camera_id,
    t.class,
    t.tracklet_id,
    t.started_at,
    t.ended_at,
    i.confidence,
    lag(t.camera_id) OVER sighting AS from_camera_id,
    (epoch_us(t.started_at) - epoch_us(lag(t.ended_at) OVER sighting)) / 1e6 AS travel_s
FROM identities AS i
JOIN tracklets AS t USING (tracklet_id)
WINDOW sighting AS (PARTITION BY i.identity_id ORDER BY t.started_at, t.tracklet_id)
ORDER BY i.identity_id, nth;
