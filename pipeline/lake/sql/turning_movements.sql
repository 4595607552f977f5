-- turning_movements(bin_s, first_date, last_date): which way objects took through a camera, from gate to gate.
-- Columns: date (local), camera_id, from_gate and from_direction (of the tracklet's first passage of a gate), to_gate
-- and to_direction (of its last; NULL where it passed one gate only), class, bin_start (TIMESTAMPTZ, of the first
-- passage), bin_local (the same on the camera's wall clock, ISO 8601 with UTC offset), bin_s, count (0 where the camera
-- watched and nothing went that way, NULL where it did not watch), coverage_pct (part of the bin that was watched).
-- Sorted by camera, from, to, class, bin. Bins and the two dates are those of camera_bins.
--
-- Who comes in by a gate and leaves by the same turned round: from_gate and to_gate are equal, the directions differ.
-- Ways that nothing took on those dates have no rows.
CREATE MACRO turning_movements(bin_s, first_date, last_date) AS TABLE
WITH bin AS MATERIALIZED (
    FROM camera_bins(bin_s, first_date, last_date)
),
-- A track may live through midnight: its first passage may lie before the dates asked for, its last after them.
movement AS (
    SELECT
        camera_id,
        class,
        arg_min(gate_id, (crossed_at, gate_id)) AS from_gate,
        arg_min(direction, (crossed_at, gate_id)) AS from_direction,
        CASE WHEN count(*) > 1 THEN arg_max(gate_id, (crossed_at, gate_id)) END AS to_gate,
        CASE WHEN count(*) > 1 THEN arg_max(direction, (crossed_at, gate_id)) END AS to_direction,
        min(crossed_at) AS first_at
    FROM gate_crossings_between(first_date::DATE - 1, last_date::DATE + 1)
    GROUP BY camera_id, class, tracklet_id
),
counted AS MATERIALIZED (
    SELECT m.* EXCLUDE (first_at), b.bin_start, count(*) AS n
    FROM movement AS m
    ASOF JOIN bin AS b ON m.camera_id = b.camera_id AND m.first_at >= b.bin_start
    WHERE epoch_us(m.first_at) < epoch_us(b.bin_start) + b.bin_s * 1000000
    GROUP BY ALL
),
stream AS (
    SELECT DISTINCT camera_id, from_gate, from_direction, to_gate, to_direction, class FROM counted
)
SELECT
    b.date,
    s.camera_id,
    s.from_gate,
    s.from_direction,
    s.to_gate,
    s.to_direction,
    s.class,
    b.bin_start,
    b.bin_local,
    b.bin_s,
    CASE WHEN b.coverage_pct > 0 OR n.n > 0 THEN coalesce(n.n, 0) END AS count,
    b.coverage_pct
FROM stream AS s
JOIN bin AS b USING (camera_id)
LEFT JOIN counted AS n
    ON n.camera_id = s.camera_id
    AND n.from_gate = s.from_gate
    AND n.from_direction = s.from_direction
    AND n.to_gate IS NOT DISTINCT FROM s.to_gate
    AND n.to_direction IS NOT DISTINCT FROM s.to_direction
    AND n.class = s.class
    AND n.bin_start = b.bin_start
ORDER BY
    s.camera_id, s.from_gate, s.from_direction, s.to_gate NULLS LAST, s.to_direction NULLS LAST, s.class, b.bin_start;
