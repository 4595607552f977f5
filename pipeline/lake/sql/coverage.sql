-- coverage: how much of each camera has been processed; configured cameras without footage are listed too.
-- Columns: camera_id, segments, done, quarantined, hours_seen (of all footage with a known time), hours_done, gaps and
-- gap_hours (see the view gaps), first_at, last_at, frames, tracklets, wall_s, speed (seconds of footage processed in
-- one second of one worker; null where nothing was processed).
CREATE VIEW coverage AS
WITH work AS (
    SELECT
        camera_id,
        count(*) AS segments,
        count_if(status = 'done') AS done,
        count_if(status = 'quarantined') AS quarantined,
        sum(epoch_us(ended_at) - epoch_us(started_at)) / 3600e6 AS hours_seen,
        sum(epoch_us(ended_at) - epoch_us(started_at)) FILTER (status = 'done') / 3600e6 AS hours_done,
        min(started_at) AS first_at,
        max(ended_at) AS last_at,
        sum(frames)::BIGINT AS frames,
        sum(tracklets)::BIGINT AS tracklets,
        sum(wall_s) FILTER (status = 'done') AS wall_s
    FROM ledger
    GROUP BY camera_id
),
hole AS (
    SELECT camera_id, count(*) AS gaps, sum(gap_s) / 3600 AS gap_hours FROM gaps GROUP BY camera_id
)
SELECT
    camera_id,
    coalesce(segments, 0) AS segments,
    coalesce(done, 0)::BIGINT AS done,
    coalesce(quarantined, 0)::BIGINT AS quarantined,
    coalesce(hours_seen, 0) AS hours_seen,
    coalesce(hours_done, 0) AS hours_done,
    coalesce(gaps, 0) AS gaps,
    coalesce(gap_hours, 0) AS gap_hours,
    first_at,
    last_at,
    coalesce(frames, 0) AS frames,
    coalesce(tracklets, 0) AS tracklets,
    coalesce(wall_s, 0) AS wall_s,
    hours_done * 3600 / nullif(wall_s, 0) AS speed
FROM (SELECT camera_id FROM cameras UNION SELECT camera_id FROM ledger)
LEFT JOIN work USING (camera_id)
LEFT JOIN hole USING (camera_id)
ORDER BY camera_id;
