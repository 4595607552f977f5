"""The weights that come with nightfleet."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.evaluate_reid import evaluate_reid
from pipeline import config
from pipeline.boxes import iou, xywh_to_xyxy
from pipeline.config import DetectorConfig, EmbedderConfig
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.footage.segments import discover
from pipeline.perception.perception import Perception
from pipeline.perception.weights import SHIPPED, SHIPPED_FILES, embedder_digest
from pipeline.types import CameraView
from tests.realdata import data_path

MOST_BYTES = 12 * 1024 * 1024


def test_they_are_small_and_each_has_its_card():
    files = sorted(SHIPPED.glob("*.safetensors"))
    assert {path.name for path in files} == set(SHIPPED_FILES.values())
    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for path in files:
        card = path.with_suffix(".md").read_text(encoding="utf-8")
        assert all(f"## {part}" in card for part in ("Data and terms", "Training", "Measured", "Limits"))


def test_the_embedder_that_ships_gives_unit_vectors():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 128, 64, 3), dtype=np.uint8)
    vectors = Perception(EmbedderConfig(use="trained"), device="cpu", threads=1).embed_pictures(list(pictures))
    assert vectors.shape == (2, 128)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_it_is_what_runs_unless_told_otherwise():
    assert EmbedderConfig().use == "trained" and DetectorConfig().use == "one-shot"
    assert embedder_digest(EmbedderConfig()) != embedder_digest(EmbedderConfig(use="stripes"))


@pytest.mark.realdata
def test_it_knows_real_people_again_better_than_stripes():
    crops = data_path("reid/market1501_eval")
    scores = {}
    for use in ("trained", "stripes"):
        found = evaluate_reid(EmbedderConfig(use=use), data=crops, rerank=False, device="cpu")
        scores[use] = found["scores"][0]["mAP"]
    assert scores["trained"] > scores["stripes"]


def test_the_detector_that_ships_finds_who_is_there_in_towns_of_other_days(tiny_town):
    fleet = config.load(tiny_town / "fleet.yaml")
    found = wanted = right = 0
    for camera in fleet.cameras:
        truth = np.loadtxt(tiny_town / "truth" / camera.id / "gt.txt", delimiter=",", ndmin=2)
        segment = discover(camera).segments[0]
        perception = Perception(EmbedderConfig(use="one-shot"), device="cpu", threads=1)
        view = CameraView(camera.id, segment.width_px, segment.height_px, camera.homography, segment.url, segment.fps)
        session = perception.session(DetectorConfig(), view, lambda n, of=segment: sample_frames(of, n))
        with SegmentReader(segment, batch_size=4, prefetch_batches=1, target_fps=None) as reader:
            batch = next(iter(reader))
        for frame, (boxes, looks) in zip(batch.frame.tolist(), session.perceive(batch)):
            there = truth[(truth[:, 0] == frame + 1) & (truth[:, 8] >= 0.5)]
            overlap = iou(boxes.xyxy.astype(float), xywh_to_xyxy(there[:, 2:6])) >= 0.5
            assert np.linalg.norm(looks, axis=1) == pytest.approx(1, abs=1e-5)
            found, wanted, right = found + len(boxes), wanted + len(there), right + int(overlap.any(axis=0).sum())
    assert wanted > 20
    assert right >= 0.9 * wanted and right >= 0.8 * found
