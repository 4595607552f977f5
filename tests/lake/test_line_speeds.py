"""Speeds at crossings of hand-made tracks on a plane whose scale is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from tests.lake.making import fleet, line, write

TENTH = [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]]  # ten pixels a metre, seen from above
CORNERS = [[0, 0], [200, 0], [200, 200], [0, 200]]


def make(tmp_path, **camera) -> Lake:
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()], **camera}))
    return lake


def speeds(lake) -> list[dict]:
    return query(lake.url, "FROM line_speeds(NULL, NULL) ORDER BY crossed_at, tracklet_id").to_pylist()


def walk(step_px, n=41, y=100.0, slope=0.0):
    """Places that cross x = 100 in the middle of the track, `step_px` a frame; ten frames a second."""
    return [(100 + step_px * (k - n // 2 + 0.5), y + slope * step_px * (k - n // 2)) for k in range(n)]


def test_no_tracks(tmp_path):
    assert speeds(make(tmp_path, homography=TENTH)) == []


@pytest.mark.parametrize(("step_px", "slope"), [(2, 0), (-2, 0), (10, 0.5), (40, 0)])
def test_a_steady_speed(tmp_path, step_px, slope):
    lake = make(tmp_path, homography=TENTH)
    write(lake, {"gate-1": walk(step_px, n=11, slope=slope / 10)})
    (row,) = speeds(lake)
    true_kmh = abs(step_px) * math.hypot(1, slope / 10) * 3.6  # a tenth of a metre ten times a second
    assert row["speed_kmh"] == pytest.approx(true_kmh, rel=1e-5)
    assert (row["n_boxes"], row["way_m"]) == (10, pytest.approx(true_kmh / 3.6 * 0.9, rel=1e-5))
    # boxes 40 px tall: 2 px, 0.2 m at both ends of 0.9 s
    assert row["box_error_kmh"] == pytest.approx(3.6 * 0.2 * math.sqrt(2) / 0.9)
    assert (row["scale_error"], row["error_kmh"]) == (None, row["box_error_kmh"])


def test_two_bad_boxes_in_ten_do_not_spoil_it(tmp_path):
    lake = make(tmp_path, homography=TENTH)
    track = walk(10, n=11)
    track[3], track[8] = (track[3][0] - 30, 100), (track[8][0] + 40, 100)
    write(lake, {"gate-1": track})
    (row,) = speeds(lake)
    assert row["speed_kmh"] == pytest.approx(36, rel=0.12)


def test_through_a_perspective(tmp_path):
    """Who walks 1 m/s towards the camera moves ever faster in the picture; the ground says 3.6 km/h throughout."""
    to_ground = np.array([[0.02, 0, -2], [0, 0, 12], [0, 0.02, -1]])  # the horizon at y = 50
    to_picture = np.linalg.inv(to_ground)
    ground = [(0.3, 9.0 - 0.1 * k) for k in range(61)]
    image = np.column_stack([ground, np.ones(61)]) @ to_picture.T
    track = [(x / w, y / w) for x, y, w in image]
    lake = make(tmp_path, homography=to_ground.tolist(), lines=[line(points=((20, 200), (250, 200)))])
    write(lake, {"gate-1": track})
    (row,) = speeds(lake)
    assert row["speed_kmh"] == pytest.approx(3.6, rel=0.02)


@pytest.mark.parametrize(
    ("camera", "track"),
    [
        ({}, walk(10)),  # not calibrated
        ({"homography": TENTH}, [(92, 100), (97, 100), (102, 100), (107, 100)]),  # four boxes
        ({"homography": TENTH}, walk(0.4)),  # 0.36 m in the window
    ],
)
def test_no_speed(tmp_path, camera, track):
    lake = make(tmp_path, **camera)
    write(lake, {"gate-1": track})
    (row,) = speeds(lake)
    assert (row["speed_kmh"], row["error_kmh"], row["n_boxes"]) == (None, None, None)


def test_the_error_of_ground_points_is_in_the_error_of_speeds(tmp_path):
    points = [{"pixel": pixel, "metres": [c / 10 for c in pixel]} for pixel in CORNERS]
    lake = make(tmp_path, ground_points=points, marking_error_px=2.0)
    write(lake, {"gate-1": walk(10)})
    (row,) = speeds(lake)
    assert row["speed_kmh"] == pytest.approx(36, rel=1e-5)
    # two sides of 200 px, each known to sqrt(2) * 2 px, say how wide the middle is
    assert row["scale_error"] == pytest.approx(2 / 200, rel=0.05)
    assert row["error_kmh"] == pytest.approx(math.hypot(row["box_error_kmh"], 36 * row["scale_error"]))


def test_dates_limit_it(tmp_path):
    lake = make(tmp_path, homography=TENTH)
    write(lake, {"gate-1": walk(10)})
    with connect(lake.url) as connection:
        for first, last, n in [("2026-03-01", "2026-03-01", 1), ("2026-03-02", None, 0), (None, "2026-02-28", 0)]:
            found = connection.execute("FROM line_speeds($1, $2)", [first, last]).fetchall()
            assert len(found) == n
