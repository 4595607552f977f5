-- zone_occupancy(bin_s, first_date, last_date): how many objects were in each zone, by class and time bin.
-- Columns: date (local), camera_id, zone_id, class, bin_start (TIMESTAMPTZ), bin_local (the same on the camera's wall
-- clock, ISO 8601 with UTC offset), bin_s (its length), mean_occupancy (time-weighted mean number of objects inside,
-- over the watched part of the bin), max_occupancy (most of them at once), entered and left (how often an object was
-- seen to come in and go out; one whose track began or ended inside did not), coverage_pct (part of the bin that was
-- watched, 0 to 100).
-- Sorted by camera, zone, class, bin. Bins and the two dates are those of camera_bins. Where a camera did not watch,
-- the four figures are NULL. Classes are those that were in any zone of the camera; a camera without has class NULL.
CREATE MACRO zone_occupancy(bin_s, first_date, last_date) AS TABLE
WITH bin AS MATERIALIZED (
    SELECT *, epoch_us(b.bin_start) AS start_us, epoch_us(b.bin_start) + b.bin_s * 1000000 AS end_us
    FROM camera_bins(bin_s, first_date, last_date) AS b
),
-- Who is inside at the first midnight came in on the day before.
visit AS MATERIALIZED (
    SELECT *, epoch_us(entered_at) AS entered_us, epoch_us(left_at) AS left_us
    FROM zone_visits_between(first_date::DATE - 1, last_date::DATE)
),
part AS (
    SELECT
        v.camera_id,
        v.zone_id,
        v.class,
        greatest(v.entered_us, epoch_us(w.started_at)) AS from_us,
        least(v.left_us, epoch_us(w.ended_at)) AS until_us
    FROM visit AS v
    JOIN watched AS w
        ON v.camera_id = w.camera_id AND w.started_at <= v.left_at AND w.ended_at >= v.entered_at
),
change AS (
    SELECT camera_id, zone_id, class, at_us, sum(n_in)::BIGINT AS n_in, sum(n_out)::BIGINT AS n_out
    FROM (
        SELECT camera_id, zone_id, class, from_us AS at_us, 1 AS n_in, 0 AS n_out FROM part
        UNION ALL
        SELECT camera_id, zone_id, class, until_us, 0, 1 FROM part
    )
    GROUP BY ALL
),
-- After each change: how many are inside, how many were in its own instant, and their time inside so far added up.
level AS MATERIALIZED (
    SELECT
        *,
        inside - n_in + n_out + n_in AS peak,
        sum((inside - n_in + n_out) * coalesce(at_us - before_us, 0)) OVER (
            PARTITION BY camera_id, zone_id, class ORDER BY at_us
        ) AS area_us
    FROM (
        SELECT
            *,
            sum(n_in - n_out) OVER (PARTITION BY camera_id, zone_id, class ORDER BY at_us)::BIGINT AS inside,
            lag(at_us) OVER (PARTITION BY camera_id, zone_id, class ORDER BY at_us) AS before_us
        FROM change
    )
),
stream AS (
    SELECT z.camera_id, z.zone_id, k.class
    FROM zones AS z LEFT JOIN (SELECT DISTINCT camera_id, class FROM visit) AS k USING (camera_id)
),
cell AS (
    SELECT s.camera_id, s.zone_id, s.class, b.* EXCLUDE (camera_id) FROM stream AS s JOIN bin AS b USING (camera_id)
),
begun AS (
    SELECT
        c.*,
        coalesce(l.inside, 0) AS inside_at_start,
        coalesce(l.area_us + l.inside * (c.start_us - l.at_us), 0) AS area_at_start_us
    FROM cell AS c
    ASOF LEFT JOIN level AS l
        ON c.camera_id = l.camera_id AND c.zone_id = l.zone_id AND c.class = l.class AND c.start_us > l.at_us
),
bounded AS (
    SELECT b.*, coalesce(l.area_us + l.inside * (b.end_us - l.at_us), 0) AS area_at_end_us
    FROM begun AS b
    ASOF LEFT JOIN level AS l
        ON b.camera_id = l.camera_id AND b.zone_id = l.zone_id AND b.class = l.class AND b.end_us > l.at_us
),
peak AS (
    SELECT l.camera_id, l.zone_id, l.class, b.bin_start, max(l.peak) AS peak
    FROM level AS l
    ASOF JOIN bin AS b ON l.camera_id = b.camera_id AND l.at_us >= b.start_us
    WHERE l.at_us < b.end_us
    GROUP BY ALL
),
passage AS (
    SELECT p.camera_id, p.zone_id, p.class, b.bin_start, sum(p.entered) AS entered, sum(p.gone) AS gone
    FROM (
        SELECT camera_id, zone_id, class, entered_us AS at_us, 1 AS entered, 0 AS gone
        FROM visit
        WHERE NOT began_inside
        UNION ALL
        SELECT camera_id, zone_id, class, left_us, 0, 1
        FROM visit
        WHERE NOT ended_inside
    ) AS p
    ASOF JOIN bin AS b ON p.camera_id = b.camera_id AND p.at_us >= b.start_us
    WHERE p.at_us < b.end_us
    GROUP BY ALL
)
SELECT
    b.date,
    b.camera_id,
    b.zone_id,
    b.class,
    b.bin_start,
    b.bin_local,
    b.bin_s,
    CASE WHEN b.coverage_pct > 0 THEN
        (b.area_at_end_us - b.area_at_start_us)::DOUBLE / (b.coverage_pct / 100 * b.bin_s * 1e6)
    END AS mean_occupancy,
    CASE WHEN b.coverage_pct > 0 THEN greatest(b.inside_at_start, coalesce(k.peak, 0)) END AS max_occupancy,
    CASE WHEN b.coverage_pct > 0 THEN coalesce(p.entered, 0)::BIGINT END AS entered,
    CASE WHEN b.coverage_pct > 0 THEN coalesce(p.gone, 0)::BIGINT END AS left,
    b.coverage_pct
FROM bounded AS b
LEFT JOIN peak AS k USING (camera_id, zone_id, class, bin_start)
LEFT JOIN passage AS p USING (camera_id, zone_id, class, bin_start)
ORDER BY b.camera_id, b.zone_id, b.class, b.bin_start;
