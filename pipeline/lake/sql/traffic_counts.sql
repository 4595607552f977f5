-- traffic_counts(bin_s, first_date, last_date): crossings by camera, line, direction, class and time bin.
-- Columns: date (local), camera_id, line_id, gate_id, direction, class, bin_start (TIMESTAMPTZ), bin_local (the same on
-- the camera's wall clock, ISO 8601 with UTC offset), bin_s (its length), count, coverage_pct (part of the bin that was
-- watched, 0 to 100).
-- Sorted by camera, line, direction, class, bin. Bins and the two dates are those of camera_bins.
--
-- count is 0 where the camera watched and nothing crossed, and NULL where it did not watch: nobody knows. A crossing
-- found between two frames on either side of a short hole counts in its bin even if that lies in the hole.
-- Classes are those the camera saw on those dates; a camera that saw nothing has one row a bin, its class NULL.
CREATE MACRO traffic_counts(bin_s, first_date, last_date) AS TABLE
WITH bin AS MATERIALIZED (
    FROM camera_bins(bin_s, first_date, last_date)
),
stream AS (
    SELECT l.camera_id, l.line_id, l.gate_id, direction, k.class
    FROM (
        SELECT camera_id, line_id, gate_id, classes, unnest([forward, backward]) AS direction
        FROM lines
    ) AS l
    LEFT JOIN camera_classes(first_date, last_date) AS k
        ON k.camera_id = l.camera_id AND (l.classes IS NULL OR list_contains(l.classes, k.class))
),
-- Cells as in camera_bins: each lies in one bin. Crossings of the same cell are counted before anything else is done.
cell AS (
    SELECT
        camera_id,
        bin_start,
        unnest(cells_within(bin_start, bin.bin_s, bin_s)) AS cell
    FROM bin
),
counted AS (
    SELECT x.camera_id, x.line_id, x.direction, x.class, c.bin_start, sum(x.n)::BIGINT AS n
    FROM (
        SELECT
            camera_id,
            line_id,
            direction,
            class,
            cell_of(crossed_at, bin_s) AS cell,
            count(*) AS n
        FROM crossings_between(first_date::DATE, last_date::DATE)
        GROUP BY ALL
    ) AS x
    JOIN cell AS c USING (camera_id, cell)
    GROUP BY ALL
)
SELECT
    b.date,
    s.camera_id,
    s.line_id,
    s.gate_id,
    s.direction,
    s.class,
    b.bin_start,
    b.bin_local,
    b.bin_s,
    CASE WHEN b.coverage_pct > 0 OR n.n > 0 THEN coalesce(n.n, 0) END AS count,
    b.coverage_pct
FROM stream AS s
JOIN bin AS b USING (camera_id)
LEFT JOIN counted AS n USING (camera_id, line_id, direction, class, bin_start)
ORDER BY s.camera_id, s.line_id, s.direction, s.class, b.bin_start;
