"""Golden stays in a zone."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.lake.catalog import query
from pipeline.lake.writer import Lake
from tests.lake.making import NOON_US, fleet, write

SQUARE = {"name": "bay", "polygon": [(100, 100), (200, 100), (200, 200), (100, 200)]}
# A notch is cut out of this one from above: (150, 120) is in its bounding box, and outside.
NOTCHED = {
    "name": "notched",
    "polygon": [(100, 100), (140, 100), (150, 180), (160, 100), (200, 100), (200, 200), (100, 200)],
}
IN, OUT = (150.0, 190.0), (50.0, 190.0)


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "zones": [SQUARE]}))
    return lake


def stays(lake) -> list[tuple[float, float]]:
    sql = "SELECT epoch_us(entered_at) AS a, epoch_us(left_at) AS b, dwell_s FROM zone_visits ORDER BY a"
    found = query(lake.url, sql).to_pylist()
    assert all(row["dwell_s"] == pytest.approx((row["b"] - row["a"]) / 1e6) for row in found)
    return [((row["a"] - NOON_US) / 1e6, (row["b"] - NOON_US) / 1e6) for row in found]


@pytest.mark.parametrize(
    ("places", "frames", "expected"),
    [
        ([OUT] * 5, None, []),
        ([OUT] * 3 + [IN] * 11 + [OUT] * 4, None, [(0.3, 1.3)]),
        ([IN] * 4, None, [(0.0, 0.3)]),
        ([IN], None, [(0.0, 0.0)]),
        # Outside for ten frames of a tenth of a second and back is the edge's jitter; for eleven it is a second stay.
        ([IN] * 3 + [OUT] * 9 + [IN] * 3, None, [(0.0, 1.4)]),
        ([IN] * 3 + [OUT] * 10 + [IN] * 3, None, [(0.0, 0.2), (1.3, 1.5)]),
        # Not seen at all for five seconds: nothing says that it left.
        ([IN] * 4, [0, 1, 52, 53], [(0.0, 5.3)]),
        # Seen outside once within a long hole: it had left.
        ([IN, IN, OUT, IN], [0, 1, 20, 52], [(0.0, 0.1), (5.2, 5.2)]),
    ],
)
def test_golden(lake, places, frames, expected):
    write(lake, {"gate-1": places}, frames={"gate-1": frames} if frames else None)
    assert stays(lake) == [pytest.approx(stay) for stay in expected]


def test_inside_is_by_the_even_odd_rule(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "zones": [NOTCHED]}))
    rng = np.random.default_rng(3)
    points = rng.uniform(80, 220, (400, 2)).round(1).astype(np.float32)
    write(lake, {f"t{k:03d}": [tuple(p)] for k, p in enumerate(points)})
    found = set(query(lake.url, "SELECT tracklet_id FROM zone_visits")["tracklet_id"].to_pylist())
    from matplotlib.path import Path

    polygon = Path(np.array([*NOTCHED["polygon"], NOTCHED["polygon"][0]], float), closed=True)
    expected = {f"t{k:03d}" for k in np.flatnonzero(polygon.contains_points(points.astype(float)))}
    assert 50 < len(expected) < 350
    assert found == expected


def test_dwell_summary_has_a_row_for_a_zone_nobody_entered(lake):
    write(lake, {"gate-1": [OUT]})
    (row,) = query(lake.url, "FROM zone_dwell(NULL, NULL)").to_pylist()
    assert (row["zone_id"], row["class"], row["visits"], row["total_s"], row["mean_s"]) == ("bay", None, 0, 0.0, None)
    write(lake, {"gate-1": [IN] * 11, "gate-2": [IN] * 31})
    (row,) = query(lake.url, "FROM zone_dwell(NULL, NULL)").to_pylist()
    assert (row["class"], row["visits"], row["total_s"], row["mean_s"], row["longest_s"]) == ("car", 2, 4.0, 2.0, 3.0)
    assert query(lake.url, "FROM zone_dwell('2026-03-02', NULL)").to_pylist()[0]["visits"] == 0
