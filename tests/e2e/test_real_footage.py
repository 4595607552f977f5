"""Real footage and real weights, by the configurations in configs/ at their own settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs import nightly
from jobs.evaluate import evaluate_mot
from pipeline import boxes, config
from pipeline.evaluation.ottrk import read_ottrk
from pipeline.execution.progress import Silence
from pipeline.lake import catalog
from tests.realdata import ROOT, data_path

pytestmark = pytest.mark.realdata

PEER_VEHICLES = ("car", "delivery_van", "truck", "bus", "motorcyclist")


def run(name: str, tmp_path: Path, monkeypatch) -> config.FleetConfig:
    """Run one of the configurations with a lake of the test's own, in this process."""
    monkeypatch.setenv("NIGHTFLEET_TEST_DATA", str(data_path("video").parent))
    data_path("weights/yolox_nano.onnx")
    fleet = config.load(ROOT / "configs" / name)
    here = {"executor": "local"}
    fleet = fleet.model_copy(
        update={"lake": str(tmp_path / "lake"), "execution": fleet.execution.model_copy(update=here)}
    )
    summary = nightly.run(fleet, progress=Silence())
    assert not summary.failures
    return fleet


def test_a_square_against_its_truth(tmp_path, monkeypatch):
    truth = np.loadtxt(data_path("mot15/PETS09-S2L1/gt/gt.txt"), delimiter=",")
    truth[:, [2, 4]] *= 480 / 768  # the clip is smaller than the original the truth was drawn on
    truth[:, [3, 5]] *= 360 / 576
    np.savetxt(tmp_path / "gt.txt", truth, fmt="%g", delimiter=",")
    fleet = run("real-vtest.yaml", tmp_path, monkeypatch)
    scores = evaluate_mot(tmp_path / "gt.txt", fleet.lake)
    print({name: round(scores[name], 3) for name in ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW")})
    assert scores["IDF1"] >= 0.65
    assert scores["MOTA"] >= 0.65


def test_a_shop_gives_identities_across_its_cameras(tmp_path, monkeypatch):
    fleet = run("real-shop.yaml", tmp_path, monkeypatch)
    sightings = catalog.query(
        fleet.lake,
        """
        SELECT identity_id, count(DISTINCT camera_id) AS cameras
        FROM identities JOIN tracklets USING (tracklet_id) GROUP BY ALL ORDER BY cameras DESC
        """,
    ).to_pylist()
    assert sum(row["cameras"] == 3 for row in sightings) >= 1, "somebody is recognised in all three cameras"
    assert len(sightings) < catalog.query(fleet.lake, "FROM tracklets").num_rows


def test_a_street_beside_the_peers_tracks(tmp_path, monkeypatch):
    """Vehicles the peer follows for a second or more are vehicles here too, mostly as one track."""
    fleet = run("real-opentrafficcam.yaml", tmp_path, monkeypatch)
    found, followed, longest = 0, 0, []
    for camera in (camera for camera in fleet.cameras if not camera.imported):
        clip = next(Path(camera.footage).parent.glob(Path(camera.footage).name))
        peer = read_ottrk(clip.with_suffix(".ottrk"))
        ours = _boxes(fleet.lake, camera.id)
        for name in np.unique(peer.boxes.track_id):
            rows = peer.boxes.track_id == name
            if rows.sum() < 20 or peer.class_name[rows][0] not in PEER_VEHICLES:
                continue
            corners = boxes.xywh_to_xyxy(peer.boxes.xywh[rows])
            matched = [_match(ours, frame, box) for frame, box in zip(peer.boxes.frame[rows], corners)]
            seen = [tracklet for tracklet in matched if tracklet is not None]
            print(camera.id, peer.class_name[rows][0], f"peer {rows.sum()} boxes, ours {len(seen)}", set(seen))
            followed += rows.sum()
            found += len(seen)
            if seen:
                longest.append(max(seen.count(tracklet) for tracklet in set(seen)) / len(seen))
    assert found / followed >= 0.5
    assert np.mean(longest) >= 0.75


def _boxes(lake: str, camera_id: str) -> dict[int, list[tuple[str, np.ndarray]]]:
    """Our vehicles' boxes by frame, from 1 as the peer counts."""
    rows = catalog.query(
        lake,
        "SELECT frame + 1 AS frame, tracklet_id, x1, y1, x2, y2 FROM observations WHERE camera_id = $1 "
        "AND class IN ('car', 'truck', 'bus', 'motorcycle')",
        [camera_id],
    ).to_pylist()
    by_frame: dict[int, list[tuple[str, np.ndarray]]] = {}
    for row in rows:
        corners = np.array([row["x1"], row["y1"], row["x2"], row["y2"]])
        by_frame.setdefault(row["frame"], []).append((row["tracklet_id"], corners))
    return by_frame


def _match(ours: dict, frame: int, box: np.ndarray) -> str | None:
    """Our tracklet that covers a peer's box with IoU 0.5 or more, if any."""
    here = ours.get(int(frame), [])
    if not here:
        return None
    overlap = boxes.iou(box[None], np.array([corners for _, corners in here]))[0]
    best = int(overlap.argmax())
    return here[best][0] if overlap[best] >= 0.5 else None
