-- gate_crossings: every passage of a gate in the lake. For some dates of a large lake, ask gate_crossings_between(first,
-- last).
-- Columns: date, camera_id, line_id, gate_id, direction, class, tracklet_id, crossed_at, x, y (see
-- gate_crossings_between).
CREATE VIEW gate_crossings AS
FROM gate_crossings_between(NULL, NULL);
