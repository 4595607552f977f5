"""The compiled core gives what the NumPy twin gives, to the last bit, and nothing breaks where it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from pipeline.config import TrackerConfig
from pipeline.tracking import association, compiled
from pipeline.tracking.deep_sort import TrackerState, advance_numpy, initial_state
from pipeline.types import EMBEDDING_DIM, Detections
from tests.realdata import ROOT
from tests.tracking.paths import advance_compiled, content
from tests.tracking.scenes import CAR, PERSON, TRUCK, found, look, looks, walk

OPTIONS = {
    "defaults": {},
    "reference": {"max_age_frames": 30, "n_init": 3, "high_score": 0.0, "start_score": 0.0, "max_cosine_distance": 0.2},
    "motion in the cost": {"motion_weight": 0.4, "max_cosine_distance": 0.4},
    "motion alone": {"motion_weight": 1.0, "max_cosine_distance": 0.4},
    "no looks": {"max_cosine_distance": None, "iou_age_frames": 5},
    "small gallery": {"gallery_size": 3, "max_cosine_distance": 0.3},
    "running mean": {"feature_average": 0.9, "max_cosine_distance": 0.3},
    "no past": {"feature_average": 0.0, "max_cosine_distance": 0.3},
    "two stages": {"high_score": 0.7, "low_iou_distance": 0.6, "start_score": 0.8},
    "noise by score": {"score_weighted_noise": True},
    "any overlap": {"max_iou_distance": 1.0, "low_iou_distance": 1.0, "high_score": 0.6},
    "confirmed at birth": {"n_init": 1, "max_age_frames": 2},
    "no motion": {"predict_motion": False},
    "nearest": {"predict_motion": False, "max_cosine_distance": None, "max_centre_distance": 0.5, "iou_age_frames": 6},
    "nearest after looks": {"max_centre_distance": 0.8, "iou_age_frames": 3, "high_score": 0.6},
    "all at once": {
        "motion_weight": 0.1,
        "max_cosine_distance": 0.5,
        "feature_average": 0.7,
        "high_score": 0.6,
        "start_score": 0.65,
        "score_weighted_noise": True,
        "iou_age_frames": 4.5,
    },
}


def mixed_scene(n_walkers: int, n_frames: int, seed: int) -> list[tuple[Detections, np.ndarray]]:
    """Walkers of several classes, some of unknown look, some boxes and looks broken."""
    rng = np.random.default_rng(seed)
    frames = []
    for frame in walk(n_walkers, n_frames, seed, miss=0.25, false=0.2 * n_walkers, noise=0.5):
        xyxy, score, embedding = frame.detections.xyxy.copy(), frame.detections.score.copy(), frame.embedding.copy()
        class_id = rng.choice(np.array([PERSON, PERSON, PERSON, CAR, TRUCK], np.int16), len(xyxy))
        broken = rng.random(len(xyxy))
        embedding[broken < 0.1] = 0
        embedding[broken > 0.98] = np.nan
        xyxy[(broken > 0.95) & (broken < 0.97), 0] = np.inf
        score[(broken > 0.93) & (broken < 0.95)] = np.nan
        frames.append((Detections(xyxy, score, class_id), embedding))
    return frames


def alike(frames: list, config: TrackerConfig, elapsed: list[float] | None = None, warps: list | None = None) -> None:
    """Advance both from the same start and demand equal bytes in every frame."""
    mine = theirs = initial_state()
    for number, (detections, embedding) in enumerate(frames):
        step = 1.0 if elapsed is None else elapsed[number]
        warp = None if warps is None else warps[number]
        mine, tracks = advance_compiled(mine, detections, embedding, step, config, camera_warp=warp)
        theirs, expected = advance_numpy(theirs, detections, embedding, step, config, camera_warp=warp)
        got, wanted = content(mine, tracks), content(theirs, expected)
        assert [name for name in wanted if got[name] != wanted[name]] == [], f"frame {number}"


def test_no_frames_of_nothing():
    nothing = (Detections.empty(), looks())
    alike([nothing, nothing, (found((0, 0, 40, 80)), look(1)), nothing, nothing], TrackerConfig())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option(name, seed):
    alike(mixed_scene(12, 60, seed), TrackerConfig(**OPTIONS[name]))


@pytest.mark.parametrize("name", ["defaults", "two stages", "running mean", "nearest"])
def test_a_crowd(name):
    """Enough pairs for the search by place, large blocks and a buffer that has to move."""
    alike(mixed_scene(120, 12, 7), TrackerConfig(**OPTIONS[name]))


@pytest.mark.parametrize("name", ["defaults", "no looks", "nearest"])
def test_time_between_frames_and_a_moving_camera(name):
    frames, rng = mixed_scene(10, 60, 3), np.random.default_rng(3)
    elapsed = rng.choice([0.5, 1.0, 1.0, 1.7, 3.0, 40.0], len(frames)).tolist()
    warps = [
        None if turn < 0 else np.array([[np.cos(turn), -np.sin(turn), 3], [np.sin(turn), np.cos(turn), -2]])
        for turn in rng.uniform(-0.02, 0.02, len(frames))
    ]
    alike(frames, TrackerConfig(**OPTIONS[name]), elapsed, warps)


def test_equal_boxes_and_looks_are_tied_alike():
    """Every detection twice: which of the two a track takes is the same in both."""
    twice = [
        (frame.detections.take(np.repeat(np.arange(len(frame.detections)), 2)), np.repeat(frame.embedding, 2, axis=0))
        for frame in walk(6, 40, 5)
    ]
    alike(twice, TrackerConfig(max_cosine_distance=None))


def test_two_thousand_detections():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 3000, (2000, 2))
    crowd = Detections(
        np.concatenate([corner, corner + rng.uniform(20, 60, (2000, 2))], axis=1).astype(np.float32),
        rng.uniform(0.5, 1, 2000).astype(np.float32),
        np.zeros(2000, np.int16),
    )
    vector = rng.standard_normal((2000, EMBEDDING_DIM))
    vector = (vector / np.linalg.norm(vector, axis=1, keepdims=True)).astype(np.float32)
    alike([(crowd, vector)] * 4, TrackerConfig())


numbers = st.one_of(
    st.floats(-50, 700, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 3.4e38, -3.4e38, 1e-30])
)


@given(
    xyxy=st.lists(arrays(np.float32, (4, 4), elements=numbers), min_size=4, max_size=8),
    n_init=st.integers(1, 2),
    weighted=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_boxes(xyxy, n_init, weighted):
    """Boxes of any kind, the greatest numbers included: never an error, and the same tracks."""
    config = TrackerConfig(n_init=n_init, score_weighted_noise=weighted, iou_age_frames=3)
    score, class_id = np.array([0.3, 0.5, 0.9, 1], np.float32), np.zeros(4, np.int16)
    with np.errstate(all="ignore"):
        alike([(Detections(corners, score, class_id), looks(1, 2, 3, 4)) for corners in xyxy], config)


def test_arrays_of_any_memory_layout_are_taken():
    frames = walk(5, 20, 1)
    mine = theirs = initial_state()
    for frame in frames:
        wide = np.zeros((len(frame.who), 6), np.float32)
        wide[:, 1:5] = frame.detections.xyxy
        score = frame.detections.score.copy()
        score.flags.writeable = False
        strided = Detections(wide[:, 1:5], score, frame.detections.class_id)
        mine, tracks = advance_compiled(mine, strided, np.asfortranarray(frame.embedding), 1, TrackerConfig())
        theirs, expected = advance_numpy(theirs, frame.detections, frame.embedding, 1, TrackerConfig())
        assert content(mine, tracks) == content(theirs, expected)


def columns(state: TrackerState) -> list[np.ndarray]:
    return [getattr(state, name) for name in state.__slots__ if isinstance(getattr(state, name), np.ndarray)]


def test_states_are_values():
    """Going on twice from one state gives the same twice, and leaves it and every state before as they were."""
    frames, config = walk(6, 60, 9), TrackerConfig(gallery_size=4)
    states = [initial_state()]
    for frame in frames:
        states.append(advance_compiled(states[-1], frame.detections, frame.embedding, 1, config)[0])
    kept = [([column.copy() for column in columns(s)], [part.copy() for part in s.gallery.pack()]) for s in states[1:]]
    for start in (20, 40, 20):
        state = states[start]
        for number, frame in enumerate(frames[start:], start + 1):
            state, _ = advance_compiled(state, frame.detections, frame.embedding, 1, config)
            for mine, before in zip(columns(state), kept[number - 1][0]):
                np.testing.assert_array_equal(mine, before)
            np.testing.assert_array_equal(state.gallery.pack()[1], kept[number - 1][1][1])
    for state, (before, packed) in zip(states[1:], kept):
        for column, was in zip(columns(state), before):
            np.testing.assert_array_equal(column, was)
        for part, was in zip(state.gallery.pack(), packed):
            np.testing.assert_array_equal(part, was)


def test_one_way_can_go_on_where_the_other_stopped():
    frames, config = walk(6, 60, 2), TrackerConfig(gallery_size=5)
    alone = changing = initial_state()
    for number, frame in enumerate(frames):
        alone, expected = advance_numpy(alone, frame.detections, frame.embedding, 1, config)
        step = advance_compiled if number % 3 else advance_numpy
        changing, tracks = step(changing, frame.detections, frame.embedding, 1, config)
        assert content(changing, tracks) == content(alone, expected)


@pytest.mark.parametrize("whole", [False, True])
def test_assignment_equals_scipys(whole):
    """Costs of a few whole numbers tie all the time, and even then the choice is the same."""
    pytest.importorskip("numba")
    from pipeline.tracking.kernels.assignment import solve

    rng = np.random.default_rng(0)
    for _ in range(3000):
        shape = rng.integers(1, 10, 2)
        cost = rng.integers(0, 4, shape).astype(float) if whole else rng.random(shape)
        expected = np.full(shape[0], -1)
        row, column = linear_sum_assignment(cost)
        expected[row] = column
        np.testing.assert_array_equal(solve(cost), expected)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_matching_in_blocks_equals_matching_the_whole(share):
    pytest.importorskip("numba")
    from pipeline.tracking.kernels.assignment import match

    rng = np.random.default_rng(1)
    for _ in range(100):
        shape = rng.integers(1, 40, 2)
        cost = np.where(rng.random(shape) < share, rng.random(shape), np.inf)
        row, column = np.nonzero(cost <= 0.8)
        first = np.searchsorted(row, np.arange(shape[0] + 1))
        got = match(first, column, cost[row, column], shape[1], 0.8, association._BEYOND)
        expected = np.full(shape[0], -1)
        matched = association.assign(cost, 0.8)
        expected[matched[0]] = matched[1]
        np.testing.assert_array_equal(got, expected)
        capped = np.where(cost <= 0.8, cost, 0.8 + association._BEYOND)
        whole = linear_sum_assignment(capped)
        keep = cost[whole] <= 0.8
        np.testing.assert_array_equal(matched[0], whole[0][keep])
        np.testing.assert_array_equal(matched[1], whole[1][keep])


SHORT_RUN = """
import warnings
warnings.simplefilter("error")
from pipeline.tracking import compiled, deep_sort
from pipeline.config import TrackerConfig
from tests.tracking.scenes import walk
compiled.warm_up()
state = deep_sort.initial_state()
for frame in walk(4, 10, 0):
    state, tracks = deep_sort.advance(state, frame.detections, frame.embedding, 1, TrackerConfig())
print(compiled.available(), tracks.track_id.tolist())
"""


def start(**environment: str) -> subprocess.Popen:
    """Run SHORT_RUN in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", SHORT_RUN],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen) -> str:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


def test_switched_off():
    assert answer(start(NIGHTFLEET_COMPILED="0")).startswith("False [")


def test_two_processes_compile_at_once_a_third_loads_and_damage_does_no_harm(tmp_path):
    pytest.importorskip("numba")
    both = [start(NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    first, second = (answer(process) for process in both)
    kept = {path: path.stat().st_mtime_ns for path in Path(tmp_path).rglob("*.nb?")}
    third = answer(start(NUMBA_CACHE_DIR=str(tmp_path)))
    assert kept == {path: path.stat().st_mtime_ns for path in Path(tmp_path).rglob("*.nb?")} != {}  # it wrote nothing
    for path in kept:
        path.write_bytes(b"damaged")
    assert first == second == third == answer(start(NUMBA_CACHE_DIR=str(tmp_path)))
    assert first.startswith("True [")


def test_no_folder_to_keep_machine_code_in(monkeypatch):
    """As in a read-only container: compiled all the same, for this process alone."""
    numba_caching = pytest.importorskip("numba.core.caching")
    monkeypatch.setattr(numba_caching.CacheImpl, "_locator_classes", [])
    monkeypatch.setattr(numba_caching.CodeLibraryCacheImpl, "_locator_classes", [], raising=False)
    compiled._core.cache_clear()
    try:
        assert compiled._core() is not None
        alike(mixed_scene(5, 10, 0), TrackerConfig())
    finally:
        compiled._core.cache_clear()


def test_a_numba_that_does_not_work_costs_speed_only(monkeypatch):
    monkeypatch.setitem(sys.modules, "pipeline.tracking.kernels.core", None)  # its import fails
    compiled._core.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match="without its compiled core"):
            assert not compiled.available()
    finally:
        compiled._core.cache_clear()
