"""The whole night on a tiny town: rows, reruns, selections, and equality of executors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jobs import nightly
from jobs.status import status
from pipeline import config
from pipeline.execution.progress import Silence
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.conftest import lake_digests, write_fleet


def run(fleet: config.FleetConfig, **selection) -> nightly.RunSummary:
    return nightly.run(fleet, progress=Silence(), **selection)


def test_a_night_leaves_whole_tables(finished_lake):
    rows = catalog.query(
        str(finished_lake),
        """
        SELECT camera_id, count(DISTINCT tracklet_id) AS tracklets, count(*) AS boxes,
               count(*) FILTER (x2 <= x1 OR y2 <= y1) AS empty_boxes
        FROM observations GROUP BY camera_id ORDER BY camera_id
        """,
    ).to_pylist()
    assert [row["camera_id"] for row in rows] == ["gate", "square"]
    assert all(row["tracklets"] >= 1 and row["boxes"] > 20 and row["empty_boxes"] == 0 for row in rows)


def test_every_observation_has_a_tracklet_an_identity_and_exemplars(finished_lake):
    orphans = catalog.query(
        str(finished_lake),
        """
        SELECT (SELECT count(*) FROM observations ANTI JOIN tracklets USING (tracklet_id)) AS without_tracklet,
               (SELECT count(*) FROM tracklets ANTI JOIN observations USING (tracklet_id)) AS without_boxes,
               (SELECT count(*) FROM tracklets ANTI JOIN identities USING (tracklet_id)) AS without_identity,
               (SELECT count(*) FROM tracklets ANTI JOIN embeddings USING (tracklet_id)) AS without_exemplars,
               (SELECT count(*) FROM tracklets) - (SELECT count(DISTINCT tracklet_id) FROM tracklets) AS repeated,
               (SELECT count(*) FROM tracklets t JOIN
                    (SELECT tracklet_id, count(*) FILTER (NOT interpolated) AS n FROM observations GROUP BY ALL) o
                    USING (tracklet_id)
                WHERE o.n <> t.n_observations) AS miscounted
        """,
    ).to_pylist()[0]
    assert set(orphans.values()) == {0}, orphans


def test_no_two_boxes_of_one_tracklet_in_one_frame(finished_lake):
    twice = catalog.query(
        str(finished_lake),
        "SELECT tracklet_id, captured_at FROM observations GROUP BY ALL HAVING count(*) > 1",
    )
    assert twice.num_rows == 0


def test_two_tracklets_seen_at_once_in_one_camera_are_never_one_identity(finished_lake):
    together = catalog.query(
        str(finished_lake),
        """
        WITH who AS (SELECT * FROM tracklets JOIN identities USING (tracklet_id))
        SELECT a.tracklet_id, b.tracklet_id FROM who a JOIN who b
            ON a.identity_id = b.identity_id AND a.camera_id = b.camera_id AND a.tracklet_id < b.tracklet_id
           AND a.started_at <= b.ended_at AND b.started_at <= a.ended_at
        """,
    )
    assert together.num_rows == 0


def test_running_again_does_nothing_and_says_so(tiny_fleet):
    first = run(tiny_fleet)
    assert first.segments_done >= 4
    assert first.segments_skipped == first.segments_quarantined == 0
    before = lake_digests(Path(tiny_fleet.lake))
    again = run(tiny_fleet)
    assert (again.segments_done, again.segments_skipped) == (0, first.segments_done)
    assert again.identities == 0
    assert lake_digests(Path(tiny_fleet.lake)) == before
    assert all(not row["to_process"] for row in nightly.dry_run(tiny_fleet).cameras)


def test_the_same_bytes_from_a_run_in_two_parts(tiny_fleet, finished_lake):
    run(tiny_fleet, cameras=["square"])
    run(tiny_fleet, cameras=["gate"])
    assert lake_digests(Path(tiny_fleet.lake)) == lake_digests(finished_lake)


def test_a_missing_unit_is_redone_and_nothing_else(tiny_fleet, finished_lake):
    shutil.copytree(finished_lake, tiny_fleet.lake)
    lake = Lake.open(tiny_fleet.lake)
    last = [entry for entry in lake.ledger() if entry.camera_id == "gate"][-1]
    lake.remove_unit(last.camera_id, last.local_date, last.segment_id)
    assert lake_digests(Path(tiny_fleet.lake)) != lake_digests(finished_lake)
    assert run(tiny_fleet).segments_done == 1
    assert lake_digests(Path(tiny_fleet.lake)) == lake_digests(finished_lake)


def test_another_tracker_redoes_everything(tiny_fleet, finished_lake):
    shutil.copytree(finished_lake, tiny_fleet.lake)
    stricter = tiny_fleet.model_copy(update={"tracker": config.TrackerConfig(n_init=5)})
    assert run(stricter).segments_skipped == 0


def test_a_clock_set_right_moves_the_rows_and_leaves_none_behind(tiny_fleet, finished_lake):
    shutil.copytree(finished_lake, tiny_fleet.lake)
    before = catalog.query(tiny_fleet.lake, "SELECT count(*) AS n FROM ledger").to_pylist()
    cameras = tuple(
        camera.model_copy(update={"clock_offset_s": 90.0}) if camera.id == "gate" else camera
        for camera in tiny_fleet.cameras
    )
    run(tiny_fleet.model_copy(update={"cameras": cameras}))
    after = catalog.query(tiny_fleet.lake, "SELECT count(*) AS n FROM ledger").to_pylist()
    assert after == before, "the units under the wrong clock are gone"


def test_a_dry_run_writes_nothing(tiny_fleet):
    planned = nightly.dry_run(tiny_fleet)
    assert sum(row["to_process"] for row in planned.cameras) >= 4
    assert not Path(tiny_fleet.lake).exists()


def test_status_counts_what_was_done(finished_lake):
    rows = status(str(finished_lake))
    assert [row["camera_id"] for row in rows] == ["gate", "square"]
    for row in rows:
        assert row["hours_done"] == pytest.approx(row["hours_seen"])
        assert row["hours_done"] == pytest.approx(8.0 / 3600, rel=0.02)
        assert row["gaps"] == 0
        assert row["failures"] == []
        assert row["frames_per_s"] > 0


@pytest.mark.ray
def test_ray_and_local_give_the_same_bytes(tiny_town, tmp_path, finished_lake):
    fleet = config.load(write_fleet(tiny_town, tmp_path, execution={"executor": "ray", "workers": 2}))
    summary = run(fleet)
    assert summary.workers == 2
    assert lake_digests(Path(fleet.lake)) == lake_digests(finished_lake)
