-- similar_tracklets(id, k): the k tracklets of the lake that look most like one, among those of its class group, itself
-- left out; what `nightfleet search --tracklet` answers, by comparing with every one. In a large lake that takes time:
-- the command asks a saved index.
-- Columns: tracklet_id, camera_id, class, started_at, similarity (-1 to 1; ties by tracklet_id).
--
-- Similarity is that of the identities: every exemplar is freed of what its camera adds to the class group that night
-- (camera_looks; nothing, where that is unknown), made unit length, and matched with the one most like it on the other
-- side; the matches are averaged over each side, and the two averages over both (average Hausdorff similarity).
-- The inner product of a - ta and b - tb is written out, so that no vector has to be made: a.b - a.tb - ta.b + ta.tb.
CREATE MACRO similar_tracklets(id, k) AS TABLE
WITH asked AS (
    SELECT tracklet_id, class_group(class) AS class_group FROM tracklets WHERE tracklet_id = id
),
sighting AS (
    SELECT tracklet_id, camera_id, class, started_at, date, class_group(class) AS class_group
    FROM tracklets
    WHERE class_group(class) IN (SELECT class_group FROM asked)
),
exemplar AS (
    SELECT
        s.tracklet_id,
        row_number() OVER () AS place,
        e.embedding::DOUBLE[128] AS look,
        coalesce(c.tint::DOUBLE[128], list_resize([0.0::DOUBLE], 128, 0.0::DOUBLE)::DOUBLE[128]) AS added
    FROM embeddings AS e
    JOIN sighting AS s USING (tracklet_id, date)
    LEFT JOIN camera_looks AS c ON c.date = s.date AND c.camera_id = s.camera_id AND c.class_group = s.class_group
),
measured AS (
    SELECT
        *,
        array_inner_product(look, added) AS look_added,
        array_inner_product(look, look) AS look_sq,
        array_inner_product(added, added) AS added_sq
    FROM exemplar
),
-- What its camera explains wholly keeps its look: nothing is subtracted from it.
freed AS (
    SELECT
        tracklet_id,
        place,
        look,
        look_added AS look_tint,
        added AS tint,
        sqrt(look_sq - 2 * look_added + added_sq) AS length
    FROM measured
    WHERE look_sq - 2 * look_added + added_sq > 1e-12
    UNION ALL
    SELECT
        tracklet_id,
        place,
        look,
        0,
        list_resize([0.0::DOUBLE], 128, 0.0::DOUBLE)::DOUBLE[128],
        sqrt(look_sq)
    FROM measured
    WHERE look_sq - 2 * look_added + added_sq <= 1e-12
),
pair AS (
    SELECT
        b.tracklet_id,
        a.place AS place_a,
        b.place AS place_b,
        (
            array_inner_product(a.look, b.look)
            - array_inner_product(a.look, b.tint)
            - array_inner_product(a.tint, b.look)
            + array_inner_product(a.tint, b.tint)
        ) / (a.length * b.length) AS alike
    FROM freed AS a
    JOIN freed AS b ON a.tracklet_id = id AND b.tracklet_id <> id
),
from_query AS (
    SELECT tracklet_id, avg(best) AS similarity
    FROM (SELECT tracklet_id, max(alike) AS best FROM pair GROUP BY tracklet_id, place_a)
    GROUP BY tracklet_id
),
from_other AS (
    SELECT tracklet_id, avg(best) AS similarity
    FROM (SELECT tracklet_id, max(alike) AS best FROM pair GROUP BY tracklet_id, place_b)
    GROUP BY tracklet_id
)
SELECT
    s.tracklet_id,
    s.camera_id,
    s.class,
    s.started_at,
    greatest(-1, least(1, (q.similarity + o.similarity) / 2))::FLOAT AS similarity
FROM from_query AS q
JOIN from_other AS o USING (tracklet_id)
JOIN sighting AS s USING (tracklet_id)
ORDER BY similarity DESC, tracklet_id
LIMIT k;
