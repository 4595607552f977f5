"""`nightfleet import`: rows as the file has them, beside footage but never mixed with it, and nothing half done."""

from __future__ import annotations

import bz2
import json
import shutil
from pathlib import Path

import pytest
import yaml

from jobs import erase, nightly, retrack
from jobs.explain_identity import explain
from jobs.export import export
from jobs.import_tracks import import_tracks
from jobs.search import search
from jobs.search_filters import parse
from pipeline import config
from pipeline.errors import ConfigError, UserError
from pipeline.execution.progress import Silence
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.evaluation.test_ottrk import detection, packed
from tests.footage.clips import write_clip
from tests.lake.making import NOON_US

EVERYTHING = parse(None, None, None, None)
LINE = {"name": "bridge", "points": [[100, 50], [100, 150]], "forward": "west", "backward": "east"}
NOON = "2026-03-01T12:00:00"


@pytest.fixture
def fleet(tmp_path):
    """A fleet of a camera of imported tracks under a line, and one with footage that is not there."""
    raw = {
        "lake": "lake",
        "execution": {"executor": "local"},
        "cameras": [
            {"id": "peer", "imported": True, "lines": [LINE]},
            {"id": "gate", "footage": "none/*.mp4", "started_at": NOON},
        ],
    }
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump(raw))
    return config.load(path)


@pytest.fixture
def looked_at(tiny_town, finished_lake, tmp_path):
    """A real lake of two cameras with two imported tracks beside it."""
    shutil.copytree(finished_lake, tmp_path / "lake")
    lake = Lake.open(str(tmp_path / "lake"))
    fleet = lake.read_config()
    peer = config.CameraConfig(id="peer", imported=True, time_zone="Europe/Berlin")
    fleet = fleet.model_copy(update={"lake": lake.url, "cameras": (*fleet.cameras, peer)})
    night = lake.dates()[0]
    import_tracks(fleet, [mot(tmp_path / "a.txt", 1, 2)], camera_id="peer", fps=10.0, started_at=f"{night}T07:30:00")
    return lake, fleet


def mot(path: Path, *tracks: int, n_frames: int = 30, first: int = 1) -> Path:
    """Tracks that cross the line eastward, 10 px a frame, on rows of their own."""
    rows = [
        f"{frame},{track},{10 * (frame - first)},{60 + track},20,40,0.9,3,1"
        for track in tracks
        for frame in range(first, first + n_frames)
    ]
    path.write_text("\n".join(rows) + "\n")
    return path


def brought_in(fleet, *files, **options):
    return import_tracks(fleet, files, camera_id="peer", **{"fps": 10.0, "started_at": NOON, **options})


def rows_of(lake: str, camera_id: str) -> list[tuple]:
    sql = (
        "SELECT dense_rank() OVER (ORDER BY started_at, tracklet_id), epoch_us(captured_at), o.frame, t.class, "
        "x1, y1, x2, y2, interpolated FROM observations AS o JOIN tracklets AS t USING (tracklet_id) "
        "WHERE o.camera_id = ? ORDER BY 1, 2"
    )
    return [tuple(row.values()) for row in catalog.query(lake, sql, [camera_id]).to_pylist()]


def state(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


# -- what is written ----------------------------------------------------------------------------------------------


def test_lines_and_reports_work_on_imported_tracks(fleet, tmp_path):
    told = brought_in(fleet, mot(tmp_path / "a.txt", 1, 2))
    assert [(row["outcome"], row["tracklets"], row["by_class"]) for row in told.files] == [("imported", 2, {"car": 2})]
    crossings = catalog.query(
        fleet.lake, "SELECT direction, class, crossed_at::VARCHAR AS at FROM crossings"
    ).to_pylist()
    assert [(row["direction"], row["class"], row["at"][:19]) for row in crossings] == [
        ("east", "car", "2026-03-01 12:00:00")
    ] * 2
    entry = Lake.open(fleet.lake).ledger()[0]
    assert (entry.clock_source, entry.status, entry.url) == ("import", "done", str(tmp_path / "a.txt"))
    assert (entry.started_at_us, entry.ended_at_us, entry.frames) == (NOON_US, NOON_US + 3_000_000, 30)
    counts = nightfleet("report", "traffic", fleet.lake, "--json")
    assert counts.returncode == 0, counts.stderr
    assert nightfleet("status", fleet.lake).returncode == 0


def test_the_same_file_again_does_nothing(fleet, tmp_path):
    file = mot(tmp_path / "a.txt", 1)
    brought_in(fleet, file)
    before = state(fleet.lake)
    assert [row["outcome"] for row in brought_in(fleet, file).files] == ["unchanged"]
    copy = shutil.copy(file, tmp_path / "copy.txt")
    assert [row["outcome"] for row in brought_in(fleet, Path(copy)).files] == ["unchanged"]
    assert state(fleet.lake) == before


def test_another_version_of_a_file_takes_its_place(fleet, tmp_path):
    file = mot(tmp_path / "a.txt", 1)
    brought_in(fleet, file)
    mot(file, 1, 2)
    assert [row["outcome"] for row in brought_in(fleet, file).files] == ["replaced"]
    moved = brought_in(fleet, file, started_at="2026-03-01T13:00:00+00:00")
    assert [row["outcome"] for row in moved.files] == ["replaced"]
    assert [entry.started_at_us for entry in Lake.open(fleet.lake).ledger()] == [NOON_US + 3_600_000_000]
    assert len(rows_of(fleet.lake, "peer")) == 60


def test_another_file_of_the_same_time_is_refused_unless_it_is_to_replace(fleet, tmp_path):
    brought_in(fleet, mot(tmp_path / "a.txt", 1))
    other = mot(tmp_path / "b.txt", 1, 2)
    with pytest.raises(UserError, match=r"camera peer has tracks of that time already, imported from .*a\.txt"):
        brought_in(fleet, other)
    brought_in(fleet, other, started_at="2026-03-01T12:00:03")  # right after it
    assert len(rows_of(fleet.lake, "peer")) == 90
    assert brought_in(fleet, other, replace_others=True).files[0]["outcome"] == "replaced"
    assert len(rows_of(fleet.lake, "peer")) == 60
    with pytest.raises(UserError, match=r"covers a time that .*a\.txt covers too"):
        brought_in(fleet, tmp_path / "a.txt", mot(tmp_path / "c.txt", 7))


@pytest.mark.parametrize("format", ["mot", "json"])
def test_a_round_trip_gives_identical_boxes(tiny_town, finished_lake, tmp_path, format):
    """Exported and imported under other names; JSON carries neither classes nor which rows were interpolated."""
    export(str(finished_lake), tmp_path / "out", format, EVERYTHING)
    raw = {"lake": "lake", "cameras": [{"id": name, "imported": True} for name in ("gate", "square")]}
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(raw))
    fleet = config.load(tmp_path / "fleet.yaml")
    start = catalog.query(str(finished_lake), "SELECT min(started_at)::VARCHAR AS at FROM ledger")["at"][0].as_py()
    ending = {"mot": "txt", "json": "json"}[format]
    for camera in ("gate", "square"):
        started_at = None if format == "mot" else start.replace(" ", "T")
        file = tmp_path / f"out/{camera}.{ending}"
        told = import_tracks(fleet, [file], camera_id=camera, started_at=started_at)
        made, back = rows_of(str(finished_lake), camera), rows_of(fleet.lake, camera)
        assert len(back) == told.files[0]["observations"] > 100
        if format == "mot":  # the frame is left out: it is counted over all files here, within each there
            assert [(track, at_us, *row) for track, at_us, _, *row in back] == [
                (track, at_us, *row) for track, at_us, _, *row in made
            ]
        else:
            assert sorted((row[1], *row[4:8]) for row in back) == sorted((row[1], *row[4:8]) for row in made)


def test_opentrafficcam_by_its_own_clock(fleet, tmp_path):
    file = packed(
        tmp_path / "a.ottrk", [detection(frame=frame, **{"occurrence": 1577836800 + frame / 20}) for frame in (1, 2, 3)]
    )
    told = import_tracks(fleet, [file], camera_id="peer", class_name=None)
    assert told.files[0]["started_at_us"] == 1_577_836_800_050_000
    assert (told.files[0]["frames"], told.files[0]["by_class"]) == (60, {"car": 1})
    with pytest.raises(ConfigError, match="line 'bridge' has the point"):
        wide = json.loads(bz2.decompress(file.read_bytes()))
        wide["metadata"]["video"]["width"] = 90
        file.write_bytes(bz2.compress(json.dumps(wide).encode()))
        import_tracks(fleet, [file], camera_id="peer")


@pytest.mark.parametrize("times_ms", [None, [0, 40, 110, 150, 200, 240, 280, 320, 340, 400]])
def test_tracks_lie_on_the_frames_of_their_footage(fleet, tmp_path, times_ms):
    """Frame k is the video's, at its time, so that pages and videos are drawn over it."""
    video = write_clip(tmp_path / "clip.mp4", 10, times_ms=times_ms, b_frames=2, scale=2)
    file = mot(tmp_path / "a.txt", 1, n_frames=10)
    plain = brought_in(fleet, file)
    told = brought_in(fleet, file, fps=None, footage=[str(video)])
    assert [row["outcome"] for row in (*plain.files, *told.files)] == ["imported", "replaced"]
    since_ms = [(row[1] - NOON_US) // 1000 for row in rows_of(fleet.lake, "peer")]
    assert since_ms == (times_ms or list(range(0, 1000, 100)))
    assert brought_in(fleet, file, fps=None, footage=[str(video)]).files[0]["outcome"] == "unchanged"
    done = nightfleet("annotate", fleet.lake, "--camera", "peer", "--out", tmp_path / "peer.mp4", "--json")
    assert (done.returncode, json_of(done)["frames"]) == (0, 10), done.stderr
    long = mot(tmp_path / "b.txt", 1, n_frames=11)
    with pytest.raises(UserError, match=r"there are boxes in frame 11, but its footage has 10 frames \(.*clip\.mp4\)"):
        brought_in(fleet, long, fps=None, started_at="2026-03-01T13:00:00", footage=[str(video)])
    with pytest.raises(UserError, match="there is no such video"):
        brought_in(fleet, long, footage=["none.mp4"])
    with pytest.raises(UserError, match="expected a video for each of 1 files"):
        brought_in(fleet, long, footage=["a.mp4", "b.mp4"])


def test_without_footage_it_is_said_and_drawn_on_a_plain_ground(fleet, tmp_path):
    brought_in(fleet, mot(tmp_path / "a.txt", 1))
    said = "camera peer holds imported tracks, and their footage was not named"
    done = nightfleet("view", fleet.lake, "--camera", "peer", "--out", tmp_path / "pages")
    assert done.returncode == 3 and said in done.stdout and (tmp_path / "pages" / "peer.html").exists()
    done = nightfleet("annotate", fleet.lake, "--camera", "peer", "--out", tmp_path / "peer.mp4")
    assert done.returncode == 2 and said in done.stderr


# -- beside footage -----------------------------------------------------------------------------------------------


def test_a_camera_with_footage_takes_no_imports(fleet, tmp_path):
    with pytest.raises(
        ConfigError, match=r"camera gate has footage .* add a camera to the fleet\.yaml with `imported: true`"
    ):
        import_tracks(fleet, [mot(tmp_path / "a.txt", 1)], camera_id="gate", fps=10.0)
    assert not Path(fleet.lake).exists()


def test_a_night_leaves_imports_alone_and_never_mixes_them(looked_at, tmp_path):
    """A later run keeps them; a camera that turns from the one to the other is refused on both sides."""
    lake, fleet = looked_at
    gate, square, _ = fleet.cameras
    before = rows_of(fleet.lake, "peer")
    last = [entry for entry in lake.ledger() if entry.camera_id == "gate"][-1]
    lake.remove_unit("gate", last.local_date, last.segment_id)
    summary = nightly.run(fleet, progress=Silence())
    assert not summary.failures and summary.segments_done == 1
    assert rows_of(fleet.lake, "peer") == before
    turned = fleet.model_copy(update={"cameras": (square, gate.model_copy(update={"id": "peer"}))})
    with pytest.raises(ConfigError, match="camera peer: the lake has tracks of it that were imported from"):
        nightly.run(turned, progress=Silence())
    with pytest.raises(ConfigError, match="camera peer: the lake has tracks of it that were imported from"):
        nightly.dry_run(turned)
    back = fleet.model_copy(update={"cameras": (config.CameraConfig(id="gate", imported=True), square)})
    with pytest.raises(ConfigError, match="camera gate: the lake has tracks of it that were made from footage"):
        import_tracks(back, [tmp_path / "a.txt"], camera_id="gate", started_at=NOON, fps=10)
    with pytest.raises(UserError, match=r"the detections of \d segments .*were never kept"):  # not those of peer
        retrack.retrack(lake.url, progress=Silence())
    assert rows_of(fleet.lake, "peer") == before


def test_a_fleet_of_imports_alone_has_nothing_to_run(fleet):
    alone = fleet.model_copy(update={"cameras": fleet.cameras[:1]})
    with pytest.raises(ConfigError, match="camera peer: its tracks are imported, so there is no footage to process"):
        nightly.run(alone, progress=Silence())


# -- unknown looks ------------------------------------------------------------------------------------------------


def test_who_has_no_looks_is_recognised_nowhere(looked_at):
    lake, _ = looked_at
    shared = (
        "SELECT count(*) AS n FROM identities GROUP BY identity_id HAVING bool_or(starts_with(tracklet_id, 'peer-'))"
    )
    assert catalog.query(lake.url, shared)["n"].to_pylist() == [1, 1]
    mine = "SELECT tracklet_id, identity_id FROM identities WHERE starts_with(tracklet_id, 'peer-') ORDER BY ALL"
    row = catalog.query(lake.url, mine).to_pylist()[0]
    told = explain(lake.url, row["identity_id"])
    assert (len(told["sightings"]), told["merges"], told["nearest"]) == (1, [], [])
    for asked in ({"tracklet_id": row["tracklet_id"]}, {"identity_id": row["identity_id"]}):
        with pytest.raises(UserError, match="has no looks to go by"):
            search(lake.url, **asked)
    other = catalog.query(lake.url, "SELECT tracklet_id FROM embeddings ORDER BY ALL LIMIT 1")["tracklet_id"][0].as_py()
    found = [hit["tracklet_id"] for hit in search(lake.url, tracklet_id=other)["hits"]]
    assert found and not any(name.startswith("peer-") for name in found)
    assert catalog.query(lake.url, "FROM similar_tracklets($1, 5)", [row["tracklet_id"]]).num_rows == 0
    alike = catalog.query(lake.url, "FROM similar_tracklets($1, 99)", [other])["tracklet_id"].to_pylist()
    assert alike and not any(name.startswith("peer-") for name in alike)


def test_who_was_erased_stays_out_though_the_file_is_imported_again(looked_at, tmp_path):
    lake, fleet = looked_at
    name = catalog.query(lake.url, "SELECT max(tracklet_id) AS n FROM tracklets WHERE camera = 'peer'")["n"][0].as_py()
    done = erase.erase(erase.look(lake.url, tracklet=name))
    assert done.clean
    night = lake.dates()[0]
    again = {"camera_id": "peer", "fps": 10.0, "started_at": f"{night}T07:30:00"}
    assert import_tracks(fleet, [tmp_path / "a.txt"], **again).files[0]["outcome"] == "unchanged"
    mot(tmp_path / "a.txt", 1, 2, n_frames=20)
    told = import_tracks(fleet, [tmp_path / "a.txt"], **again).files[0]
    assert (told["outcome"], told["tracklets"], told["erased"]) == ("replaced", 1, 1)


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "options", "sentence"),
    [
        ("a.txt", b"1,1,0,0,5,5,1,3,1\n2,1,0,0,5", {}, "line 2: expected 9 numbers as on the lines before"),
        ("a.ottrk", b"BZh91AY&SY\x00\x01", {}, "expected bz2-compressed JSON"),
        ("a.json", b'{"fps": 10, "tracklets": [{"start"', {"fps": None}, "expected JSON"),
        ("a.txt", b"1,1,0,0,5,5,1,3,1\n", {"fps": None}, "give --fps or a seqinfo.ini"),
        ("a.txt", b"1,1,0,0,5,5,1,3,1\n", {"started_at": None}, "nothing says when it begins; give --started-at"),
        ("a.txt", b"1,1,0,0,5,5,1,3,1\n", {"started_at": "noon"}, "--started-at: expected a time such as"),
        ("a.txt", b"1,1,0,0,5,5,1,3,1\n", {"class_name": "lorry"}, "--class lorry: not a COCO class"),
        ("a.txt", b"1,1,0,0,5,5,1,3,1\n", {"names": {"3": "lorry"}}, "--map 3=lorry: 'lorry' is not a COCO class"),
        ("a.json", b'{"fps": 10, "tracklets": []}', {}, "says itself that it has 10 frames a second"),
        ("a.bin", b"", {}, "its ending does not say what it is"),
    ],
)
def test_one_sentence_and_nothing_written(fleet, tmp_path, name, content, options, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        brought_in(fleet, tmp_path / name, mot(tmp_path / "fine.txt", 1), **options)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)
    assert not Path(fleet.lake).exists()


def test_the_command(fleet, tmp_path):
    file = mot(tmp_path / "a.txt", 1)
    words = ["import", tmp_path / "fleet.yaml", file, "--camera", "peer", "--fps", "10", "--started-at", NOON]
    done = nightfleet(*words, "--map", "3=truck", "--json")
    assert done.returncode == 0, done.stderr
    assert json_of(done)["files"][0]["by_class"] == {"truck": 1}
    assert "was imported already" in nightfleet(*words, "--map", "3=truck").stdout
    assert nightfleet(*words, "--map", "3").returncode == 2
