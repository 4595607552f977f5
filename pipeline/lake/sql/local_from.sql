-- local_from(first): the local time a period begins at: of a date its midnight, of a date-time itself. NULL for NULL.
CREATE MACRO local_from(first) AS first::VARCHAR::TIMESTAMP;
