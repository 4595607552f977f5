"""Counts of OpenTrafficCam's tracks beside ours, on the same lines of the same clips; `pytest -s` prints the table."""

from __future__ import annotations

import pytest

from jobs import nightly, printing
from jobs.import_tracks import import_tracks
from pipeline import config
from pipeline.evaluation.ottrk import read_ottrk
from pipeline.execution.progress import Silence
from pipeline.lake import catalog
from tests.realdata import ROOT, data_path

pytestmark = pytest.mark.realdata

CLIPS = {"cars-cyclist": "Testvideo_Cars-Cyclist", "cars-truck": "Testvideo_Cars-Truck"}

COUNTS = """
SELECT
    replace(camera_id, '-peer', '') AS clip,
    line_id AS line,
    direction,
    class,
    count(*) FILTER (NOT ends_with(camera_id, '-peer')) AS ours,
    count(*) FILTER (ends_with(camera_id, '-peer')) AS opentrafficcam
FROM crossings
GROUP BY ALL
ORDER BY ALL
"""


def test_ours_and_opentrafficcams_counts(tmp_path, monkeypatch):
    """Both see the same vehicles cross; what differs is told in docs/exchange.md."""
    monkeypatch.setenv("NIGHTFLEET_TEST_DATA", str(data_path("video").parent))
    data_path("weights/yolox_nano.onnx")
    fleet = config.load(ROOT / "configs/real-opentrafficcam.yaml")
    local = fleet.execution.model_copy(update={"executor": "local"})
    fleet = fleet.model_copy(update={"lake": str(tmp_path / "lake"), "execution": local})
    for camera, clip in CLIPS.items():
        file = data_path(f"video/{clip}_FR20_2020-01-01_00-00-00.ottrk")
        told = import_tracks(fleet, [file], camera_id=f"{camera}-peer", started_at="2020-01-01T00:00:00")
        assert told.files[0]["observations"] == len(read_ottrk(file).boxes)
    assert not nightly.run(fleet, progress=Silence()).failures  # and leaves the imported tracks alone
    counts = catalog.query(fleet.lake, COUNTS)
    printing.table(counts, "table", None)
    rows = counts.to_pylist()
    peer = {(row["clip"], row["line"], row["class"]): row["opentrafficcam"] for row in rows if row["opentrafficcam"]}
    assert peer == {  # as somebody counts who watches the clips
        ("cars-cyclist", "junction", "bicycle"): 1,
        ("cars-cyclist", "junction", "car"): 1,
        ("cars-cyclist", "side-street", "car"): 2,
        ("cars-truck", "junction", "truck"): 1,
        ("cars-truck", "main-road", "car"): 1,
    }
    vehicles = ("bicycle", "car", "truck", "bus", "motorcycle")
    ours = sum(row["ours"] for row in rows if row["class"] in vehicles)
    assert abs(ours - sum(peer.values())) <= 1
