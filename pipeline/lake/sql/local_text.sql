-- local_text(instant, zone): an instant as a clock in an IANA zone shows it, ISO 8601 to the millisecond with the offset
-- from UTC, so that both of a repeated hour can be told apart. NULL for NULL.
CREATE MACRO local_text(instant, zone) AS
strftime(timezone(zone, instant), '%Y-%m-%dT%H:%M:%S.%g') || printf(
    '%s%02d:%02d',
    CASE WHEN epoch(timezone(zone, instant)) < epoch(instant) THEN '-' ELSE '+' END,
    abs(epoch(timezone(zone, instant))::BIGINT - epoch(instant)::BIGINT) // 3600,
    abs(epoch(timezone(zone, instant))::BIGINT - epoch(instant)::BIGINT) // 60 % 60
);
