"""`nightfleet train scenes`: folders in MOTChallenge's form, resumed, repeated, and refused in a sentence."""

import configparser
import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from jobs.cli import app
from jobs.train_scenes import train_scenes
from pipeline.demo.scene import Scene
from pipeline.demo.simulation import simulate
from pipeline.demo.variety.folders import CLASS_NAMES
from pipeline.demo.views import VIEWS
from pipeline.errors import UserError
from pipeline.execution.progress import Silence
from pipeline.training.mot_folders import IGNORED, read_folders
from pipeline.types import COCO_CLASSES

SMALL = {"n_worlds": 2, "sequences_per_world": 2, "frames": 3, "seed": 4000, "processes": 1}


def render(out, **changes):
    return train_scenes(out, **(SMALL | changes), progress=Silence())


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes") / "data"
    return out, render(out)


def rows(sequence) -> np.ndarray:
    return np.loadtxt(sequence / "gt" / "gt.txt", delimiter=",", ndmin=2).reshape(-1, 9)


def test_every_sequence_has_its_pictures_rows_and_description(data):
    out, result = data
    assert (result["rendered_worlds"], result["rendered_pictures"]) == (2, 12)
    sequences = sorted(out.glob("*/*/seqinfo.ini"))
    assert len(sequences) == 4
    boxes = 0
    for info in sequences:
        parsed = configparser.ConfigParser()
        parsed.optionxform = str
        parsed.read(info)
        section = parsed["Sequence"]
        assert section["classNames"].split(",") == list(CLASS_NAMES)
        size = int(section["imWidth"]), int(section["imHeight"])
        pictures = sorted((info.parent / section["imDir"]).glob("*" + section["imExt"]))
        assert [p.name for p in pictures] == [f"{n:06}.jpg" for n in range(1, int(section["seqLength"]) + 1)]
        assert all(cv2.imread(str(p)).shape == (size[1], size[0], 3) for p in pictures)
        found = rows(info.parent)
        frame, number, x, y, w, h, conf, kind, visibility = found.T
        assert set(frame) <= {1, 2, 3} and number.min() >= 1
        assert (w >= 1).all() and (h >= 1).all() and (x >= 0).all() and (y >= 0).all()
        assert (x + w <= size[0] + 0.011).all() and (y + h <= size[1] + 0.011).all()
        assert set(conf) <= {0, 1} and set(kind) <= set(range(1, len(CLASS_NAMES) + 1))
        assert (visibility[conf == 1] >= 0.1).all() and (visibility > 0).all() and (visibility <= 1).all()
        assert len(set(zip(frame, number, strict=True))) == len(found)
        boxes += int(conf.sum())
    assert boxes == result["rendered_boxes"] > 0


def test_the_trainers_read_what_is_written(data):
    out, result = data
    read = read_folders([out])
    assert [len(sequence.frames) for sequence in read.sequences] == [3] * 4
    assert sum(int((frame.class_id != IGNORED).sum()) for frame in read.frames()) == result["rendered_boxes"]
    names = {COCO_CLASSES[i] for frame in read.frames() for i in frame.class_id[frame.class_id != IGNORED]}
    assert "person" in names and names <= set(CLASS_NAMES)


def test_ids_are_shared_by_the_cameras_of_a_world_with_one_class_each(data):
    out, _ = data
    shared = 0
    for world in sorted(out.glob("world-*")):
        first, second = (rows(sequence.parent) for sequence in sorted(world.glob("*/seqinfo.ini")))
        classes = dict(zip(first[:, 1], first[:, 7], strict=True))
        for number, kind in zip(second[:, 1], second[:, 7], strict=True):
            assert classes.get(number, kind) == kind
            shared += number in classes
    assert shared > 0


def test_same_seed_same_bytes_and_a_world_does_not_depend_on_how_many_there_are(data, tmp_path):
    out, _ = data
    render(tmp_path / "again", n_worlds=1)
    mine, theirs = contents(tmp_path / "again" / "world-00001"), contents(out / "world-00001")
    assert mine == theirs
    render(tmp_path / "other", n_worlds=1, seed=4001)
    assert contents(tmp_path / "other" / "world-00001") != theirs


def test_goes_on_where_it_stopped(data, tmp_path):
    out, _ = data
    here = tmp_path / "data"
    render(here, n_worlds=1)
    (here / ".world-00002" / "camera-1").mkdir(parents=True)  # what a killed run leaves
    result = render(here, processes=2)
    assert result["rendered_worlds"] == 1
    assert contents(here) == contents(out)


def test_two_processes_render_what_one_does(data, tmp_path):
    out, _ = data
    render(tmp_path / "two", processes=2)
    assert contents(tmp_path / "two") == contents(out)


def test_the_demos_own_town_is_rendered_as_it_is_but_on_other_days(tmp_path):
    result = render(tmp_path / "town", n_worlds=1, sequences_per_world=4, place="town")
    names = [sequence.folder.name for sequence in read_folders([tmp_path / "town"]).sequences]
    assert names == sorted(view.camera_id for view in VIEWS)
    assert result["rendered_pictures"] == 12 and result["rendered_boxes"] > 0
    still = Scene(VIEWS[0].camera, simulate(1, 0.1, 10), 1, 10).background.astype(int)
    folder = tmp_path / "town" / "world-00001" / VIEWS[0].camera_id / "img1"
    pictures = [cv2.imread(str(path))[..., ::-1].astype(int) for path in sorted(folder.iterdir())]
    untouched = np.median([np.abs(picture - still).mean(2) for picture in pictures], axis=0)
    assert np.median(untouched) < 30  # the same walls and ground, in that camera's colours
    render(tmp_path / "again", n_worlds=1, sequences_per_world=4, place="town", processes=2)
    assert contents(tmp_path / "again") == contents(tmp_path / "town")
    with pytest.raises(
        UserError, match=r"holds worlds made with seed 4000, place town.*asked for seed 4000, place any"
    ):
        render(tmp_path / "town", sequences_per_world=4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"place": "moon"}, "--place must be any or town, got 'moon'"),
        ({"n_worlds": 0}, "--worlds must be at least 1, got 0"),
        ({"sequences_per_world": 9}, "--sequences-per-world must be at most 4"),
        ({"frames": -1}, "--frames must be at least 1, got -1"),
        ({"processes": 0}, "--processes must be at least 1"),
        ({"seed": -3}, "--seed must be 0 or greater, got -3"),
    ],
)
def test_impossible_counts_are_refused(tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        render(tmp_path / "data", **changes)
    assert not (tmp_path / "data").exists()


def test_folders_of_something_else_are_refused(data, tmp_path):
    out, _ = data
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(UserError, match="is not empty and holds no worlds"):
        render(tmp_path)
    with pytest.raises(UserError, match="is a file, expected a folder"):
        render(tmp_path / "letter.txt")
    with pytest.raises(UserError, match=r"holds worlds made with seed 4000.*asked for seed 9"):
        render(out, seed=9)


def test_the_command_prints_one_json_value(tmp_path):
    line = ["train", "scenes", "--out", str(tmp_path / "d"), "--worlds", "1", "--frames", "1", "--seed", "4", "--json"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rendered_pictures"] == 2
