-- tracklets: one row per object in one camera, entered with the segment during which it ended.
-- Columns: as in the Parquet files (tracklet_id, camera_id, segment_id, class, started_at, ended_at, n_observations,
-- mean_score, entry_x, entry_y, exit_x, exit_y in pixels, embedding FLOAT[128] of unit length), and date and camera.
CREATE VIEW tracklets AS
SELECT * REPLACE (embedding::FLOAT[128] AS embedding)
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
