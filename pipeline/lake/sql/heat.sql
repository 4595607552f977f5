-- heat(camera, cell_px, first_date, last_date): how long objects stood where, in one camera, on those local dates.
-- Columns: class, x, y (top left corner of a square cell of cell_px pixels), presence_s (seconds that bottom centres of
-- boxes were in it, all objects added up).
-- A box stands for the time until the next of its track, at most a second; a track's last box for none. A date that is
-- NULL sets no limit on its side.
CREATE MACRO heat(camera, cell_px, first_date, last_date) AS TABLE
WITH place AS (
    SELECT
        k.class,
        timezone(c.time_zone, o.captured_at)::DATE AS date,
        (o.x1 + o.x2) / 2.0 AS foot_x,
        o.y2::DOUBLE AS foot_y,
        lead(epoch_us(o.captured_at)) OVER track - epoch_us(o.captured_at) AS stay_us
    FROM observations AS o
    JOIN cameras AS c ON c.camera_id = o.camera
    JOIN (SELECT t.tracklet_id, t.class FROM tracklets AS t WHERE t.camera = camera) AS k USING (tracklet_id)
    WHERE
        o.camera = camera
        AND (first_date IS NULL OR o.date >= first_date::DATE - 1)
        AND (last_date IS NULL OR o.date <= last_date::DATE + 1)
    WINDOW track AS (PARTITION BY o.tracklet_id ORDER BY o.captured_at)
)
SELECT
    class,
    (floor(foot_x / cell_px) * cell_px)::DOUBLE AS x,
    (floor(foot_y / cell_px) * cell_px)::DOUBLE AS y,
    sum(least(stay_us, 1000000))::DOUBLE / 1e6 AS presence_s
FROM place
WHERE
    stay_us IS NOT NULL
    AND (first_date IS NULL OR date >= first_date::DATE)
    AND (last_date IS NULL OR date <= last_date::DATE)
GROUP BY ALL
ORDER BY class, y, x;
