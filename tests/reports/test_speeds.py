"""Speeds as engineers state them, by hand-computed samples, and the report over a small lake."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from pipeline.reports import speeds
from tests.conftest import json_of, nightfleet
from tests.lake.making import fleet, line, write
from tests.lake.test_line_speeds import CORNERS, TENTH, walk


def test_no_speeds_and_one():
    assert speeds.summary(np.zeros(0), 0.02) == {}
    one = speeds.summary(np.array([30.0]), 0.02)
    assert (one["mean_kmh"], one["p85_kmh"], one["mean_error_kmh"], one["sd_kmh"]) == (30.0, 30.0, None, None)


def test_sampling_and_calibration_errors_add_in_quadrature():
    sample = np.array([40.0, 44.0, 48.0, 52.0, 56.0])
    spread = np.sqrt(40.0)  # 160 / 4
    found = speeds.summary(sample, None)
    assert (found["mean_kmh"], found["median_kmh"], found["p85_kmh"]) == (48.0, 48.0, pytest.approx(53.6))
    assert found["sd_kmh"] == pytest.approx(spread)
    assert found["mean_error_kmh"] == pytest.approx(spread / np.sqrt(5))
    assert found["p85_error_kmh"] == pytest.approx(1.531 * spread / np.sqrt(5))
    known = speeds.summary(sample, 0.05)
    assert known["p85_error_kmh"] == pytest.approx(np.hypot(found["p85_error_kmh"], 0.05 * 53.6))
    assert known["median_error_kmh"] == pytest.approx(np.hypot(1.253 * spread / np.sqrt(5), 2.4))


def test_the_factors_are_those_of_normal_samples():
    random = np.random.default_rng(1)
    samples = random.normal(50, 8, size=(4000, 100))
    assert np.quantile(samples, 0.85, axis=1).std() == pytest.approx(speeds.P85_FACTOR * 0.8, rel=0.06)
    assert np.median(samples, axis=1).std() == pytest.approx(speeds.MEDIAN_FACTOR * 0.8, rel=0.06)


def test_the_pace_holds_most_speeds():
    assert speeds.pace(np.array([5.0, 20.0, 21.0, 29.9, 31.0, 60.0])) == (20.0, 0.5)
    assert speeds.pace(np.array([5.0])) == (5.0, 1.0)


@pytest.fixture
def lake(tmp_path):
    """Two go out at 36 km/h and 18 km/h, one in at 36 km/h; ten pixels a metre, corners marked to 2 px."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    points = [{"pixel": pixel, "metres": [c / 10 for c in pixel]} for pixel in CORNERS]
    camera = {"id": "gate", "lines": [line(forward="in", backward="out")]}
    lake.write_fleet(fleet({**camera, "ground_points": points, "marking_error_px": 2.0}, {**camera, "id": "quay"}))
    write(lake, {"gate-1": walk(10), "gate-2": walk(5), "gate-3": walk(-10), "gate-4": walk(0.4)})
    return lake


def test_the_report(lake):
    with connect(lake.url) as connection:
        report = speeds.make(connection, by="1min", lake="here")
        rows = report.tables["speeds"].to_pylist()
        assert [(row["direction"], row["crossings"], row["n"]) for row in rows] == [("in", 1, 1), ("out", 3, 2)]
        out = rows[1]
        assert out["mean_kmh"] == pytest.approx(27, rel=1e-4)
        assert out["calibration_error_pct"] == pytest.approx(1.0, rel=0.05)
        (first, *_) = report.tables["bins"].to_pylist()
        assert (first["bin_local"], first["n"]) == ("2026-03-01T12:00:00+00:00", 1)
        assert speeds.make(connection, cameras=["quay"]).tables["speeds"].num_rows == 0
        assert speeds.make(connection, first="2026-03-01T12:01").tables["speeds"].num_rows == 0
        assert speeds.make(connection, last="2026-03-01T12:01").tables["speeds"].num_rows == 2
        with pytest.raises(UserError, match="no camera 'gat'"):
            speeds.make(connection, cameras=["gat"])


def test_the_command(lake, tmp_path):
    printed = nightfleet("report", "speeds", lake.url)
    assert printed.returncode == 0, printed.stderr
    assert "2 of 3" in printed.stdout
    assert json_of(nightfleet("report", "speeds", lake.url, "--json"))["speeds"][1]["n"] == 2
    out = tmp_path / "speeds.xlsx"
    assert nightfleet("report", "speeds", lake.url, "--format", "xlsx", "--out", out).returncode == 0
    assert out.read_bytes()[:2] == b"PK"


def test_a_bare_homography_tells_no_calibration_error(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()], "homography": TENTH}))
    write(lake, {"gate-1": walk(10)})
    with connect(lake.url) as connection:
        (row,) = speeds.make(connection).tables["speeds"].to_pylist()
    assert (row["n"], row["calibration_error_pct"]) == (1, None)
