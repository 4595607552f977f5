-- gaps: the holes between the stretches a camera was watched: nothing was recorded, or it could not be processed.
-- Columns: camera_id, started_at, ended_at, gap_s.
CREATE VIEW gaps AS
SELECT
    camera_id,
    ended_at AS started_at,
    next_at AS ended_at,
    (epoch_us(next_at) - epoch_us(ended_at)) / 1e6 AS gap_s
FROM (
    SELECT *, lead(started_at) OVER (PARTITION BY camera_id ORDER BY started_at) AS next_at FROM watched
)
WHERE next_at IS NOT NULL
ORDER BY camera_id, started_at;
