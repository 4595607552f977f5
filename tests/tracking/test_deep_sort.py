"""The life cycle of tracks in `advance`; what holds for every input is in test_properties."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.config import TrackerConfig, tracker_preset
from pipeline.tracking.deep_sort import TrackerState, advance, initial_state
from pipeline.types import Detections
from tests.tracking.plain_deep_sort import PlainDeepSort
from tests.tracking.scenes import CAR, PERSON, TRUCK, found, look, looks, walk

CONFIG = tracker_preset("reference")
BOX, FAR = (100, 100, 140, 200), (400, 100, 440, 200)


def follow(frames: list[tuple[Detections, np.ndarray]], config: TrackerConfig = CONFIG) -> tuple[TrackerState, list]:
    """Advance over (detections, embedding) frames without gaps."""
    state, seen = initial_state(), []
    for detections, embedding in frames:
        state, tracks = advance(state, detections, embedding, 1, config)
        seen.append(tracks)
    return state, seen


def nothing() -> tuple[Detections, np.ndarray]:
    return Detections.empty(), looks()


def test_frames_without_detections():
    state, seen = follow([nothing()] * 3)
    assert len(state) == 0 and [len(tracks) for tracks in seen] == [0, 0, 0] and state.next_id == 1


def test_confirmed_at_the_third_match_running():
    _, seen = follow([(found(BOX), look(1))] * 4)
    assert [tracks.confirmed.tolist() for tracks in seen] == [[False], [False], [True], [True]]
    assert [tracks.track_id.tolist() for tracks in seen] == [[1]] * 4
    assert all(tracks.detection_index.tolist() == [0] for tracks in seen)


def test_n_init_one_confirms_at_birth():
    _, seen = follow([(found(BOX), look(1))], TrackerConfig(n_init=1))
    assert seen[0].confirmed.tolist() == [True]


def test_tentative_track_dies_at_its_first_miss_and_its_id_with_it():
    hit = (found(BOX), look(1))
    _, seen = follow([hit, hit, nothing(), hit])
    assert [tracks.track_id.tolist() for tracks in seen] == [[1], [1], [], [2]]


@pytest.mark.parametrize(("unseen", "id_after"), [(5, 1), (6, 2)])
def test_confirmed_track_survives_max_age_frames_and_no_more(unseen, id_after):
    # Unseen for 5 frames it is matched in the 6th only if 6 <= max_age_frames.
    hit = (found(BOX), look(1))
    _, seen = follow([hit] * 10 + [nothing()] * unseen + [hit], TrackerConfig(max_age_frames=6))
    assert seen[-1].track_id.tolist() == [id_after]
    missed = seen[10]
    assert missed.track_id.tolist() == [1] and missed.detection_index.tolist() == [-1]


def test_prediction_stands_in_where_the_frame_had_no_match():
    moving = [(found((100 + 4 * i, 100, 140 + 4 * i, 200)), look(1)) for i in range(20)]
    _, seen = follow([*moving, nothing(), nothing()])
    assert seen[-1].xyxy[0, 0] == pytest.approx(100 + 4 * 21, abs=2)


def test_recently_seen_track_wins_the_cascade():
    # Two people look alike. One vanishes; when a single box lies where both could be, the one still in sight takes it.
    both = (found(BOX, (150, 100, 190, 200)), looks(1, 1))
    _, seen = follow(
        [both] * 5 + [(found((150, 100, 190, 200)), look(1))] * 4 + [(found((130, 100, 170, 200)), look(1))]
    )
    assert dict(zip(seen[-1].track_id.tolist(), seen[-1].detection_index.tolist())) == {1: -1, 2: 0}


def test_appearance_finds_a_track_again_that_iou_cannot():
    hit, away = (found(BOX), look(1)), (found((118, 100, 158, 200)), look(1))
    _, seen = follow([hit] * 10 + [nothing()] * 3 + [away])
    assert seen[-1].track_id.tolist() == [1]
    _, seen = follow([hit] * 10 + [nothing()] * 3 + [(away[0], look(2))])
    assert seen[-1].track_id.tolist() == [1, 2] and seen[-1].detection_index.tolist() == [-1, 0]


def test_iou_keeps_a_track_whose_look_changed_at_once():
    _, seen = follow([(found(BOX), look(1))] * 5 + [(found(BOX), look(2))])
    assert seen[-1].track_id.tolist() == [1] and seen[-1].detection_index.tolist() == [0]


def test_a_person_never_becomes_a_vehicle_but_a_car_may_be_called_truck():
    person, car, truck = ((found(BOX, class_id=c), look(1)) for c in (PERSON, CAR, TRUCK))
    _, seen = follow([person] * 4 + [car])
    assert seen[-1].track_id.tolist() == [1, 2] and seen[-1].class_id.tolist() == [PERSON, CAR]
    _, seen = follow([car] * 4 + [truck])
    assert seen[-1].track_id.tolist() == [1] and seen[-1].class_id.tolist() == [CAR]


def test_class_is_the_greatest_summed_score_and_ties_go_to_the_lowest_id():
    def seen_as(class_id, score):
        return found(BOX, class_id=class_id, score=score), look(1)

    _, seen = follow([seen_as(TRUCK, 0.25), seen_as(TRUCK, 0.25), seen_as(CAR, 0.5), seen_as(TRUCK, 0.25)])
    assert [tracks.class_id.tolist() for tracks in seen] == [[TRUCK], [TRUCK], [CAR], [TRUCK]]
    _, seen = follow([seen_as(TRUCK, 0.0)])
    assert seen[-1].class_id.tolist() == [TRUCK]


def test_lost_frames_age_tracks_but_are_no_misses():
    state = initial_state()
    for elapsed_frames in (1, 4, 4):
        state, tracks = advance(state, found(BOX), look(1), elapsed_frames, CONFIG)
    assert tracks.track_id.tolist() == [1] and tracks.confirmed.tolist() == [True]


def test_elapsed_frames_equal_empty_frames_for_confirmed_tracks():
    state, _ = follow([(found((100 + i, 100, 140 + i, 200)), look(1)) for i in range(10)])
    after = (found((114, 100, 154, 200)), look(1))
    jumped, _ = advance(state, *after, 5, CONFIG)
    for _ in range(4):
        state, _ = advance(state, *nothing(), 1, CONFIG)
    stepped, _ = advance(state, *after, 1, CONFIG)
    np.testing.assert_allclose(jumped.mean, stepped.mean)
    np.testing.assert_allclose(jumped.cov, stepped.cov)
    assert jumped.track_id.tolist() == stepped.track_id.tolist() == [1]


@pytest.mark.parametrize(("elapsed_frames", "id_after"), [(30, 1), (31, 2)])
def test_a_gap_beyond_max_age_ends_every_track(elapsed_frames, id_after):
    state, _ = follow([(found(BOX), look(1))] * 5)
    _, tracks = advance(state, found(BOX), look(1), elapsed_frames, CONFIG)
    assert tracks.track_id.tolist() == [id_after]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"expected shape \(1, 128\).*got \(2, 128\)"):
        advance(initial_state(), found(BOX), looks(1, 2), 1, CONFIG)
    with pytest.raises(ValueError, match="more than 0, got 0"):
        advance(initial_state(), found(BOX), look(1), 0, CONFIG)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [0.2, 0.9])
def test_equals_the_plain_tracker(seed, noise):
    """One object per track, dense matrices, written from the paper: the same boxes in the same tracks."""
    frames = walk(9, 90, seed, miss=0.25, false=1.0, noise=noise)
    config = CONFIG.model_copy(update={"max_age_frames": 9, "gallery_size": 5})
    plain = PlainDeepSort(config)
    state = initial_state()
    partner: dict[int, int] = {}
    for frame in frames:
        state, tracks = advance(state, frame.detections, frame.embedding, 1, config)
        expected = plain.step(frame.detections.xyxy, frame.embedding)
        got = {box: int(track) for track, box in zip(tracks.track_id, tracks.detection_index.tolist()) if box >= 0}
        assert got.keys() == expected.keys()
        for box, number in got.items():
            assert partner.setdefault(number, expected[box]) == expected[box]


def test_states_are_values():
    """Going on twice from one state gives the same twice, and leaves it as it was."""
    frames = walk(6, 40, 9)
    state, _ = follow([(frame.detections, frame.embedding) for frame in frames[:20]])
    packed = [array.copy() for array in (state.mean, state.cov, state.hits, *state.gallery.pack())]
    ends = []
    for _ in range(2):
        branch = state
        for frame in frames[20:]:
            branch, tracks = advance(branch, frame.detections, frame.embedding, 1, CONFIG)
        ends.append((tracks, branch))
    assert ends[0][0].track_id.tolist() == ends[1][0].track_id.tolist()
    np.testing.assert_array_equal(ends[0][0].xyxy, ends[1][0].xyxy)
    np.testing.assert_array_equal(ends[0][1].gallery.pack()[1], ends[1][1].gallery.pack()[1])
    for before, after in zip(packed, (state.mean, state.cov, state.hits, *state.gallery.pack())):
        np.testing.assert_array_equal(before, after)


def test_walkers_keep_their_tracks():
    """Away from confusion each walker is one track: the scene's own truth as oracle."""
    frames = walk(5, 100, 2, miss=0.1, false=0.0)
    _, seen = follow([(frame.detections, frame.embedding) for frame in frames])
    owners: dict[int, set[int]] = {}
    for frame, tracks in zip(frames, seen):
        for track, box, sure in zip(tracks.track_id, tracks.detection_index, tracks.confirmed):
            if sure and box >= 0:
                owners.setdefault(int(track), set()).add(int(frame.who[box]))
    assert sorted(next(iter(who)) for who in owners.values()) == [0, 1, 2, 3, 4]
    assert all(len(who) == 1 for who in owners.values())
