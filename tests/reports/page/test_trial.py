"""The comparison with a truth, as the page's section shows it."""

from __future__ import annotations

from pipeline.evaluation.counts import Cell, compare
from pipeline.reports.page.trial import trial


def test_streams_are_summed_over_bins_and_keep_their_worst_geh():
    first = Cell("gate", "bridge", "north", "car", 1_772_350_200_000_000)
    later = first._replace(bin_start_us=first.bin_start_us + 900_000_000)
    result = compare({first: 4, later: 0}, {first: 4, later: 1}, 900, {later: 0.5})
    made = trial({**result, "notes": ["one"]}, "hand.csv")
    (stream,) = made.streams
    assert (stream.truth, stream.measured, stream.error_percent) == (4, 5, 25)
    assert stream.worst_geh == 4.0  # 8 an hour against none: one in half of a quarter hour
    assert (made.cells, made.share_below_5, made.notes) == (2, 1.0, ["one"])


def test_a_comparison_of_nothing_is_not_perfect():
    made = trial(compare({}, {}, 900), "hand.csv")
    assert (made.cells, made.total_error, made.share_below_5, made.streams) == (0, None, None, [])
