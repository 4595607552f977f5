"""Charts as numbers: axes end at round numbers, bars are as high as their counts, time runs on the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.reports.page.axis import TimeAxis
from pipeline.reports.page.charts import Bin, bar_chart, histogram, nice_top
from pipeline.reports.page.words import bin_length, duration, number, percent

START = datetime(2026, 3, 1, tzinfo=UTC)


def bins(*counts):
    hours = [(START + timedelta(hours=k), START + timedelta(hours=k + 1)) for k in range(len(counts))]
    return [
        Bin(*hour, 0.0 if count is None else 100.0, count, None if count is None else 0)
        for hour, count in zip(hours, counts)
    ]


@pytest.mark.parametrize(
    ("most", "top"), [(0, 1), (1, 1), (3, 3), (7, 8), (11, 15), (26, 30), (101, 150), (0.05, 0.05), (0.32, 0.4)]
)
def test_an_axis_ends_at_a_round_number(most, top):
    assert nice_top(most) == pytest.approx(top)


def test_a_zero_has_a_baseline_and_a_gap_has_none():
    chart = bar_chart(bins(0, 4, None, None), TimeAxis(START, START + timedelta(hours=4), "UTC"))
    assert chart.zero == "M0.0 50H500.0"
    assert chart.up.count("M") == 1 and "v-50.0" in chart.up
    assert [(hatch.left, hatch.width, hatch.kind) for hatch in chart.hatches] == [(0.5, 0.5, "none")]


def test_labels_follow_the_wall_clock_over_a_change():
    start = datetime(2026, 3, 28, 23, tzinfo=UTC)  # midnight in Berlin, before an hour is skipped
    ticks = TimeAxis(start, start + timedelta(hours=23), "Europe/Berlin").ticks()
    assert [tick.label for tick in ticks[:4]] == ["00:00", "03:00", "04:00", "06:00"]
    assert [round(tick.at * 23) for tick in ticks[:4]] == [0, 2, 3, 5]


def test_a_long_axis_is_labelled_by_days():
    axis = TimeAxis(START, START + timedelta(days=30), "Asia/Kathmandu")
    ticks = axis.ticks()
    assert 8 <= len(ticks) <= 13
    assert all(0 <= tick.at <= 1 for tick in ticks)
    assert ticks[0].label == "Mon 2 Mar"


def test_a_histogram_holds_every_value():
    assert histogram([], []) is None
    found = histogram([1.0, 2.0, 2.0, 9.0], [(2.0, "median")])
    assert found.most == 2 and found.path.count("M") == 3
    assert 0 < found.marks[0][0] < 1
    assert histogram([5.0, 5.0], []).most == 2


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (number(12345), "12 345"),
        (number(-0.04, 1), "0.0"),
        (number(None), "–"),
        (percent(100), "100 %"),
        (percent(99.97), "over 99.9 %"),
        (percent(99.4), "99.4 %"),
        (percent(0.02), "under 0.1 %"),
        (duration(59.9), "60 s"),
        (duration(270), "4 min 30 s"),
        (duration(300), "5 min"),
        (duration(3599.9), "1 h 00 min"),
        (duration(3690), "1 h 02 min"),
        (bin_length(900), "15 min"),
        (bin_length(86_400), "1 day"),
    ],
)
def test_numbers_read_as_people_write_them(said, text):
    assert said.replace("\N{NARROW NO-BREAK SPACE}", " ") == text
