"""Trackers run on folders of detections: the rows they give, and scores equal to TrackEval's own run on files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs import track_sequences
from jobs.track_sequences import BESIDE, evaluate_trackers, track, track_with_peer
from pipeline.config import TrackerConfig, tracker_preset
from pipeline.errors import TruthError, UserError
from pipeline.evaluation.formats import read_mot
from pipeline.evaluation.sequences import read_sequences
from pipeline.types import EMBEDDING_DIM
from tests.conftest import json_of, nightfleet

CONFIG = TrackerConfig()
FIELDS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "IDSW", "Frag")


def write(folder: Path, seed: int, n_frames: int, n_objects: int, *, truth: bool = True) -> None:
    """Make a sequence up: people who cross each other's ways, shaken, missed and false detections."""
    random = np.random.default_rng(seed)
    start, step = random.uniform(0, 600, (n_objects, 2)), random.normal(0, 4, (n_objects, 2))
    gt, det = [], []
    for frame in range(1, n_frames + 1):
        for number, (x, y) in enumerate(start + step * frame, start=1):
            if number % 3 or frame > n_frames // 4:  # every third comes later
                gt.append(f"{frame},{number},{x:.2f},{y:.2f},40,100,1,1,1")
            if random.random() > 0.2:
                left, top, width, height = np.array([x, y, 40, 100]) + random.normal(0, 3, 4)
                det.append(f"{frame},-1,{left},{top},{width},{height},{random.uniform(0.4, 1)},-1,-1,-1")
        if random.random() > 0.7:
            det.append(f"{frame},-1,{random.uniform(0, 600)},100,40,100,0.5,-1,-1,-1")
    for name, lines in (("det", det), *((("gt", gt),) if truth else ())):
        (folder / name).mkdir(parents=True)
        (folder / name / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname={folder.name}\nframeRate=25\nseqLength={n_frames + 3}\nimWidth=800\nimHeight=600\n"
    )


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    """Two sequences with truth."""
    folder = tmp_path_factory.mktemp("scenes")
    write(folder / "fair", 1, 60, 6)
    write(folder / "market", 2, 45, 12)
    return folder


def by_trackeval(scenes: Path, tracks: Path, folder: Path) -> dict:
    """Run TrackEval on files laid out as a MOTChallenge benchmark, the way its users do."""
    import trackeval

    (folder / "trackers" / "ours").mkdir(parents=True)
    (folder / "trackers" / "ours" / "data").symlink_to(tracks)
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(scenes),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": {"fair": None, "market": None},  # its length is read from seqinfo.ini
            "BENCHMARK": "MOT15",
            "DO_PREPROC": False,
            "PRINT_CONFIG": False,
        }
    )
    quiet = dict.fromkeys(
        ("PRINT_CONFIG", "TIME_PROGRESS", "PRINT_RESULTS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES"), False
    )
    metrics = [trackeval.metrics.HOTA()]
    metrics += [metric({"PRINT_CONFIG": False}) for metric in (trackeval.metrics.CLEAR, trackeval.metrics.Identity)]
    results, _ = trackeval.Evaluator(quiet | {"LOG_ON_ERROR": None}).evaluate([dataset], metrics)
    return {name: result["pedestrian"] for name, result in results["MotChallenge2DBox"]["ours"].items()}


def theirs(result: dict) -> dict[str, float]:
    """Pick the fields that are printed out of TrackEval's result."""
    hota = {name: float(np.mean(result["HOTA"][name])) for name in ("HOTA", "DetA", "AssA")}
    clear = {name: result["CLEAR"][name] for name in ("MOTA", "IDSW", "Frag")}
    return {**hota, **clear, "IDF1": result["Identity"]["IDF1"]}


def test_a_sequence_without_detections_gives_no_rows(tmp_path):
    (tmp_path / "dark" / "det").mkdir(parents=True)
    (tmp_path / "dark" / "det" / "det.txt").write_text("")
    (tmp_path / "dark" / "seqinfo.ini").write_text("[Sequence]\nframeRate=10\nseqLength=5\n")
    (sequence,) = read_sequences(tmp_path)
    assert len(track(sequence, CONFIG)) == 0
    for name in BESIDE:
        assert len(track_with_peer(sequence, name)) == 0


def test_rows_lie_within_the_sequence_and_no_track_is_twice_in_a_frame(scenes):
    for sequence in read_sequences(scenes):
        for tracks in (track(sequence, CONFIG), *(track_with_peer(sequence, name) for name in BESIDE)):
            assert tracks.frame.min() >= 1 and tracks.frame.max() <= sequence.n_frames
            assert len(np.unique(np.stack([tracks.frame, tracks.track_id]), axis=1).T) == len(tracks) > 100
            assert tracks.track_id.min() >= 0


def test_hindsight_fills_gaps_and_can_be_left_out(scenes):
    found = evaluate_trackers(scenes, CONFIG)
    without = evaluate_trackers(scenes, CONFIG.model_copy(update={"hindsight": None}))
    assert found["Recall"] > without["Recall"] and found["Frag"] < without["Frag"]
    by_flag = json_of(nightfleet("evaluate", "mot", scenes, "--no-hindsight", "--json"))
    assert [by_flag[field] for field in FIELDS] == [without[field] for field in FIELDS]


def test_unknown_looks_are_rows_of_zeros(scenes):
    sequence = read_sequences(scenes)[0]
    unknown = track(sequence, CONFIG, np.zeros((len(sequence), EMBEDDING_DIM), np.float32))
    for name in ("frame", "track_id", "xywh", "conf"):
        assert (getattr(track(sequence, CONFIG), name) == getattr(unknown, name)).all()


def test_scores_equal_those_of_trackeval_run_on_the_written_files(scenes, tmp_path):
    out = tmp_path / "tracks"
    ours = evaluate_trackers(scenes, CONFIG, beside=("ioutrack-sort",), out=out)
    assert list(ours["sequences"]) == ["fair", "market"] and ours["not_scored"] == []
    for name, scores in (("ours", ours), ("ioutrack-sort", ours["beside"]["ioutrack-sort"])):
        expected = by_trackeval(scenes, out if name == "ours" else out / name, tmp_path / name)
        for sequence in ("fair", "market"):
            got = {field: scores["sequences"][sequence][field] for field in FIELDS}
            assert got == pytest.approx(theirs(expected[sequence]), abs=1e-9)
        got = {field: scores[field] for field in FIELDS}
        assert got == pytest.approx(theirs(expected["COMBINED_SEQ"]), abs=1e-9)
    assert 0.2 < ours["HOTA"] < 0.95  # the comparison is not of trivial tracks
    assert ours["beside"]["ioutrack-sort"]["IDSW"] > 0


def test_sequences_without_truth_are_tracked_but_not_scored(tmp_path):
    write(tmp_path / "in" / "known", 1, 20, 3)
    write(tmp_path / "in" / "unknown", 2, 20, 3, truth=False)
    result = evaluate_trackers(tmp_path / "in", CONFIG, out=tmp_path / "out")
    assert (list(result["sequences"]), result["not_scored"], result["beside"]) == (["known"], ["unknown"], {})
    assert len(read_mot(tmp_path / "out" / "unknown.txt")) > 0

    with pytest.raises(TruthError, match=r"expected <sequence>/gt/gt\.txt beside the detections"):
        evaluate_trackers(tmp_path / "in" / "unknown", CONFIG)
    alone = evaluate_trackers(tmp_path / "in" / "unknown", CONFIG, out=tmp_path / "alone")
    assert (alone["sequences"], alone["not_scored"]) == ({}, ["unknown"])


def test_the_command_prints_every_tracker_and_sequence(scenes, tmp_path):
    done = nightfleet("evaluate", "mot", scenes, "--beside", "--out", tmp_path / "tracks")
    assert done.returncode == 0, done.stderr
    for word in ("nightfleet", *BESIDE, "fair", "market", "combined", *FIELDS):
        assert word in done.stdout
    assert sorted(path.name for path in (tmp_path / "tracks").glob("*.txt")) == ["fair.txt", "market.txt"]
    result = json_of(nightfleet("evaluate", "mot", scenes, "--tracker", "reference", "--json"))
    assert set(FIELDS) <= result.keys() and set(FIELDS) <= result["sequences"]["fair"].keys()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give a FOLDER of sequences to track, or --truth and --predicted"),
        (["--truth", "gt.txt"], "give a FOLDER of sequences to track, or --truth and --predicted"),
        (["folder", "--truth", "gt.txt", "--predicted", "a.txt"], "not both"),
        (["--truth", "gt.txt", "--predicted", "a.txt", "--beside"], "are for a FOLDER of sequences"),
        (["--truth", "gt.txt", "--predicted", "a.txt", "--no-hindsight"], "are for a FOLDER of sequences"),
        (["no-such-folder"], "no-such-folder: no such folder"),
        (["no-such-folder", "--tracker", "no-such-preset"], "no tracker preset 'no-such-preset'"),
    ],
)
def test_contradictions_are_one_sentence(arguments, sentence):
    done = nightfleet("evaluate", "mot", *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("share", ["7", "-0.1"])
def test_a_visibility_that_is_no_share_is_refused(share):
    done = nightfleet("evaluate", "mot", "folder", "--min-visibility", share)
    assert done.returncode == 2 and "Invalid value" in done.stderr and "than or equal" in done.stderr


def test_out_that_cannot_be_written_to_is_told_before_anything_is_tracked(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(track_sequences, "track", lambda *_: pytest.fail("tracked"))
    file = tmp_path / "file"
    file.write_text("mine")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "ioutrack-sort").write_text("mine")
    refused = [(file, False), (file / "below", False), (tmp_path / "taken", True)]
    for out, beside in refused:
        done = nightfleet("evaluate", "mot", scenes, "--out", out, *(["--beside"] if beside else []))
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "expected a folder to write the tracks to, got a file" in done.stderr
    assert file.read_text() == "mine"
    monkeypatch.setattr(track_sequences.os, "access", lambda *_: False)  # as root everything can be written to
    with pytest.raises(UserError, match="tracks: cannot be written to"):
        evaluate_trackers(scenes, CONFIG, out=tmp_path / "tracks")


def test_a_file_that_cannot_be_written_is_one_sentence(scenes, tmp_path):
    (tmp_path / "market.txt").mkdir()
    with pytest.raises(UserError, match=r"market\.txt: cannot be written"):
        evaluate_trackers(scenes, CONFIG, out=tmp_path)


def test_scales_of_confidences_are_told(tmp_path):
    for number, (name, factor) in enumerate({"plain": 1, "hundred": 100}.items()):
        write(tmp_path / name, number, 20, 3)
        det = tmp_path / name / "det" / "det.txt"
        rows = [line.split(",") for line in det.read_text().splitlines()]
        det.write_text("".join(",".join([*row[:6], str(float(row[6]) * factor)]) + "\n" for row in rows))
    done = nightfleet("evaluate", "mot", tmp_path, "--json")
    assert json_of(done)["score_scale"] == {"hundred": "percent", "plain": "as given"}
    told = "nightfleet: confidences that are not scores of 0 to 1: hundred (divided by 100)"
    assert done.stderr.splitlines() == [told]
    assert nightfleet("evaluate", "mot", tmp_path).stderr.splitlines() == [told]
    assert nightfleet("evaluate", "mot", tmp_path / "plain").stderr == ""


@pytest.mark.parametrize(("preset", "survived"), [("sort", 1), ("bytetrack", 30)])
def test_presets_survive_the_gaps_that_the_published_trackers_do(tmp_path, preset, survived):
    """SORT's max_age 1 and ByteTrack's track_buffer 30: as many frames can be missed, not one more."""
    for missed in (survived, survived + 1):
        frames = [*range(1, 11), *range(11 + missed, 21 + missed)]
        folder = tmp_path / f"missed-{missed}" / "det"
        folder.mkdir(parents=True)
        (folder / "det.txt").write_text("".join(f"{frame},-1,100,100,40,90,0.9\n" for frame in frames))
    n_tracks = {one.name: track(one, tracker_preset(preset)).track_id.max() for one in read_sequences(tmp_path)}
    assert n_tracks == {f"missed-{survived}": 1, f"missed-{survived + 1}": 2}


def test_strongsort_weighs_motion_as_published():
    """0.98 of the looks and 0.02 of the squared distance, which pipeline.tracking.association.mix takes by its gate."""
    preset = tracker_preset("strongsort")
    weight = preset.motion_weight
    assert weight / preset.gate_sq / (1 - weight) == pytest.approx(0.02 / 0.98, rel=1e-3)
