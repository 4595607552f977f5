"""Reading labelled pictures from MOTChallenge folders."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.types import COCO_CLASSES
from tests.training.labelled import write_sequence

PERSON, CAR = COCO_CLASSES.index("person"), COCO_CLASSES.index("car")


def test_the_sequences_of_a_world_share_identities_and_those_of_others_do_not(tmp_path):
    write_sequence(tmp_path / "world-1" / "a", seed=1, n_frames=2)
    write_sequence(tmp_path / "world-1" / "b", seed=2, n_frames=2)
    write_sequence(tmp_path / "alone", seed=3, n_frames=2)
    data = read_folders([tmp_path])
    by_folder = {sequence.folder.name: sequence for sequence in data.sequences}
    ids = {name: set(np.concatenate([f.identity for f in s.frames])) for name, s in by_folder.items()}
    assert ids["a"] == ids["b"] and not ids["a"] & ids["alone"]
    assert data.n_identities == 4
    assert by_folder["a"].frames[0].world == by_folder["b"].frames[0].world != by_folder["alone"].frames[0].world


def test_class_names_of_seqinfo_say_what_the_numbers_mean(tmp_path):
    write_sequence(tmp_path / "a", seed=1, n_frames=1)
    frame = read_folders([tmp_path]).frames()[0]
    assert frame.class_id.tolist() == [PERSON, CAR]
    assert frame.xyxy[0, 2] - frame.xyxy[0, 0] == 14


def test_without_class_names_the_numbers_are_motchallenges(tmp_path):
    write_sequence(tmp_path / "a", seed=1, n_frames=1)
    info = tmp_path / "a" / "seqinfo.ini"
    info.write_text("".join(line for line in info.open() if not line.startswith("classNames")))
    frame = read_folders([tmp_path]).frames()[0]
    assert frame.class_id.tolist() == [PERSON, IGNORED]  # 2 is a person on a vehicle: says nothing sure
    assert frame.identity.tolist() == [0, -1]


def test_rows_without_confidence_are_ignored_not_learned(tmp_path):
    write_sequence(tmp_path / "a", seed=1, n_frames=1)
    gt = tmp_path / "a" / "gt" / "gt.txt"
    gt.write_text(gt.read_text().replace(",1,1,1\n", ",0,1,1\n"))
    assert read_folders([tmp_path]).frames()[0].class_id.tolist() == [IGNORED, CAR]


def test_frames_without_rows_are_there(tmp_path):
    write_sequence(tmp_path / "a", seed=1, n_frames=3)
    gt = tmp_path / "a" / "gt" / "gt.txt"
    gt.write_text("".join(line for line in gt.read_text().splitlines(True) if not line.startswith("2,")))
    assert [len(frame.xyxy) for frame in read_folders([tmp_path]).frames()] == [2, 0, 2]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: (root / "a" / "gt" / "gt.txt").write_text("1,1,two,3\n"), "line 1: expected frame,id"),
        (lambda root: (root / "a" / "seqinfo.ini").write_text("[Sequence]\nclassNames=person,lorry\n"), "'lorry'"),
        (lambda root: (root / "a" / "seqinfo.ini").write_text("no section"), r"seqinfo.ini: not a seqinfo"),
        (lambda root: [p.unlink() for p in (root / "a" / "img1").iterdir()], "holds no pictures"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, spoil, said):
    write_sequence(tmp_path / "a", seed=1, n_frames=1)
    spoil(tmp_path)
    with pytest.raises(TruthError, match=said):
        read_folders([tmp_path])


def test_a_folder_without_sequences_says_what_was_expected(tmp_path):
    with pytest.raises(TruthError, match="holds no labelled sequence"):
        read_folders([tmp_path])
    with pytest.raises(TruthError, match="no such folder"):
        read_folders([tmp_path / "nowhere"])
