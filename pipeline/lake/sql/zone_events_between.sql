-- zone_events_between(first_date, last_date): one row per entering and leaving of a zone that was seen, on those local
-- dates. A track that began inside was not seen to enter, and one that ended inside was not seen to leave: their stays
-- are in zone_visits_between.
-- Columns: date (local, of the event), camera_id, zone_id, class (of the tracklet), tracklet_id, at (first frame inside,
-- or the last), event ('enter' or 'leave'). A date that is NULL sets no limit on its side.
CREATE MACRO zone_events_between(first_date, last_date) AS TABLE
WITH event AS (
    SELECT
        v.camera_id, v.zone_id, v.class, v.tracklet_id,
        unnest([
            {'at': v.entered_at, 'event': 'enter', 'is_seen': NOT v.began_inside},
            {'at': v.left_at, 'event': 'leave', 'is_seen': NOT v.ended_inside}
        ]) AS e
    -- A stay that began the day before may end on the first date.
    FROM zone_visits_between(first_date::DATE - 1, last_date) AS v
)
SELECT
    timezone(c.time_zone, e.at)::DATE AS date,
    v.camera_id,
    v.zone_id,
    v.class,
    v.tracklet_id,
    e.at,
    e.event
FROM event AS v
JOIN cameras AS c ON c.camera_id = v.camera_id
WHERE
    e.is_seen
    AND (first_date IS NULL OR timezone(c.time_zone, e.at)::DATE >= first_date::DATE)
    AND (last_date IS NULL OR timezone(c.time_zone, e.at)::DATE <= last_date::DATE);
