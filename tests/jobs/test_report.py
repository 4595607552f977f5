"""`nightfleet report`: every sub-command, what it prints, what it writes, and mistakes in one sentence."""

from __future__ import annotations

import csv
import io

import numpy as np
import openpyxl
import pyarrow.parquet as pq
import pytest

from pipeline.lake.writer import Lake
from pipeline.reports.tabular import KINDS
from tests.conftest import json_of, nightfleet
from tests.lake.making import fleet, line
from tests.reports.watching import watch

ZONE = {"name": "bay", "polygon": [(0, 0), (200, 0), (200, 200), (0, 200)]}
OUTWARD = [(x, 100) for x in range(60, 150, 8)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lake:
    """A morning of two cameras: one car at 08:07 local in the first, a file missing, and hours of nothing."""
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("morning") / "lake"))
    site = {"lines": [line(forward="in", backward="out")], "zones": [ZONE], "time_zone": "Europe/Berlin"}
    lake.write_fleet(fleet({"id": "gate", **site}, {"id": "yard", **site}))
    watch(
        lake, "2026-03-01T07:00:00+00:00", "2026-03-01T08:00:00+00:00", {"a": OUTWARD}, at="2026-03-01T07:07:00+00:00"
    )
    watch(lake, "2026-03-01T09:00:00+00:00", "2026-03-01T12:00:00+00:00")
    watch(
        lake,
        *("2026-03-01T07:00:00+00:00", "2026-03-01T08:00:00+00:00", {"b": OUTWARD}),
        at="2026-03-01T07:08:00+00:00",
        camera="yard",
    )
    ids = np.array(["a", "b"], dtype=object)
    lake.write_identities("2026-03-01", ids, np.array(["p", "p"], dtype=object), np.ones(2, np.float32), "run")
    return lake


def one_sentence(done) -> str:
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("name", KINDS)
def test_every_report_as_a_workbook_and_printed(lake, tmp_path, name):
    tables = json_of(nightfleet("report", name, lake.url, "--json"))
    assert next(iter(tables.values()))
    out = tmp_path / "r.xlsx"
    assert nightfleet("report", name, lake.url, "--format", "xlsx", "--out", out).returncode == 0
    book = openpyxl.load_workbook(out)
    assert book.sheetnames == [*tables, "about"]
    assert [book[table].max_row - 1 for table in tables] == [len(rows) for rows in tables.values()]
    about = {what.value: said.value for what, said in book["about"]}
    assert about["lake"] == lake.url and about["time zones"] == "Europe/Berlin: gate, yard"
    printed = nightfleet("report", name, lake.url)
    assert printed.returncode == 0 and about["report"] in printed.stdout


def test_a_report_as_csv_and_parquet_is_its_own_table(lake, tmp_path):
    text = nightfleet("report", "turns", lake.url, "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(text)))) == 2 * 20
    out = tmp_path / "turns.parquet"
    assert nightfleet("report", "turns", lake.url, "--format", "parquet", "--out", out).returncode == 0
    assert pq.read_table(out).num_rows == 2 * 20
    for form in ("parquet", "xlsx"):
        assert f"--format {form} needs --out FILE" in one_sentence(
            nightfleet("report", "od", lake.url, "--format", form)
        )


@pytest.mark.parametrize("what", [("report", "turns"), ("sql", "SELECT camera_id FROM cameras")])
def test_the_name_of_a_file_says_how_it_is_written(lake, tmp_path, what):
    command = (*what, lake.url) if what[0] == "report" else (what[0], lake.url, what[1])

    def written(name: str, *options):
        done = nightfleet(*command, *options, "--out", tmp_path / "new" / name)
        return done if done.returncode else (tmp_path / "new" / name).read_bytes()

    assert written("a.xlsx")[:2] == b"PK" and written("a.parquet")[:4] == b"PAR1"
    assert written("a.CSV").startswith(b'"')
    assert "│" in written("a.txt").decode() and written("a.json", "--json")[:1] in b"[{"
    assert written("counts", "--format", "csv") == written("a.csv")
    for name, options, said in (
        ("b.csv", ("--format", "xlsx"), "--format xlsx is not what the name ends in"),
        ("b.csv", ("--format", "table"), "--format table is not what the name ends in"),
        ("b.ods", (), "expected a name that ends in .csv, .parquet, .xlsx, .txt"),
        ("b.csv", ("--json",), "--json writes JSON"),
    ):
        assert said in one_sentence(written(name, *options))
    (tmp_path / "file").write_text("")
    for name in ("c.txt", "c.csv"):
        assert "cannot be written" in one_sentence(written(f"../file/{name}"))
    assert not [path for path in (tmp_path / "new").iterdir() if path.name.startswith("b.")]


def test_quiet_and_unwatched_stretches_are_one_row_when_printed(lake):
    done = nightfleet("report", "traffic", lake.url, "--cameras", "gate")
    cells = [[cell.strip() for cell in row.split("│")[1:-1]] for row in done.stdout.splitlines() if row.startswith("│")]
    assert [row for row in cells if len(row) == 3] == [
        ["08:00", "1", "100"],
        ["08:15 … 08:45 (3 bins)", "0", "100"],
        ["09:00 … 09:45 (4 bins)", "–", "0"],
        ["10:00 … 12:45 (12 bins)", "0", "100"],
    ]
    rows = json_of(nightfleet("report", "traffic", lake.url, "--cameras", "gate", "--json"))["counts"]
    assert len(rows) == 2 * 20
    assert [row["count"] for row in rows if row["direction"] == "out"] == [1, 0, 0, 0, *[None] * 4, *[0] * 12]


def test_a_period_narrows_the_day(lake):
    words = ("--from", "2026-03-01T08:00", "--to", "2026-03-01T10:00", "--by", "1h", "--json")
    rows = json_of(nightfleet("report", "gates", lake.url, *words))["counts"]
    assert [(r["camera_id"], r["bin_local"][11:16], r["count"]) for r in rows if r["direction"] == "out"] == [
        *(("gate", "08:00", 1), ("gate", "09:00", None), ("yard", "08:00", 1), ("yard", "09:00", None)),
    ]
    words = ("--from", "2026-03-01T08:00:00+01:00", "--to", "2026-03-01T09:00Z", "--by", "1h", "--json")
    assert json_of(nightfleet("report", "gates", lake.url, *words))["counts"] == rows


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("traffic", "--by", "7min"), "a day is not a whole number of these"),
        (("traffic", "--from", "yesterday"), "expected a local date YYYY-MM-DD"),
        (("turns", "--from", "2026-03-01T07:10"), "no bin of 900 s starts there"),
        (("occupancy", "--from", "2026-03-02", "--to", "2026-03-01"), "is later than the last"),
        (("peak", "--cameras", "yrad"), "no camera 'yrad' in this lake; it has gate, yard"),
        (("od", "--gap-min", "-1"), "expected minutes of 0 or more"),
    ],
)
def test_mistakes_are_told_in_one_sentence(lake, words, said):
    name, *options = words
    assert said in one_sentence(nightfleet("report", name, lake.url, *options))


def test_there_is_no_report_of_no_lake(tmp_path):
    assert str(tmp_path / "nowhere") in one_sentence(nightfleet("report", "peak", tmp_path / "nowhere"))
