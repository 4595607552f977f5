-- local_iso(time_zone, instant): an instant on a wall clock, ISO 8601 with UTC offset, whole seconds.
CREATE MACRO local_iso(time_zone, instant) AS
    strftime(timezone(time_zone, instant), '%Y-%m-%dT%H:%M:%S')
    || CASE WHEN timezone(time_zone, instant) < timezone('UTC', instant) THEN '-' ELSE '+' END
    || strftime(make_timestamp(abs(epoch_us(timezone(time_zone, instant)) - epoch_us(instant))), '%H:%M');
