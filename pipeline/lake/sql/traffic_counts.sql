-- traffic_counts(bin_s, first_date, last_date): crossings by camera, line, direction, class and time bin, on those
-- local dates. Every bin in which the camera was watched has its rows, with 0 where nothing crossed.
-- Columns: date (local), camera_id, line_id, direction, class, bin_start (TIMESTAMPTZ), bin_local (the same on the
-- camera's wall clock, ISO 8601 with UTC offset), bin_s (its length), count, watched_share (part of the bin that was
-- watched, 0 to 1).
-- Sorted by camera, line, direction, class, bin. A date that is NULL sets no limit on its side.
--
-- Bins start at multiples of bin_s from local midnight; bin_s must divide a day. Where the clock changes inside a bin,
-- a new bin starts with the change, so that none stands for two offsets. Classes are those the camera saw on those
-- dates; a camera that saw nothing has one row a bin, its class NULL.
CREATE MACRO traffic_counts(bin_s, first_date, last_date) AS TABLE
-- All offsets of today's zones are multiples of 15 minutes, so cells of gcd(bin_s, 15 min) lie in one bin each.
WITH watched_cell AS (
    SELECT
        camera_id,
        time_zone,
        make_timestamptz((cell * gcd(bin_s, 900) * 1000000)::BIGINT) AS cell_at,
        least(epoch_us(ended_at), (cell + 1) * gcd(bin_s, 900) * 1000000)
        - greatest(epoch_us(started_at), cell * gcd(bin_s, 900) * 1000000) AS watched_us
    FROM (
        SELECT w.*, c.time_zone, unnest(range(
            floor(epoch(started_at) / gcd(bin_s, 900))::BIGINT, ceil(epoch(ended_at) / gcd(bin_s, 900))::BIGINT
        )) AS cell
        FROM watched AS w JOIN cameras AS c USING (camera_id)
        WHERE
            -- Two days to spare, for zones on either side of UTC; the bins' own dates decide below.
            (first_date IS NULL OR ended_at >= first_date::DATE - 2)
            AND (last_date IS NULL OR started_at <= last_date::DATE + 3)
    )
),
crossing AS (
    SELECT
        x.*,
        c.time_zone,
        make_timestamptz((floor(epoch(crossed_at) / gcd(bin_s, 900)) * gcd(bin_s, 900) * 1000000)::BIGINT) AS cell_at
    FROM crossings_between(first_date, last_date) AS x JOIN cameras AS c USING (camera_id)
),
-- A bin is known by the wall clock at its nominal start and the offset that holds in it, both in seconds.
keyed AS (
    SELECT
        *,
        epoch(timezone(time_zone, cell_at))::BIGINT - epoch(cell_at)::BIGINT AS offset_s,
        epoch(timezone(time_zone, cell_at))::BIGINT // bin_s * bin_s AS local_s
    FROM (
        SELECT camera_id, time_zone, cell_at, watched_us FROM watched_cell
        UNION ALL
        SELECT camera_id, time_zone, cell_at, 0 FROM crossing
    )
),
bin AS (
    SELECT camera_id, time_zone, offset_s, local_s, sum(watched_us) AS watched_us
    FROM keyed
    WHERE
        (first_date IS NULL OR make_timestamp(local_s * 1000000)::DATE >= first_date::DATE)
        AND (last_date IS NULL OR make_timestamp(local_s * 1000000)::DATE <= last_date::DATE)
    GROUP BY camera_id, time_zone, offset_s, local_s
),
-- Only the cells of the bin's own offset are its: a change of the clock cuts it.
extent AS (
    SELECT camera_id, offset_s, local_s, min(cell_s) AS start_s, count(*) * gcd(bin_s, 900) AS length_s
    FROM (
        SELECT *, local_s - offset_s + unnest(range(0, bin_s, gcd(bin_s, 900))) AS cell_s FROM bin
    )
    WHERE epoch(timezone(time_zone, make_timestamptz((cell_s * 1000000)::BIGINT)))::BIGINT - cell_s = offset_s
    GROUP BY camera_id, offset_s, local_s
),
stream AS (
    SELECT l.camera_id, l.line_id, direction, k.class
    FROM (SELECT camera_id, line_id, classes, unnest([forward, backward]) AS direction FROM lines) AS l
    LEFT JOIN (
        SELECT DISTINCT camera AS camera_id, class
        FROM tracklets
        WHERE
            (first_date IS NULL OR date >= first_date::DATE - 1)
            AND (last_date IS NULL OR date <= last_date::DATE + 2)
    ) AS k ON k.camera_id = l.camera_id AND (l.classes IS NULL OR list_contains(l.classes, k.class))
),
counted AS (
    SELECT
        camera_id,
        line_id,
        direction,
        class,
        epoch(timezone(time_zone, cell_at))::BIGINT - epoch(cell_at)::BIGINT AS offset_s,
        epoch(timezone(time_zone, cell_at))::BIGINT // bin_s * bin_s AS local_s,
        count(*) AS n
    FROM crossing
    GROUP BY ALL
)
SELECT
    make_timestamp(local_s * 1000000)::DATE AS date,
    s.camera_id,
    s.line_id,
    s.direction,
    s.class,
    make_timestamptz((e.start_s * 1000000)::BIGINT) AS bin_start,
    strftime(make_timestamp((e.start_s + b.offset_s) * 1000000), '%Y-%m-%dT%H:%M:%S')
    || printf(
        '%s%02d:%02d',
        CASE WHEN b.offset_s < 0 THEN '-' ELSE '+' END,
        abs(b.offset_s) // 3600,
        abs(b.offset_s) // 60 % 60
    ) AS bin_local,
    e.length_s AS bin_s,
    coalesce(n.n, 0) AS count,
    least(b.watched_us / (e.length_s * 1e6), 1.0) AS watched_share
FROM stream AS s
JOIN bin AS b USING (camera_id)
JOIN extent AS e USING (camera_id, offset_s, local_s)
LEFT JOIN counted AS n USING (camera_id, line_id, direction, class, offset_s, local_s)
ORDER BY s.camera_id, s.line_id, s.direction, s.class, bin_start;
