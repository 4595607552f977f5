-- line_reads: what passages_computed has to read, of all lines and dates whose crossings are not stored.
-- Columns: camera_id, line_id, nth_line (number of the line, from 0), date (local, of the crossings), ended_on (dates of
-- the segments in which tracks ended that may have crossed then: the date before to the second one after, as in
-- line_days), settle_frames, and how a box's edges say where its anchor is: side_px (its distance from the line through
-- both ends, positive on the right hand of one who walks from the first end to the second) = left * x1 + right * x2 +
-- top * y1 + bottom * y2 - middle, and along (0 at the first end, 1 at the second) likewise by the columns that end in
-- _along; anchor_x, anchor_y.
-- A table, not a view: where it is empty, the planner sees that there is nothing to read.
CREATE TABLE line_reads AS
SELECT
    d.camera_id,
    d.line_id,
    l.nth_line,
    d.date,
    unnest([d.date - 1, d.date, d.date + 1, d.date + 2]) AS ended_on,
    l.settle_frames,
    l.anchor_x,
    l.anchor_y,
    -l.dy * (1 - l.anchor_x) AS "left",
    -l.dy * l.anchor_x AS "right",
    l.dx * (1 - l.anchor_y) AS top,
    l.dx * l.anchor_y AS bottom,
    l.dx * l.y1 - l.dy * l.x1 AS middle,
    l.dx / l.length_px * (1 - l.anchor_x) AS left_along,
    l.dx / l.length_px * l.anchor_x AS right_along,
    l.dy / l.length_px * (1 - l.anchor_y) AS top_along,
    l.dy / l.length_px * l.anchor_y AS bottom_along,
    (l.dx * l.x1 + l.dy * l.y1) / l.length_px AS middle_along
FROM line_days AS d
JOIN (
    SELECT
        *,
        (row_number() OVER (ORDER BY camera_id, line_id) - 1)::INTEGER AS nth_line,
        sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2) AS length_px,
        (x2 - x1) / length_px AS dx,
        (y2 - y1) / length_px AS dy
    FROM lines
) AS l USING (camera_id, line_id)
WHERE NOT d.is_stored;
