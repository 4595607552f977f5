"""docs/reports.md names the columns that the macros have, in their order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.lake.catalog import connect
from pipeline.lake.writer import Lake
from pipeline.reports.tabular import KINDS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "reports.md").read_text(encoding="utf-8")
SAID = {
    macro: re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", columns))
    for macro, columns in re.findall(r"Columns\s+of\s+`(\w+)`:\s(.*?)\.(?=\s)", TEXT, re.DOTALL)
}
BINNED = ("camera_bins", "traffic_counts", "gate_counts", "turning_movements", "zone_occupancy")


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    url = Lake.open_or_create(str(tmp_path_factory.mktemp("docs") / "lake")).url
    with connect(url) as opened:
        yield opened


def test_every_report_and_macro_is_described():
    assert {macro for kind in KINDS.values() for _, macro in kind.macros} <= set(SAID)
    assert all(f"\n## {name}\n" in TEXT for name in KINDS)


@pytest.mark.parametrize("macro", SAID)
def test_columns_are_those_of_the_macro(connection, macro):
    arguments = "900, NULL, NULL" if macro in BINNED else "NULL, NULL"
    assert connection.sql(f"FROM {macro}({arguments})").columns == SAID[macro]
