"""`nightfleet view` without a browser: what it writes and what it refuses. What the pages do is in tests/pages."""

from __future__ import annotations

import pytest

from jobs.view import safe_name
from tests.conftest import json_of, nightfleet
from tests.pages import filmed


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return filmed.make(tmp_path_factory.mktemp("filmed"))


def test_a_page_and_its_videos_are_written(lake, tmp_path):
    done = nightfleet("view", lake, "--camera", "gate", "--from", "2026-03-01T13:00:05", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "13:00:05 to 2026-03-01 13:00:07 (Europe/Berlin), 1 track" in done.stdout
    assert "--from and --to write another" in done.stdout
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert written == ["gate.html", "videos/gate-2.mp4"]


@pytest.mark.parametrize(
    ("option", "tracks"), [(("--class", "person"), 1), (("--identity", filmed.IDENTITY), 1), ((), 2)]
)
def test_tracks_are_chosen(lake, tmp_path, option, tracks):
    done = nightfleet("view", lake, "--camera", "gate", "--out", tmp_path, "--json", *option)
    (page,) = json_of(done)["pages"]
    assert (page["tracks"], page["crossings"]) == (tracks, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--camera", "gaet"], "has no camera 'gaet'"),
        (["--camera", "gate", "--identity", "id-0"], "has no identity 'id-0'"),
        (["--camera", "gate", "--from", "2026-03-02"], "no footage lies in the time asked for"),
        (["--camera", "gate", "--class", "dragon"], "'dragon' is no class"),
    ],
)
def test_what_the_lake_has_not_is_refused(lake, tmp_path, options, message):
    done = nightfleet("view", lake, "--out", tmp_path / "out", *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_names_become_file_names():
    assert safe_name("gate-20260301T120000.000Z") == "gate-20260301T120000.000Z"
    assert len({safe_name(name) for name in ("a/b", "a_b", "a?b", "../a", "")}) == 5
    assert "/" not in safe_name("../../etc")
