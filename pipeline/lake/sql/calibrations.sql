-- calibrations: what a similarity was worth in a night, by class group.
-- Columns: class_group, rule ('mixture', 'few pairs' or 'configured'), min_similarity, stranger_mean, stranger_sd,
-- match_mean, match_sd (null where too few were known), prior_log_odds, n_tracklets, n_pairs, search (how neighbours
-- were found), run_id, and date.
CREATE VIEW calibrations AS
SELECT *
FROM read_parquet($files, hive_partitioning = true, hive_types = {'date': DATE})
SEMI JOIN (SELECT DISTINCT date, run_id FROM identities) USING (date, run_id);
