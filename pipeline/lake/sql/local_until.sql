-- local_until(last): the local time a period ends before: of a date the midnight after it, of a date-time itself.
CREATE MACRO local_until(last) AS CASE
    WHEN length(last::VARCHAR) <= 10 THEN last::VARCHAR::DATE + INTERVAL 1 DAY
    ELSE last::VARCHAR::TIMESTAMP
END;
