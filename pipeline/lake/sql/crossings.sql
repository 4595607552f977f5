-- crossings: every crossing in the lake. For some dates of a large lake, ask crossings_between(first_date, last_date),
-- which reads those dates' files only.
-- Columns: date, camera_id, line_id, gate_id, direction, class, tracklet_id, crossed_at, x, y (see crossings_between).
CREATE VIEW crossings AS
FROM crossings_between(NULL, NULL);
