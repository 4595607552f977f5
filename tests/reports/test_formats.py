"""Files of a report: read back by the field's own readers, whole or not there."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.reports import formats
from pipeline.reports.formats import WRITERS, csv_text, write_workbook

INSTANT = pa.timestamp("us", tz="UTC")
REPEATED = ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00")


@pytest.fixture
def table() -> pa.Table:
    """Two bins of one name, an hour apart; of the second nobody knows."""
    return pa.table(
        {
            "date": pa.array([date(2026, 10, 25)] * 2),
            "line_id": pa.array(["=1+1", "road"]),
            "bin_start": pa.array(
                [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)], INSTANT
            ),
            "bin_local": pa.array(REPEATED),
            "count": pa.array([7, None], pa.int64()),
            "coverage_pct": pa.array([100 / 3, 0.0]),
        }
    )


def test_csv_and_parquet_are_read_back(table, tmp_path):
    for name in ("csv", "parquet"):
        WRITERS[name](table, tmp_path / "out" / f"counts.{name}")
    assert pq.read_table(tmp_path / "out" / "counts.parquet").equals(table)
    text = (tmp_path / "out" / "counts.csv").read_text()
    assert text == csv_text(table)
    read = list(csv.DictReader(io.StringIO(text)))
    assert [row["bin_local"] for row in read] == list(REPEATED)
    assert [row["count"] for row in read] == ["7", ""]


def test_a_workbook_has_numbers_dates_and_empty_cells(table, tmp_path):
    path = tmp_path / "out" / "counts.xlsx"
    write_workbook({"counts": table, "none": table.slice(0, 0)}, path, {"report": "Crossings", "lake": "./lake"})
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["counts", "none", "about"]
    sheet = book["counts"]
    assert sheet.freeze_panes == "A2"
    heads = [cell.value for cell in sheet[1]]
    assert heads == ["date", "line_id", "bin_start (UTC)", "bin_local", "utc_offset", "count", "coverage_pct"]
    assert [cell.value for cell in sheet[2]] == [
        *(datetime(2026, 10, 25), "=1+1", datetime(2026, 10, 25, 0, 30), datetime(2026, 10, 25, 2, 30)),
        *("+02:00", 7, pytest.approx(100 / 3)),
    ]
    assert sheet["B2"].data_type == "s" and sheet["D2"].is_date and sheet["D2"].number_format == "yyyy-mm-dd hh:mm:ss"
    assert [cell.value for cell in sheet[3]][3:] == [datetime(2026, 10, 25, 2, 30), "+01:00", None, 0]
    assert [[cell.value for cell in row] for row in book["about"]] == [["report", "Crossings"], ["lake", "./lake"]]
    assert book["none"].max_row == 1


def test_the_same_tables_give_the_same_workbook(table, tmp_path):
    for name in ("one", "two"):
        write_workbook({"counts": table}, tmp_path / name, {"report": "Crossings"})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_more_rows_than_a_sheet_takes_are_refused(table, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "EXCEL_ROWS", 2)
    with pytest.raises(
        UserError, match=r"the table counts has 2 rows and a sheet of Excel takes 1: ask for fewer days"
    ):
        write_workbook({"counts": table}, tmp_path / "counts.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_what_cannot_be_written_is_said_and_leaves_nothing(table, tmp_path, name):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="cannot be written"):
        WRITERS[name](table, tmp_path / "taken" / "below")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
