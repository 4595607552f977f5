"""`nightfleet bench tracker`: who is measured on what, and what is said of those who are not there."""

from __future__ import annotations

import json
import os
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from jobs import bench_tracker
from jobs.cli import app
from pipeline.errors import UserError
from pipeline.evaluation import peers
from pipeline.tracking import compiled
from tests.realdata import data_path


class Here:
    """A pool of processes that is this one: so that what a test has changed holds where trackers are measured."""

    def __init__(self, *_, **__) -> None:
        pass

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_) -> None:
        pass

    def submit(self, work, *arguments) -> Future:
        done = Future()
        done.set_result(work(*arguments))
        return done


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Small crowds, once, in this process; and no real sequences but those that a test gives."""
    monkeypatch.setattr(bench_tracker, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(bench_tracker, "CROWDS", (4, 9))
    monkeypatch.setattr(bench_tracker, "CROWD_FRAMES", {4: 5, 9: 3})
    monkeypatch.setattr(bench_tracker, "REPEATS", 1)
    monkeypatch.setenv("NIGHTFLEET_TEST_DATA", str(tmp_path / "none"))


def sequence(folder: Path, n_frames: int = 6) -> Path:
    """Write a sequence of one box that walks, without truth."""
    (folder / "walk" / "det").mkdir(parents=True)
    lines = [f"{frame},-1,{100 + 3 * frame},100,40,90,0.9,-1,-1,-1" for frame in range(1, n_frames + 1)]
    (folder / "walk" / "det" / "det.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_json_is_a_list_of_input_tracker_and_time(tmp_path):
    result = CliRunner().invoke(app, ["bench", "tracker", "--data", str(sequence(tmp_path)), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert all(set(row) == {"input", "tracker", "ms_per_frame"} and row["ms_per_frame"] > 0 for row in rows)
    assert {row["input"] for row in rows} == {"mot15", "objects-4", "objects-9"}
    wanted = {"nightfleet", "deep-sort-realtime", "ioutrack"}
    for name in ("mot15", "objects-4", "objects-9"):
        assert wanted <= {row["tracker"] for row in rows if row["input"] == name}
    assert len({(row["input"], row["tracker"]) for row in rows}) == len(rows)


def test_blas_has_one_thread_only_while_it_is_measured(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(bench_tracker, "_measured", lambda data: ([dict(os.environ)], []))
    (seen,) = bench_tracker.bench_tracker(None)
    assert seen["OPENBLAS_NUM_THREADS"] == seen["OMP_NUM_THREADS"] == "1"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7" and "OMP_NUM_THREADS" not in os.environ


def test_table(tmp_path):
    result = CliRunner().invoke(app, ["bench", "tracker", "--data", str(sequence(tmp_path))])
    assert result.exit_code == 0 and "nightfleet" in result.stdout and "objects-9" in result.stdout
    assert "In objects-9 they never are: it has 3 frames" in result.stdout


def test_the_footnote_names_the_inputs_too_short_to_fill_a_gallery(monkeypatch):
    monkeypatch.setattr(bench_tracker, "CROWD_FRAMES", {4: 100, 9: 99})
    said = bench_tracker.footnote(["mot15", "objects-4", "objects-9"])
    assert "objects-9" in said and "objects-4" not in said
    assert "objects-9" not in bench_tracker.footnote(["mot15"])


def test_what_is_absent_is_left_out_and_said_so(monkeypatch):
    def missing(name: str):
        raise UserError(f"no {name}")

    monkeypatch.setattr(peers, "_package", missing)
    monkeypatch.setattr(compiled, "available", lambda: False)
    rows, said = bench_tracker._measured(None)
    assert {row["tracker"] for row in rows} == {"nightfleet"}
    assert {row["input"] for row in rows} == {"objects-4", "objects-9"}
    assert [any(word in sentence for sentence in said) for word in ("mot15", "numba", *peers.PEER_NAMES)] == [True] * 7


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        bench_tracker.bench_tracker(tmp_path / "none", complain=lambda sentence: None)


def test_crowds_are_seeded_and_their_looks_of_unit_length():
    first, again = (bench_tracker.crowd(20, 5, seed=1) for _ in range(2))
    for (boxes, look), (same_boxes, same_look) in zip(first, again):
        np.testing.assert_array_equal(boxes.xyxy, same_boxes.xyxy)
        np.testing.assert_array_equal(look, same_look)
        np.testing.assert_allclose(np.linalg.norm(look, axis=1), 1, rtol=1e-5)


@pytest.mark.realdata
def test_real_sequences_are_found(monkeypatch):
    monkeypatch.undo()  # the place of real data, among others
    monkeypatch.setenv("NIGHTFLEET_TEST_DATA", str(data_path("mot15").parent))
    name, scenes = next(bench_tracker._inputs(None, print))
    assert name == "mot15" and len(scenes) == 4 and sum(len(frames) for frames in scenes) > 1000
