"""The weights that come with nightfleet."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.evaluate_reid import evaluate_reid
from pipeline.config import EmbedderConfig
from pipeline.perception.perception import Perception
from pipeline.perception.weights import SHIPPED, SHIPPED_FILES, embedder_digest
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
    assert EmbedderConfig().use == "trained"
    assert embedder_digest(EmbedderConfig()) != embedder_digest(EmbedderConfig(use="stripes"))


@pytest.mark.realdata
def test_it_knows_real_people_again_better_than_stripes():
    crops = data_path("reid/market1501_eval")
    scores = {}
    for use in ("trained", "stripes"):
        found = evaluate_reid(EmbedderConfig(use=use), data=crops, rerank=False, device="cpu")
        scores[use] = found["scores"][0]["mAP"]
    assert scores["trained"] > scores["stripes"]
