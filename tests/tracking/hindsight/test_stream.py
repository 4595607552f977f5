"""Hindsight from frames to rows: what it joins, fills, moves and drops, and that cuts change nothing."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from pipeline.config import HindsightConfig, TrackerConfig
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import Detections, Exemplars, Observations, Tracklets
from tests.tracking.scenes import CAR, Frame, found, look, looks, walk

INTERVAL_US = 100_000
CONFIG = TrackerConfig(max_age_frames=5, gallery_size=10)
OFF = CONFIG.model_copy(update={"hindsight": None})
NOTHING = HindsightConfig(max_gap_frames=0, fill_gaps=False, smoothing=False, min_evidence=0)

Rows = tuple[Observations, Tracklets, Exemplars]


def at(x: float, y: float = 100, height: float = 100) -> tuple[float, float, float, float]:
    """Return the corners of a person whose box begins at x."""
    return (x, y, x + 0.4 * height, y + height)


def step(tracking: CameraTracking, number: int, detections: Detections, embedding: np.ndarray, segment="gate-a"):
    return tracking.step(
        segment_id=segment,
        frame=number,
        captured_at_us=number * INTERVAL_US,
        frame_interval_us=INTERVAL_US,
        detections=detections,
        embedding=embedding,
    )


def rows_of(frames: list[tuple[Detections, np.ndarray]], config: TrackerConfig = CONFIG) -> Rows:
    tracking = CameraTracking("gate", config)
    for number, (detections, embedding) in enumerate(frames):
        step(tracking, number, detections, embedding)
    tracking.close()
    return tracking.drain()


def crossing(n_frames: int, hidden: range, speed: float = 3.0) -> list[tuple[Detections, np.ndarray]]:
    """Return one walker, unseen in the frames `hidden`."""
    return [
        (found(), looks()) if number in hidden else (found(at(10 + speed * number)), look(1))
        for number in range(n_frames)
    ]


def assert_sound(rows: Rows) -> None:
    """What holds of any rows: one box a tracklet and frame, no hole, ends seen, sums that add up."""
    observations, tracklets, exemplars = rows
    assert sorted(set(observations.tracklet_id)) == sorted(tracklets.tracklet_id) == sorted(set(exemplars.tracklet_id))
    assert len({(i, f) for i, f in zip(observations.tracklet_id, observations.captured_at_us)}) == len(observations)
    for i, name in enumerate(tracklets.tracklet_id):
        mine = observations.take(observations.tracklet_id == name)
        assert (np.diff(mine.captured_at_us) > 0).all()
        assert not mine.interpolated[[0, -1]].any()
        assert tracklets.n_observations[i] == (~mine.interpolated).sum()
        assert tracklets.mean_score[i] == pytest.approx(mine.score[~mine.interpolated].mean(), rel=1e-5)
        assert (tracklets.started_at_us[i], tracklets.ended_at_us[i]) == tuple(mine.captured_at_us[[0, -1]])
        feet = np.column_stack([(mine.xyxy[:, 0] + mine.xyxy[:, 2]) / 2, mine.xyxy[:, 3]])
        np.testing.assert_allclose(tracklets.entry_xy[i], feet[0], rtol=1e-5)
        np.testing.assert_allclose(tracklets.exit_xy[i], feet[-1], rtol=1e-5)
        shown = exemplars.take(exemplars.tracklet_id == name)
        assert 1 <= len(shown) <= CONFIG.max_exemplars and (np.diff(shown.captured_at_us) > 0).all()
        assert set(shown.captured_at_us) <= set(mine.captured_at_us[~mine.interpolated])
    assert (observations.xyxy[:, 2:] > observations.xyxy[:, :2]).all()


def test_no_frames_and_empty_frames_give_no_rows():
    for n_frames in (0, 1, 200):
        assert [len(table) for table in rows_of([(found(), looks())] * n_frames)] == [0, 0, 0]


def test_somebody_hidden_for_longer_than_tracks_live_is_one_tracklet_with_the_gap_filled():
    frames = crossing(160, range(80, 100))
    assert len(rows_of(frames, OFF)[1]) == 2
    rows = rows_of(frames)
    assert_sound(rows)
    observations, tracklets, _ = rows
    assert tracklets.tracklet_id.tolist() == ["gate-19700101T000000.000Z-1"] and tracklets.n_observations[0] == 140
    assert observations.frame.tolist() == list(range(160))
    assert np.flatnonzero(observations.interpolated).tolist() == list(range(80, 100))
    assert (observations.score[80:100] == 0).all()
    np.testing.assert_allclose(observations.xyxy[80:100, 0], 10 + 3 * np.arange(80, 100), atol=4)


def test_a_short_miss_inside_a_track_is_filled():
    observations, _, _ = rows_of(crossing(60, range(30, 33)))
    assert np.flatnonzero(observations.interpolated).tolist() == [30, 31, 32]


def test_each_part_can_be_left_out():
    frames = crossing(160, range(80, 100))
    unfilled = CONFIG.model_copy(update={"hindsight": HindsightConfig(fill_gaps=False)})
    observations, tracklets, _ = rows_of(frames, unfilled)
    assert len(tracklets) == 1 and len(observations) == 140
    unjoined = CONFIG.model_copy(update={"hindsight": HindsightConfig(max_gap_frames=0)})
    assert len(rows_of(frames, unjoined)[1]) == 2
    unsmoothed = CONFIG.model_copy(update={"hindsight": HindsightConfig(smoothing=False)})
    observations, _, _ = rows_of(frames, unsmoothed)
    given = {tuple(box) for detections, _ in frames for box in detections.xyxy.tolist()}
    assert {tuple(box) for box in observations.xyxy[~observations.interpolated].tolist()} <= given


@pytest.mark.parametrize("seed", range(3))
def test_with_every_part_left_out_rows_are_as_tracked(seed):
    frames = [(frame.detections, frame.embedding) for frame in walk(8, 200, seed, miss=0.25, false=0.8)]
    for got, expected in zip(rows_of(frames, CONFIG.model_copy(update={"hindsight": NOTHING})), rows_of(frames, OFF)):
        for field in fields(expected):
            np.testing.assert_array_equal(getattr(got, field.name), getattr(expected, field.name), err_msg=field.name)


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_sound_and_no_two_tracks_seen_at_one_time_are_joined(seed):
    frames = [(frame.detections, frame.embedding) for frame in walk(10, 300, seed, miss=0.3, false=1.5)]
    rows, plain = rows_of(frames), rows_of(frames, OFF)
    assert_sound(rows)
    assert len(rows[1]) < len(plain[1])  # with a third missed and tracks living half a second, many are broken
    # The boxes are moved, but scores are not: they tell which track of the plain rows a box belongs to.
    part_of = dict(zip(zip(plain[0].frame.tolist(), plain[0].score.tolist()), plain[0].tracklet_id))
    span = {
        name: (start, end)
        for name, start, end in zip(*(getattr(plain[1], c) for c in ("tracklet_id", "started_at_us", "ended_at_us")))
    }
    seen = rows[0].take(~rows[0].interpolated)
    for name in rows[1].tracklet_id:
        mine = seen.take(seen.tracklet_id == name)
        parts = sorted({part_of[key] for key in zip(mine.frame.tolist(), mine.score.tolist())}, key=lambda p: span[p])
        for one, other in pairwise(parts):
            assert span[one][1] < span[other][0]


def test_looks_decide_where_motion_cannot():
    rng = np.random.default_rng(0)
    frames = []
    for number in range(400):  # others pass by, from whom it is learned what looks are worth
        boxes, seeds = [at(10 + 8 * (number % 40), 300)], [100 + number // 40]
        boxes.append(at(900 - 8 * (number % 40), 300))
        seeds.append(200 + number // 40)
        if number < 300 or number >= 320:  # two stand close together, both out of sight for a while, and change places
            there = (400, 425) if number < 300 else (425, 400)
            boxes += [at(there[0] + rng.normal(0, 1), 100), at(there[1] + rng.normal(0, 1), 100)]
            seeds += [1, 2]
        frames.append((found(*boxes), looks(*seeds)))
    observations, _, _ = rows_of(frames)
    by_place = {}
    for number, side in ((290, 1), (390, 1), (290, 2), (390, 2)):
        x = {(290, 1): 400, (290, 2): 425, (390, 1): 425, (390, 2): 400}[number, side]
        here = observations.take((observations.frame == number) & (observations.xyxy[:, 1] < 200))
        by_place[number, side] = here.tracklet_id[np.abs(here.xyxy[:, 0] - x).argmin()]
    assert by_place[290, 1] == by_place[390, 1] != by_place[290, 2] == by_place[390, 2]


def test_smoothing_brings_boxes_nearer_to_the_truth():
    rng = np.random.default_rng(0)
    truth = np.array([at(10 + 3 * number) for number in range(150)])
    noisy = truth + rng.normal(0, 4, truth.shape)
    frames = [(found(tuple(box)), look(1)) for box in noisy]
    observations, _, _ = rows_of(frames)
    assert len(observations) == 150
    error, raw = np.abs(observations.xyxy - truth).mean(), np.abs(noisy - truth).mean()
    assert error < 0.7 * raw


def test_tracks_without_evidence_are_dropped_and_the_same_tracks_with_it_are_kept():
    for score, n_boxes, n_kept in ((0.6, 4, 0), (0.6, 20, 1), (0.95, 3, 0), (0.95, 4, 1), (0.45, 30, 0)):
        frames = [(found(at(50), score=score), look(1))] * n_boxes + [(found(), looks())] * 100
        assert [len(table) for table in rows_of(frames)[:2]] == [n_kept * n_boxes, n_kept]


def test_a_person_is_not_continued_by_a_car():
    frames = crossing(80, range(70, 80))
    frames += [(found(at(10 + 3 * number), class_id=CAR), look(1)) for number in range(80, 160)]
    assert len(rows_of(frames)[1]) == 2


def test_interrupted_at_any_frame_gives_the_same_rows():
    frames: list[Frame] = walk(6, 220, 4, miss=0.25, false=0.8)

    def feed(tracking: CameraTracking, numbers: range) -> None:
        for number in numbers:
            step(tracking, number, frames[number].detections, frames[number].embedding, f"gate-{number // 20}")

    straight = CameraTracking("gate", CONFIG)
    feed(straight, range(220))
    end = straight.to_bytes()
    straight.close()
    expected = straight.drain()
    assert expected[0].interpolated.any() and len(expected[1]) >= 6
    for cut in (0, 1, 5, *range(55, 75, 3), 127, 128, 129, 200, 220):
        first = CameraTracking("gate", CONFIG)
        feed(first, range(cut))
        second = CameraTracking("gate", CONFIG, first.to_bytes())
        assert second.to_bytes() == first.to_bytes()
        feed(second, range(cut, 220))
        assert second.to_bytes() == end
        second.close()
        for got, wanted in zip(second.drain(), expected):
            for field in fields(wanted):
                np.testing.assert_array_equal(getattr(got, field.name), getattr(wanted, field.name), err_msg=field.name)


def test_an_hour_in_sixty_files_is_one_file():
    """Ten frames a file, the state handed over as bytes each time, rows drained file by file; one killed and redone."""
    frames = walk(8, 600, 7, miss=0.2, false=0.6)
    whole = rows_of([(frame.detections, frame.embedding) for frame in frames])
    state, parts = None, []
    for file in range(60):
        for _ in range(2 if file == 31 else 1):
            tracking = CameraTracking("gate", CONFIG, state)
            for number in range(10 * file, 10 * file + 10):
                step(tracking, number, frames[number].detections, frames[number].embedding)
            if file == 59:
                tracking.close()
            drained, after = tracking.drain(), tracking.to_bytes()
        parts.append(drained)
        state = after
    for tables, expected in zip(zip(*parts), whole):
        got = type(expected).concatenate(list(tables))
        keys = [getattr(got, name) for name in ("captured_at_us", "started_at_us") if hasattr(got, name)]
        wanted_keys = [
            getattr(expected, name) for name in ("captured_at_us", "started_at_us") if hasattr(expected, name)
        ]
        got = got.take(np.lexsort((got.tracklet_id.astype(str), keys[0])))
        expected = expected.take(np.lexsort((expected.tracklet_id.astype(str), wanted_keys[0])))
        for field in fields(expected):
            np.testing.assert_array_equal(getattr(got, field.name), getattr(expected, field.name), err_msg=field.name)


def test_memory_is_bounded_however_long_an_object_stays():
    tracking = CameraTracking("gate", CONFIG)
    sizes, n_rows = [], 0
    for number in range(1000):
        step(tracking, number, found(at(100), at(300)), looks(1, 2))
        n_rows += len(tracking.drain()[0])
        sizes.append(len(tracking.to_bytes()))
    assert max(sizes[500:]) <= max(sizes[200:500])
    assert n_rows >= 2 * (1000 - 64 - 32)  # and rows come out all the while


def test_a_moving_camera_is_taken_out_of_the_ways_that_are_smoothed_filled_and_joined():
    """A walker seen by a camera that swings, against the same walker seen by one that stands."""
    swing = 60 * np.sin(np.arange(160) / 4)

    def rows(shift: np.ndarray, told: bool) -> Rows:
        tracking = CameraTracking("gate", CONFIG)
        for number, (detections, embedding) in enumerate(crossing(160, range(80, 100))):
            xyxy = detections.xyxy + np.array([1, 0, 1, 0], np.float32) * np.float32(shift[number])
            warp = np.array([[1.0, 0.0, shift[number] - shift[number - 1] if number else 0.0], [0.0, 1.0, 0.0]])
            tracking.step(
                segment_id="gate-a",
                frame=number,
                captured_at_us=number * INTERVAL_US,
                frame_interval_us=INTERVAL_US,
                detections=Detections(xyxy, detections.score, detections.class_id),
                embedding=embedding,
                camera_warp=warp if told else None,
            )
        tracking.close()
        return tracking.drain()

    still, moving = rows(np.zeros(160), told=False), rows(swing, told=True)
    assert_sound(moving)
    assert len(moving[1]) == len(still[1]) == 1
    np.testing.assert_allclose(moving[0].xyxy[:, 0], still[0].xyxy[:, 0] + swing, atol=0.01)
    untold = rows(swing, told=False)[0]
    assert len(set(untold.tracklet_id)) > 1 or np.abs(untold.xyxy[:, 0] - still[0].xyxy[:, 0] - swing).max() > 5


@pytest.mark.parametrize("hidden", [33, 38, 55, 90])
def test_long_gaps_inside_tracks_are_filled_and_no_row_loses_its_tracklet(hidden):
    config = TrackerConfig(max_age_frames=100)
    for lead in range(0, 64, 16):
        rows = rows_of([(found(), looks())] * lead + crossing(80 + hidden, range(60, 60 + hidden), 0.2), config)
        assert_sound(rows)
        assert len(rows[1]) == 1 and (np.diff(rows[0].frame) == 1).all()
        assert rows[0].interpolated.sum() == hidden


@pytest.mark.parametrize("score", [0.55, 0.5, 0.3])
def test_whether_a_weak_track_stays_does_not_depend_on_when_it_was_seen(score):
    for n_boxes, is_kept in ((20, False), (125, score > 0.5), (140, True)):
        for lead in range(0, 64, 9):
            for tail in (0, 150):
                weak = [(found(at(50), score=score), look(1))] * n_boxes
                frames = [(found(), looks())] * lead + weak + [(found(), looks())] * tail
                rows = rows_of(frames, CONFIG.model_copy(update={"high_score": 0.0}))
                assert_sound(rows)
                assert len(rows[1]) == is_kept, (n_boxes, lead, tail)


def test_frames_that_stop_for_longer_than_tracks_live_end_all_as_a_cut_between_files_does():
    def feed(tracking: CameraTracking, numbers: range, later: int) -> None:
        for number in numbers:
            step(tracking, number + later, found(at(10 + 3 * number)), look(1))

    one = CameraTracking("gate", CONFIG)
    feed(one, range(50), 0)
    feed(one, range(50, 100), 20)  # 20 frames nobody recorded: less than max_gap_frames, more than max_age_frames
    one.close()
    together = one.drain()
    first, second = CameraTracking("gate", CONFIG), CameraTracking("gate", CONFIG)
    feed(first, range(50), 0)
    first.close()
    feed(second, range(50, 100), 20)
    second.close()
    assert len(together[1]) == 2
    np.testing.assert_array_equal(together[0].xyxy, np.concatenate([first.drain()[0].xyxy, second.drain()[0].xyxy]))


def test_filled_boxes_have_a_likely_size_however_wild_the_way():
    frames = [(found(at(100, height=max(10.0, 200 * 0.8**number))), look(1)) for number in range(12)]
    frames += [(found(), looks())] * 20
    frames += [(found(at(100, height=min(200.0, 15 * 1.25**number))), look(1)) for number in range(12)]
    rows = rows_of(frames, TrackerConfig(gate_sq=50))
    size = rows[0].xyxy[:, 2:] - rows[0].xyxy[:, :2]
    assert len(rows[0]) and (size > 0).all()


def test_frames_after_a_close_begin_anew():
    tracking = CameraTracking("gate", CONFIG)
    for number in range(30):
        step(tracking, number, found(at(100)), look(1))
    tracking.close()
    for number in range(40, 80):
        step(tracking, number, found(at(100)), look(1))
    tracking.close()
    tracking.close()
    rows = tracking.drain()
    assert_sound(rows)
    assert rows[1].n_observations.tolist() == [30, 40] and len(set(rows[1].tracklet_id)) == 2
