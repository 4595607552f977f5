from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SegmentError
from pipeline.footage import clock

BERLIN = "Europe/Berlin"
PATTERN = "gate_%Y%m%d_%H%M%S.mp4"


def us(text: str) -> int:
    """An instant written with its offset, as microseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


@pytest.mark.parametrize(
    ("name", "pattern", "wall"),
    [
        ("gate_20260301_073000.mp4", PATTERN, datetime(2026, 3, 1, 7, 30)),
        ("GATE_20260301_073000.MP4", PATTERN, datetime(2026, 3, 1, 7, 30)),
        ("2026-03-01T07-30-00.125.mkv", "%Y-%m-%dT%H-%M-%S.%f.mkv", datetime(2026, 3, 1, 7, 30, 0, 125000)),
        ("cam(1)+260301.avi", "cam(1)+%y%m%d.avi", datetime(2026, 3, 1)),
        ("100% 2026060.ts", "100%% %Y%j.ts", datetime(2026, 3, 1)),
        ("01Mar2026_0730PM.ts", "%d%b%Y_%I%M%p.ts", datetime(2026, 3, 1, 19, 30)),
    ],
)
def test_name_is_read_by_its_pattern(name, pattern, wall):
    assert clock.read_name(name, pattern) == wall


@pytest.mark.parametrize(
    ("name", "pattern", "says"),
    [
        ("gate.mp4", PATTERN, "the file name has no time in the form 'gate_%Y%m%d_%H%M%S.mp4'"),
        ("gate_20260301_073000.mp4.bak", PATTERN, "has no time in the form"),
        ("x_gate_20260301_073000.mp4", PATTERN, "has no time in the form"),
        ("gate_2026031_073000.mp4", PATTERN, "has no time in the form"),  # bare strptime reads 2026-03-1 here
        ("gate_20261301_073000.mp4", PATTERN, "no time can be read"),
        ("gate_20260230_073000.mp4", PATTERN, "no time can be read"),
        ("073000.mp4", "%H%M%S.mp4", "has no date; add %Y, %m, %d"),
        ("gate_2026.mp4", "gate_%Q%Y%m%d.mp4", "`%Q` is no code"),
        ("gate_2026.mp4", "gate_%Y%m%d%", "`%` is no code"),
    ],
)
def test_name_without_its_time_is_refused(name, pattern, says):
    with pytest.raises(SegmentError) as error:
        clock.read_name(name, pattern)
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("zone", "wall", "fold", "instant"),
    [
        ("UTC", datetime(2026, 3, 1, 7, 30), None, "2026-03-01T07:30:00+00:00"),
        (BERLIN, datetime(2026, 3, 1, 7, 30), None, "2026-03-01T07:30:00+01:00"),
        (BERLIN, datetime(2026, 3, 29, 1, 59, 59), None, "2026-03-29T01:59:59+01:00"),
        (BERLIN, datetime(2026, 3, 29, 3, 0), None, "2026-03-29T03:00:00+02:00"),
        (BERLIN, datetime(2026, 10, 25, 1, 59, 59), None, "2026-10-25T01:59:59+02:00"),
        (BERLIN, datetime(2026, 10, 25, 2, 30), 0, "2026-10-25T02:30:00+02:00"),
        (BERLIN, datetime(2026, 10, 25, 2, 30), 1, "2026-10-25T02:30:00+01:00"),
        (BERLIN, datetime(2026, 10, 25, 3, 0), None, "2026-10-25T03:00:00+01:00"),
        (BERLIN, datetime(2026, 7, 1, 12, 0), 1, "2026-07-01T12:00:00+02:00"),  # fold is for repeated times only
        ("Australia/Lord_Howe", datetime(2026, 4, 5, 1, 45), 1, "2026-04-05T01:45:00+10:30"),  # goes back 30 min
    ],
)
def test_wall_clock_becomes_an_instant(zone, wall, fold, instant):
    assert clock.wall_to_us(wall, zone, fold, "a.mp4") == us(instant)


def test_offset_in_the_name_beats_the_zone():
    wall = clock.read_name("20261025T023000+0100.mp4", "%Y%m%dT%H%M%S%z.mp4")
    assert clock.wall_to_us(wall, "America/New_York", None, "a.mp4") == us("2026-10-25T02:30:00+01:00")


def test_skipped_time_is_refused():
    with pytest.raises(SegmentError, match=r"a.mp4: 2026-03-29 02:30:00 was skipped in Europe/Berlin.*forward by 1 h"):
        clock.wall_to_us(datetime(2026, 3, 29, 2, 30), BERLIN, 0, "a.mp4")


def test_repeated_time_without_fold_is_refused():
    with pytest.raises(SegmentError, match=r"2026-10-25 02:30:00 came twice in Europe/Berlin.*set `fold`"):
        clock.wall_to_us(datetime(2026, 10, 25, 2, 30), BERLIN, None, "a.mp4")
    with pytest.raises(SegmentError, match="back by 30 min"):
        clock.wall_to_us(datetime(2026, 4, 5, 1, 45), "Australia/Lord_Howe", None, "a.mp4")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1)), st.sampled_from([BERLIN, "America/New_York", "UTC"]))
def test_every_instant_survives_the_wall_clock(instant, zone):
    instant = instant.replace(tzinfo=UTC)
    local = instant.astimezone(ZoneInfo(zone))
    assert clock.wall_to_us(local.replace(tzinfo=None, fold=0), zone, local.fold, "a") == clock.to_us(instant)


def at(*times: str) -> list[datetime | None]:
    """Wall-clock times on the day Berlin's clocks go back; "-" for a file without one."""
    return [None if t == "-" else datetime.fromisoformat(f"2026-10-25T{t}") for t in times]


@pytest.mark.parametrize(
    ("places", "walls", "folds"),
    [
        ("", at(), []),
        ("ab", at("01:30", "03:30"), [None, None]),
        ("abcd", at("01:30", "02:30", "02:00", "03:00"), [None, 0, 1, None]),
        ("aabb", at("02:00", "02:30", "02:00", "02:30"), [0, 0, 1, 1]),
        ("ab", at("02:30", "02:30"), [0, 1]),
        ("ab", at("02:00", "02:30"), [None, None]),  # one after the other: both may be either
        ("abc", at("02:30", "02:00", "01:00"), [0, 1, None]),
        ("abc", at("02:30", "02:10", "02:00"), [None] * 3),  # the clock cannot go back twice
        ("aa", at("02:30", "02:00"), [None, None]),  # within a folder order is the names', no evidence
        ("abc", at("02:30", "-", "02:00"), [None] * 3),
    ],
)
def test_order_of_recordings_settles_repeats(places, walls, folds):
    assert clock.folds_by_order(list(places), walls, BERLIN) == folds


def test_repeats_of_different_years_do_not_mix():
    walls = [datetime(2026, 10, 25, 2, 30), datetime(2025, 10, 26, 2, 0)]
    assert clock.folds_by_order(["a", "b"], walls, BERLIN) == [None, None]


def test_sidecar_states_the_instant():
    assert clock.sidecar_instant_us(b'{"started_at": "2026-03-01T07:30:00.5+01:00"}', "s") == us(
        "2026-03-01T06:30:00.5+00:00"
    )
    assert clock.sidecar_instant_us(b'{"started_at": "2026-03-01T07:30:00Z", "x": 1}', "s") == us("2026-03-01T07:30Z")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "no text under `started_at`"),
        (b"{}", "no text under `started_at`"),
        (b'{"started_at": 5}', "no text under `started_at`"),
        (b'{"started_at": "yesterday"}', "not an ISO 8601 time"),
        (b'{"started_at": "2026-03-01T07:30:00"}', "no offset from UTC"),
    ],
)
def test_bad_sidecar_is_refused(content, says):
    with pytest.raises(SegmentError, match=says):
        clock.sidecar_instant_us(content, "gate.mp4.json")


@pytest.mark.parametrize(
    ("metadata", "instant"),
    [
        ({}, None),
        ({"creation_time": "2026-03-01T07:30:00.000000Z"}, us("2026-03-01T07:30:00Z")),
        ({"CREATION_TIME": "2026-03-01T07:30:00+01:00"}, us("2026-03-01T06:30:00Z")),
        ({"creation_time": "1904-01-01T00:00:00Z"}, None),
        ({"creation_time": "1970-01-01T00:00:00Z"}, None),
        ({"creation_time": "once"}, None),
    ],
)
def test_creation_time_of_the_container(metadata, instant):
    assert clock.container_instant_us(metadata) == instant


def test_local_date_turns_at_the_cameras_midnight():
    before = us("2026-02-28T23:59:59.999999+01:00")
    assert clock.local_date(before, BERLIN) == "2026-02-28"
    assert clock.local_date(before + 1, BERLIN) == "2026-03-01"
    assert clock.local_date(before + 1, "UTC") == "2026-02-28"


def test_stamp_cuts_to_milliseconds():
    assert clock.stamp(us("2026-03-01T07:30:00.999999+00:00")) == "20260301T073000.999Z"
    assert clock.stamp(0) == "19700101T000000.000Z"


@given(st.integers(-(10**15), 4 * 10**15))
def test_instants_are_exact(instant_us):
    assert clock.to_us(clock.EPOCH + timedelta(microseconds=instant_us)) == instant_us
