"""A lake as one DuckDB file, read by a bare DuckDB in another process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipeline.errors import LakeError, UserError
from pipeline.lake import catalog, database
from pipeline.lake.contents import contents
from pipeline.lake.writer import Lake
from tests.lake.making import entry, fleet, line, rows

OVER = {"gate-a": [(60 + 8 * n, 100) for n in range(12)], "gate-b": [(140 - 8 * n, 90) for n in range(12)]}


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_unit(entry(), "2026-03-01", *rows(OVER), None)
    lake.write_fleet(fleet({"id": "gate", "lines": [line()]}))
    return lake


def _bare(file, sql):
    """Ask a DuckDB that knows nothing of nightfleet."""
    asked = (
        f"import duckdb, json; print(json.dumps(duckdb.connect({str(file)!r}, read_only=True).sql({sql!r}).fetchall()))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", asked], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_bare_duckdb_reads_everything_without_the_lake(lake, tmp_path):
    with catalog.connect(lake.url) as connection:
        counted = connection.execute("SELECT sum(count)::INTEGER FROM traffic_counts(3600, NULL, NULL)").fetchall()
        relations = {content.name for content in contents(connection) if content.kind in ("table", "view")}
        internal = {"line_days", "line_reads", "passages_computed", "extent_days", "extents_computed"}
    file = tmp_path / "bi" / "counts.duckdb"
    written = database.export(lake.url, file, bin_s=3600)
    lake.storage.root.rename(tmp_path / "gone")
    assert relations - internal <= set(written) and not internal & set(written)
    assert written["observations"] == 24 and written["crossings"] == 2
    assert [path.name for path in file.parent.iterdir()] == ["counts.duckdb"]
    assert _bare(file, "SELECT sum(count)::INTEGER, any_value(bin_s)::INTEGER FROM traffic_counts") == [
        [counted[0][0], 3600]
    ]
    assert _bare(file, "SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [[0]]
    assert _bare(file, "SELECT comment FROM duckdb_tables() WHERE comment IS NULL") == []
    unsaid = (
        "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main' "
        "AND coalesce(comment, '') = ''"
    )
    assert _bare(file, unsaid) == []
    about = "SELECT comment FROM duckdb_columns() WHERE table_name = 'observations' AND column_name = 'x1'"
    assert _bare(file, about) == [["left edge (pixels)"]]
    about = "SELECT comment FROM duckdb_columns() WHERE table_name = 'traffic_counts' AND column_name = 'coverage_pct'"
    assert _bare(file, about) == [["part of the bin that was watched, 0 to 100"]]
    assert _bare(file, "SELECT typeof(embedding) FROM tracklets LIMIT 1") == [["FLOAT[128]"]]


def test_a_file_is_replaced_only_by_force_and_tables_can_be_left_out(lake, tmp_path):
    file = tmp_path / "counts.duckdb"
    file.write_bytes(b"mine")
    with pytest.raises(UserError, match="exists already"):
        database.export(lake.url, file, bin_s=900)
    assert file.read_bytes() == b"mine"
    written = database.export(lake.url, file, bin_s=900, without=["observations"], force=True)
    assert "observations" not in written
    assert _bare(file, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'observations'") == [[0]]
    with pytest.raises(UserError, match="got 'observation'"):
        database.export(lake.url, file, bin_s=900, without=["observation"], force=True)


def test_a_failed_export_leaves_what_was_there(lake, tmp_path):
    file = tmp_path / "counts.duckdb"
    file.write_bytes(b"mine")
    victim = next(lake.storage.root.glob("observations/*/*/*.parquet"))
    content = victim.read_bytes()
    victim.write_bytes(content[:4] + b"\0" * (len(content) // 2) + content[4 + len(content) // 2 :])
    with pytest.raises(LakeError):
        database.export(lake.url, file, bin_s=900, force=True)
    assert file.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counts.duckdb", "lake"]


def test_where_nothing_can_be_written_it_is_said(lake, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        database.export(lake.url, tmp_path / "file" / "counts.duckdb", bin_s=900)
