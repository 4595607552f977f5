-- gate_crossings_between(first_date, last_date): one row per passage of a gate by a tracklet, on those local dates.
-- Lines of one gate count as one; a line without a gate is a gate of its own name.
-- Columns: date (local), camera_id, line_id (the line crossed, the first where there are several), gate_id, direction,
-- class (of the tracklet), tracklet_id, crossed_at, x, y (of that crossing, as in crossings_between).
-- A date that is NULL sets no limit on its side.
--
-- Crossings of a gate's lines by one track in the same direction, without one in the other direction between, are one
-- passage, at the first of them. What is over one line and back over another within less than settle_frames boxes (1 s
-- without such a number) did not pass: passages that follow on each other so are one episode, which counts once if it
-- has more of one direction (its last) and not at all if it has as many of both.
CREATE MACRO gate_crossings_between(first_date, last_date) AS TABLE
WITH crossing AS MATERIALIZED (
    SELECT *, (row_number() OVER ())::INTEGER AS nth_row
    -- A day more on both sides: what came before and comes after, over midnight, may belong to the same passage.
    FROM line_passages_between(first_date::DATE - 1, last_date::DATE + 1)
),
-- Most tracks cross a gate once: only of the others is anything to be laid in order.
track AS (
    SELECT (row_number() OVER ())::INTEGER AS nth_track, nth_rows
    FROM (SELECT list(nth_row) AS nth_rows FROM crossing GROUP BY camera_id, gate_id, tracklet_id)
    WHERE len(nth_rows) > 1
),
several AS (
    SELECT c.*, t.nth_track
    FROM crossing AS c JOIN (SELECT nth_track, unnest(nth_rows) AS nth_row FROM track) AS t USING (nth_row)
),
turn AS (
    SELECT *, coalesce(lag(direction) OVER track <> direction, true) AS is_first
    FROM several
    WINDOW track AS (PARTITION BY nth_track ORDER BY crossed_at, line_id)
),
passage AS (
    SELECT
        *,
        -- The stay between two passages; lines of one gate settle alike.
        coalesce(
            CASE
                WHEN settle_frames IS NULL THEN crossed_at - lag(crossed_at) OVER track >= INTERVAL 1 SECOND
                ELSE nth - lag(nth) OVER track >= settle_frames
            END,
            true
        ) AS begins_episode
    FROM turn
    WHERE is_first
    WINDOW track AS (PARTITION BY nth_track ORDER BY crossed_at, line_id)
),
episode AS (
    SELECT *, count_if(begins_episode) OVER (
        PARTITION BY nth_track ORDER BY crossed_at, line_id ROWS UNBOUNDED PRECEDING
    ) AS episode
    FROM passage
),
netted AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY nth_track, episode) AS n_passages,
        row_number() OVER (PARTITION BY nth_track, episode ORDER BY crossed_at DESC, line_id DESC) AS from_last
    FROM episode
)
SELECT date, camera_id, line_id, gate_id, direction, class, tracklet_id, crossed_at, x, y
FROM (
    FROM crossing ANTI JOIN several USING (nth_row)
    UNION ALL BY NAME
    -- Passages alternate, so one direction has more of them exactly where their number is odd.
    FROM netted WHERE n_passages % 2 = 1 AND from_last = 1
)
WHERE
    (first_date IS NULL OR date >= first_date::DATE)
    AND (last_date IS NULL OR date <= last_date::DATE);
