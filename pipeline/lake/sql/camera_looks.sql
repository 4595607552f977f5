-- camera_looks: what a camera adds to every embedding of a class group in a night; subtract it before comparing
-- tracklets of two cameras, and make the rest unit length.
-- Columns: class_group, camera_id, tint FLOAT[128], run_id, and date.
CREATE VIEW camera_looks AS
SELECT * REPLACE (tint::FLOAT[128] AS tint)
FROM read_parquet($files, hive_partitioning = true, hive_types = {'date': DATE})
SEMI JOIN (SELECT DISTINCT date, run_id FROM identities) USING (date, run_id);
