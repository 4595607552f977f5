-- crossings_between(first_date, last_date): one row per crossing of a line by a tracklet, on those local dates.
-- Columns: date (local, of the crossing), camera_id, line_id, gate_id (the line's own name where it is part of none),
-- direction (the line's own name for it), class (of the tracklet, by its whole life), tracklet_id, crossed_at
-- (interpolated between frames), x, y (place of the box's anchor then, pixels).
-- A date that is NULL sets no limit on its side. What is a crossing: see passages_computed, and docs/counting.md.
CREATE MACRO crossings_between(first_date, last_date) AS TABLE
SELECT date, camera_id, line_id, gate_id, direction, class, tracklet_id, crossed_at, x, y
FROM line_passages_between(first_date, last_date);
