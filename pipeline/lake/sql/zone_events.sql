-- zone_events: every entering and leaving of a zone in the lake. For some dates of a large lake, ask
-- zone_events_between(first, last).
-- Columns: date, camera_id, zone_id, class, tracklet_id, at, event (see zone_events_between).
CREATE VIEW zone_events AS
FROM zone_events_between(NULL, NULL);
