"""The ledger's summary: never anything but what the ledger says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.lake import ledger_summary
from pipeline.lake.writer import Lake
from tests.lake.making import entry

PLACES = ("{folder}/lake", "memory://summary-{folder}")


@pytest.fixture(params=PLACES)
def lake(request, tmp_path, monkeypatch):
    monkeypatch.setattr(ledger_summary, "FEW", 2)
    lake = Lake.open_or_create(request.param.format(folder=tmp_path))
    for n in range(5):
        lake.write_quarantine(entry(f"gate-{n}", reason=f"{n}"), "2026-03-01")
    return lake


def _opened(lake, monkeypatch):
    """Return the reasons by segment that the ledger gives, and how many entries were read one by one."""
    read = []
    with monkeypatch.context() as watched:
        plain = type(lake.storage).read
        watched.setattr(type(lake.storage), "read", lambda self, path: read.append(path) or plain(self, path))
        reasons = {found.segment_id: found.reason for found in lake.ledger()}
    return reasons, sum(path.startswith("ledger/") for path in read)


def test_entries_are_read_from_the_summary(lake, monkeypatch):
    before = lake.ledger()
    assert _opened(lake, monkeypatch)[1] == 5
    lake.summarise_ledger()
    assert lake.ledger() == before
    assert _opened(lake, monkeypatch)[1] == 0


def test_what_changed_since_is_read_anew(lake, monkeypatch):
    lake.summarise_ledger()
    lake.amend(replace(lake.ledger()[1], reason="x"))  # as long as before
    lake.write_quarantine(entry("gate-9", reason="new"), "2026-03-01")
    lake.remove_unit("gate", "2026-03-01", "gate-3")
    expected = {"gate-0": "0", "gate-1": "x", "gate-2": "2", "gate-4": "4", "gate-9": "new"}
    assert _opened(lake, monkeypatch) == (expected, 2)
    lake.summarise_ledger()
    assert _opened(lake, monkeypatch) == (expected, 0)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a summary"])
def test_a_damaged_summary_is_as_none(lake, monkeypatch, content):
    lake.summarise_ledger()
    before = lake.ledger()
    lake.storage.write(ledger_summary.PATH, content)
    assert lake.ledger() == before
    lake.summarise_ledger()
    assert _opened(lake, monkeypatch)[1] == 0


def test_it_is_written_only_when_it_would_say_more(lake):
    lake.summarise_ledger()
    first = lake.storage.stamps("", ".summary")
    lake.summarise_ledger()
    assert lake.storage.stamps("", ".summary") == first != {}


def test_a_small_ledger_needs_none(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    assert lake.ledger() == []
    lake.write_quarantine(entry(), "2026-03-01")
    lake.summarise_ledger()
    assert lake.storage.read(ledger_summary.PATH) is None
    assert len(lake.ledger()) == 1
