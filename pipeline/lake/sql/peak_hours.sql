-- peak_hours(first_date, last_date): the busiest hour of each local date at each gate, and how evenly it was filled.
-- Columns: date (local), camera_id, gate_id, direction, class_group ('all', or "person", "vehicle" or the class itself),
-- hour_start (TIMESTAMPTZ), hour_local (the same on the camera's wall clock, ISO 8601 with UTC offset), volume (passages
-- in that hour), peak_15min (passages in its busiest quarter), phf (peak-hour factor).
-- Sorted by date, camera, gate, direction, class group. A line without a gate is a gate of its own name.
--
-- The hour is four quarter hours of that date that follow on each other, each fully watched, with the greatest sum; of
-- equals the first. Fully watched lacks at most 1 s, as in `watched`. Where there is no such hour, what is said of it is
-- NULL. phf = V / (4 V15), V the hour's volume and V15 that of its busiest quarter (Highway Capacity Manual 2016,
-- chapter 3): 1 where all quarters are alike, 0.25 where all came in one; NULL where nothing came.
CREATE MACRO peak_hours(first_date, last_date) AS TABLE
WITH quarter AS (
    SELECT
        date,
        camera_id,
        gate_id,
        direction,
        class_group,
        bin_start,
        bin_local,
        sum(count)::BIGINT AS n,
        any_value((100 - coverage_pct) / 100 * bin_s <= 1) AS is_full
    FROM (
        SELECT *, unnest(list_distinct(['all', class_group(class)])) AS class_group
        FROM gate_counts(900, first_date, last_date)
    )
    GROUP BY ALL
),
hour AS (
    SELECT
        *,
        sum(n) OVER four AS volume,
        max(n) OVER four AS peak_15min,
        bool_and(is_full) OVER four AND epoch_us(lead(bin_start, 3) OVER following) - epoch_us(bin_start) = 2700000000
        AS is_whole
    FROM quarter
    WINDOW
        following AS (PARTITION BY date, camera_id, gate_id, direction, class_group ORDER BY bin_start),
        four AS (
            PARTITION BY date, camera_id, gate_id, direction, class_group ORDER BY bin_start
            ROWS BETWEEN CURRENT ROW AND 3 FOLLOWING
        )
),
ranked AS (
    SELECT
        date,
        camera_id,
        gate_id,
        direction,
        class_group,
        CASE WHEN is_whole THEN bin_start END AS hour_start,
        CASE WHEN is_whole THEN bin_local END AS hour_local,
        CASE WHEN is_whole THEN volume::BIGINT END AS volume,
        CASE WHEN is_whole THEN peak_15min END AS peak_15min
    FROM hour
)
SELECT *, volume / nullif(4.0 * peak_15min, 0) AS phf
FROM ranked
QUALIFY row_number() OVER (
    PARTITION BY date, camera_id, gate_id, direction, class_group ORDER BY volume DESC NULLS LAST, hour_start
) = 1
ORDER BY date, camera_id, gate_id, direction, class_group;
