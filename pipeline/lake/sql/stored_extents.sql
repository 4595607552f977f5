-- stored_extents: where each track was in the picture, kept so that those that cannot meet a line need not be looked at.
-- Files whose units have changed since are left out.
-- Columns: as in the Parquet files (camera_id, tracklet_id, x1, y1, x2, y2: hull of all boxes, longest_step_px: see
-- extents_computed), and the partition: date (of the segment the tracklet ended in) and camera (equal to camera_id).
CREATE VIEW stored_extents AS
SELECT *
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
