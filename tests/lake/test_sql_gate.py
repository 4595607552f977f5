"""Nothing but a SELECT over the lake passes `catalog.query` and the prompt, whatever is tried."""

from __future__ import annotations

import pytest

from jobs.sql_prompt import Prompt
from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.lake.making import entry, rows

ATTACKS = [
    "COPY observations TO '{lake}/stolen.csv'",
    "COPY (SELECT 1) TO '{outside}/stolen.csv'",
    "EXPORT DATABASE '{outside}/stolen'",
    "WITH x AS (COPY observations TO '{lake}/stolen.csv') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{outside}/stolen.csv') FROM x",
    "SELECT * FROM (COPY observations TO '{lake}/stolen.csv')",
    "SELECT * FROM query('COPY observations TO ''{lake}/stolen.csv''')",
    "ATTACH '{lake}/stolen.duckdb'",
    "ATTACH '{outside}/stolen.duckdb' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "PRAGMA enable_external_access = true",
    "SET enable_external_access = true",
    "RESET enable_external_access",
    "CALL pragma_version()",
    "USE memory",
    "CREATE TABLE mine AS SELECT 1",
    "INSERT INTO ledger FROM ledger",
    "DELETE FROM ledger",
    "UPDATE ledger SET status = 'done'",
    "DROP TABLE ledger",
    "CREATE SECRET (TYPE s3)",
    "CHECKPOINT",
    "BEGIN TRANSACTION",
    "PREPARE x AS COPY observations TO '{lake}/stolen.csv'",
    "EXECUTE x",
    "EXPLAIN ANALYZE COPY observations TO '{lake}/stolen.csv'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{outside}/secret')",
    "SELECT * FROM read_parquet('{outside}/secret.parquet')",
    "SELECT * FROM '/etc/passwd.csv'",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    "SELECT * FROM read_csv('{lake}/../secret')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT getenv('HOME')",
    "SELECT * FROM rows",  # a variable of the program
]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    (folder / "secret").write_text("a\n1\n", encoding="utf-8")
    lake = Lake.open_or_create(str(folder / "lake"))
    lake.write_unit(entry(), "2026-03-01", *rows({"gate-a": [(10, 100), (20, 100)]}), None)
    return lake


@pytest.fixture(scope="module")
def connection(lake):
    with catalog.connect(lake.url) as connection:
        yield connection


@pytest.fixture(scope="module")
def prompt(lake):
    with Prompt(lake.url) as prompt:
        yield prompt


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_in_one_sentence_and_leaves_nothing(lake, connection, prompt, attack):
    outside = lake.storage.root.parent
    sql = attack.format(lake=lake.url, outside=outside)
    before = sorted(outside.rglob("*"))
    with pytest.raises(UserError) as error:
        catalog.select(connection, sql)
    (answer,) = prompt.read(f"{sql};")
    assert isinstance(answer, UserError)
    for said in (str(error.value), str(answer)):
        assert said and "\n" not in said
        assert "root:" not in said
    assert sorted(outside.rglob("*")) == before
    (still,) = prompt.read("SELECT count(*) AS n FROM tracklets;")
    assert still["n"].to_pylist() == [1]
