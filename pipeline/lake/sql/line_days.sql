-- line_days: every line and local date on which it may have been crossed, and whether its crossings are stored.
-- Columns: camera_id, line_id, date (local), path (of the file below the lake that holds or would hold its crossings),
-- is_stored.
--
-- The file is named by what its rows were made from: the line (and the version of the definition, raised whenever
-- passages_computed would give other rows), and the units that a crossing of that date can come from: those of the date
-- before to the second one after, with their keys and row counts. So a file is there and true, or is not there.
CREATE TABLE line_days AS
WITH unit AS (
    SELECT
        camera_id,
        date,
        md5(string_agg(concat_ws(' ', segment_id, key, observations, tracklets), ',' ORDER BY segment_id)) AS digest
    FROM ledger
    WHERE observations > 0 OR tracklets > 0
    GROUP BY camera_id, date
),
day AS (
    SELECT DISTINCT l.camera_id, unnest(generate_series(
        least(l.date, timezone(c.time_zone, l.started_at)::DATE)::TIMESTAMP,
        greatest(l.date, timezone(c.time_zone, l.ended_at)::DATE)::TIMESTAMP,
        INTERVAL 1 DAY
    ))::DATE AS date
    FROM ledger AS l JOIN cameras AS c USING (camera_id)
    WHERE l.observations > 0
),
made_from AS (
    SELECT d.camera_id, d.date, md5(string_agg(concat_ws(' ', u.date, u.digest), ',' ORDER BY u.date)) AS digest
    FROM day AS d
    JOIN unit AS u ON u.camera_id = d.camera_id AND u.date BETWEEN d.date - 1 AND d.date + 2
    GROUP BY d.camera_id, d.date
),
named AS (
    SELECT
        l.camera_id,
        l.line_id,
        m.date,
        format(
            'stored_crossings/date={}/camera={}/{}-{}.parquet',
            m.date,
            l.camera_id,
            left(md5(concat_ws(
                ' ', 'definition 1', l.line_id, l.x1, l.y1, l.x2, l.y2, l.anchor_x, l.anchor_y,
                coalesce(l.settle_frames, 0), c.time_zone
            )), 16),
            left(m.digest, 16)
        ) AS path
    FROM lines AS l
    JOIN cameras AS c USING (camera_id)
    JOIN made_from AS m USING (camera_id)
)
SELECT *, path IN (SELECT path FROM _stored_files) AS is_stored
FROM named
ORDER BY camera_id, line_id, date;
