"""The tracklets behind a count, and their pictures."""

from __future__ import annotations

import re

import av
import pytest

from jobs import count_pictures
from jobs.explain_count import bin_us, explain
from pipeline.errors import UserError
from pipeline.lake.catalog import query
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.lake.making import entry, fleet, instant_us, line, rows
from tests.lake.test_line_speeds import TENTH, walk

ZONE = {"name": "quay", "polygon": [[60, 80], [140, 80], [140, 120], [60, 120]]}


@pytest.fixture
def lake(tmp_path):
    """Camera gate in Berlin: cars out at 13:00:02 and 13:01:42 on its clock, one in at 13:00:02."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    stop = line(forward="in", backward="out", gate="both")
    camera = {"id": "gate", "time_zone": "Europe/Berlin", "homography": TENTH, "lines": [stop], "zones": [ZONE]}
    lake.write_fleet(fleet(camera, {"id": "quay", "lines": [line()]}))
    tracks = {"gate-1": walk(10), "gate-2": walk(10), "gate-3": walk(-10)}
    frames = {"gate-2": range(1000, 1041)}
    lake.write_unit(entry(), "2026-03-01", *rows(tracks, frames=frames), None)
    return lake


def test_the_tracklets_behind_a_cell(lake):
    found = explain(
        lake.url, "gate", line="bridge", direction="out", class_name="car", at="2026-03-01T13:00", by="1min"
    )
    assert (found["count"], found["from_local"], found["until_local"]) == (
        1,
        "2026-03-01T13:00:00+01:00",
        "2026-03-01T13:01:00+01:00",
    )
    (row,) = found["crossings"]
    assert (row["tracklet_id"], row["direction"], row["at_local"][:19]) == ("gate-1", "out", "2026-03-01T13:00:01")
    assert row["speed_kmh"] == pytest.approx(36, rel=1e-4)
    assert "begins on line" not in row["doubts"]


def test_all_cells_of_a_selection_gates_and_zones(lake):
    assert explain(lake.url, "gate", line="bridge")["count"] == 3
    assert explain(lake.url, "gate", gate="both", first="2026-03-01T13:01")["count"] == 1
    assert explain(lake.url, "gate", line="bridge", class_name="person")["count"] == 0
    zone = explain(lake.url, "gate", zone="quay")
    assert (zone["count"], zone["crossings"][0]["dwell_s"]) == (3, pytest.approx(0.8, abs=0.11))
    assert (zone["entered"], zone["crossings"][0]["began_inside"]) == (3, False)


def test_what_nobody_watched_is_unknown_and_the_footage_bounds_an_open_time(lake):
    def told(**asked):
        found = explain(lake.url, asked.pop("camera", "gate"), **asked)
        return found["count"], round(found["coverage_pct"], 3), found["from_local"], found["until_local"]

    noon, minute = "2026-03-01T13:00:00+01:00", "2026-03-01T13:01:00+01:00"
    assert told(line="bridge", at="2026-03-01T15:00")[:2] == told(line="bridge", first="2026-03-02")[:2] == (None, 0)
    assert told(line="bridge") == (3, 100, noon, minute)
    assert told(line="bridge", last="2026-03-01T13:00:01.5") == (0, 100, noon, "2026-03-01T13:00:01.500000+01:00")
    assert told(line="bridge", class_name="person", at="2026-03-01T13:00", by="15min")[:2] == (0, 6.667)
    assert told(line="bridge", at="2026-03-01T13:01", by="1min")[:2] == (1, 0)  # a crossing is known all the same
    assert told(camera="quay", line="bridge") == (None, 0, None, None)
    unknown = explain(lake.url, "gate", zone="quay", first="2026-03-02")
    assert (unknown["entered"], unknown["doubtful"], unknown["until_local"]) == (None, None, None)


def test_stays_that_began_inside_did_not_enter(lake):
    inside = entry("gate-9", started_at_us=instant_us("2026-03-01T13:00"), ended_at_us=instant_us("2026-03-01T13:01"))
    track = {"gate-9": [(100 + 3 * k, 100.0) for k in range(31)]}
    lake.write_unit(inside, "2026-03-01", *rows(track, frames={"gate-9": range(36000, 36031)}), None)
    printed = nightfleet("explain", "count", lake.url, "--camera", "gate", "--zone", "quay")
    assert "4 stays, 3 of them seen to enter" in printed.stdout
    assert printed.stdout.count("began inside") == 1


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"line": "bridge", "zone": "quay"}, "give exactly one of --line, --gate and --zone"),
        ({}, "give exactly one of --line, --gate and --zone"),
        ({"line": "brigde"}, r"--line: camera gate has no line 'brigde' \(did you mean 'bridge'\?\); it has bridge"),
        ({"line": "bridge", "direction": "up"}, "--direction: line bridge has no direction 'up'.*; it has in, out"),
        ({"zone": "quay", "direction": "in"}, "a zone has none, so leave it out"),
        ({"line": "bridge", "class_name": "persn"}, r"'persn' is no class \(did you mean 'person'\?\)"),
        ({"line": "bridge", "class_name": "banana"}, r"--class: 'banana' is no class of .*; it has bicycle, .*vehicle"),
        ({"line": "bridge", "at": "2026-03-01"}, "--at: 2026-03-01 is a whole day; write its time too"),
        ({"line": "bridge", "at": "noon"}, "--at: expected an instant such as 2026-03-01T07:30, got 'noon'"),
        ({"line": "bridge", "at": "2026-03-29T02:30"}, "--at: 2026-03-29T02:30 was skipped in Europe/Berlin"),
        ({"line": "bridge", "at": "2026-10-25T02:30"}, "--at: 2026-10-25T02:30 came twice in Europe/Berlin"),
        ({"line": "bridge", "at": "2026-03-01T13:00", "by": "7min"}, "a day is not a whole number of these"),
        ({"line": "bridge", "at": "2026-03-01T13:00", "first": "2026-03-01"}, "give one or the other"),
    ],
)
def test_mistakes(lake, asked, sentence):
    with pytest.raises(UserError, match=sentence):
        explain(lake.url, "gate", **asked)


def test_bins_at_a_change_of_the_clock():
    hour = 3_600_000_000
    begin, end = bin_us("2026-10-25T02:30+01:00", "1h", "Europe/Berlin")  # the second of the two hours
    assert (begin, end) == (instant_us("2026-10-25T02:00+01:00"), instant_us("2026-10-25T03:00+01:00"))
    begin, end = bin_us("2026-10-25T01:30", "2h", "Europe/Berlin")  # 00:00 to 02:00, before it
    assert end - begin == 2 * hour
    begin, end = bin_us("2026-10-25T03:30", "2h", "Europe/Berlin")  # 02:00 to 04:00 after the change
    assert (begin, end - begin) == (instant_us("2026-10-25T02:00+01:00"), 2 * hour)
    begin, end = bin_us("2026-10-25T02:15+02:00", "2h", "Europe/Berlin")  # its first hour, before the change
    assert (begin, end - begin) == (instant_us("2026-10-25T02:00+02:00"), hour)


def test_where_the_footage_is_gone_the_sheet_says_so(lake, tmp_path):
    found = explain(lake.url, "gate", line="bridge")
    written = count_pictures.write_sheet(lake.url, found, tmp_path / "seen.html", limit=2)
    assert (written["shown"], written["thumbnails"]) == (0, 0)
    assert written["notes"] == ["/footage/gate-1.mp4: the footage is no longer there; put it back at that place"]
    page = (tmp_path / "seen.html").read_text()
    assert page.count("no picture") == 2
    assert "the first 2 are shown" in page
    done = nightfleet(
        "explain", "count", lake.url, "--camera", "gate", "--line", "bridge", "--html", tmp_path / "it.html"
    )
    assert done.returncode == 3, done.stderr
    assert "3 counted, 0 of them in doubt (watched 100" in " ".join(done.stdout.split())
    unwatched = explain(lake.url, "gate", line="bridge", first="2026-03-02")
    count_pictures.write_sheet(lake.url, unwatched, tmp_path / "empty.html", limit=2)
    assert "not watched, so nobody knows" in (tmp_path / "empty.html").read_text()
    with pytest.raises(UserError, match="--clip: camera gate has no footage of that time"):
        count_pictures.write_clip(lake.url, unwatched, tmp_path / "seen.mp4", limit=2)
    with pytest.raises(UserError, match=r"--clip: /footage/gate-1\.mp4: the footage is no longer there"):
        count_pictures.write_clip(lake.url, found, tmp_path / "seen.mp4", limit=2)
    with pytest.raises(UserError, match=r"--clip: expected the name of an \.mp4 file"):
        count_pictures.write_clip(lake.url, found, tmp_path / "seen.avi", limit=2)


def test_pictures_of_real_footage(finished_lake, tmp_path):
    """A sheet shows every crossing, a clip a few seconds of each."""
    crossings = query(str(finished_lake), "SELECT camera_id, line_id FROM crossings GROUP BY ALL ORDER BY ALL")
    camera, name = crossings["camera_id"][0].as_py(), crossings["line_id"][0].as_py()
    sheet, clip = tmp_path / "seen.html", tmp_path / "seen.mp4"
    asked = ("explain", "count", finished_lake, "--camera", camera, "--line", name, "--html", sheet, "--clip", clip)
    result = json_of(nightfleet(*asked, "--json"))
    assert result["count"] > 0
    assert result["html"]["shown"] == result["clip"]["shown"] == result["count"]
    page = sheet.read_text()
    assert len(re.findall(r'src="data:image/jpeg;base64,', page)) == result["count"]
    assert "http" not in page
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.frames >= 20 * result["count"]  # ten a second
    printed = nightfleet(*asked[:7])
    assert printed.returncode == 0, printed.stderr
    assert f"{result['count']} counted" in printed.stdout


def test_the_command_says_what_is_wrong(lake):
    done = nightfleet("explain", "count", lake.url, "--camera", "gat", "--line", "bridge")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--camera: the lake has no camera 'gat' (did you mean 'gate'?)" in done.stderr
