"""A camera's tracking from frames to rows, and its interruption at any frame."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields

import numpy as np
import pytest

from pipeline.config import HindsightConfig, TrackerConfig, tracker_preset
from pipeline.errors import LakeError
from pipeline.tracking import snapshot
from pipeline.tracking import tracklets as camera_tracking
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import Detections, Exemplars, Observations, Tracklets
from tests.tracking.scenes import CAR, TRUCK, Frame, found, look, looks, walk

CONFIG = tracker_preset("reference").model_copy(update={"max_age_frames": 5, "max_exemplars": 4, "gallery_size": 10})
START_US = 1_772_352_000_123_456  # 2026-03-01T08:00:00.123456Z
INTERVAL_US = 100_000
BOX = (100, 100, 140, 200)


def feed(tracking: CameraTracking, number: int, detections: Detections, embedding: np.ndarray, segment="gate-a"):
    """Give one frame of gapless 10 fps footage, by its number."""
    return tracking.step(
        segment_id=segment,
        frame=number,
        captured_at_us=START_US + number * INTERVAL_US,
        frame_interval_us=INTERVAL_US,
        detections=detections,
        embedding=embedding,
    )


def feed_frame(tracking: CameraTracking, number: int, frame: Frame) -> None:
    # Three segments of twenty frames, so rows carry different names.
    feed(tracking, number, frame.detections, frame.embedding, segment=f"gate-{number // 20}")


def assert_same_rows(got: tuple, expected: tuple) -> None:
    for one, other in zip(got, expected):
        for field in fields(other):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def joined(drained: list[tuple]) -> tuple[Observations, Tracklets, Exemplars]:
    """Stack what several drains gave and sort as one would have."""
    tables = []
    for parts in zip(*drained):
        table = type(parts[0]).concatenate(list(parts))
        names = table.tracklet_id.astype(str)
        keys = {
            Observations: lambda t=table, n=names: (n, t.captured_at_us),
            Tracklets: lambda n=names: (n,),
            Exemplars: lambda t=table, n=names: (t.captured_at_us, n),
        }
        order = np.lexsort(keys[type(table)]())
        tables.append(type(table)(*(getattr(table, field.name)[order] for field in fields(table))))
    return tuple(tables)


def test_no_frames_and_empty_frames_give_no_rows():
    tracking = CameraTracking("gate", CONFIG)
    assert [len(table) for table in tracking.drain()] == [0, 0, 0]
    assert tracking.last_captured_at_us is None
    tracks = feed(tracking, 0, Detections.empty(), looks())
    tracking.close()
    assert len(tracks) == 0 and [len(table) for table in tracking.drain()] == [0, 0, 0]
    assert tracking.last_captured_at_us == START_US


def test_one_object_worked_by_hand():
    tracking = CameraTracking("gate", CONFIG)
    for i in range(4):
        feed(tracking, i, found((100 + i, 100, 140 + i, 200), score=0.5 + i / 10), look(1), segment=f"gate-{i // 2}")
    observations, tracklets, exemplars = tracking.drain()
    name = "gate-20260301T080000.123Z-1"
    assert observations.tracklet_id.tolist() == [name] * 4
    assert observations.segment_id.tolist() == ["gate-0", "gate-0", "gate-1", "gate-1"]
    assert observations.frame.tolist() == [0, 1, 2, 3]
    assert observations.captured_at_us.tolist() == [START_US + i * INTERVAL_US for i in range(4)]
    np.testing.assert_array_equal(observations.xyxy[:, 0], [100, 101, 102, 103])  # the detector's box, not a filtered
    assert not observations.interpolated.any()
    assert len(tracklets) == len(exemplars) == 0  # the track is still alive

    tracking.close()
    observations, tracklets, exemplars = tracking.drain()
    assert len(observations) == 0
    assert tracklets.tracklet_id.tolist() == [name]
    assert tracklets.n_observations.tolist() == [4]
    assert tracklets.mean_score[0] == pytest.approx(0.65)
    assert (tracklets.started_at_us[0], tracklets.ended_at_us[0]) == (START_US, START_US + 3 * INTERVAL_US)
    assert tracklets.entry_xy.tolist() == [[120, 200]] and tracklets.exit_xy.tolist() == [[123, 200]]
    np.testing.assert_allclose(tracklets.embedding, look(1), atol=1e-6)
    assert exemplars.frame.tolist() == [0, 1, 2, 3]
    assert [len(table) for table in tracking.drain()] == [0, 0, 0]


def test_boxes_are_held_back_until_confirmation_and_dropped_without():
    tracking = CameraTracking("gate", CONFIG)
    for i in range(2):
        feed(tracking, i, found(BOX), look(1))
    assert len(tracking.drain()[0]) == 0
    feed(tracking, 2, found(BOX), look(1))
    assert tracking.drain()[0].frame.tolist() == [0, 1, 2]

    fleeting = CameraTracking("gate", CONFIG)
    for i in range(2):
        feed(fleeting, i, found(BOX), look(1))
    feed(fleeting, 2, Detections.empty(), looks())
    fleeting.close()
    assert [len(table) for table in fleeting.drain()] == [0, 0, 0]


def test_tentative_tracks_at_the_close_leave_nothing():
    tracking = CameraTracking("gate", CONFIG)
    for i in range(2):
        feed(tracking, i, found(BOX), look(1))
    tracking.close()
    for i in range(2, 5):
        feed(tracking, i, found(BOX), look(1))
    tracking.close()
    observations, tracklets, _ = tracking.drain()
    assert observations.frame.tolist() == [2, 3, 4]
    assert tracklets.tracklet_id.tolist() == ["gate-20260301T080000.323Z-2"]  # ids go on after a close


def test_class_of_a_tracklet_is_that_of_the_greatest_summed_score():
    tracking = CameraTracking("gate", CONFIG)
    for i, (class_id, score) in enumerate([(TRUCK, 0.9), (CAR, 0.5), (CAR, 0.5), (CAR, 0.5)]):
        feed(tracking, i, found(BOX, class_id=class_id, score=score), look(1))
    tracking.close()
    observations, tracklets, _ = tracking.drain()
    assert observations.class_id.tolist() == [TRUCK, CAR, CAR, CAR] and tracklets.class_id.tolist() == [CAR]


def test_elapsed_time_and_not_the_number_of_frames_ages_tracks():
    tracking = CameraTracking("gate", CONFIG)
    for i in (
        0,
        1,
        2,
        7,
        12.05,
        17.5,
    ):  # gaps of 5, 5 (5.05 is jitter) and 5.45 frames: only the last is beyond max_age
        tracks = tracking.step(
            segment_id="gate-a",
            frame=int(i),
            captured_at_us=START_US + int(i * INTERVAL_US),
            frame_interval_us=INTERVAL_US,
            detections=found(BOX),
            embedding=look(1),
        )
        assert tracks.track_id.tolist() == ([2] if i > 17 else [1])
    assert len(tracking.drain()[1]) == 1  # the gap finished the first one


def test_frames_out_of_order_are_refused():
    tracking = CameraTracking("gate", CONFIG)
    feed(tracking, 5, found(BOX), look(1))
    for number in (5, 4):
        with pytest.raises(ValueError, match="camera gate: expected a frame after"):
            feed(tracking, number, found(BOX), look(1))


def test_rows_are_consistent_on_a_random_scene():
    frames = walk(6, 120, 1, miss=0.25, false=1.0)
    tracking = CameraTracking("gate", CONFIG)
    for number, frame in enumerate(frames):
        feed_frame(tracking, number, frame)
    tracking.close()
    observations, tracklets, exemplars = tracking.drain()
    names, counts = np.unique(observations.tracklet_id.astype(str), return_counts=True)
    assert tracklets.tracklet_id.tolist() == names.tolist() == sorted(set(exemplars.tracklet_id))
    assert tracklets.n_observations.tolist() == counts.tolist() and counts.min() >= CONFIG.n_init
    for i, name in enumerate(names):
        mine = observations.tracklet_id == name
        assert observations.captured_at_us[mine][[0, -1]].tolist() == [
            tracklets.started_at_us[i],
            tracklets.ended_at_us[i],
        ]
        assert tracklets.mean_score[i] == pytest.approx(observations.score[mine].mean(), rel=1e-5)
        shown = exemplars.captured_at_us[exemplars.tracklet_id == name]
        assert set(shown) <= set(observations.captured_at_us[mine]) and (np.diff(shown) > 0).all()
        assert 1 <= len(shown) <= CONFIG.max_exemplars
    pairs = list(zip(observations.captured_at_us.tolist(), observations.tracklet_id.tolist()))
    assert pairs == sorted(set(pairs))
    np.testing.assert_allclose(np.linalg.norm(tracklets.embedding, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(exemplars.embedding, axis=1), 1, atol=1e-5)
    every = np.concatenate([frame.detections.xyxy for frame in frames])
    assert {tuple(box) for box in observations.xyxy.tolist()} <= {tuple(box) for box in every.tolist()}


@pytest.mark.parametrize("drains", [True, False], ids=["drained before", "rows inside the state"])
def test_interrupted_at_any_frame_gives_the_same_rows_and_bytes(drains):
    frames = walk(6, 60, 4, miss=0.2, false=0.8)
    straight = CameraTracking("gate", CONFIG)
    for number, frame in enumerate(frames):
        feed_frame(straight, number, frame)
    state_at_end = None
    if not drains:
        state_at_end = straight.to_bytes()
    straight.close()
    expected = straight.drain()
    assert len(expected[1]) >= 6
    for cut in range(len(frames) + 1):
        first, drained = CameraTracking("gate", CONFIG), []
        for number in range(cut):
            feed_frame(first, number, frames[number])
        if drains:
            drained.append(first.drain())
        second = CameraTracking("gate", CONFIG, first.to_bytes())
        assert second.last_captured_at_us == first.last_captured_at_us
        assert second.to_bytes() == first.to_bytes()
        for number in range(cut, len(frames)):
            feed_frame(second, number, frames[number])
        if state_at_end is not None:
            assert second.to_bytes() == state_at_end
        second.close()
        drained.append(second.drain())
        assert_same_rows(joined(drained), expected)


@pytest.mark.parametrize("hindsight", [None, HindsightConfig()], ids=["off", "on"])
def test_how_many_frames_are_summed_up_at_once_changes_no_row_and_no_byte(hindsight, monkeypatch):
    frames, found = walk(6, 150, 4, miss=0.2, false=0.8), []
    config = CONFIG.model_copy(update={"hindsight": hindsight})
    for n_boxes in (1, 20, camera_tracking.BLOCK_BOXES):
        monkeypatch.setattr(camera_tracking, "BLOCK_BOXES", n_boxes)
        tracking = CameraTracking("gate", config)
        for number, frame in enumerate(frames):
            feed_frame(tracking, number, frame)
        state = tracking.to_bytes()
        tracking.close()
        found.append((state, tracking.drain()))
    for state, rows in found[:-1]:
        assert state == found[-1][0]
        assert_same_rows(rows, found[-1][1])


def test_state_stays_small_however_long_an_object_stays():
    tracking = CameraTracking("gate", CONFIG)
    sizes = []
    for i in range(400):
        feed(tracking, i, found(BOX), look(1))
        tracking.drain()
        sizes.append(len(tracking.to_bytes()))
    assert sizes[-1] == sizes[50]


def test_state_of_another_camera_or_setting_or_no_state_at_all_is_refused():
    tracking = CameraTracking("gate", CONFIG)
    feed(tracking, 0, found(BOX), look(1))
    state = tracking.to_bytes()
    with pytest.raises(LakeError, match="camera bridge: expected camera_id bridge, got gate"):
        CameraTracking("bridge", CONFIG, state)
    with pytest.raises(LakeError, match="expected tracker_config"):
        CameraTracking("gate", TrackerConfig(), state)
    for damaged in (b"", b"PK", state[: len(state) // 2], b"x" * 100, snapshot.to_bytes({"a": np.zeros(3)})):
        with pytest.raises(LakeError, match="camera gate: damaged"):
            CameraTracking("gate", CONFIG, damaged)


def test_state_bytes_carry_no_date():
    tracking = CameraTracking("gate", CONFIG)
    feed(tracking, 0, found(BOX), look(1))
    with zipfile.ZipFile(io.BytesIO(tracking.to_bytes())) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def ids_of_a_walker(every: int, config: TrackerConfig) -> set[int]:
    """Return the tracks of somebody who sets off at 0.8 heights a second, seen in every `every`-th of 25 frames."""
    tracking, ids = CameraTracking("gate", config), set()
    for number in range(0, 240, every):
        x = 100 + 3.2 * max(0, number - 120)
        tracks = tracking.step(
            segment_id="gate-a",
            frame=number,
            captured_at_us=40_000 * number,
            frame_interval_us=40_000 * every,
            detections=found((x, 100, x + 50, 200)),
            embedding=look(1),
        )
        ids.update(tracks.track_id.tolist())
    return ids


@pytest.mark.parametrize("every", [1, 2, 5, 8])
def test_sampled_footage_is_followed_by_the_time_between_its_frames(every):
    assert ids_of_a_walker(every, TrackerConfig()) == {1}


def test_noise_by_the_frame_loses_the_same_walker():
    assert len(ids_of_a_walker(8, TrackerConfig(motion_fps=0))) > 1
