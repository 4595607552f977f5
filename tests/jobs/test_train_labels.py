"""`nightfleet train labels`: from clips to folders that training reads, and what is said where a clip will not do."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from jobs import train_labels as job
from pipeline import config
from pipeline.errors import UserError
from pipeline.evaluation.formats import read_mot, read_seqinfo
from pipeline.footage.stills import read_still
from pipeline.training.mot_folders import IGNORED, read_folders
from tests.conftest import json_of, nightfleet
from tests.realdata import data_path

MOTION = config.detector({"use": "motion"})


@pytest.fixture
def clip(tiny_town, tmp_path):
    return shutil.copy(next((tiny_town / "footage" / "square").glob("*.mp4")), tmp_path / "square one.mp4")


def test_a_sequence_as_training_reads_it(clip, tmp_path):
    done = nightfleet(
        "train", "labels", clip, "--detector", "motion", "--out", tmp_path / "data", "--every", "4", "--json"
    )
    assert done.returncode == 0, done.stderr
    (told,) = json_of(done)["sequences"]
    folder = tmp_path / "data" / "square_one" / "square_one"
    info, boxes = read_seqinfo(folder / "seqinfo.ini"), read_mot(folder / "gt" / "gt.txt")
    pictures = sorted((folder / "img1").iterdir())
    assert len(pictures) == info.length_frames == told["pictures"] == -(-told["frames"] // 4)
    assert [path.name for path in pictures[:2]] == ["000001.jpg", "000002.jpg"]
    assert read_still(pictures[0]).shape == (info.height_px, info.width_px, 3)
    sure = boxes.conf == 1
    assert (sure.sum(), (~sure).sum()) == (told["labels"], told["ignored"])
    assert told["tracks"] == len(np.unique(boxes.track_id[sure])) > 0
    assert boxes.frame.max() <= info.length_frames
    assert (boxes.xywh[:, :2] + boxes.xywh[:, 2:] <= (info.width_px + 0.01, info.height_px + 0.01)).all()
    assert set(told["by_class"]) <= {"person", "car"}
    assert "classNames=person,bicycle,car,motorcycle,bus,truck" in (folder / "seqinfo.ini").read_text()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["square_one"]


def test_training_finds_the_objects_in_it(clip, tmp_path):
    (told,) = job.labels([clip], tmp_path / "data", MOTION, job.Rules(every=8))["sequences"]
    data = read_folders([tmp_path / "data"])
    class_id = np.concatenate([frame.class_id for frame in data.frames()])
    assert (len(data.frames()), data.n_identities) == (told["pictures"], told["tracks"])
    assert ((class_id != IGNORED).sum(), (class_id == IGNORED).sum()) == (told["labels"], told["ignored"])


def test_one_sentence_for_each_mistake(clip, tmp_path):
    out = tmp_path / "data"
    with pytest.raises(UserError, match=r"gone.mp4: no such clip"):
        job.labels([tmp_path / "gone.mp4"], out, MOTION)
    with pytest.raises(UserError, match=r"square one.mp4: .*square one.mp4 is called square_one too"):
        job.labels([clip, clip], out, MOTION)
    with pytest.raises(UserError, match=r"--ignore-from: expected at most --score 0.3, got 0.4"):
        job.labels([clip], out, MOTION, job.Rules(score=0.3, ignore_from=0.4))
    (out / "square_one").mkdir(parents=True)
    with pytest.raises(UserError, match=r"square_one: is there already; remove it"):
        job.labels([clip], out, MOTION)
    done = nightfleet("train", "labels", clip, "--detector", "motion", "--out", out, "--classes", "car,vann")
    assert done.returncode == 2 and "--classes: expected some of person, bicycle" in done.stderr
    done = nightfleet("train", "labels", clip, "--detector", "moton", "--out", out)
    assert done.returncode == 2 and "did you mean `motion`?" in done.stderr


def test_a_clip_that_cannot_be_read_stops_no_other(clip, tmp_path):
    (tmp_path / "text.mp4").write_text("no video\n")
    done = nightfleet(
        "train", "labels", tmp_path / "text.mp4", clip, "--detector", "motion", "--out", tmp_path / "data"
    )
    assert done.returncode == 3, done.stderr
    assert "left out: " in done.stdout and "text.mp4: is not a video" in done.stdout
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["square_one"]


@pytest.mark.realdata
def test_people_in_a_real_clip(tmp_path):
    detector = f"onnx:{data_path('weights/yolox_nano.onnx')}"
    clip = data_path("video/intel_previews/face-demographics-walking.gif")
    done = nightfleet("train", "labels", clip, "--detector", detector, "--out", tmp_path / "data", "--json")
    (told,) = json_of(done)["sequences"]
    assert (told["pictures"], told["tracks"], told["by_class"]) == (35, 2, {"person": 70}), json.dumps(told)
