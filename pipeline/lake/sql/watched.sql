-- watched: the stretches of time for which a camera's footage has been processed.
-- Columns: camera_id, started_at, ended_at.
-- Two segments at most 1 s apart are one stretch: recorders lose as much when they change files, and a segment may
-- overlap its predecessor by as much.
CREATE VIEW watched AS
WITH segment AS (
    SELECT
        camera_id,
        started_at,
        ended_at,
        max(ended_at) OVER (
            PARTITION BY camera_id ORDER BY started_at, segment_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS watched_until,
        segment_id
    FROM ledger
    WHERE status = 'done' AND started_at IS NOT NULL
),
numbered AS (
    SELECT
        camera_id,
        started_at,
        ended_at,
        count_if(watched_until IS NULL OR started_at > watched_until + INTERVAL 1 SECOND) OVER (
            PARTITION BY camera_id ORDER BY started_at, segment_id ROWS UNBOUNDED PRECEDING
        ) AS stretch
    FROM segment
)
SELECT camera_id, min(started_at) AS started_at, max(ended_at) AS ended_at
FROM numbered
GROUP BY camera_id, stretch
ORDER BY camera_id, started_at;
