"""The traffic report: bins on the camera's wall clock, zeros where it watched, and nothing counted twice or dropped."""

from __future__ import annotations

import pytest

from pipeline.errors import UserError
from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from pipeline.reports.selection import parse_bin
from pipeline.reports.traffic import traffic
from tests.lake.making import fleet, instant_us, line
from tests.reports.watching import watch

OUTWARD = [(80, 100), (120, 100)]  # over the line, 50 ms after the first frame
INWARD = OUTWARD[::-1]
ZONE = {"name": "bay", "polygon": [(0, 0), (200, 0), (200, 200), (0, 200)]}


@pytest.fixture
def lake(tmp_path):
    return Lake.open_or_create(str(tmp_path / "lake"))


def report(lake, **options):
    with connect(lake.url) as connection:
        return traffic(connection, **options)


def configure(lake, time_zone: str = "Europe/Berlin", **camera) -> None:
    lines = [line(forward="in", backward="out")]
    lake.write_fleet(fleet({"id": "gate", "time_zone": time_zone, "lines": lines, **camera}))


def bins(lake, direction: str = "out", **options) -> list[tuple[str, int, int | None, float]]:
    counts = report(lake, **options).counts.to_pylist()
    return [
        (row["bin_local"], row["bin_s"], row["count"], round(row["coverage_pct"], 2))
        for row in counts
        if row["direction"] == direction
    ]


def test_a_lake_without_a_camera_gives_empty_tables(lake):
    made = report(lake)
    assert (made.counts.num_rows, made.totals.num_rows, made.dwell.num_rows) == (0, 0, 0)


def test_a_watched_bin_in_which_nothing_was_seen_is_zero(lake):
    configure(lake)
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T12:30:00+00:00")
    assert bins(lake) == [("2026-03-01T13:00:00+01:00", 900, 0, 100), ("2026-03-01T13:15:00+01:00", 900, 0, 100)]
    assert {row["class"] for row in report(lake).counts.to_pylist()} == {None}


def test_a_bin_is_zero_where_it_was_watched_and_null_where_it_was_not(lake):
    """A partly watched bin counts what was seen; of a bin whose file is missing nobody knows."""
    configure(lake, "UTC")
    watch(
        lake, "2026-03-01T12:10:00+00:00", "2026-03-01T12:20:00+00:00", {"a": OUTWARD}, at="2026-03-01T12:16:00+00:00"
    )
    watch(lake, "2026-03-01T13:00:00+00:00", "2026-03-01T13:15:00+00:00", {"b": INWARD, "c": OUTWARD})
    assert bins(lake) == [
        ("2026-03-01T12:00:00+00:00", 900, 0, 33.33),
        ("2026-03-01T12:15:00+00:00", 900, 1, 33.33),
        ("2026-03-01T12:30:00+00:00", 900, None, 0),
        ("2026-03-01T12:45:00+00:00", 900, None, 0),
        ("2026-03-01T13:00:00+00:00", 900, 1, 100),
    ]
    assert [count for _, _, count, _ in bins(lake, "in")] == [0, 0, None, None, 1]


def test_a_camera_that_failed_has_its_bins_where_others_watched(lake):
    lines = [line(forward="in", backward="out")]
    zone = {"lines": lines, "time_zone": "Europe/Berlin"}
    lake.write_fleet(fleet({"id": "gate", **zone}, {"id": "yard", **zone}, {"id": "roof", **zone}))
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00")
    watch(lake, "2026-03-01T12:30:00+00:00", "2026-03-01T13:30:00+00:00", camera="yard")
    watch(lake, "2026-06-01T12:00:00+00:00", "2026-06-01T12:30:00+00:00", camera="yard")
    made = {}
    for row in report(lake, by="30min").counts.to_pylist():
        if row["direction"] == "out":
            made.setdefault(row["camera_id"], {})[row["bin_local"][5:16]] = row["count"]
    first_date = ("03-01T13:00", "03-01T13:30", "03-01T14:00")
    assert made == {
        "gate": dict(zip((*first_date, "06-01T14:00"), (0, 0, None, None))),
        "yard": dict(zip((*first_date, "06-01T14:00"), (None, 0, 0, 0))),
        "roof": dict(zip((*first_date, "06-01T14:00"), (None, None, None, None))),
    }


def test_dates_asked_for_have_every_bin_in_every_camera(lake):
    configure(lake)
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00")
    hourly = bins(lake, by="1h", first_date="2026-03-01", last_date="2026-03-02")
    assert len(hourly) == 48
    assert [label for label, _, count, _ in hourly if count is not None] == ["2026-03-01T13:00:00+01:00"]
    narrowed = bins(lake, by="1h", first_date="2026-03-01T12:00", last_date="2026-03-01T15:00")
    assert [(label[11:16], count) for label, _, count, _ in narrowed] == [
        ("12:00", None),
        ("13:00", 0),
        ("14:00", None),
    ]


def test_every_class_the_camera_saw_has_its_zeros(lake):
    configure(lake, "UTC")
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T12:15:00+00:00", {"a": OUTWARD})
    watch(lake, "2026-03-01T12:15:00+00:00", "2026-03-01T12:30:00+00:00", {"b": INWARD}, class_name="bicycle")
    made = report(lake)
    assert made.counts.num_rows == 2 * 2 * 2  # directions, classes, bins
    assert sum(made.counts["count"].to_pylist()) == 2
    totals = {(row["direction"], row["class"]): row["count"] for row in made.totals.to_pylist()}
    assert totals == {("in", "bicycle"): 1, ("in", "car"): 0, ("out", "bicycle"): 0, ("out", "car"): 1}


def test_a_crossing_in_a_hole_of_the_footage_is_counted_in_a_bin_nobody_watched(lake):
    """The track lived through a hole of 2 s; with bins of 1 s, its crossing lies in one that no segment covers."""
    configure(lake, "UTC")
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T12:00:01+00:00")
    watch(
        lake,
        "2026-03-01T12:00:03+00:00",
        "2026-03-01T12:00:04+00:00",
        {"a": OUTWARD},
        at="2026-03-01T12:00:00+00:00",
        frames={"a": [9, 31]},
    )
    assert bins(lake, by="1s") == [
        ("2026-03-01T12:00:00+00:00", 1, 0, 100),
        ("2026-03-01T12:00:01+00:00", 1, None, 0),
        ("2026-03-01T12:00:02+00:00", 1, 1, 0),
        ("2026-03-01T12:00:03+00:00", 1, 0, 100),
    ]


SPRING = ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00")
AUTUMN = ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")


@pytest.mark.parametrize(
    ("day", "hours"), [(SPRING, 23), (AUTUMN, 25), (("2026-03-01T00:00:00+01:00", "2026-03-02T00:00:00+01:00"), 24)]
)
def test_a_day_of_a_clock_change_has_its_hours(lake, day, hours):
    configure(lake)
    watch(lake, *day)
    hourly = bins(lake, by="1h")
    assert len(hourly) == hours
    assert {(length, count, share) for _, length, count, share in hourly} == {(3600, 0, 100)}
    assert len(bins(lake, by="15min")) == hours * 4
    assert bins(lake, by="1h", first_date=day[0][:10], last_date=day[0][:10]) == hourly
    starts = [instant_us(label) for label, *_ in hourly]
    assert starts == [instant_us(day[0]) + k * 3_600_000_000 for k in range(hours)]


def test_labels_around_the_skipped_and_the_repeated_hour(lake):
    configure(lake)
    watch(lake, *SPRING)
    watch(lake, *AUTUMN)
    labels = [label for label, *_ in bins(lake, by="1h")]
    assert labels[:4] == [
        f"2026-03-29T{t}" for t in ("00:00:00+01:00", "01:00:00+01:00", "03:00:00+02:00", "04:00:00+02:00")
    ]
    assert labels[23:28] == [
        f"2026-10-25T{t}"
        for t in ("00:00:00+02:00", "01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00")
    ]


def test_long_bins_are_cut_where_the_clock_changes(lake):
    configure(lake)
    watch(lake, *SPRING)
    watch(lake, *AUTUMN)
    by_six = bins(lake, by="6h")
    assert [(label[5:], length // 3600) for label, length, _, _ in by_six] == [
        ("03-29T00:00:00+01:00", 2),
        ("03-29T03:00:00+02:00", 3),
        ("03-29T06:00:00+02:00", 6),
        ("03-29T12:00:00+02:00", 6),
        ("03-29T18:00:00+02:00", 6),
        ("10-25T00:00:00+02:00", 3),
        ("10-25T02:00:00+01:00", 4),
        ("10-25T06:00:00+01:00", 6),
        ("10-25T12:00:00+01:00", 6),
        ("10-25T18:00:00+01:00", 6),
    ]
    assert {share for *_, share in by_six} == {100}


@pytest.mark.parametrize(
    ("at", "label"),
    [
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:44:59.949999+01:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T02:44:59.950000+01:00", "2026-10-25T02:45:00+01:00"),
    ],
)
def test_a_crossing_falls_into_the_right_one_of_two_like_named_bins(lake, at, label):
    """A crossing is 50 ms after its track begins; a bin holds its start and not its end."""
    configure(lake)
    watch(lake, *AUTUMN, {"a": OUTWARD}, at=at)
    assert [row[0] for row in bins(lake) if row[2]] == [label]


def test_zones_of_odd_offsets_have_round_local_bins(lake):
    configure(lake, "Asia/Kathmandu")
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T13:00:00+00:00")
    assert [(label, share) for label, _, _, share in bins(lake, by="1h")] == [
        ("2026-03-01T17:00:00+05:45", 25),
        ("2026-03-01T18:00:00+05:45", 75),
    ]
    configure(lake, "America/St_Johns")
    assert bins(lake, by="1h")[0][0] == "2026-03-01T08:00:00-03:30"


@pytest.mark.parametrize(
    ("time_zone", "date", "before", "after", "n_hours", "changed"),
    [  # half-hour offsets; Lord Howe's clock changes by half an hour only, at 02:00
        ("America/St_Johns", "2026-03-08", "-03:30", "-02:30", 23, ["01:00:00-03:30", "03:00:00-02:30"]),
        ("America/St_Johns", "2026-11-01", "-02:30", "-03:30", 25, ["01:00:00-02:30", "01:00:00-03:30"]),
        ("Australia/Lord_Howe", "2026-10-04", "+10:30", "+11:00", 24, ["01:00:00+10:30", "02:30:00+11:00"]),
        ("Australia/Lord_Howe", "2026-04-05", "+11:00", "+10:30", 25, ["01:00:00+11:00", "01:30:00+10:30"]),
    ],
)
def test_a_clock_change_of_a_zone_of_half_hours(lake, time_zone, date, before, after, n_hours, changed):
    configure(lake, time_zone)
    next_date = f"{date[:-2]}{int(date[-2:]) + 1:02d}"
    watch(lake, f"{date}T00:00:00{before}", f"{next_date}T00:00:00{after}")
    hourly = bins(lake, by="1h")
    assert [label[11:] for label, *_ in hourly][1:3] == changed
    assert (len(hourly), {share for *_, share in hourly}) == (n_hours, {100})
    ends = [instant_us(label) // 1_000_000 + length for label, length, *_ in hourly]
    assert ends[:-1] == [instant_us(label) // 1_000_000 for label, *_ in hourly[1:]]


def test_dates_are_local_and_include_both_ends(lake):
    configure(lake)
    for day in (1, 2, 3):
        # A recorder's file begins before local midnight: it lies in that date's partition, and runs into the next date.
        start, end = f"2026-03-0{day}T22:30:00+00:00", f"2026-03-0{day}T23:30:00+00:00"
        watch(lake, start, end, {f"t{day}": OUTWARD}, at=f"2026-03-0{day}T23:10:00+00:00")
    chosen = report(lake, by="1h", first_date="2026-03-02", last_date="2026-03-03").counts.to_pylist()
    out = [
        (row["bin_local"], row["count"], str(row["date"]))
        for row in chosen
        if row["direction"] == "out" and row["count"] is not None
    ]
    assert out == [
        ("2026-03-02T00:00:00+01:00", 1, "2026-03-02"),
        ("2026-03-02T23:00:00+01:00", 0, "2026-03-02"),
        ("2026-03-03T00:00:00+01:00", 1, "2026-03-03"),
        ("2026-03-03T23:00:00+01:00", 0, "2026-03-03"),
    ]


def test_totals_name_the_busiest_bin_and_the_hours_watched(lake):
    configure(lake, "UTC")
    watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T12:15:00+00:00", {"a": OUTWARD})
    watch(lake, "2026-03-01T12:15:00+00:00", "2026-03-01T12:22:30+00:00", {"b": OUTWARD, "c": OUTWARD})
    inward, out = report(lake).totals.to_pylist()
    assert (out["direction"], out["count"], out["watched_h"]) == ("out", 3, pytest.approx(0.375))
    assert (out["busiest_bin"], out["busiest_count"]) == ("2026-03-01T12:15:00+00:00", 2)
    assert (inward["count"], inward["busiest_bin"], inward["busiest_count"]) == (0, None, 0)
    whole = report(lake, by="1h", first_date="2026-03-01T12:00", last_date="2026-03-01T14:00").totals.to_pylist()[1]
    assert (whole["count"], whole["watched_h"], whole["coverage_pct"]) == (
        3,
        pytest.approx(0.375),
        pytest.approx(18.75),
    )


def test_the_total_of_what_nobody_watched_is_not_known(lake):
    configure(lake)
    (inward, _) = report(lake, first_date="2026-03-01", last_date="2026-03-01").totals.to_pylist()
    assert (inward["count"], inward["watched_h"], inward["busiest_count"]) == (None, 0, None)


def test_cameras_are_chosen_by_name(lake):
    both = {"lines": [line()], "zones": [ZONE]}
    lake.write_fleet(fleet({"id": "gate", **both}, {"id": "yard", **both}))
    for camera in ("gate", "yard"):
        watch(lake, "2026-03-01T12:00:00+00:00", "2026-03-01T12:15:00+00:00", {f"{camera}-a": OUTWARD}, camera=camera)
    made = report(lake, cameras=["yard"])
    assert {row["camera_id"] for t in (made.counts, made.totals, made.dwell) for row in t.to_pylist()} == {"yard"}
    assert [(row["zone_id"], row["visits"]) for row in made.dwell.to_pylist()] == [("bay", 1)]
    with pytest.raises(UserError, match="no camera 'yrad' in this lake; it has gate, yard"):
        report(lake, cameras=["yrad"])


@pytest.mark.parametrize(("text", "bin_s"), [("15min", 900), ("5min", 300), ("1h", 3600), ("30s", 30), ("24h", 86400)])
def test_bins_are_read(text, bin_s):
    assert parse_bin(text) == bin_s


@pytest.mark.parametrize("text", ["", "15", "min", "1.5h", "-5min", "0s", "7min", "25h", "15 parsecs"])
def test_bins_that_make_no_sense_are_refused(text):
    with pytest.raises(UserError, match="time bin"):
        parse_bin(text)


def test_an_instant_is_taken_to_the_cameras_clock(lake):
    site = {"lines": [line()], "time_zone": "Europe/Berlin"}
    lake.write_fleet(fleet({"id": "gate", **site}, {"id": "far", **site, "time_zone": "Asia/Tokyo"}))
    asked = {"first_date": "2026-03-01T22:00:00-01:00", "last_date": "2026-03-02T01:00Z", "cameras": ["gate"]}
    starts = {row["bin_local"] for row in report(lake, by="1h", **asked).counts.to_pylist()}
    assert starts == {"2026-03-02T00:00:00+01:00", "2026-03-02T01:00:00+01:00"}
    with pytest.raises(UserError, match=r"several time zones \(Asia/Tokyo, Europe/Berlin\)"):
        report(lake, first_date="2026-03-01T22:00Z")
    with pytest.raises(UserError, match="show 2026-10-25T02:00 twice"):
        report(lake, first_date="2026-10-25T01:00Z", cameras=["gate"])


def test_dates_that_make_no_sense_are_refused(lake):
    with pytest.raises(UserError, match="YYYY-MM-DD"):
        report(lake, first_date="yesterday")
    with pytest.raises(UserError, match="later than the last"):
        report(lake, first_date="2026-03-02", last_date="2026-03-01")
    with pytest.raises(UserError, match="no bin of 900 s starts there"):
        report(lake, last_date="2026-03-01T07:10")
