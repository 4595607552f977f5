"""Count errors and GEH, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.counts import (
    Cell,
    by_class,
    compare,
    compare_hours,
    count,
    count_hours,
    geh,
    group_classes,
    hour_start_us,
    merge_classes,
    within_footage,
)
from pipeline.evaluation.tables import Crossings

START_US = 1_772_350_200_000_000  # 2026-03-01T07:30:00Z


def crossings(rows):
    """Build crossings of one camera from (line, direction, class, seconds after 07:30)."""
    texts = [[row[at] for row in rows] for at in range(3)]
    line, direction, cls = (np.array(text, dtype=object) for text in texts)
    at_us = np.array([START_US + round(row[3] * 1e6) for row in rows], dtype=np.int64)
    camera = np.full(len(rows), "gate", dtype=object)
    return Crossings(camera, line, direction, cls, np.arange(len(rows)).astype(str).astype(object), at_us)


def cell(n_bins=0, cls="car", direction="north", bin_s=900):
    return Cell("gate", "bridge", direction, cls, START_US + n_bins * bin_s * 1_000_000)


def test_no_crossings():
    assert count(crossings([]), 900) == {}
    result = compare({}, {}, 900)
    assert (result["cells"], result["total_error"], result["WAPE"], result["net_error"]) == (0, None, None, None)
    assert result["GEH"] == {"mean": None, "max": None, "share_below_5": None}
    assert result["hourly"] == {"cells": 0, **result["GEH"], "per_hour": []}
    assert compare({cell(): 0}, {}, 900)["total_error"] == 0.0  # nobody came, and nobody was counted


def test_a_crossing_on_the_edge_belongs_to_the_later_bin():
    rows = [("bridge", "north", "car", s) for s in (0, 899.999999, 900)] + [("bridge", "south", "bus", 1)]
    assert count(crossings(rows), 900) == {
        cell(cls="bus", direction="south"): 1,
        cell(): 2,
        cell(1): 1,
    }


def test_classes_grouped_and_merged():
    rows = [("bridge", "north", name, 0) for name in ("car", "truck", "person", "dog")]
    assert list(group_classes(crossings(rows)).class_name) == ["vehicle", "vehicle", "person", "dog"]
    assert count(merge_classes(crossings(rows)), 900) == {cell(cls="any"): 4}


@pytest.mark.parametrize(
    ("measured", "true", "expected"),
    [
        (0, 0, 0.0),
        (100, 100, 0.0),
        (110, 90, 2.0),  # sqrt(2 * 400 / 200)
        (150, 100, np.sqrt(20)),  # sqrt(2 * 2500 / 250)
        (50, 0, 10.0),  # sqrt(2 * 2500 / 50)
        (0, 50, 10.0),
    ],
)
def test_geh_of_known_flows(measured, true, expected):
    assert geh(np.array([measured], float), np.array([true], float))[0] == pytest.approx(expected)


def test_counts_are_scaled_to_the_hour_before_geh():
    result = compare({cell(): 25}, {cell(): 30}, bin_s=900)  # flows 100 and 120
    assert result["per_cell"][0]["GEH"] == pytest.approx(np.sqrt(2 * 400 / 220))
    assert compare({cell(): 25}, {cell(): 30}, bin_s=3600)["per_cell"][0]["GEH"] == pytest.approx(np.sqrt(50 / 55))


def test_too_many_and_too_few_cancel_in_the_net_error_only():
    truth = {cell(0): 10, cell(1): 10, cell(2): 5}
    measured = {cell(0): 12, cell(1): 8, cell(2): 5, cell(3): 1}
    result = compare(truth, measured, 900)
    assert (result["cells"], result["exact_cells"]) == (4, 1)
    assert (result["truth_total"], result["measured_total"], result["abs_error"]) == (25, 26, 5)
    assert result["total_error"] == result["WAPE"] == pytest.approx(5 / 25)
    assert result["net_error"] == pytest.approx(1 / 25)
    # flows 48/40, 32/40, 20/20, 4/0
    golden = [np.sqrt(2 * 64 / 88), np.sqrt(2 * 64 / 72), 0, np.sqrt(2 * 16 / 4)]
    assert [row["GEH"] for row in result["per_cell"]] == pytest.approx(golden)
    assert result["GEH"]["mean"] == pytest.approx(np.mean(golden))
    assert result["GEH"]["max"] == pytest.approx(np.sqrt(8))
    assert result["GEH"]["share_below_5"] == 1.0
    assert result["per_cell"][0] == {
        "camera_id": "gate",
        "line_id": "bridge",
        "direction": "north",
        "class": "car",
        "bin_start": "2026-03-01T07:30:00Z",
        "bin_local": "2026-03-01T07:30:00+00:00",
        "truth": 10,
        "measured": 12,
        "GEH": golden[0],
        "error": 2,
        "bin_s": 900,
        "coverage_pct": 100.0,
    }


def test_a_flow_with_geh_of_exactly_5_is_not_accepted():
    result = compare({cell(): 0}, {cell(): 25}, 7200)  # 12.5 an hour against none: sqrt(2 * 12.5)
    assert result["GEH"]["max"] == pytest.approx(5.0)
    assert result["GEH"]["share_below_5"] == 0.0


def test_measuring_where_there_is_no_truth_has_no_ratio():
    result = compare({}, {cell(): 3}, 900)
    assert (result["abs_error"], result["total_error"], result["net_error"], result["WAPE"]) == (3, None, None, None)


def test_swapping_sides_keeps_cells_and_absolute_error():
    one, other = {cell(0): 4, cell(1): 9}, {cell(1): 7, cell(2): 1}
    forth, back = compare(one, other, 900), compare(other, one, 900)
    for name in ("cells", "exact_cells", "abs_error", "GEH"):
        assert forth[name] == back[name]


def test_quarter_hours_are_summed_before_the_hourly_geh():
    truth = {cell(0): 30, cell(1): 20, cell(2): 10}  # 07:30, 07:45, 08:00
    hourly = compare(truth, {cell(0): 24, cell(1): 25, cell(2): 10}, 900)["hourly"]
    first, second = hourly["per_hour"]
    assert (first["hour_start"], first["truth"], first["measured"], first["covered_s"]) == (
        "2026-03-01T07:00:00Z",
        50,
        49,
        1800,
    )
    assert first["GEH"] == pytest.approx(np.sqrt(2 * 2**2 / (98 + 100)))  # 98 and 100 an hour
    assert (second["GEH"], hourly["cells"], hourly["share_below_5"]) == (0.0, 2, 1.0)


def test_hours_begin_on_the_camera_s_clock():
    at_us = START_US  # 07:30 UTC, 13:00 in Kolkata
    assert hour_start_us(at_us, None) == START_US - 1800 * 1_000_000
    assert hour_start_us(at_us, "Asia/Kolkata") == START_US
    result = compare({cell(): 1}, {}, 900, zones={"gate": "Asia/Kolkata"})
    assert result["per_cell"][0]["bin_local"] == "2026-03-01T13:00:00+05:30"
    assert result["hourly"]["per_hour"][0]["hour_local"] == "2026-03-01T13:00:00+05:30"


def test_cells_without_footage_are_said_and_those_with_half_of_it_count_half():
    covered = {cell(0): 1.0, cell(1): 0.5, cell(2): 0.0}
    truth = within_footage({cell(0): 10, cell(1): 10, cell(2): 10}, covered)
    result = compare(truth, {cell(0): 10, cell(1): 4}, 900, covered)
    assert (result["cells"], result["partial_cells"]) == (2, 1)
    assert (result["truth_total"], result["measured_total"], result["abs_error"]) == (15, 14, 1)
    assert [(row["bin_start"], row["truth"]) for row in result["not_compared"]] == [("2026-03-01T08:00:00Z", 10)]
    half = result["per_cell"][1]
    assert (half["truth"], half["measured"], half["coverage_pct"]) == (5, 4, 50.0)
    assert half["GEH"] == pytest.approx(np.sqrt(2 * 8**2 / (40 + 32)))  # 5 and 4 in 450 s: 40 and 32 an hour
    # the hour has 450 + 900 s of footage, in which 15 and 14 passed: 40 and 37.3 an hour
    assert result["hourly"]["max"] == pytest.approx(np.sqrt(2 * (8 / 3) ** 2 / (40 + 112 / 3)))


def test_bins_of_different_lengths():
    lengths = {cell(0): 900, cell(1): 3600}
    result = compare({cell(0): 25, cell(1): 25}, {cell(0): 30, cell(1): 30}, lengths)
    assert [row["GEH"] for row in result["per_cell"]] == pytest.approx([np.sqrt(2 * 400 / 220), np.sqrt(50 / 55)])


def test_surplus_and_deficit_by_class():
    truth = {cell(0): 5, cell(1): 5, cell(0, "bus"): 2}
    measured = {cell(0): 7, cell(1): 4}
    assert by_class(compare(truth, measured, 900)["per_cell"]) == [
        {"class": "bus", "truth": 2, "measured": 0, "surplus": 0, "deficit": 2},
        {"class": "car", "truth": 10, "measured": 11, "surplus": 2, "deficit": 1},
    ]


def test_crossings_by_the_hour_of_the_watched_time():
    true = [("bridge", "north", "car", s) for s in (0, 1000, 2000)]  # 07:30, 07:46:40, 08:03:20
    zones = {"gate": "Europe/Berlin"}
    hours = [count_hours(crossings(rows), zones) for rows in (true, true[:1])]
    seven, eight = cell()._replace(bin_start_us=START_US - 1_800_000_000), cell(2)
    assert hours == [{seven: 2, eight: 1}, {seven: 1}]
    found = compare_hours(*hours, {seven: 900.0, eight: 0.0}, zones)  # the second hour was not watched
    assert [(row["hour_local"], row["covered_s"]) for row in found["per_hour"]] == [("2026-03-01T08:00:00+01:00", 900)]
    assert found["max"] == pytest.approx(np.sqrt(2 * 4**2 / (8 + 4)))
    whole = compare_hours(*hours, {}, zones)["per_hour"]
    assert [row["covered_s"] for row in whole] == [3600, 3600]
