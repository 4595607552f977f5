from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SegmentError
from pipeline.footage.timeline import FrameSampler, FrameTimes

MS = Fraction(1, 1000)
TENTH = Fraction(1, 10)


def place_all(times: FrameTimes, pts: list[int | None]) -> list[int | None]:
    return [times.place(each) for each in pts]


def taken(target_fps: float | None, times_us: list[int]) -> list[int]:
    sampler = FrameSampler(target_fps)
    return [i for i, time_us in enumerate(times_us) if sampler.take(time_us)]


def test_times_count_from_the_first_timestamp():
    assert place_all(FrameTimes(18000, Fraction(1, 90000), None), [18000, 27000, 27003]) == [0, 100_000, 100_033]


def test_frames_without_timestamp_follow_by_the_rate():
    assert place_all(FrameTimes(None, MS, TENTH), [None, None, None]) == [0, 100_000, 200_000]
    assert place_all(FrameTimes(0, MS, TENTH), [0, None, 250]) == [0, 100_000, 250_000]


def test_missing_timestamp_and_rate_is_refused():
    with pytest.raises(SegmentError, match="no timestamps"):
        place_all(FrameTimes(None, MS, None), [None, None])


def test_misplaced_frames_have_no_time():
    assert place_all(FrameTimes(0, MS, TENTH), [0, 100, 100, 90, 200]) == [0, 100_000, None, None, 200_000]


def test_clock_that_begins_anew_goes_on():
    pts = [0, 5000, 0, 100, 200]
    assert place_all(FrameTimes(0, MS, TENTH), pts) == [0, 5_000_000, 5_100_000, 5_200_000, 5_300_000]


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**7)), max_size=40))
def test_times_strictly_increase_whatever_comes(pts):
    known = [each for each in pts if each is not None]
    placed = [t for t in place_all(FrameTimes(min(known, default=None), MS, TENTH), pts) if t is not None]
    assert all(a < b for a, b in pairwise(placed))


def test_no_target_takes_all():
    assert taken(None, [0, 1, 2]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("source_fps", "target_fps", "expected"),
    [
        (10, 10, list(range(20))),
        (10, 25, list(range(20))),  # never more than there are
        (10, 5, list(range(0, 20, 2))),
        (10, 1, [0, 10]),
        (10, 4, [0, 3, 5, 8, 10, 13, 15, 18]),  # slots begin at 0, 250, 500, 750 ms
        (30, 30, list(range(20))),
    ],
)
def test_constant_rate(source_fps, target_fps, expected):
    assert taken(target_fps, [round(i * 1e6 / source_fps) for i in range(20)]) == expected


def test_millisecond_clocks_lose_no_frame():
    """Matroska writes 30 frames a second as 0, 33, 67, 100 ms."""
    times_us = [round(i * 1000 / 30) * 1000 for i in range(300)]
    assert taken(30, times_us) == list(range(300))
    assert taken(15, times_us) == list(range(0, 300, 2))


def test_gap_is_not_made_up_for():
    assert taken(10, [0, 5_000_000, 5_050_000, 5_100_000]) == [0, 1, 3]


@given(st.lists(st.integers(1_500, 400_000), min_size=1, max_size=80), st.sampled_from([0.5, 1, 7.5, 12.5, 30]))
def test_agrees_with_filling_slots_one_by_one(steps_us, target_fps):
    """Oracle: every slot gets the first frame in it, as far as the tolerance of 1 ms goes."""
    times_us = np.cumsum([0, *steps_us]).tolist()
    slots: dict[int, int] = {}
    for index, time_us in enumerate(times_us):
        slot = 0
        while (slot + 1) * 1_000_000 <= (time_us + 1_000) * Fraction(target_fps):
            slot += 1
        slots.setdefault(slot, index)
    assert taken(target_fps, times_us) == sorted(slots.values())
