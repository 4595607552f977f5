-- identity_evidence: why tracklets are one identity; one row per merge, by the latest run over their date. Rows of a
-- night that a killed run left half written are left out until it is made again.
-- Columns: identity_id, nth (order of the merges of a run, from 1), tracklet_a (of the pair that tied the two sides most
-- firmly, the one that began first), tracklet_b, camera_a, camera_b, similarity in [-1, 1] (NaN where a person merged
-- them), probability and merge_probability in [0, 1] (of the pair, and of the two sides), travel_s (start of b minus end
-- of a, in seconds), rule ('look', 'look and time', 'look and ground', 'returned', 'person'), run_id, and date.
CREATE VIEW identity_evidence AS
SELECT *
FROM read_parquet($files, hive_partitioning = true, hive_types = {'date': DATE})
SEMI JOIN (SELECT DISTINCT date, run_id FROM identities) USING (date, run_id);
