"""Stored extents say nothing of a track that is not true of its boxes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pipeline.lake.catalog import query
from pipeline.lake.crossed import connect
from pipeline.lake.writer import Lake
from tests.lake.making import NOON_US, entry, fleet, line, rows

DAY_US = 86_400_000_000
EDGES = ("x1", "y1", "x2", "y2")
LONGEST_US = 1_600_000


def stored(lake: Lake) -> dict[str, list[dict]]:
    """Pieces by track, in order, after a report."""
    connect(lake.url).close()
    sql = "SELECT *, epoch_us(from_at) AS from_us, epoch_us(until_at) AS until_us FROM stored_extents ORDER BY ALL"
    pieces: dict[str, list[dict]] = {}
    for piece in query(lake.url, sql).to_pylist():
        pieces.setdefault(piece["tracklet_id"], []).append(piece)
    return pieces


def test_every_step_of_a_track_lies_within_one_of_its_pieces(tmp_path):
    rng = np.random.default_rng(3)
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()]}))
    tracks, frames = {}, {}
    for k in range(40):
        n = int(rng.integers(1, 90))
        tracks[f"t{k:02d}"] = rng.uniform(0, 900, 2) + np.cumsum(rng.normal(0, 9, (n, 2)), axis=0)
        frames[f"t{k:02d}"] = np.cumsum(rng.integers(1, rng.choice([2, 5, 40]), n))
    observations, tracklets, exemplars = rows(tracks, frames=frames)
    lake.write_unit(entry(), "2026-03-01", observations, tracklets, exemplars, None)
    pieces = stored(lake)
    assert set(pieces) == set(tracks)
    for name, those in pieces.items():
        mine = observations.tracklet_id == name
        at_us, box = observations.captured_at_us[mine], observations.xyxy[mine]
        assert (those[0]["from_us"], those[-1]["until_us"]) == (at_us[0], at_us[-1])
        assert all(a["until_us"] == b["from_us"] for a, b in pairwise(those))
        for piece in those:
            within = (at_us >= piece["from_us"]) & (at_us <= piece["until_us"])
            assert at_us[within][0] == piece["from_us"] and at_us[within][-1] == piece["until_us"]
            assert np.ptp(at_us[within][:-1] if within.sum() > 1 else at_us[within]) < LONGEST_US
            for k, edge in enumerate(EDGES):
                assert piece[f"{edge}_least"] == np.floor(box[within, k].min())
                assert piece[f"{edge}_most"] == np.ceil(box[within, k].max())


def test_a_track_that_came_from_more_than_a_day_before_may_be_anywhere(tmp_path):
    """Its boxes lie in units of three dates; those of the first are not looked at, and it crosses all the same."""
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()]}))
    places = [(80, 100), (85, 100), (120, 100)]
    observations, tracklets, exemplars = rows({"gate-1": places}, frames={"gate-1": [0, 864_000, 2 * 864_000]})
    nothing = slice(0, 0)
    for nth in range(3):
        began_us = NOON_US + nth * DAY_US
        unit = entry(f"gate-{nth}", started_at_us=began_us, ended_at_us=began_us + 60_000_000)
        ended = slice(None) if nth == 2 else nothing
        made = observations.take(slice(nth, nth + 1)), tracklets.take(ended), exemplars.take(nothing)
        lake.write_unit(unit, f"2026-03-0{nth + 1}", *made, None)
    before = query(lake.url, "FROM crossings").to_pylist()
    (piece,) = stored(lake)["gate-1"]
    assert (piece["from_us"], piece["until_us"]) == (NOON_US, NOON_US + 2 * DAY_US)
    assert piece["x1_least"] < -100_000 and piece["y2_most"] > 100_000
    assert len(before) == 1 and query(lake.url, "FROM crossings").to_pylist() == before
