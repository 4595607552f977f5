-- line_passages_between(first_date, last_date): crossings, stored or computed, with all that is known of them and with
-- the names of their lines; what crossings_between and gate_crossings_between are made of.
-- Columns: date, camera_id, line_id, gate_id, direction, class, tracklet_id, crossed_at, x, y, nth (see
-- passages_computed), settle_frames (of the line).
-- A date that is NULL sets no limit on its side.
CREATE MACRO line_passages_between(first_date, last_date) AS TABLE
WITH passage AS (
    SELECT * EXCLUDE (camera)
    FROM stored_crossings
    WHERE (first_date IS NULL OR date >= first_date::DATE) AND (last_date IS NULL OR date <= last_date::DATE)
    UNION ALL BY NAME
    SELECT p.*
    FROM passages_computed(first_date, last_date) AS p
    -- Its boxes were read for another date or line.
    ANTI JOIN (FROM line_days WHERE is_stored) AS d
        ON d.camera_id = p.camera_id AND d.line_id = p.line_id AND d.date = p.date
)
SELECT
    p.date,
    p.camera_id,
    p.line_id,
    l.gate_id,
    CASE WHEN p.is_forward THEN l.forward ELSE l.backward END AS direction,
    p.class,
    p.tracklet_id,
    p.crossed_at,
    p.x,
    p.y,
    p.nth,
    l.settle_frames
FROM passage AS p
JOIN lines AS l ON l.camera_id = p.camera_id AND l.line_id = p.line_id
WHERE l.classes IS NULL OR list_contains(l.classes, p.class);
