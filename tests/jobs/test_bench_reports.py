"""`nightfleet bench reports` on a lake of a few thousand rows: every question is answered and timed."""

from __future__ import annotations

import shutil

import pytest

from jobs import bench_reports as job
from pipeline.errors import UserError
from pipeline.lake.writer import Lake

KEYS = {"query", "rows", "seconds", "scan_seconds", "ratio", "goal", "threads"}


@pytest.mark.parametrize(("text", "rows"), [("100M", 100_000_000), ("500k", 500_000), ("20000", 20_000)])
def test_numbers_of_rows(text, rows):
    assert job.number_of(text) == rows


@pytest.mark.parametrize("text", ["", "0", "-5", "many", "1.5M", "10 G"])
def test_what_is_no_number_of_rows(text):
    with pytest.raises(UserError, match="--rows"):
        job.number_of(text)


def test_every_report_is_timed_beside_its_scan_and_the_lake_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "RUNS", 1)
    said = []
    rows = job.bench_reports(8_000, lake=tmp_path / "lake", progress=said.append)
    assert all(set(row) == KEYS for row in rows)
    assert {query.name for query in job.QUERIES} <= {row["query"] for row in rows}
    assert all(row["rows"] == pytest.approx(8_000, rel=0.5) and row["seconds"] > 0 for row in rows)
    assert all(row["ratio"] == row["seconds"] / row["scan_seconds"] for row in rows if row["scan_seconds"])
    assert sum(row["goal"] is not None for row in rows) >= 3
    lines = {line.name for line in Lake.open(str(tmp_path / "lake")).read_config().cameras[0].lines}
    assert lines == {"north", "east", "south", "west"}
    assert "exemplars are left out" in said[0]


def test_a_short_disk_makes_fewer_rows_or_is_refused(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(9e9, 8e9, 1e9))
    assert job._rows_that_fit(None, tmp_path / "new", said.append) == 10_000_000
    assert "1.0 GB are free" in said[0]
    with pytest.raises(UserError, match="GB free for 100,000,000 rows"):
        job._rows_that_fit(100_000_000, tmp_path / "new", said.append)


def test_without_a_folder_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(job.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "made"))
    monkeypatch.setattr(job, "_measured", lambda lake, size, progress: [])
    job.bench_reports(1, progress=lambda line: None)
    assert not (tmp_path / "made").exists()
