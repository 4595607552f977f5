-- detections: one row per box that the detector gave, tracked or not; empty unless a run was told to keep detections.
-- Columns: as in the Parquet files (camera_id, segment_id, captured_at, frame, class, score, x1, y1, x2, y2 in pixels,
-- embedding FLOAT[128] of unit length, kept with half a float's precision), and date and camera.
CREATE VIEW detections AS
SELECT * REPLACE (embedding::FLOAT[128] AS embedding)
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
