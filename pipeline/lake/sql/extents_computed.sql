-- extents_computed(first_date, last_date): the extents of tracklets that ended in segments of those dates, where none are
-- stored. It is what stored_extents is filled from. A track that was already there more than a day before has no row.
-- Columns: date (of the segment the tracklet ended in), camera_id, tracklet_id, x1, y1, x2, y2 (hull of all its boxes,
-- pixels), longest_step_px (from one box to the next, no point of the box moved further). A date that is NULL sets no
-- limit on its side.
CREATE MACRO extents_computed(first_date, last_date) AS TABLE
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT camera_id, unnest([date - 1, date]) AS read_date
    FROM extent_days
    WHERE
        NOT is_stored
        AND (first_date IS NULL OR date >= first_date::DATE)
        AND (last_date IS NULL OR date <= last_date::DATE)
),
step AS (
    SELECT
        o.tracklet_id,
        o.captured_at,
        o.x1,
        o.y1,
        o.x2,
        o.y2,
        greatest(abs(o.x1 - lag(o.x1) OVER track), abs(o.x2 - lag(o.x2) OVER track)) AS step_x,
        greatest(abs(o.y1 - lag(o.y1) OVER track), abs(o.y2 - lag(o.y2) OVER track)) AS step_y
    FROM observations AS o JOIN wanted AS w ON w.camera_id = o.camera AND w.read_date = o.date
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE)
    WINDOW track AS (PARTITION BY o.tracklet_id ORDER BY o.captured_at)
),
extent AS (
    SELECT
        tracklet_id,
        min(captured_at) AS first_at,
        max(captured_at) AS last_at,
        min(x1) AS x1,
        min(y1) AS y1,
        max(x2) AS x2,
        max(y2) AS y2,
        coalesce(max(sqrt(step_x ** 2 + step_y ** 2)), 0)::FLOAT AS longest_step_px
    FROM step
    GROUP BY tracklet_id
)
SELECT t.date, t.camera AS camera_id, e.tracklet_id, e.x1, e.y1, e.x2, e.y2, e.longest_step_px
FROM extent AS e
JOIN tracklets AS t
    ON t.tracklet_id = e.tracklet_id AND t.started_at = e.first_at AND t.ended_at = e.last_at
WHERE
    (first_date IS NULL OR t.date >= first_date::DATE)
    AND (last_date IS NULL OR t.date <= last_date::DATE);
