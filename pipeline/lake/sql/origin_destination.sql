-- origin_destination: how many identities began in one camera and ended in another, by date and class.
-- Columns: date, origin_camera_id, destination_camera_id, class, count. Identities seen by one camera only have the
-- same origin and destination. An identity's class is the one most of its boxes have (a tie goes to the first by name).
CREATE VIEW origin_destination AS
WITH journey AS (
    SELECT
        i.date,
        i.identity_id,
        arg_min(t.camera_id, (t.started_at, t.tracklet_id)) AS origin_camera_id,
        arg_max(t.camera_id, (t.ended_at, t.tracklet_id)) AS destination_camera_id
    FROM identities AS i JOIN tracklets AS t USING (tracklet_id)
    GROUP BY i.date, i.identity_id
),
identity_class AS (
    SELECT date, identity_id, arg_min(class, (-boxes, class)) AS class
    FROM (
        SELECT i.date, i.identity_id, t.class, sum(t.n_observations) AS boxes
        FROM identities AS i JOIN tracklets AS t USING (tracklet_id)
        GROUP BY i.date, i.identity_id, t.class
    )
    GROUP BY date, identity_id
)
SELECT date, origin_camera_id, destination_camera_id, class, count(*) AS count
FROM journey JOIN identity_class USING (date, identity_id)
GROUP BY ALL
ORDER BY ALL;
