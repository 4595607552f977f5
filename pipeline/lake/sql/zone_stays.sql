-- zone_stays(first_date, last_date): every stay in a zone that began on those local dates (or local date-times).
-- Columns: date (local, of the entry), camera_id, zone_id, class (of the tracklet), tracklet_id, entered_at,
-- entered_local (the same on the camera's wall clock, ISO 8601 with UTC offset), left_at, dwell_s, is_lower_bound (the
-- track began or ended inside: the object stayed at least as long).
-- Sorted by camera, zone, entry.
CREATE MACRO zone_stays(first_date, last_date) AS TABLE
SELECT
    v.date,
    v.camera_id,
    v.zone_id,
    v.class,
    v.tracklet_id,
    v.entered_at,
    local_iso(c.time_zone, v.entered_at) AS entered_local,
    v.left_at,
    v.dwell_s,
    v.began_inside OR v.ended_inside AS is_lower_bound
FROM zone_visits_between(first_date::DATE, last_date::DATE) AS v
JOIN cameras AS c USING (camera_id)
WHERE
    (first_date IS NULL OR timezone(c.time_zone, v.entered_at) >= local_from(first_date))
    AND (last_date IS NULL OR timezone(c.time_zone, v.entered_at) < local_until(last_date))
ORDER BY v.camera_id, v.zone_id, v.entered_at, v.tracklet_id;
