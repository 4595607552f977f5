-- stored_crossings: crossings as they were found, kept so that nobody has to look for them again; what is not stored
-- yet, crossings_between finds by itself. Files whose units or lines have changed since are left out.
-- Columns: as in the Parquet files (camera_id, line_id, is_forward, class, tracklet_id, crossed_at, x, y, nth: see
-- passages_computed), and the partition: date (local date of the crossing) and camera (equal to camera_id).
CREATE VIEW stored_crossings AS
SELECT *
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
