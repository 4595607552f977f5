-- frames: one row per processed frame, with or without detections; empty unless a run was told to keep detections.
-- Columns: as in the Parquet files (camera_id, segment_id, captured_at, frame, camera_warp DOUBLE[6]: 2x3 row by row,
-- from the picture of the frame before to this one, null where the camera stands still), and date and camera.
CREATE VIEW frames AS
SELECT * REPLACE (camera_warp::DOUBLE[6] AS camera_warp)
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
