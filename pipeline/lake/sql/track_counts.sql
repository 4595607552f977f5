-- track_counts(bin_s, first_date, last_date): tracks seen by camera, class and time bin.
-- Columns: date (local), camera_id, class (of the track, by its whole life), bin_start (TIMESTAMPTZ), bin_local (the
-- same on the camera's wall clock, ISO 8601 with UTC offset), bin_s (its length), count, coverage_pct (part of the bin
-- that was watched, 0 to 100).
-- Sorted by camera, class, bin. Bins and the two dates are those of camera_bins.
--
-- A track counts in every bin from its first box to its last, so the bins of an hour may add up to more than the hour.
-- count is 0 where the camera watched and saw nothing, NULL where it did not watch. Tracks are not objects: one that
-- left and came back is two. No box is read: where tracks begin and end stands in `tracklets`.
CREATE MACRO track_counts(bin_s, first_date, last_date) AS TABLE
WITH bin AS MATERIALIZED (
    FROM camera_bins(bin_s, first_date, last_date)
),
-- Cells as in camera_bins: each lies in one bin. Tracks of the same cells are counted before anything else is done.
stay AS MATERIALIZED (
    SELECT *, row_number() OVER () AS nth
    FROM (
        SELECT
            camera AS camera_id,
            class,
            cell_of(started_at, bin_s) AS first_cell,
            cell_of(ended_at, bin_s) AS last_cell,
            count(*) AS n
        FROM tracklets
        WHERE
            (first_date IS NULL OR date >= first_date::DATE - 1)
            AND (last_date IS NULL OR date <= last_date::DATE + 2)
        GROUP BY ALL
    )
),
cell AS (
    SELECT
        camera_id,
        bin_start,
        unnest(cells_within(bin_start, bin.bin_s, bin_s)) AS cell
    FROM bin
),
counted AS (
    SELECT camera_id, class, bin_start, sum(n)::BIGINT AS n
    FROM (
        SELECT DISTINCT s.nth, s.camera_id, s.class, s.n, c.bin_start
        FROM (SELECT *, unnest(range(first_cell, last_cell + 1)) AS cell FROM stay) AS s
        JOIN cell AS c USING (camera_id, cell)
    )
    GROUP BY ALL
)
SELECT
    b.date,
    b.camera_id,
    k.class,
    b.bin_start,
    b.bin_local,
    b.bin_s,
    CASE WHEN b.coverage_pct > 0 OR n.n > 0 THEN coalesce(n.n, 0) END AS count,
    b.coverage_pct
FROM bin AS b
JOIN (SELECT DISTINCT camera_id, class FROM stay) AS k USING (camera_id)
LEFT JOIN counted AS n USING (camera_id, class, bin_start)
ORDER BY b.camera_id, k.class, b.bin_start;
