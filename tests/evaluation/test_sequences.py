"""Folders of detections to track: what is read, how it is walked through, and the sentence for what is malformed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation.formats import read_detections
from pipeline.evaluation.sequences import DetectedSequence, read_sequences
from tests.realdata import data_path

SEQINFO = "[Sequence]\nname=anything\nframeRate=12.5\nseqLength={length}\n"
TWO_BOXES = "3,-1,10,20,30,40,0.9,-1,-1,-1\n1,-1,1,2,3,4,0.4,-1,-1,-1\n"


def write(folder: Path, det: str, gt: str | None = None, length: int | None = None) -> Path:
    (folder / "det").mkdir(parents=True)
    (folder / "det" / "det.txt").write_text(det)
    if gt is not None:
        (folder / "gt").mkdir()
        (folder / "gt" / "gt.txt").write_text(gt)
    if length is not None:
        (folder / "seqinfo.ini").write_text(SEQINFO.format(length=length))
    return folder


def test_a_sequence_without_detections_has_its_frames_all_the_same(tmp_path):
    (sequence,) = read_sequences(write(tmp_path / "empty", "", length=3))
    assert (len(sequence), sequence.n_frames, sequence.truth) == (0, 3, None)
    assert [len(detections) for _, detections in sequence.frames()] == [0, 0, 0]
    (nothing,) = read_sequences(write(tmp_path / "nothing", ""))
    assert nothing.n_frames == 0 and not list(nothing.frames())


def test_rows_are_sorted_by_frame_and_every_frame_is_walked_through(tmp_path):
    (sequence,) = read_sequences(write(tmp_path / "walk", TWO_BOXES + "1,-1,5,5,5,5,1,-1,-1,-1\n", length=4))
    assert sequence.frame.tolist() == [1, 1, 3]
    assert sequence.xyxy.tolist() == [[1, 2, 4, 6], [5, 5, 10, 10], [10, 20, 40, 60]]  # file order within a frame
    assert (sequence.name, sequence.n_frames, sequence.frame_rate_fps) == ("walk", 4, 12.5)
    walked = list(sequence.frames())
    assert [rows for rows, _ in walked] == [slice(0, 2), slice(2, 2), slice(2, 3), slice(3, 3)]
    assert [detections.score.tolist() for _, detections in walked] == [
        pytest.approx([0.4, 1.0]),
        [],
        pytest.approx([0.9]),
        [],
    ]
    assert walked[0][1].class_id.tolist() == [0, 0]


def test_without_seqinfo_the_last_frame_with_a_box_ends_the_sequence(tmp_path):
    (sequence,) = read_sequences(write(tmp_path / "a", TWO_BOXES, gt="7,1,0,0,5,5,1,1,1\n"))
    assert (sequence.n_frames, sequence.frame_rate_fps) == (7, None)
    assert sequence.truth.frame.tolist() == [7]


def test_a_folder_of_sequences_is_sorted_by_name(tmp_path):
    for name in ("b", "c", "a"):
        write(tmp_path / name, TWO_BOXES)
    (tmp_path / "notes").mkdir()
    assert [sequence.name for sequence in read_sequences(tmp_path)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("confidence", "score", "scale"),
    [((0.3, 0.9), (0.3, 0.9), "as given"), ((55, 5), (0.55, 0.05), "percent"), ((-1, -1), (1.0, 1.0), "none given")],
)
def test_confidences_become_scores_and_their_scale_is_told(tmp_path, confidence, score, scale):
    write(tmp_path / "a", "".join(f"1,-1,0,0,5,5,{value}\n" for value in confidence))
    found = read_detections(tmp_path / "a" / "det" / "det.txt")
    assert found[2].tolist() == pytest.approx(score) and found[2].dtype == np.float32
    (sequence,) = read_sequences(tmp_path)
    assert found[3] == sequence.score_scale == scale


def test_sequences_are_called_as_their_folders_are_here(tmp_path, monkeypatch):
    for part in ("x", "y"):
        write(tmp_path / "kept" / part / "same", TWO_BOXES)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "A").symlink_to(tmp_path / "kept" / "x" / "same")
    (tmp_path / "in" / "B").symlink_to(tmp_path / "kept" / "y" / "same")
    assert [sequence.name for sequence in read_sequences(tmp_path / "in")] == ["A", "B"]
    monkeypatch.chdir(tmp_path / "kept" / "x" / "same")
    assert read_sequences(Path("."))[0].name == "same"
    monkeypatch.chdir("det")
    assert read_sequences(Path(".."))[0].name == "same"


@pytest.mark.parametrize(
    ("det", "gt", "length", "sentence"),
    [
        ("1,-1,0,0,5,5,1\n1,-1,0,0,5\n", None, None, "det.txt, line 2: expected 7 numbers as on the lines before"),
        ("0,-1,0,0,5,5,1\n", None, None, "det.txt, line 1: expected a whole frame of at least 1, got 0"),
        ("1,-1,0,0,-5,5,1\n", None, None, "det.txt, line 1: expected a width and height of at least 0, got -5, 5"),
        (
            "1,-1,0,0,5,5,1\n1,-1,0,0,1e39,5,1\n",
            None,
            None,
            "det.txt, line 2: expected corners within 1e+09 pixels, got",
        ),
        ("1,-1,-1e38,0,5,5,1\n", None, None, "det.txt, line 1: expected corners within 1e+09 pixels, got"),
        ("1,-1,0,0,nan,5,1\n", None, None, "det.txt, line 1: expected finite numbers"),
        (TWO_BOXES, "1,1,0,0,5,5,1\n1,1,0,0,5,5,1\n", None, "gt.txt, line 2: expected one box a track and frame"),
        (TWO_BOXES, None, 2, "det.txt: expected frames 1 to 2, the seqLength of "),
        (TWO_BOXES, "4,1,0,0,5,5,1\n", 3, "gt.txt: expected frames 1 to 3, the seqLength of "),
    ],
)
def test_malformed_sequences_are_refused_in_one_sentence(tmp_path, det, gt, length, sentence):
    write(tmp_path / "bad", det, gt, length)
    with pytest.raises(TruthError) as refused:
        read_sequences(tmp_path)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_folders_without_sequences_are_refused(tmp_path):
    with pytest.raises(TruthError, match="no such folder"):
        read_sequences(tmp_path / "none")
    with pytest.raises(TruthError, match=r"expected <sequence>/det/det\.txt"):
        read_sequences(tmp_path)


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"DetectedSequence\.score: expected shape \(1,\), got \(2,\)"):
        DetectedSequence("s", 1, None, np.ones(1, np.int64), np.zeros((1, 4), np.float32), np.ones(2, np.float32), None)


@pytest.mark.realdata
def test_real_sequences():
    found = {sequence.name: sequence for sequence in read_sequences(data_path("mot15"))}
    assert {"PETS09-S2L1", "TUD-Campus"} <= found.keys()
    campus = found["TUD-Campus"]
    assert (campus.n_frames, len(campus), len(campus.truth)) == (71, 321, 359)
    assert sum(len(detections) for _, detections in campus.frames()) == len(campus)
