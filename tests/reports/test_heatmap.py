"""Heat maps: cells by hand, and a picture that is the same twice."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from pipeline.reports import heatmap
from tests.conftest import json_of, nightfleet
from tests.lake.making import fleet, write


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate"}, {"id": "quay"}))
    write(lake, {"gate-1": [(15, 45)] * 11, "gate-2": [(635, 355), (645, 365)]})
    return lake


def test_cells_and_what_stands_beyond_the_edge(lake):
    with connect(lake.url) as connection:
        heat = heatmap.measure(connection, "gate", (640, 360), cell_px=20)
        assert heat.presence_s.shape == (18, 32)
        assert (heat.presence_s[2, 0], heat.presence_s[17, 31]) == (pytest.approx(1.0), pytest.approx(0.1))
        assert heat.presence_s.sum() == pytest.approx(1.1)
        assert heatmap.cells(heat).to_pylist()[0] == {"x": 0.0, "y": 40.0, "cell_px": 20.0, "presence_s": 1.0}
        assert heatmap.measure(connection, "gate", (640, 360), classes=("person",)).presence_s.sum() == 0
        assert heatmap.picture_size(connection, "quay") == (0, 0)


def test_the_same_picture_twice_over_a_scene_and_over_plain_ground(tmp_path):
    heat = heatmap.Heat(np.eye(18, 32), 20.0, (640, 360))
    scene = np.full((360, 640, 3), 120, np.uint8)
    one, two = (heatmap.draw(heat, scene, tmp_path / name, "gate").read_bytes() for name in ("1.png", "2.png"))
    assert one == two
    plain = heatmap.draw(heat, None, tmp_path / "3.png", "gate").read_bytes()
    assert plain != one
    assert heatmap.draw(heatmap.Heat(np.zeros((18, 32)), 20.0, (640, 360)), None, tmp_path / "4.png", "gate").exists()


def test_the_command_where_the_footage_is_gone(lake, tmp_path):
    out = tmp_path / "heat.png"
    printed = nightfleet("report", "heatmap", lake.url, "--camera", "gate", "--out", out)
    assert printed.returncode == 0, printed.stderr
    assert "its footage is gone, so the ground is plain" in printed.stdout
    result = json_of(
        nightfleet("report", "heatmap", lake.url, "--camera", "gate", "--out", tmp_path / "heat.csv", "--json")
    )
    assert (result["over"], round(result["presence_s"], 6)) == (None, 1.1)
    for more, sentence in [
        (("--camera", "gat", "--out", out), "no camera 'gat'"),
        (("--camera", "quay", "--out", out), "camera quay has seen nothing, and its footage is gone"),
        (("--camera", "gate", "--out", tmp_path / "heat.gif"), "expected a name ending in .png, .csv or .parquet"),
        (("--camera", "gate", "--out", out, "--cell", "0.5"), "--cell: expected 1 to"),
    ]:
        done = nightfleet("report", "heatmap", lake.url, *more)
        assert (done.returncode, sentence in done.stderr, done.stderr.count("\n")) == (2, True, 1), done.stderr
