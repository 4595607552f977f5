-- thumbnails: a small picture of a tracklet, at most one each; empty unless a run was told to keep thumbnails.
-- Columns: tracklet_id, camera_id, captured_at and frame it was cut from, x1, y1, x2, y2 (the box that is shown, pixels
-- of the frame), width, height (pixels of the picture), heads_blurred, jpeg (a JPEG file), and date and camera.
CREATE VIEW thumbnails AS
SELECT *
FROM read_parquet(
    $files, hive_partitioning = true, hive_types = {'date': DATE, 'camera': VARCHAR}
);
