-- identities: which tracklets are one person or vehicle, by the latest run over their date.
-- Columns: tracklet_id, identity_id, confidence in [0, 1], run_id, and date.
CREATE VIEW identities AS
SELECT *
FROM read_parquet($files, hive_partitioning = true, hive_types = {'date': DATE});
