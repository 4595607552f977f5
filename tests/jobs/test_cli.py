"""The command line: help with an example, JSON on request, and what each command answers on a real lake."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline import __version__, config
from pipeline.lake import catalog
from tests.conftest import json_of, nightfleet, write_fleet

COMMANDS = [
    ["demo"],
    ["init"],
    ["check"],
    ["run"],
    ["retrack"],
    ["status"],
    ["report", "traffic"],
    ["sql"],
    ["search"],
    ["evaluate", "mot"],
    ["evaluate", "mtmc"],
    ["evaluate", "counts"],
    ["evaluate", "reid"],
    ["fit", "projection"],
    ["erase"],
    ["identity", "merge"],
    ["identity", "split"],
    ["identity", "decisions"],
    ["identity", "undo"],
    ["explain", "identity"],
    ["topology", "learn"],
    ["export", "mot"],
    ["export", "aicity"],
    ["export", "json"],
    ["export", "csv"],
    ["export", "duckdb"],
    ["import"],
    ["bench", "pipeline"],
    ["bench", "tracker"],
    ["bench", "identity"],
    ["bench", "search"],
    ["bench", "reports"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_with_an_example_and_offers_json(command):
    done = nightfleet(*command, "--help")
    assert done.returncode == 0
    assert f"nightfleet {' '.join(command)}" in done.stdout.split("Example:")[1]
    assert "--json" in done.stdout


def test_the_version_is_told_without_a_command():
    told = nightfleet("--version")
    assert (told.returncode, told.stdout) == (0, f"nightfleet {__version__}\n")


def test_init_writes_a_file_that_checks_and_is_never_overwritten(tmp_path):
    done = nightfleet("init", tmp_path / "mine", "--json")
    assert done.returncode == 0
    path = json_of(done)["written"]
    assert config.load(path).cameras[0].id == "gate"
    again = nightfleet("init", tmp_path / "mine")
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_check_on_a_good_fleet(tiny_town, tmp_path):
    done = nightfleet("check", write_fleet(tiny_town, tmp_path), "--json")
    assert done.returncode == 0, done.stdout
    result = json_of(done)
    assert result["problems"] == []
    assert [row["segments"] for row in result["cameras"]] == [2, 2]
    assert not (tmp_path / "lake").exists()


def test_a_dry_run_says_what_it_would_do(tiny_town, tmp_path):
    done = nightfleet("run", write_fleet(tiny_town, tmp_path), "--dry-run", "--cameras", "gate", "--json")
    assert done.returncode == 0
    assert [(row["camera_id"], row["to_process"]) for row in json_of(done)["cameras"]] == [("gate", 2)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cameras", "gat"], "no camera 'gat' in this fleet (did you mean `gate`?)"),
        (["--date", "yesterday"], "expected YYYY-MM-DD, got 'yesterday'"),
        (["--date", "2026-05-13"], "no footage of 2026-05-13: there is footage of 2026-05-12 to 2026-05-12"),
    ],
)
def test_selections_that_select_nothing(tiny_town, tmp_path, arguments, words):
    done = nightfleet("run", write_fleet(tiny_town, tmp_path), *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_run_tells_its_progress_in_json_lines(tiny_town, tmp_path):
    done = nightfleet("run", write_fleet(tiny_town, tmp_path), "--json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "begin"
    assert names.count("segment_finished") == 4
    assert events[[i for i, name in enumerate(names) if name == "segment_finished"][-1]]["share"] == 1.0
    summary = json_of(done)
    assert summary["segments_done"] == 4
    assert summary["frames"] == 160
    assert set(summary["seconds"]) == {"decode", "detect", "embed", "track", "write"}


def test_status_has_one_object_a_camera(finished_lake):
    rows = json_of(nightfleet("status", finished_lake, "--json"))
    assert [row["camera_id"] for row in rows] == ["gate", "square"]
    assert all(row["done"] == 2 and row["failures"] == [] for row in rows)


def test_sql_answers_and_refuses_to_write(finished_lake, tmp_path):
    query = "SELECT camera_id, count(*) AS n FROM tracklets GROUP BY ALL ORDER BY ALL"
    rows = json_of(nightfleet("sql", finished_lake, query, "--json"))
    assert rows == catalog.query(str(finished_lake), query).to_pylist()
    printed = list(csv.DictReader(io.StringIO(nightfleet("sql", finished_lake, query, "--format", "csv").stdout)))
    assert [int(row["n"]) for row in printed] == [row["n"] for row in rows]
    for bad in ("DELETE FROM tracklets", f"COPY tracklets TO '{tmp_path}/x.csv'", "SELECT nonsense FROM tracklets"):
        done = nightfleet("sql", finished_lake, bad)
        assert done.returncode == 2, bad
        assert "Traceback" not in done.stderr


def test_the_traffic_report_in_every_format(finished_lake, tmp_path):
    report = json_of(nightfleet("report", "traffic", finished_lake, "--by", "5s", "--json"))
    crossings = catalog.query(str(finished_lake), "FROM crossings").num_rows
    assert sum(row["count"] or 0 for row in report["counts"]) == crossings
    assert sum(row["count"] or 0 for row in report["totals"]) == crossings
    out = tmp_path / "counts.parquet"
    done = nightfleet("report", "traffic", finished_lake, "--by", "5s", "--format", "parquet", "--out", out)
    assert done.returncode == 0
    assert pq.read_table(out).num_rows == len(report["counts"])
    text = nightfleet("report", "traffic", finished_lake, "--by", "5s", "--format", "csv").stdout
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(report["counts"])
    assert "Totals" in nightfleet("report", "traffic", finished_lake).stdout
    assert nightfleet("report", "traffic", finished_lake, "--by", "7min").returncode == 2


def test_search_by_tracklet_finds_others_of_its_kind(finished_lake):
    query = "SELECT tracklet_id FROM tracklets WHERE class = 'person' ORDER BY n_observations DESC LIMIT 1"
    tracklet = catalog.query(str(finished_lake), query).to_pylist()[0]["tracklet_id"]
    hits = json_of(nightfleet("search", finished_lake, "--tracklet", tracklet, "--top", "5", "--json"))["hits"]
    assert 1 <= len(hits) <= 5
    assert all(hit["tracklet_id"] != tracklet and hit["class"] == "person" for hit in hits)
    assert [hit["similarity"] for hit in hits] == sorted((hit["similarity"] for hit in hits), reverse=True)
    unknown = nightfleet("search", finished_lake, "--tracklet", "nobody")
    assert unknown.returncode == 2
    assert "no tracklet 'nobody'" in unknown.stderr


def test_search_by_picture_finds_the_one_in_it(tiny_town, finished_lake, tmp_path):
    """Cut somebody out of the footage: the nearest tracklet is that very one."""
    from pipeline.footage.decode import SegmentReader
    from pipeline.footage.segments import discover
    from pipeline.reports.mosaic import write_picture

    rows = catalog.query(
        str(finished_lake),
        """
        SELECT o.tracklet_id, camera_id, o.segment_id, frame, x1, y1, x2, y2
        FROM observations o JOIN embeddings e USING (tracklet_id, camera_id, frame)
        ORDER BY e.quality DESC, o.tracklet_id, frame LIMIT 1
        """,
    ).to_pylist()
    wanted = rows[0]
    fleet = config.load(write_fleet(tiny_town, tmp_path))
    segments = {s.segment_id: s for s in discover(fleet.camera(wanted["camera_id"])).segments}
    segment = segments[wanted["segment_id"]]
    with SegmentReader(segment, batch_size=16, prefetch_batches=1, target_fps=None) as reader:
        image = next(i for batch in reader for i, k in zip(batch.images, batch.frame) if k == wanted["frame"])
    x1, y1, x2, y2 = np.round([wanted[key] for key in ("x1", "y1", "x2", "y2")]).astype(int)
    picture = write_picture(image[y1:y2, x1:x2], tmp_path / "crop.png")
    hits = json_of(nightfleet("search", finished_lake, "--image", picture, "--json"))["hits"]
    assert hits[0]["tracklet_id"] == wanted["tracklet_id"]
    assert hits[0]["similarity"] > 0.5  # one look against all of the tracklet's, of a camera that nothing says
    (tmp_path / "words.png").write_text("no picture")
    assert nightfleet("search", finished_lake, "--image", tmp_path / "words.png").returncode == 2


def test_scores_on_the_towns_own_truth(tiny_town, finished_lake):
    mot = json_of(nightfleet("evaluate", "mot", "--truth", tiny_town / "truth", "--predicted", finished_lake, "--json"))
    assert {"HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW"} <= set(mot)
    assert set(mot["sequences"]) == {"gate", "square"}
    assert mot["IDF1"] > 0.4
    truth = tiny_town / "truth" / "crossings.csv"
    counts = json_of(nightfleet("evaluate", "counts", "--truth", truth, "--predicted", finished_lake, "--json"))
    assert {"cells", "GEH", "total_error"} <= set(counts)
    mtmc = nightfleet("evaluate", "mtmc", "--truth", tiny_town / "truth" / "mtmc.txt", "--predicted", finished_lake)
    assert mtmc.returncode == 0, mtmc.stderr
