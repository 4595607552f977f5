"""Times as somebody writes them, in the hours that clocks leave out or have twice, and with one offset given."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jobs import annotate, export, report_heatmap, view
from jobs.search_filters import EVER_US, check_classes, parse
from pipeline.errors import UserError
from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from tests.lake.making import fleet, write


def bounds(first: str | None, last: str | None, zone: str) -> list[str]:
    found = parse(None, None, first, last).bounds_us(zone)
    return [datetime.fromtimestamp(at / 1e6, UTC).strftime("%dT%H:%M") for at in found if at not in EVER_US]


@pytest.mark.parametrize(
    ("option", "local", "wanted"),
    [
        ("from", "2026-03-29T02:30", "29T00:30"),  # the clock goes from 2:00 to 3:00 at 1:00 UTC
        ("to", "2026-03-29T02:30", "29T01:30"),
        ("from", "2026-10-25T02:30", "25T00:30"),  # 2:00 to 3:00 comes twice, from 0:00 and from 1:00 UTC
        ("to", "2026-10-25T02:30", "25T01:30"),
        ("from", "2026-03-29", "28T23:00"),
        ("to", "2026-03-29", "29T22:00"),
        ("from", "2026-03-29T02:30+00:00", "29T02:30"),
    ],
)
def test_of_a_local_time_that_is_two_instants_the_wider_is_taken(option, local, wanted):
    first, last = (local, None) if option == "from" else (None, local)
    assert bounds(first, last, "Europe/Berlin") == [wanted]


def test_with_one_offset_given_it_is_the_cameras_zone_that_tells():
    mixed = ("2026-03-01T08:00", "2026-03-01T00:00+00:00")
    assert bounds(*mixed, "Asia/Tokyo") == ["28T23:00", "01T00:00"]
    assert bounds(*mixed, "UTC") == ["01T08:00", "01T00:00"], "of that camera nothing"
    assert bounds("2026-03-01T08:00+00:00", "2026-03-01T04:00", "America/New_York") == ["01T08:00", "01T09:00"]


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-03-01T08:00", "2026-03-01T08:00"),
        ("2026-03-01T08:00+01:00", "2026-03-01T07:00+00:00"),
        ("2026-03-01T14:00", "2026-03-01T00:00+00:00"),
        ("2026-03-01T12:00+00:00", "2026-03-01T00:00"),
        ("2026-03-02", "2026-03-01"),
    ],
)
def test_what_is_empty_in_every_zone_is_refused(first, last):
    with pytest.raises(UserError, match="nothing lies between them"):
        parse(None, None, first, last)


def test_the_last_date_there_is_ends_never():
    assert parse(None, None, "0001-01-01", "9999-12-31").bounds_us("UTC")[1] == EVER_US[1]


def test_a_class_that_nobody_looked_for_is_refused(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate"}))
    write(lake, {"gate-1": [(100.0, 100.0)]})
    asked = (
        lambda: report_heatmap.report_heatmap(lake.url, "gate", tmp_path / "heat.csv", class_name="banana"),
        lambda: view.view(lake.url, ["gate"], tmp_path / "pages", class_name="banana"),
        lambda: annotate.annotate(lake.url, "gate", tmp_path / "gate.mp4", class_name="banana"),
        lambda: export.export(lake.url, tmp_path / "tracks", "csv", parse("banana", None, None, None)),
    )
    for ask in asked:
        with pytest.raises(UserError, match=r"--class: 'banana' is no class of .*; it has .*car, .*vehicle for all"):
            ask()
    with connect(lake.url) as connection:
        # looked for, seen or not; or a group
        for name in (None, "car", "person", "vehicle", "person,car", "person, vehicle"):
            check_classes(parse(name, None, None, None), connection, lake.url)
        lake.write_fleet(fleet({"id": "gate", "detector": {"classes": ["person"]}}))
        check_classes(parse("car", None, None, None), connection, lake.url)  # one was seen
        with pytest.raises(UserError, match=r"'bus' is no class of .*; it has car, person, or vehicle"):
            check_classes(parse("bus", None, None, None), connection, lake.url)
        with pytest.raises(UserError, match="'banana' is no class of"):
            check_classes(parse("car,banana", None, None, None), connection, lake.url)


def test_several_classes_and_groups():
    assert parse("person, car", None, None, None).classes == ("person", "car")
    mixed = parse("car,vehicle,person", None, None, None)
    assert mixed.classes[:2] == ("car", "bicycle") and len(set(mixed.classes)) == len(mixed.classes)
    assert (mixed.named, mixed.groups) == (("car", "person"), {"vehicle", "person"})
    for text in ("car,vann", ","):
        with pytest.raises(UserError, match="is no class"):
            parse(text, None, None, None)
