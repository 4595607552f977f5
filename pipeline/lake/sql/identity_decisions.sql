-- identity_decisions: what people decided about identities; one row per pair of tracklets.
-- Columns: decision_id, decided_at, kind ('merge': the two are one; 'split': they are not), tracklet_a, tracklet_b,
-- decided_by and note (who and why, else empty).
CREATE VIEW identity_decisions AS
SELECT *
FROM read_parquet($files);
