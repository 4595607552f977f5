-- extents_computed(first_date, last_date): where the tracks were that ended in segments of those dates, as it is found in
-- their boxes, of those dates of which it is not stored. It is what stored_extents is filled from.
-- Columns: date (of the segment the tracklet ended in), camera_id, tracklet_id, from_at, until_at (a piece of the
-- track, of at most 1.6 s and the first box after that), x1_least, x1_most, y1_least, y1_most, x2_least, x2_most,
-- y2_least, y2_most (no edge of its boxes lies beyond these; whole pixels). A track that was already there more than a
-- day before has one piece, which is everywhere. A date that is NULL sets no limit on its side.
--
-- The first box of a piece is the last one of the piece before, so that every step of a track is within one piece. In
-- 1.6 s, 16 boxes at 10 frames a second, a car comes a car's length or two further: the pieces of a lake are a twelfth
-- of its boxes in number, and tell of most boxes that they lie on one side of a line.
CREATE MACRO extents_computed(first_date, last_date) AS TABLE
WITH track AS MATERIALIZED (
    SELECT t.date, t.camera AS camera_id, t.tracklet_id, t.started_at, t.ended_at
    FROM tracklets AS t
    SEMI JOIN (FROM extent_days WHERE NOT is_stored) AS d ON d.camera_id = t.camera AND d.date = t.date
    WHERE
        (first_date IS NULL OR t.date >= first_date::DATE)
        AND (last_date IS NULL OR t.date <= last_date::DATE)
),
piece AS MATERIALIZED (
    SELECT
        o.tracklet_id,
        epoch_us(o.captured_at) // 1600000 AS nth,
        min(o.captured_at) AS from_at,
        max(o.captured_at) AS until_at,
        arg_min({'x1': o.x1, 'y1': o.y1, 'x2': o.x2, 'y2': o.y2}, o.captured_at) AS first_box,
        min(o.x1) AS x1_least,
        max(o.x1) AS x1_most,
        min(o.y1) AS y1_least,
        max(o.y1) AS y1_most,
        min(o.x2) AS x2_least,
        max(o.x2) AS x2_most,
        min(o.y2) AS y2_least,
        max(o.y2) AS y2_most
    FROM observations AS o
    SEMI JOIN track AS t ON t.tracklet_id = o.tracklet_id
    WHERE
        (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE)
    GROUP BY ALL
),
span AS MATERIALIZED (
    SELECT t.*, p.from_at, p.until_at, p.from_at = t.started_at AND p.until_at = t.ended_at AS is_whole
    FROM track AS t
    LEFT JOIN (
        SELECT tracklet_id, min(from_at) AS from_at, max(until_at) AS until_at FROM piece GROUP BY tracklet_id
    ) AS p ON p.tracklet_id = t.tracklet_id
),
joined AS (
    SELECT *, lead(first_box) OVER track AS next, lead(from_at) OVER track AS next_at
    FROM piece
    WINDOW track AS (PARTITION BY tracklet_id ORDER BY nth)
)
SELECT
    t.date,
    t.camera_id,
    t.tracklet_id,
    p.from_at,
    coalesce(p.next_at, p.until_at) AS until_at,
    floor(least(p.x1_least, p.next.x1))::INTEGER AS x1_least,
    ceil(greatest(p.x1_most, p.next.x1))::INTEGER AS x1_most,
    floor(least(p.y1_least, p.next.y1))::INTEGER AS y1_least,
    ceil(greatest(p.y1_most, p.next.y1))::INTEGER AS y1_most,
    floor(least(p.x2_least, p.next.x2))::INTEGER AS x2_least,
    ceil(greatest(p.x2_most, p.next.x2))::INTEGER AS x2_most,
    floor(least(p.y2_least, p.next.y2))::INTEGER AS y2_least,
    ceil(greatest(p.y2_most, p.next.y2))::INTEGER AS y2_most
FROM joined AS p
JOIN span AS t ON t.tracklet_id = p.tracklet_id
WHERE t.is_whole
UNION ALL
SELECT
    date, camera_id, tracklet_id, least(started_at, from_at), greatest(ended_at, until_at),
    -1000000, 1000000, -1000000, 1000000, -1000000, 1000000, -1000000, 1000000
FROM span
WHERE is_whole IS DISTINCT FROM true;
