"""docs/sql.md: every example gives rows, and the reference is the catalogue's."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from pipeline.lake import catalog, thumbnails
from pipeline.lake.contents import contents
from pipeline.lake.pictured import About, Thumbnails
from pipeline.lake.writer import Lake
from tests.lake.making import NOON_US, entry, fleet, line, rows
from tests.lake.sql_reference import DOCUMENT, MARKER, documented, reference

TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\*\*(.+?)\*\*.*?```sql\n(.+?);\n```", TEXT, re.MULTILINE | re.DOTALL)
MINUTE_US = 60_000_000


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A morning at a gate, and a van that goes on to the square."""
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("docs") / "lake"))
    rightward, leftward = [(60 + 8 * n, 100) for n in range(24)], [(140 - 8 * n, 90) for n in range(12)]
    _write(lake, "gate", 0, 90, "bicycle", {"gate-bike": rightward[:12], "gate-bike-back": leftward})
    _write(lake, "gate", 90, 1, "truck", {"gate-van": rightward})
    _write(lake, "gate", 91, 2, "person", {"gate-visitor": [(350, 100)] * 700})
    _write(lake, "gate", 150, 1, "person", {"gate-late": rightward})
    _write(lake, "square", 93, 2, "truck", {"square-van": [(350, 100 + 4 * n) for n in range(20)]})
    lines = [line(forward="southbound", backward="northbound"), line("far-side", ((200, 50), (200, 150)))]
    yard = {"name": "forecourt", "polygon": [(300, 50), (400, 50), (400, 150), (300, 150)]}
    lake.write_fleet(fleet({"id": "gate", "lines": lines, "zones": [yard]}, {"id": "square", "zones": [yard]}))
    ids = np.array(["gate-van", "square-van"], dtype=object)
    lake.write_identities(
        "2026-03-01", ids, np.array(["id-1", "id-1"], dtype=object), np.array([0.9, 0.9], np.float32), "r"
    )
    return lake


def _write(lake, camera, after_min, length_min, class_name, tracks):
    began_us = NOON_US + after_min * MINUTE_US
    unit = entry(f"{camera}-{after_min}", camera, started_at_us=began_us, ended_at_us=began_us + length_min * MINUTE_US)
    made = rows(tracks, segment_id=unit.segment_id, started_at_us=began_us, class_name=class_name)
    lake.write_unit(unit, "2026-03-01", *made, None)
    pictures = Thumbnails(
        tracklet_id=made[1].tracklet_id,
        captured_at_us=made[1].started_at_us,
        frame=np.zeros(len(made[1]), np.int32),
        xyxy=np.zeros((len(made[1]), 4), np.float32),
        size_px=np.full((len(made[1]), 2), 8, np.int32),
        heads_blurred=np.zeros(len(made[1]), bool),
        jpeg=np.array([b"jpeg"] * len(made[1]), dtype=object),
    )
    thumbnails.write(lake, (camera, "2026-03-01", unit.segment_id), pictures, About(unit.key, made=len(made[1])))


@pytest.fixture(scope="module")
def connection(lake):
    with catalog.connect(lake.url) as connection:
        yield connection


def test_there_are_examples():
    assert len(EXAMPLES) >= 12
    assert TEXT.count("```sql\n") == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_an_example_gives_rows(connection, example):
    assert catalog.select(connection, example[1]).num_rows > 0


def test_0_and_unknown_are_told_apart(connection):
    (unknown,) = [sql for title, sql in EXAMPLES if title == "0 or unknown?"]
    bridge = {row["line_id"]: row for row in catalog.select(connection, unknown).to_pylist()}["bridge"]
    assert bridge["counted"] == 4  # two bicycles, a van and one who is late
    assert bridge["bins_with_nothing"] > 0 and bridge["bins_nobody_watched"] > 0


def test_a_bare_duckdb_reads_the_files(lake):
    (sql,) = re.findall(r"```bare-sql\n(.+?);\n```", TEXT, re.DOTALL)
    asked = f"import duckdb; print(sorted(duckdb.sql({sql!r}).fetchall()))"
    bare = subprocess.run(
        [sys.executable, "-I", "-c", asked], cwd=lake.storage.root.parent, capture_output=True, text=True, check=True
    )
    assert bare.stdout.strip() == str(
        [("gate", "bicycle", 2), ("gate", "person", 2), ("gate", "truck", 1), ("square", "truck", 1)]
    )


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_other_tools_read_the_files(lake, library):
    pytest.importorskip(library)
    (program,) = re.findall(rf"```python[^\n]*\n(import {library}\n.+?)```", TEXT, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=lake.storage.root.parent, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "gate" in done.stdout and "square" in done.stdout


def test_everything_in_the_catalogue_is_documented_with_its_columns(connection):
    known = {content.name: list(content.columns) for content in contents(connection)}
    assert documented(TEXT.partition(MARKER)[2]) == known
    assert all(content.about for content in contents(connection))


def test_the_reference_is_up_to_date():
    assert TEXT.partition(MARKER)[2].strip() == reference().strip(), "run `python -m tests.lake.sql_reference`"
