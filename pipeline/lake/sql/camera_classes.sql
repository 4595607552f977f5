-- camera_classes(first_date, last_date): the classes that each camera saw on those dates (local; NULL leaves an end open).
-- Columns: camera_id, class.
--
-- Who passes a midnight of another time zone lies in a partition beside it: a day more is read at either end.
CREATE MACRO camera_classes(first_date, last_date) AS TABLE
SELECT DISTINCT camera AS camera_id, class
FROM tracklets
WHERE
    (first_date IS NULL OR date >= first_date::DATE - 1)
    AND (last_date IS NULL OR date <= last_date::DATE + 2);
