"""Frame by frame the associations of the reference implementation, whose core PyPI's deep-sort-realtime carries.

Two galleries are the reference's. nwojke/deep_sort clears a track's list of features once they are in its gallery; this
is what we do, and every association must be equal. deep-sort-realtime keeps the last one in the list, so each frame
adds it again: a track matched in every frame then has every feature twice and its budget of 100 holds the last 50, and
an unseen track forgets by and by all but its last. As the least distance to a set does not change when members are
repeated, the two agree as long as no budget is exhausted, and the package untouched is compared there.

Ties: boxes and looks are drawn from continuous distributions, so no two assignments of these scenes have equal cost.
Where they have, the reference's choice depends on the order of its lists (tentative tracks before confirmed ones in
IoU matching) and on its matrix; ours is as pipeline.tracking.association says.
"""

from __future__ import annotations

import numpy as np
import pytest

from pipeline import boxes
from pipeline.config import TrackerConfig, tracker_preset
from pipeline.tracking.deep_sort import advance, initial_state
from pipeline.types import Detections
from tests.realdata import data_path
from tests.tracking.scenes import PERSON, walk
from tests.tracking.test_mot15 import SEQUENCES, appearance

pytest.importorskip("deep_sort_realtime", reason="the oracle is not installed: pip install nightfleet[test]")

from deep_sort_realtime.deep_sort.detection import Detection
from deep_sort_realtime.deep_sort.nn_matching import NearestNeighborDistanceMetric
from deep_sort_realtime.deep_sort.track import Track
from deep_sort_realtime.deep_sort.tracker import Tracker

REFERENCE = tracker_preset("reference")
"""What nwojke/deep_sort has by default, with the cosine distance and budget of its documentation."""

Frames = list[tuple[Detections, np.ndarray]]
Associations = list[dict[int, int]]


class _Forgetful(list):
    """A list whose last element may be asked for where there is none."""

    def __getitem__(self, index):
        return super().__getitem__(index) if len(self) else None


class ClearingTrack(Track):
    """nwojke's track: what the tracker leaves in its list of features is forgotten."""

    @property
    def features(self) -> list:
        return self._features

    @features.setter
    def features(self, value: list) -> None:
        self._features = _Forgetful()


def of_reference(frames: Frames, track_class: type[Track], budget: int | None) -> Associations:
    """Return track -> detection of every frame by the reference implementation."""
    metric = NearestNeighborDistanceMetric("cosine", REFERENCE.max_cosine_distance, budget)
    tracker = Tracker(
        metric,
        max_iou_distance=REFERENCE.max_iou_distance,
        max_age=REFERENCE.max_age_frames,
        n_init=REFERENCE.n_init,
        override_track_class=track_class,
    )
    found = []
    for detections, embedding in frames:
        seen = [
            Detection(xywh, score, feature, others=row)
            for row, (xywh, score, feature) in enumerate(
                zip(boxes.xyxy_to_xywh(detections.xyxy), detections.score, embedding)
            )
        ]
        tracker.predict()
        tracker.update(seen)
        found.append({int(t.track_id): t.others for t in tracker.tracks if t.time_since_update == 0})
    return found


def of_ours(frames: Frames, config: TrackerConfig = REFERENCE) -> Associations:
    """Return track -> detection of every frame by `advance`."""
    state, found = initial_state(), []
    for detections, embedding in frames:
        state, tracks = advance(state, detections, embedding, 1.0, config)
        found.append({i: box for i, box in zip(tracks.track_id.tolist(), tracks.detection_index.tolist()) if box >= 0})
    return found


def first_difference(ours: Associations, theirs: Associations) -> int | None:
    """Return the first frame that differs, or None. Track numbers may differ, but each must keep its partner."""
    partner: dict[int, int] = {}
    taken: dict[int, int] = {}
    for frame, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        by_box = {box: number for number, box in other.items()}
        if sorted(mine.values()) != sorted(by_box):
            return frame
        for number, box in mine.items():
            there = by_box[box]
            if partner.setdefault(number, there) != there or taken.setdefault(there, number) != number:
                return frame
    return None


def sequence(name: str) -> Frames:
    """Return a real sequence's detections and seeded looks, every frame of it."""
    detected = np.loadtxt(data_path(f"mot15/{name}/det/det.txt"), delimiter=",")
    truth = np.loadtxt(data_path(f"mot15/{name}/gt/gt.txt"), delimiter=",")
    looks, frames = appearance(detected, truth), []
    for frame in range(1, int(max(detected[:, 0].max(), truth[:, 0].max())) + 1):
        here = detected[:, 0] == frame
        xyxy = boxes.xywh_to_xyxy(detected[here, 2:6]).astype(np.float32)
        score = detected[here, 6].astype(np.float32)
        frames.append((Detections(xyxy, score, np.full(len(xyxy), PERSON, np.int16)), looks[here]))
    return frames


def scene(n_walkers: int, n_frames: int, seed: int, noise: float) -> Frames:
    """Return a made-up scene: the picture's size is fixed, so more walkers are a denser crowd."""
    frames = walk(n_walkers, n_frames, seed, miss=0.15, false=0.05 * n_walkers, noise=noise)
    return [(frame.detections, frame.embedding) for frame in frames]


def test_no_tracks_from_empty_frames():
    empty = [(Detections.empty(), np.zeros((0, 128), np.float32))] * 3
    assert of_ours(empty) == of_reference(empty, ClearingTrack, REFERENCE.gallery_size) == [{}] * 3


@pytest.mark.realdata
@pytest.mark.parametrize("name", SEQUENCES)
def test_real_detections(name):
    frames = sequence(name)
    theirs = of_reference(frames, ClearingTrack, REFERENCE.gallery_size)
    assert first_difference(of_ours(frames), theirs) is None


@pytest.mark.parametrize("noise", [0.2, 0.6, 1.0])  # same person's cosine distance about 0.04, 0.26 and 0.5
@pytest.mark.parametrize(("n_walkers", "n_frames"), [(3, 200), (12, 120), (40, 50), (90, 20)])
def test_random_scenes(n_walkers, n_frames, noise):
    frames = scene(n_walkers, n_frames, n_walkers, noise)
    assert first_difference(of_ours(frames), of_reference(frames, ClearingTrack, REFERENCE.gallery_size)) is None


@pytest.mark.parametrize("budget", [1, 3, 10])
def test_the_budget_forgets_alike(budget):
    """With a small budget and drifting looks it matters which features are kept."""
    frames = scene(10, 120, 4, 0.7)
    ours = of_ours(frames, REFERENCE.model_copy(update={"gallery_size": budget}))
    assert first_difference(ours, of_reference(frames, ClearingTrack, budget)) is None


@pytest.mark.parametrize("n_walkers", [5, 25])
def test_the_package_as_it_is_agrees_while_no_budget_is_exhausted(n_walkers):
    frames = scene(n_walkers, 99, 7, 0.6)  # 99 features fit into ours, and theirs forgets nothing
    assert first_difference(of_ours(frames), of_reference(frames, Track, None)) is None


def test_the_package_as_it_is_forgets_sooner():
    """A look that returns after an absence: the package's gallery of 6 is by then full of copies of another look."""
    rng = np.random.default_rng(0)
    old, new = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 128)))
    box = np.array([[100, 100, 140, 200]], np.float32)
    seen = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int16))
    elsewhere = Detections(box + 16, np.ones(1, np.float32), np.zeros(1, np.int16))
    shown = [old] * 4 + [new] + [None] * 6 + [old]
    frames = [
        (Detections.empty(), np.zeros((0, 128), np.float32)) if look is None else (seen, look[None].astype(np.float32))
        for look in shown[:-1]
    ] + [(elsewhere, old[None].astype(np.float32))]
    ours = of_ours(frames, REFERENCE.model_copy(update={"gallery_size": 6}))
    assert first_difference(ours, of_reference(frames, ClearingTrack, 6)) is None
    assert list(ours[-1]) == [1] and list(of_reference(frames, Track, 6)[-1]) == [2]
