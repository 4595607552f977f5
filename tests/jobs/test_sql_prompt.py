"""The prompt of `nightfleet sql LAKE`: lines in, answers out; and the same from a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from jobs import cli_prompt
from jobs.sql_prompt import HELP, Prompt
from pipeline.errors import UserError
from pipeline.lake.writer import Lake
from tests.conftest import nightfleet
from tests.lake.making import entry, rows


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lake.open_or_create(str(tmp_path_factory.mktemp("prompt") / "lake"))
    lake.write_unit(entry(), "2026-03-01", *rows({"gate-a": [(10, 100), (20, 100)]}), None)
    return lake


@pytest.fixture
def prompt(lake):
    with Prompt(lake.url) as prompt:
        yield prompt


def _values(answers):
    return [answer.to_pylist() for answer in answers]


def test_an_empty_line_is_no_question(prompt):
    assert prompt.read("\n") == [] and prompt.read(";") == [] and prompt.end() == []
    assert not prompt.is_continued


def test_a_statement_runs_over_lines_until_its_semicolon(prompt):
    assert prompt.read("SELECT count(*) AS n -- of all; really\n") == []
    assert prompt.is_continued
    assert _values(prompt.read("FROM tracklets;\n")) == [[{"n": 1}]]
    assert not prompt.is_continued


def test_semicolons_in_strings_and_several_statements_in_a_line(prompt):
    assert _values(prompt.read("SELECT 'a;b' AS x; SELECT 2 AS x; SELECT")) == [[{"x": "a;b"}], [{"x": 2}]]
    assert _values(prompt.read(" 3 AS x")) == []
    assert _values(prompt.end()) == [[{"x": 3}]]


def test_what_has_begun_can_be_dropped(prompt):
    prompt.read("SELECT 'never ended")
    prompt.forget()
    assert _values(prompt.read("SELECT 1 AS x;")) == [[{"x": 1}]]


def test_a_mistake_is_one_sentence_and_the_next_question_is_answered(prompt):
    wrong, right = prompt.read("SELECT colour FROM ledger; SELECT 1 AS x;")
    assert isinstance(wrong, UserError) and "colour" in str(wrong) and "\n" not in str(wrong)
    assert right.to_pylist() == [{"x": 1}]


def test_dot_commands(prompt):
    assert prompt.read(".help") == [HELP]
    (tables,) = prompt.read(".tables")
    assert {"tracklets", "crossings", "traffic_counts(bin_s, first_date, last_date)"} <= set(tables["name"].to_pylist())
    assert all(tables["about"].to_pylist())
    (columns,) = prompt.read(".schema observations")
    assert {"column": "x1", "type": "FLOAT", "about": "left edge (pixels)"} in columns.to_pylist()
    (columns,) = prompt.read(".schema traffic_counts")
    assert "coverage_pct" in columns["column"].to_pylist()
    for wrong in (".schema", ".schema nowhere", ".tabels"):
        assert isinstance(prompt.read(wrong)[0], UserError)
    assert prompt.read(".quit") == [""] and prompt.closed


def test_statements_from_a_file(lake):
    questions = (
        "SELECT count(*) AS n\nFROM tracklets;\nSELEC;\nSELECT strftime(started_at, '%H:%M') AS t FROM tracklets"
    )
    asked = [sys.executable, "-m", "jobs", "sql", lake.url, "--json", "--time-zone", "Europe/Berlin"]
    done = subprocess.run(asked, input=questions, capture_output=True, text=True, env=os.environ)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[{"n": 1}], [{"t": "13:00"}]]
    assert done.returncode == 2
    assert done.stderr.count("nightfleet: ") == 1 and "SELEC" in done.stderr


def test_on_a_terminal_mistakes_and_interruptions_do_not_end_it(lake, monkeypatch, capsys):
    typed = iter(["SELECT 'never", KeyboardInterrupt, "SELECT colour FROM ledger;", "SELECT 7 AS x", ";", EOFError])
    asked = []

    def answer(prompt):
        asked.append(prompt)
        given = next(typed)
        if isinstance(given, str):
            return given
        raise given

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    assert cli_prompt.answer(lake.url, form="csv", out=None, time_zone=None) == 0
    said = capsys.readouterr()
    assert '"x"\n7\n' in said.out and said.err.count("nightfleet: ") == 1
    assert [prompt.strip() for prompt in asked] == ["lake>", "...>", "lake>", "lake>", "...>", "lake>"]


def test_one_query_in_another_time_zone_and_what_a_prompt_cannot_do(lake, tmp_path):
    asked = nightfleet(
        "sql", lake.url, "SELECT started_at::VARCHAR AS t FROM tracklets", "--time-zone", "Asia/Tokyo", "--json"
    )
    assert json.loads(asked.stdout) == [{"t": "2026-03-01 21:00:00+09"}]
    refused = nightfleet("sql", lake.url, "--out", tmp_path / "x.csv")
    assert refused.returncode == 2 and "--out" in refused.stderr
