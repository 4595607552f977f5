-- extent_days: every camera and date of which there are tracklets, and whether it is stored where they were.
-- Columns: camera_id, date (of the segment that the tracklets ended in), path (of the file below the lake that holds or
-- would hold it), is_stored.
--
-- The file is named by the units that its rows were made from, as in line_days.
CREATE TABLE extent_days AS
WITH unit AS (
    SELECT
        camera_id,
        date,
        sum(tracklets) AS tracklets,
        md5(string_agg(concat_ws(' ', segment_id, key, observations, tracklets), ',' ORDER BY segment_id)) AS digest
    FROM ledger
    WHERE observations > 0 OR tracklets > 0
    GROUP BY camera_id, date
),
named AS (
    SELECT
        d.camera_id,
        d.date,
        format(
            'stored_extents/date={}/camera={}/{}.parquet',
            d.date,
            d.camera_id,
            left(md5(concat_ws(' ', 'extents 2', string_agg(concat_ws(' ', u.date, u.digest), ',' ORDER BY u.date))), 16)
        ) AS path
    FROM unit AS d
    JOIN unit AS u ON u.camera_id = d.camera_id AND u.date BETWEEN d.date - 1 AND d.date
    WHERE d.tracklets > 0
    GROUP BY d.camera_id, d.date
)
SELECT *, path IN (SELECT path FROM _stored_files) AS is_stored
FROM named
ORDER BY camera_id, date;
