"""OpenTrafficCam's tracks are read as what they are."""

from __future__ import annotations

import bz2
import json

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation.ottrk import read_ottrk
from tests.realdata import data_path

VIDEO = {"width": 800, "height": 600, "recorded_fps": 20.0, "number_of_frames": 60}


def packed(path, detections, *, normalised=False):
    metadata = {"video": VIDEO, "detection": {"normalized_bbox": normalised}}
    path.write_bytes(bz2.compress(json.dumps({"metadata": metadata, "data": {"detections": detections}}).encode()))
    return path


def detection(**changes):
    row = {"class": "car", "confidence": 0.5, "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0, "frame": 1, "track-id": 5}
    return row | {"occurrence": 1577836800.05, "interpolated-detection": False} | changes


def test_a_file_without_tracks(tmp_path):
    peer = read_ottrk(packed(tmp_path / "a.ottrk", []))
    assert len(peer.boxes) == 0
    assert peer.boxes.xywh.shape == (0, 4)
    assert (peer.frame_rate_fps, peer.length_frames) == (20.0, 60)


def test_boxes_come_sorted_with_their_class_and_instant(tmp_path):
    peer = read_ottrk(
        packed(tmp_path / "a.ottrk", [detection(frame=2), detection(**{"class": "truck", "track-id": 9})])
    )
    assert peer.boxes.frame.tolist() == [1, 2]
    assert peer.class_name.tolist() == ["truck", "car"]
    assert peer.boxes.xywh[0].tolist() == [1, 2, 3, 4]
    assert peer.captured_at_us[0] == 1_577_836_800_050_000


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not compressed", "expected bz2-compressed JSON"),
        (bz2.compress(b"[1]"), "expected the keys of an .ottrk file"),
        (bz2.compress(b'{"data": {}}'), "expected the keys of an .ottrk file, got none or an odd one at 'metadata'"),
    ],
)
def test_other_files_are_refused(tmp_path, content, sentence):
    path = tmp_path / "a.ottrk"
    path.write_bytes(content)
    with pytest.raises(TruthError) as refused:
        read_ottrk(path)
    assert sentence in str(refused.value)


def test_normalised_incomplete_and_repeated_boxes_are_refused(tmp_path):
    with pytest.raises(TruthError, match="boxes in pixels"):
        read_ottrk(packed(tmp_path / "a.ottrk", [detection()], normalised=True))
    incomplete = detection()
    del incomplete["track-id"]
    with pytest.raises(TruthError, match="detection 1: expected a field 'track-id'"):
        read_ottrk(packed(tmp_path / "a.ottrk", [detection(), incomplete]))
    with pytest.raises(TruthError, match="got track 5 twice in frame 1"):
        read_ottrk(packed(tmp_path / "a.ottrk", [detection(), detection(x=7.0)]))


@pytest.mark.realdata
def test_a_real_file_of_opentrafficcam():
    peer = read_ottrk(data_path("video/Testvideo_Cars-Truck_FR20_2020-01-01_00-00-00.ottrk"))
    assert (peer.width_px, peer.height_px, peer.frame_rate_fps, peer.length_frames) == (800, 600, 20.0, 60)
    assert len(peer.boxes) == 450
    first = peer.boxes.frame == 1
    truck = np.flatnonzero(first & (peer.class_name == "truck"))
    assert len(truck) == 1  # the green truck at the left of the first picture
    left, top, width, height = peer.boxes.xywh[truck[0]]
    assert 110 < left < 130 and 240 < left + width < 260 and 80 < top < 100 and 170 < top + height < 185
    frames_since_start = (peer.captured_at_us - 1_577_836_800_000_000) * 20 // 1_000_000
    np.testing.assert_array_equal(frames_since_start + 1, peer.boxes.frame)
