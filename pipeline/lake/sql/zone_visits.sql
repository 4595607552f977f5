-- zone_visits: every stay in a zone in the lake. For some dates of a large lake, ask zone_visits_between(first, last).
-- Columns: date, camera_id, zone_id, class, tracklet_id, entered_at, left_at, dwell_s, began_inside, ended_inside (see
-- zone_visits_between).
CREATE VIEW zone_visits AS
FROM zone_visits_between(NULL, NULL);
