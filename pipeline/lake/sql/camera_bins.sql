-- camera_bins(bin_s, first_date, last_date): the time bins of every camera, and how much of each was watched.
-- Columns: date (local), camera_id, bin_start (TIMESTAMPTZ), bin_local (the same on the camera's wall clock, ISO 8601
-- with UTC offset), bin_s (its length), offset_s (that offset), local_s (nominal local start, seconds since 1970 on the
-- wall clock), coverage_pct (part of the bin that was watched, 0 to 100).
-- Sorted by camera, bin.
--
-- first_date and last_date are local dates, both included, or local date-times: then the bins that start from the first
-- on and before the last. With both given, every bin between them is there in every camera. Where one is NULL, on each
-- local date with any footage in the fleet, every bin from the fleet's first to its last watched one: a camera that
-- failed has its bins with coverage 0 where others watched, and a lake of January and June has none between.
--
-- Bins start at multiples of bin_s from local midnight; bin_s must divide a day. Where the clock changes inside a bin,
-- a new bin starts with the change, so that none stands for two offsets: the repeated hour is there twice, told apart by
-- its offset, and the skipped one is not there.
CREATE MACRO camera_bins(bin_s, first_date, last_date) AS TABLE
WITH stretch AS (
    SELECT
        w.camera_id,
        c.time_zone,
        epoch_us(w.started_at) AS started_us,
        epoch_us(w.ended_at) AS ended_us,
        timezone(c.time_zone, w.started_at)::DATE AS started_on,
        timezone(c.time_zone, w.ended_at)::DATE AS ended_on
    FROM watched AS w JOIN cameras AS c USING (camera_id)
    WHERE
        (first_date IS NULL OR timezone(c.time_zone, w.ended_at) >= local_from(first_date))
        AND (last_date IS NULL OR timezone(c.time_zone, w.started_at) < local_until(last_date))
),
zone AS (SELECT DISTINCT time_zone FROM cameras),
day AS (
    SELECT time_zone, unnest(range(first_date::DATE, last_date::DATE + 1, INTERVAL 1 DAY))::DATE AS date FROM zone
    UNION ALL
    SELECT time_zone, date
    FROM zone
    CROSS JOIN (
        SELECT DISTINCT unnest(range(started_on, ended_on + 1, INTERVAL 1 DAY))::DATE AS date FROM stretch
    )
    WHERE (first_date IS NULL OR last_date IS NULL)
),
-- All offsets of today's zones are multiples of 15 minutes, so cells of gcd(bin_s, 15 min) lie in one bin each. Clocks
-- are up to 14 h ahead of UTC and 12 h behind it.
cell AS MATERIALIZED (
    SELECT time_zone, date, cell_s, local_s - cell_s AS offset_s, local_s
    FROM (
        SELECT *, epoch(timezone(time_zone, make_timestamptz(cell_s * 1000000)))::BIGINT AS local_s
        FROM (
            SELECT *, unnest(range(
                epoch(date)::BIGINT - 14 * 3600, epoch(date)::BIGINT + 36 * 3600, gcd(bin_s, 900)::BIGINT
            )) AS cell_s
            FROM day
        )
    )
    WHERE local_s BETWEEN epoch(date)::BIGINT AND epoch(date)::BIGINT + 86399
),
bin AS (
    SELECT
        time_zone,
        date,
        offset_s,
        local_s // bin_s * bin_s AS local_s,
        min(cell_s) AS start_s,
        count(*) * gcd(bin_s, 900) AS length_s
    FROM cell
    GROUP BY ALL
),
watched_cell AS MATERIALIZED (
    SELECT w.camera_id, c.date, c.cell_s, c.offset_s, c.local_s // bin_s * bin_s AS local_s, w.watched_us
    FROM (
        SELECT
            *,
            least(ended_us, (cell_s + gcd(bin_s, 900)) * 1000000) - greatest(started_us, cell_s * 1000000) AS watched_us
        FROM (
            SELECT *, gcd(bin_s, 900) * unnest(range(
                started_us // (gcd(bin_s, 900) * 1000000), (ended_us - 1) // (gcd(bin_s, 900) * 1000000) + 1
            )) AS cell_s
            FROM stretch
        )
    ) AS w
    JOIN cell AS c USING (time_zone, cell_s)
),
seen AS (
    SELECT camera_id, offset_s, local_s, sum(watched_us) AS watched_us FROM watched_cell GROUP BY ALL
),
span AS (
    SELECT date, min(cell_s) AS first_s, max(cell_s) AS last_s FROM watched_cell GROUP BY date
)
SELECT
    b.date,
    c.camera_id,
    make_timestamptz(b.start_s * 1000000) AS bin_start,
    local_iso(c.time_zone, make_timestamptz(b.start_s * 1000000)) AS bin_local,
    b.length_s AS bin_s,
    b.offset_s,
    b.local_s,
    100 * least(coalesce(s.watched_us, 0) / (b.length_s * 1e6), 1.0) AS coverage_pct
FROM cameras AS c
JOIN bin AS b USING (time_zone)
LEFT JOIN span AS f USING (date)
LEFT JOIN seen AS s USING (camera_id, offset_s, local_s)
WHERE
    ((first_date IS NOT NULL AND last_date IS NOT NULL) OR (f.first_s < b.start_s + b.length_s AND f.last_s >= b.start_s))
    AND (first_date IS NULL OR make_timestamp((b.start_s + b.offset_s) * 1000000) >= local_from(first_date))
    AND (last_date IS NULL OR make_timestamp((b.start_s + b.offset_s) * 1000000) < local_until(last_date))
ORDER BY c.camera_id, bin_start;
