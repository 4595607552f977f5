"""How results are shown: what users wrote is no markup, JSON is JSON, and a sentence says what is wrong."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest

from jobs import indexing, printing, printing_identity
from jobs.search import search
from pipeline.errors import UserError
from pipeline.execution import progress as progress_module
from pipeline.execution.progress import JsonProgress
from pipeline.footage.stills import read_still
from pipeline.lake import index_folders
from pipeline.perception.projection import fit_pca, require_place, save
from tests.conftest import json_of, nightfleet
from tests.execution.entries import entry, segment, unit
from tests.identity.nights import CAR, Seen, look, town
from tests.jobs.seen_lakes import seen_lake


@pytest.fixture(autouse=True)
def own_copies(tmp_path, monkeypatch):
    """Keep copies of indexes out of the machine's folder for temporary files."""
    monkeypatch.setattr(index_folders.tempfile, "gettempdir", lambda: str(tmp_path))


@pytest.fixture(scope="module")
def known():
    seen, who = town(seed=1, noise=0.5, tint=0.3)
    cars = [Seen(f"cam0-car{n}", "cam0", 20.0 * n, 20.0 * n + 5, look(100 + n, n=3, noise=0.3), CAR) for n in range(3)]
    return [*seen, *cars], {one.name: w for one, w in zip(seen, who)}


@pytest.fixture(scope="module")
def lake(known, tmp_path_factory):
    """Read it, do not write to it."""
    made = seen_lake(tmp_path_factory.mktemp("seen") / "lake", known[0])
    indexing.index(made)
    return made


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "crop.png"
    shade = np.linspace(90, 130, 64, dtype=np.uint8)  # in which nobody is to be found
    cv2.imwrite(str(path), np.broadcast_to(shade[:, None, None], (64, 32, 3)))
    return path


# -- brackets are no markup ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["x [/bold] y", "same coat [red]", "[/b]", "ends in \\", ":car:", "\\[b]"])
def test_what_a_user_wrote_is_shown_as_written(capsys, text):
    printing.show_rows([text], [[text]])
    assert capsys.readouterr().out.count(text) == 2


def test_notes_and_names_with_brackets(capsys):
    decision = {
        "decision_id": "d1",
        "decided_at": None,
        "by": "Bob [/i]",
        "identities": ["id-1"],
        "tracklets": ["[b]-1"],
        "applies": "no",
        "note": "x [/bold] y",
        "gone": ["[b]-1"],
    }
    printing_identity.decisions([decision])
    explained = {
        "identity_id": "id-1",
        "class_group": "person",
        "sightings": [],
        "merges": [],
        "decisions": [decision],
        "nearest": [],
    }
    printing_identity.explained(explained)
    printing.failures([{"reason": "gate[/x].mp4: no picture"}])
    out = capsys.readouterr().out
    for told in ("Bob [/i]", "x [/bold] y", "([b]-1)", "decided by Bob [/i]: d1: x [/bold] y", "gate[/x].mp4"):
        assert told in out, told


def test_sql_and_html_with_brackets(lake, tmp_path, monkeypatch):
    shown = nightfleet("sql", lake.url, "select '[/b]' \"[/i]\"")
    assert shown.returncode == 0 and "[/b]" in shown.stdout and "[/i]" in shown.stdout
    done = nightfleet("search", lake.url, "--tracklet", "cam0-car0", "--html", tmp_path / "w[b]" / "o[/x].html")
    assert done.returncode == 0 and "w[b]/o[/x].html" in done.stdout


def test_instants_of_a_zone_have_their_offset(lake):
    select = "select timestamptz '2026-10-25 00:30:00+00' a, timestamptz '2026-10-25 01:30:00+00' b"
    assert "│ 2026-10-25 00:30:00 │ 2026-10-25 01:30:00 │" in nightfleet("sql", lake.url, select).stdout
    there = nightfleet("sql", lake.url, select, "--time-zone", "Europe/Berlin").stdout
    assert "│ 2026-10-25 02:30:00+02:00 │ 2026-10-25 02:30:00+01:00 │" in there


# -- JSON ---------------------------------------------------------------------------------------------------------


def strict(text):
    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def test_json_has_null_for_what_is_not_finite(capsys):
    result = {"a": float("inf"), "b": [np.float32("nan"), 1.5], "c": np.array([np.inf, 2.0]), "d": ({"e": -np.inf},)}
    printing.emit(result, True, print)
    assert strict(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": [None, 2.0], "d": [{"e": None}]}


def test_sql_json_has_null_for_what_is_not_finite(lake):
    done = nightfleet("sql", lake.url, "select 'inf'::double a, ['nan'::float, 1] b, 2::decimal(5, 1) c", "--json")
    assert strict(done.stdout) == [{"a": None, "b": [None, 1.0], "c": 2}]


def test_bytes(capsys):
    rows = pa.table({"jpeg": pa.array([b"\xff\xd8" * 421, None]), "list": [[1, 2], None], "n": [1, 2]})
    text = base64.b64encode(b"\xff\xd8" * 421).decode()
    printing.table(rows, "json", None)
    assert json.loads(capsys.readouterr().out)[0]["jpeg"] == text
    printing.table(rows, "csv", None)
    assert f'"{text}","[1, 2]",1' in capsys.readouterr().out
    printing.table(rows, "table", None)
    assert "<842 bytes>" in capsys.readouterr().out


# -- sentences ----------------------------------------------------------------------------------------------------


def one_sentence(done):
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_a_sheet_below_a_file(lake, picture):
    done = nightfleet("search", lake.url, "--tracklet", "cam0-car0", "--html", picture / "x.html")
    assert "x.html: cannot be written" in one_sentence(done)


def test_a_projection_that_cannot_be_written(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).standard_normal((200, 130)).astype(np.float32)
    (tmp_path / "dir.npz").mkdir()
    for out in (tmp_path / "nowhere" / "p.npz", tmp_path / "dir.npz"):
        with pytest.raises(UserError, match=r"npz: cannot be written"):
            require_place(out)
        with pytest.raises(UserError, match=r"npz: cannot be written"):
            save(fit_pca(rows, "m"), out)
    require_place(tmp_path / "p.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["dir.npz"]


def test_a_projection_is_refused_before_anything_is_embedded(tmp_path, picture):
    (tmp_path / "dir.npz").mkdir()
    words = ("--embedder", "onnx:nowhere.onnx", "--data", tmp_path, "--out", tmp_path / "dir.npz")
    done = nightfleet("fit", "projection", *words)
    assert "dir.npz: cannot be written" in one_sentence(done)


@pytest.mark.parametrize("names", [",", " , ", ""])
def test_no_cameras_are_not_all_cameras(lake, names):
    done = nightfleet("search", lake.url, "--tracklet", "cam0-car0", "--camera", names)
    assert "--camera: expected names of cameras" in one_sentence(done)
    done = nightfleet("report", "traffic", lake.url, "--cameras", names)
    assert "--cameras: expected names of cameras" in one_sentence(done)


def test_a_damaged_picture_is_told_in_our_words_only(tmp_path, picture, capfd):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(picture.read_bytes()[:60])
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(UserError, match="is not a picture that can be decoded"):
        read_still(damaged)
    assert capfd.readouterr().err == "" and cv2.utils.logging.getLogLevel() == level


# -- searches -----------------------------------------------------------------------------------------------------


def test_hits_of_the_querys_own_identity_are_marked(lake, known):
    who = known[1]
    name = next(n for n in who if sum(w == who[n] for w in who.values()) > 2)
    found = search(lake.url, tracklet_id=name, top=3)
    (own,) = found["query_identities"]
    n_same = sum(hit["identity_id"] == own for hit in found["hits"])
    shown = nightfleet("search", lake.url, "--tracklet", name, "--top", "3").stdout
    assert n_same and shown.count("(same)") == n_same + 1 and "before place and time" in shown
    assert "alone" in shown
    cars = nightfleet("search", lake.url, "--tracklet", "cam0-car0").stdout
    assert "(same)" not in cars
    assert search(lake.url, identity_id=own)["query_identities"] == [own]


def test_an_empty_answer_says_what_the_lake_has(lake):
    done = nightfleet("search", lake.url, "--tracklet", "cam0-car0", "--from", "2027-01-01")
    assert done.stdout.strip() == (
        "nothing found: no tracklet to compare with lies in the filter (from 2027-01-01); the lake has 2026-03-01"
    )
    found = json_of(nightfleet("search", lake.url, "--tracklet", "cam0-car0", "--from", "2027-01-01", "--json"))
    assert found["hits"] == [] and found["dates"] == ["2026-03-01", "2026-03-01"]


def test_a_picture_that_nobody_knows_the_class_of(lake, picture):
    notes = search(lake.url, image=picture)["notes"]
    assert any("finds nothing in this picture" in note and "give --class" in note for note in notes)
    assert not any("give --class" in note for note in search(lake.url, image=picture, class_name="car")["notes"])


# -- progress -----------------------------------------------------------------------------------------------------


def test_a_finished_segment_says_what_this_piece_of_work_took(monkeypatch):
    clock = iter(np.arange(0.0, 100.0, 0.5))
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    heard = JsonProgress(stream)
    of = segment()
    heard.begin([of])
    heard.unit_started(0, of)
    heard.unit_finished(replace(entry(unit(of)), wall_s=18.0))
    finished = [json.loads(line) for line in stream.getvalue().splitlines()][-1]
    assert finished["event"] == "segment_finished" and finished["wall_s"] < 3
