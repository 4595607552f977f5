-- observations: one row per tracked box in one processed frame, of entered units only.
-- Columns: as in the Parquet files (tracklet_id, camera_id, segment_id, captured_at, frame, class, score, x1, y1, x2,
-- y2 in pixels, interpolated), and the partition: date (local date of the segment's start) and camera (equal to
-- camera_id).
CREATE VIEW observations AS
SELECT *
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
