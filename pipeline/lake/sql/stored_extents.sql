-- stored_extents: where each track was in the picture, piece by piece, kept so that only the boxes near a line need be
-- looked at. Files whose units have changed since are left out.
-- Columns: as in the Parquet files (camera_id, tracklet_id, from_at, until_at, x1_least, x1_most, y1_least, y1_most,
-- x2_least, x2_most, y2_least, y2_most: see extents_computed), and the partition: date (of the segment the tracklet ended
-- in) and camera (equal to camera_id).
CREATE VIEW stored_extents AS
SELECT *
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
