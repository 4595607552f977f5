"""Made-up lakes of any size: the same every time, as the real writer writes them, with traffic that makes sense."""

from __future__ import annotations

import pytest

from pipeline.demo import traffic
from pipeline.demo.traffic import Size
from pipeline.errors import UserError
from pipeline.lake import catalog

SIZE = Size(rows=30_000, cameras=2, days=2, hours=2, seed=1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return traffic.make(str(tmp_path_factory.mktemp("traffic") / "lake"), SIZE)


@pytest.fixture(scope="module")
def connection(lake):
    with catalog.connect(lake.url) as connection:
        yield connection


def _one(connection, sql):
    return connection.execute(sql).fetchone()


@pytest.mark.parametrize("rows", [1, 60_000, 1_000_000, 10_000_000, 100_000_000])
def test_a_size_has_as_many_units_as_its_rows_fill(rows):
    size = Size.of(rows)
    units = size.cameras * size.days * size.hours
    assert 1 <= size.cameras <= 24 and 1 <= size.hours <= 24
    assert rows < 1_000_000 or 35_000 < rows / units < 90_000


def test_it_has_about_the_rows_asked_for_and_every_track_is_whole(connection):
    assert _one(connection, "SELECT count(*) FROM observations")[0] == pytest.approx(SIZE.rows, rel=0.15)
    wrong = """
        SELECT count(*) FROM tracklets AS t FULL JOIN (
            SELECT tracklet_id, min(captured_at) AS a, max(captured_at) AS b, count_if(NOT interpolated) AS n
            FROM observations GROUP BY tracklet_id
        ) AS o USING (tracklet_id)
        WHERE (started_at, ended_at, n_observations) IS DISTINCT FROM (a, b, n)
    """
    assert _one(connection, wrong) == (0,)
    assert _one(connection, "SELECT count(*), count(DISTINCT segment_id) FROM ledger") == (8, 8)


def test_tracks_run_over_from_hour_to_hour_and_most_do_not_cross_a_line(connection):
    over = (
        "SELECT count(*) FROM (SELECT tracklet_id FROM observations GROUP BY ALL HAVING count(DISTINCT segment_id) > 1)"
    )
    assert _one(connection, over)[0] > 0
    crossed, tracks = _one(
        connection,
        "SELECT (SELECT count(DISTINCT tracklet_id) FROM crossings WHERE line_id = 'north'), count(*) FROM tracklets",
    )
    assert 0.1 < crossed / tracks < 0.5
    assert _one(connection, "SELECT count(*) FROM crossings WHERE line_id = 'east'")[0] > 0


def test_some_come_to_the_next_junction(connection):
    seen = "SELECT count(*) FROM (SELECT identity_id FROM identities GROUP BY ALL HAVING count(*) > 1)"
    assert _one(connection, seen)[0] > 0


def test_equal_seeds_give_equal_files_and_a_lake_is_used_again(lake, tmp_path):
    again = traffic.make(str(tmp_path / "lake"), SIZE)
    files = [path for path in lake.storage.files("", ".parquet") if not path.startswith("ledger")]
    assert len(files) > 20
    for path in files:
        assert again.storage.read(path) == lake.storage.read(path)
    before = {path: (lake.storage.root / path).stat().st_mtime_ns for path in files}
    traffic.make(lake.url, SIZE)
    assert {path: (lake.storage.root / path).stat().st_mtime_ns for path in files} == before


def test_another_lake_is_left_alone(lake):
    with pytest.raises(UserError, match="name another folder"):
        traffic.make(lake.url, Size.of(50_000))


def test_tracks_seen_by_hour_are_those_with_a_box_in_it(connection):
    by_boxes = """
        SELECT camera, epoch_us(captured_at) // 3600000000 AS hour, count(DISTINCT tracklet_id) AS n
        FROM observations GROUP BY ALL
    """
    counted = """
        SELECT camera_id, epoch_us(bin_start) // 3600000000 AS hour, sum(count)::BIGINT AS n
        FROM track_counts(3600, NULL, NULL) GROUP BY ALL HAVING n > 0
    """
    assert sorted(connection.execute(counted).fetchall()) == sorted(connection.execute(by_boxes).fetchall())
    by_quarter = "SELECT sum(count) FROM track_counts(900, NULL, NULL)"
    boxes = "SELECT count(*) FROM (SELECT DISTINCT tracklet_id, epoch_us(captured_at) // 900000000 FROM observations)"
    assert _one(connection, by_quarter) == _one(connection, boxes)
