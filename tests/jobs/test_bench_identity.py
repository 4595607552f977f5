"""`nightfleet bench identity`: small nights, real parts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from jobs import bench_identity
from jobs.bench_identity import sizes
from jobs.cli import app
from pipeline.errors import UserError

ISSUE_KEYS = {"tracklets", "seconds", "faiss_seconds", "peak_mib", "f1"}


def test_a_row_for_every_size_with_what_was_measured():
    result = CliRunner().invoke(app, ["bench", "identity", "--tracklets", "1000,2500", "--device", "cpu", "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["tracklets"] for row in rows] == [1000, 2500]
    for row in rows:
        assert row.keys() >= ISSUE_KEYS
        assert 0 < row["faiss_seconds"] <= row["seconds"]
        assert row["peak_mib"] > row["vectors_mib"] == row["tracklets"] * 8 * 128 * 4 / 2**20
        assert row["f1"] > 0.9
        assert row["search"] == "exact"


def test_the_table_says_what_it_counts(capsys):
    row = bench_identity._measured(300, "cpu")
    from jobs import printing, printing_scores

    printing.emit([row], False, printing_scores.identity_speeds)
    printed = capsys.readouterr().out
    assert "pairwise F1" in printed
    assert "vectors included" in printed


PEAK = """
from jobs import bench_identity as bench
bench._forget_peak()
before = bench._peak_mib()
block = b"x" * (64 << 20)
assert bench._peak_mib() >= before + (60 if bench._status_mib("VmHWM") else 0), (before, bench._peak_mib())
"""


def test_a_peak_forgotten_is_seen_again():
    """In a process of its own: what other tests left behind may be given back meanwhile."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_sizes_are_read():
    assert sizes("10_000, 5") == [10_000, 5]


@pytest.mark.parametrize("text", ["", "many", "10,-1", "0", "1.5"])
def test_other_sizes_are_refused(text):
    with pytest.raises(UserError, match="--tracklets"):
        sizes(text)


def test_an_unknown_device_is_refused():
    result = CliRunner().invoke(app, ["bench", "identity", "--device", "tpu"])
    assert isinstance(result.exception, UserError)
    assert "--device" in str(result.exception)
