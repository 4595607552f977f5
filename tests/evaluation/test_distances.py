"""Distances of anchors to positives and negatives, against loops over pairs."""

import numpy as np
import pytest

from pipeline.evaluation.distances import BINS, GREATEST, Distances, measure, separation, summary
from pipeline.evaluation.reid import DISTRACTOR, JUNK, Pictured


def block(similarity):
    return iter([(np.arange(len(similarity)), similarity)])


def test_nothing_measured_says_nothing():
    empty = Pictured(np.zeros(0, np.int64), np.zeros(0, np.int64))
    result = summary(measure(iter([]), empty, empty))
    assert result["positive"] is None
    assert result["separation"] is None


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_a_loop_finds(seed):
    rng = np.random.default_rng(seed)
    person = rng.integers(-1, 5, 30)
    camera = rng.integers(0, 3, 30)
    unit = rng.normal(size=(30, 4))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    similarity = unit @ unit.T
    similarity[rng.random((30, 30)) < 0.1] = -np.inf
    positive, negative, farthest, nearest = [], [], [], []
    for i in range(30):
        mine, others = [], []
        for j in range(30):
            if person[i] <= DISTRACTOR or person[j] == JUNK or not np.isfinite(similarity[i, j]):
                continue
            if person[i] == person[j] and camera[i] != camera[j]:
                mine.append(1 - similarity[i, j])
            if person[i] != person[j]:
                others.append(1 - similarity[i, j])
        positive, negative = positive + mine, negative + others
        if mine and others:
            farthest.append(max(mine))
            nearest.append(min(others))
    shown = Pictured(person, camera)
    result = summary(measure(block(similarity), shown, shown))
    step = GREATEST / BINS
    for name, values in (("positive", positive), ("negative", negative)):
        assert result[name]["pairs"] == len(values)
        assert result[name]["mean"] == pytest.approx(np.mean(values), abs=step)
        assert result[name]["p50"] == pytest.approx(np.quantile(values, 0.5, method="inverted_cdf"), abs=step)
        assert result[name]["p95"] == pytest.approx(np.quantile(values, 0.95, method="inverted_cdf"), abs=step)
    assert result["farthest_positive"] == pytest.approx(np.mean(farthest))
    assert result["nearest_negative"] == pytest.approx(np.mean(nearest))
    assert result["hard_triplets"] == pytest.approx(np.mean(np.array(nearest) <= np.array(farthest)))
    won = np.mean([(p < n) + (p == n) / 2 for p in positive for n in negative])
    assert result["separation"] == pytest.approx(won, abs=2e-3)


@pytest.mark.parametrize("positive, negative, share", [(10, 90, 1.0), (90, 10, 0.0), (50, 50, 0.5)])
def test_separation_of_plain_cases(positive, negative, share):
    counts = np.zeros((2, BINS), np.int64)
    counts[0, positive], counts[1, negative] = 7, 3
    assert separation(Distances(*counts)) == share
