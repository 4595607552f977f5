"""Count errors and GEH, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.counts import Cell, compare, count, geh, group_classes, merge_classes
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
    assert (result["cells"], result["total_error"], result["WAPE"], result["net_error"]) == (0, 0.0, 0.0, 0.0)
    assert result["GEH"] == {"mean": 0.0, "max": 0.0, "share_below_5": 1.0}


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
        "truth": 10,
        "measured": 12,
        "GEH": golden[0],
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
