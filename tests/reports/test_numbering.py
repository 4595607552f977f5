"""Frame numbers over a camera's whole footage."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.reports.numbering import frame_numbers
from tests.lake.making import NOON_US, entry, fleet, rows


@pytest.fixture
def lake(tmp_path):
    made = Lake.open_or_create(str(tmp_path / "lake"))
    made.write_fleet(fleet({"id": "gate"}))
    return made


def write(lake, segment_id, start_us, at_us, *, length_us, frames=None):
    """Enter a unit in which one track has a box at each of these instants, counted from its start."""
    index = list(range(len(at_us))) if frames is None else frames
    name = f"gate-{segment_id}"
    observations, tracklets, exemplars = rows({name: [(100, 100)] * len(at_us)}, segment_id=segment_id)
    observations.frame[:] = index
    observations.captured_at_us[:] = start_us + np.array(at_us)
    tracklets.started_at_us[:], tracklets.ended_at_us[:] = start_us + at_us[0], start_us + at_us[-1]
    unit = entry(segment_id, started_at_us=start_us, ended_at_us=start_us + length_us, frames=len(at_us))
    lake.write_unit(unit, "2026-03-01", observations, tracklets, exemplars, None)


def numbered(lake):
    with catalog.connect(lake.url) as connection:
        numbers = frame_numbers(connection, "gate")
        sql = "SELECT segment_id, epoch_us(captured_at) AS at_us FROM observations ORDER BY at_us"
        table = catalog.select(connection, sql)
    names = np.array(table["segment_id"].to_pylist(), object)
    return numbers, numbers.of(names, table["at_us"].to_numpy()).tolist()


def steps(n, step_us):
    return [round(k * step_us) for k in range(n)]


def test_a_camera_without_footage_has_no_count(lake):
    with catalog.connect(lake.url) as connection:
        assert frame_numbers(connection, "gate") is None


def test_one_file_is_numbered_as_it_is(lake):
    write(lake, "a", NOON_US, steps(50, 1e6 * 1001 / 30000), length_us=1_668_333)
    numbers, found = numbered(lake)
    assert found == list(range(1, 51))
    assert numbers.fps == 30 * 1000 / 1001
    assert numbers.length_frames == 50
    assert numbers.first_us == NOON_US


def test_the_count_goes_on_through_a_gap_and_keeps_to_the_clock(lake):
    """The second file begins 10.04 s after the first, between two frames of its count."""
    write(lake, "a", NOON_US, steps(20, 100_000), length_us=2_000_000)
    write(lake, "b", NOON_US + 10_040_000, steps(20, 100_000), length_us=2_000_000)
    numbers, found = numbered(lake)
    assert found == [*range(1, 21), *range(101, 121)]
    assert numbers.length_frames == 120


def test_jitter_half_way_between_two_numbers_makes_no_doubles(lake):
    """A second file exactly half a frame off the first's count, its instants off by a microsecond each way."""
    write(lake, "a", NOON_US, steps(20, 100_000), length_us=2_000_000)
    jitter = [at + (-1) ** k for k, at in enumerate(steps(20, 100_000))]
    write(lake, "b", NOON_US + 2_050_000, [0, *jitter[1:]], length_us=2_000_000)
    assert numbered(lake)[1] == list(range(1, 21)) + list(range(22, 42))


def test_a_varying_rate_keeps_every_frame_and_its_time(lake):
    """Frames at 30 a second of which many are missing: their mean rate would give two of them one number."""
    at_us = [round(k * 1e6 / 30) for k in (0, 1, 2, 10, 11, 12, 13, 30, 50, 51, 52)]
    write(lake, "a", NOON_US, at_us, length_us=2_000_000)
    numbers, found = numbered(lake)
    assert numbers.fps == pytest.approx(30, abs=1)
    assert len(set(found)) == len(found)
    assert np.abs(numbers.instants_us(np.array(found)) - NOON_US - at_us).max() <= 0.5e6 / numbers.fps + 1


def test_sampled_footage_keeps_the_files_own_frames(lake):
    """25 frames a second, of which every other was processed."""
    write(lake, "a", NOON_US, steps(25, 80_000), length_us=2_000_000, frames=list(range(0, 50, 2)))
    numbers, found = numbered(lake)
    assert (numbers.fps, found) == (25.0, list(range(1, 51, 2)))
