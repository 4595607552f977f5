-- embeddings: a few exemplars per tracklet.
-- Columns: as in the Parquet files (tracklet_id, camera_id, captured_at, frame, quality in [0, 1], embedding FLOAT[128]
-- of unit length), and date and camera.
CREATE VIEW embeddings AS
SELECT * REPLACE (embedding::FLOAT[128] AS embedding)
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
