"""What each option of the tracker is worth, over all given sequences: the evidence behind its defaults.

    python -m tests.benchmarks.tracker_options [--data DIR] [--sets mot15,kitti-car] [--variants default,reference]

Prints, by data set, the combined scores of every variant; the peers of pipeline.evaluation.peers may be named beside
them. The sets:

mot15, mot15/2, mot15/4   four sequences, looks unknown; every frame, every second, every fourth
looks-pca, looks-random   the same sequences with looks of real people (see looks.py), in the two projections there are
kitti-CLASS               PointRCNN's boxes of cars, pedestrians, cyclists scored 0.5 or more, 10 fps, a moving camera
kitti-CLASS-low           the same from 0.1, which is what a second association of doubtful boxes wants
vtest, vtest-low          one clip by our detector and embedder, boxes scored 0.5 or more; from 0.1
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from jobs.track_sequences import track, track_with_peer
from pipeline.config import TrackerConfig
from pipeline.evaluation import mot
from pipeline.evaluation.peers import PEER_NAMES
from pipeline.evaluation.sequences import DetectedSequence, read_sequences
from pipeline.evaluation.tables import TrackedBoxes
from tests.benchmarks import kitti, looks, vtest
from tests.realdata import ROOT

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "no hindsight": {"hindsight": None},
    "reference": {"preset": "reference"},
    "sort": {"preset": "sort"},
    "bytetrack": {"preset": "bytetrack"},
    "strongsort": {"preset": "strongsort"},
    "iou_age 5": {"iou_age_frames": 5},
    "iou_age 30": {"iou_age_frames": 30},
    "one matching": {"high_score": 0.0},
    "high_score 0.6": {"high_score": 0.6},
    "start 0.7": {"start_score": 0.7},
    "noise by frame": {"motion_fps": 0},
    "motion_fps 5": {"motion_fps": 5},
    "motion_fps 20": {"motion_fps": 20},
    "no joining": {"hindsight": {"max_gap_frames": 0}},
    "no filling": {"hindsight": {"fill_gaps": False}},
    "no smoothing": {"hindsight": {"smoothing": False}},
    "no dropping": {"hindsight": {"min_evidence": 0}},
    "nsa": {"score_weighted_noise": True},
    "average 0.9": {"feature_average": 0.9},
    "cosine 0.3": {"max_cosine_distance": 0.3},
    "cosine 0.4": {"max_cosine_distance": 0.4},
    "no looks": {"max_cosine_distance": None},
    "motion 0.02": {"motion_weight": 0.02},
    "age 60": {"max_age_frames": 60},
}
"""Overrides of the defaults, by name; `preset` lays a preset's values under them."""

MOT15_FPS = {"PETS09-S2L1": 7.0, "ETH-Sunnyday": 14.0, "KITTI-13": 10.0, "TUD-Campus": 25.0}
"""Frame rates of the sequences by MOTChallenge's own seqinfo.ini."""

SURE, DOUBTFUL = 0.5, 0.1
FIELDS = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "IDSW", "Frag")


@dataclass(frozen=True, eq=False)
class Scene:
    """A sequence to track, its embeddings (N, 128) or None, and what takes out tracks before they are scored."""

    sequence: DetectedSequence
    embedding: np.ndarray | None = None
    evaluated: Callable[[TrackedBoxes], TrackedBoxes] = lambda predicted: predicted


def every(sequence: DetectedSequence, step: int) -> tuple[DetectedSequence, np.ndarray]:
    """Return every `step`-th frame of a sequence, numbered from 1, and the rows (K,) of it that remain."""
    truth = sequence.truth
    rows, true = (np.flatnonzero((frame - 1) % step == 0) for frame in (sequence.frame, truth.frame))
    fewer = {name: getattr(truth, name)[true] for name in TrackedBoxes.__slots__}
    rate_fps = sequence.frame_rate_fps
    sampled = replace(
        sequence,
        n_frames=(sequence.n_frames - 1) // step + 1,
        frame_rate_fps=None if rate_fps is None else rate_fps / step,
        frame=(sequence.frame[rows] - 1) // step + 1,
        xyxy=sequence.xyxy[rows],
        score=sequence.score[rows],
        truth=TrackedBoxes(**{**fewer, "frame": (fewer["frame"] - 1) // step + 1}),
    )
    return sampled, rows


def _mot15(data: Path, step: int) -> Iterator[Scene]:
    for sequence in _with_rates(data):
        yield Scene(every(sequence, step)[0])


def _with_rates(data: Path) -> list[DetectedSequence]:
    """Read the MOT15 sequences; the folder has no seqinfo.ini, whose frame rates these are."""
    return [
        replace(one, frame_rate_fps=one.frame_rate_fps or MOT15_FPS[one.name]) for one in read_sequences(data / "mot15")
    ]


def _looks(data: Path, how: str) -> Iterator[Scene]:
    sequences = _with_rates(data)
    for sequence, embedding in zip(sequences, looks.put_on(sequences, looks.People(data / looks.FEATURES), how)):
        yield Scene(sequence, embedding)


def _kitti(data: Path, kind: str, min_score: float) -> Iterator[Scene]:
    for one in kitti.read(data / "kitti", kind, min_score):
        yield Scene(one.sequence, evaluated=one.evaluated)


def _vtest(data: Path, min_score: float) -> Iterator[Scene]:
    yield Scene(*vtest.read(data, min_score))


SETS: dict[str, Callable[[Path], Iterator[Scene]]] = {
    "mot15": lambda data: _mot15(data, 1),
    "mot15/2": lambda data: _mot15(data, 2),
    "mot15/4": lambda data: _mot15(data, 4),
    "looks-pca": lambda data: _looks(data, "pca"),
    "looks-random": lambda data: _looks(data, "random"),
    "kitti-car": lambda data: _kitti(data, "Car", SURE),
    "kitti-pedestrian": lambda data: _kitti(data, "Pedestrian", SURE),
    "kitti-cyclist": lambda data: _kitti(data, "Cyclist", SURE),
    "kitti-car-low": lambda data: _kitti(data, "Car", DOUBTFUL),
    "kitti-pedestrian-low": lambda data: _kitti(data, "Pedestrian", DOUBTFUL),
    "kitti-cyclist-low": lambda data: _kitti(data, "Cyclist", DOUBTFUL),
    "vtest": lambda data: _vtest(data, SURE),
    "vtest-low": lambda data: _vtest(data, DOUBTFUL),
}


@cache
def scenes(name: str, data: Path) -> tuple[Scene, ...]:
    """Return the scenes of a data set, read once a process."""
    return tuple(SETS[name](data))


def follow(scene: Scene, variant: str) -> TrackedBoxes:
    """Track a scene with a variant or a peer."""
    if variant in PEER_NAMES:
        return track_with_peer(scene.sequence, variant, scene.embedding)
    return track(scene.sequence, TrackerConfig.model_validate(VARIANTS[variant]), scene.embedding)


def score(name: str, data: Path, variant: str) -> dict[str, float]:
    """Track a data set with a variant or a peer; return its combined scores and `seconds`, the tracking's."""
    read = scenes(name, data)
    began = time.perf_counter()
    found = [(scene, follow(scene, variant)) for scene in read]
    tracking_s = time.perf_counter() - began
    sequences = [
        mot.TrackedSequence(
            scene.sequence.name, scene.sequence.truth, scene.evaluated(predicted), scene.sequence.n_frames
        )
        for scene, predicted in found
    ]
    return {**mot.evaluate(sequences, mot.Rules(min_visibility=0.5)), "seconds": tracking_s}


def table(name: str, rows: dict[str, dict[str, float]]) -> str:
    """Lay out one data set's scores, a line a variant."""
    lines = [f"{name:24}" + "".join(f"{field:>8}" for field in FIELDS) + "       s"]
    for variant, row in rows.items():
        cells = (f"{row[field]:8d}" if isinstance(row[field], int) else f"{row[field]:8.3f}" for field in FIELDS)
        lines.append(f"  {variant:22}" + "".join(cells) + f"{row['seconds']:8.1f}")
    return "\n".join(lines)


def main() -> None:
    """Score the variants asked for on the data sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("NIGHTFLEET_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the test data")
    parser.add_argument("--sets", default=",".join(SETS), help="data sets, by comma; all without it")
    parser.add_argument(
        "--variants", default=",".join(VARIANTS), help="variants and peers, by comma; all variants without it"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    asked = parser.parse_args()
    variants = [name.strip() for name in asked.variants.split(",")]
    names = asked.sets.split(",")
    for kind, wanted, known in (("set", names, SETS), ("variant", variants, (*VARIANTS, *PEER_NAMES))):
        for one in wanted:
            if one not in known:
                parser.error(f"no {kind} {one!r}; there are {', '.join(known)}")
    with ProcessPoolExecutor(asked.workers) as pool:
        for name in names:
            futures = {variant: pool.submit(score, name, asked.data, variant) for variant in variants}
            print(table(name, {variant: future.result() for variant, future in futures.items()}), flush=True)


if __name__ == "__main__":
    main()
