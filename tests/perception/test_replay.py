import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError
from pipeline.perception import replay
from pipeline.perception.frames import upload
from pipeline.types import COCO_CLASSES, FrameBatch
from tests.realdata import data_path


def frames(*index):
    images = np.zeros((len(index), 4, 4, 3), np.uint8)
    return upload(FrameBatch(images, np.array(index, np.int32), np.arange(len(index))), "cpu")


def written(path, text):
    path.write_text(text)
    return path


def classes(found):
    return [COCO_CLASSES[i] for i in found.class_id]


def test_empty_file_finds_nothing(tmp_path):
    found = replay.read(written(tmp_path / "det.txt", "\n")).detect(frames(0, 1))
    assert [len(each) for each in found] == [0, 0]


def test_frame_one_is_index_zero_and_sampled_frames_skip(tmp_path):
    text = "3,-1,10,20,30,40,0.9,-1,-1,-1\n1,-1,1,2,3,4,0.5,-1,-1,-1\n3,-1,11,20,30,40,0.8,-1,-1,-1\n"
    detector = replay.read(written(tmp_path / "det.txt", text))
    first, third, tenth = detector.detect(frames(0, 2, 9))
    np.testing.assert_array_equal(first.xyxy, [[1, 2, 4, 6]])
    np.testing.assert_array_equal(third.xyxy, [[10, 20, 40, 60], [11, 20, 41, 60]])
    np.testing.assert_allclose(third.score, [0.9, 0.8])
    assert classes(third) == ["person", "person"] and len(tenth) == 0


def test_ground_truth_classes_are_motchallenges_own(tmp_path):
    rows = [f"1,{i},1,1,5,5,1,{number},1" for i, number in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 12))]
    found = replay.read(written(tmp_path / "gt.txt", "\n".join(rows))).detect(frames(0))[0]
    assert classes(found) == ["person", "person", "car", "bicycle", "motorcycle", "person"]


def test_world_coordinates_are_no_classes(tmp_path):
    found = replay.read(written(tmp_path / "gt.txt", "1,1,1,1,5,5,1,-4.3,2.5,0\n")).detect(frames(0))[0]
    assert classes(found) == ["person"]


@pytest.mark.parametrize("confidences, scores", [((-1, -1), (1, 1)), ((-1, 0.5), (0, 0.5)), ((3.5, 0.25), (1, 0.25))])
def test_confidences(tmp_path, confidences, scores):
    text = "\n".join(f"1,-1,1,1,5,5,{value}" for value in confidences)
    found = replay.read(written(tmp_path / "det.txt", text)).detect(frames(0))[0]
    np.testing.assert_allclose(found.score, scores)


def test_parquet(tmp_path):
    path = tmp_path / "det.parquet"
    pd.DataFrame(
        {
            "frame": [1, 0],
            "x1": [1.0, 2],
            "y1": [1, 2],
            "x2": [3.0, 4],
            "y2": [3, 4],
            "score": [0.5, 1],
            "class": ["car", "dog"],
        }
    ).to_parquet(path)
    first, second = replay.read(path).detect(frames(0, 1))
    assert classes(first) == ["dog"] and classes(second) == ["car"]
    np.testing.assert_array_equal(second.xyxy, [[1, 1, 3, 3]])


@pytest.mark.parametrize(
    "text, reason",
    [
        ("1,2,3\n", "line 1: expected MOTChallenge"),
        ("1,1,1,1,5,5,1\n1,1,1,1,5,5,1,1,1\n", "line 2: expected MOTChallenge"),
        ("frame,id,x,y,w,h,conf\n", "line 1"),
        ("0,1,1,1,5,5,1\n", "start at 1"),
        ("1,1,1,1,5,5,1,99,1\n", "8th column is MOTChallenge's class"),
    ],
)
def test_other_text_is_refused(tmp_path, text, reason):
    with pytest.raises(ConfigError, match=reason):
        replay.read(written(tmp_path / "det.txt", text))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        replay.read(tmp_path / "absent.txt")
    (tmp_path / "video.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="not text"):
        replay.read(tmp_path / "video.txt")
    with pytest.raises(ConfigError, match="not Parquet"):
        replay.read(written(tmp_path / "det.parquet", "1,1,1,1,5,5,1"))


@pytest.mark.parametrize(
    "column, value, reason",
    [
        ("class", "pedestrian", "not a COCO class"),
        ("score", 7.0, "0 to 1"),
        ("frame", -1, "counts from 0"),
        ("x1", "a", "numbers"),
    ],
)
def test_wrong_parquet_values_are_refused(tmp_path, column, value, reason):
    row = {"frame": 0, "x1": 1.0, "y1": 1.0, "x2": 2.0, "y2": 2.0, "score": 0.5, "class": "car"} | {column: value}
    pd.DataFrame([row]).to_parquet(tmp_path / "det.parquet")
    with pytest.raises(ConfigError, match=reason):
        replay.read(tmp_path / "det.parquet")


def test_missing_parquet_column_is_named(tmp_path):
    pd.DataFrame({"frame": [0], "x1": [1.0]}).to_parquet(tmp_path / "det.parquet")
    with pytest.raises(ConfigError, match="no column 'y1'"):
        replay.read(tmp_path / "det.parquet")


@pytest.mark.realdata
def test_public_detections_of_a_benchmark():
    path = data_path("mot15/PETS09-S2L1/det/det.txt")
    detector = replay.read(path)
    counts = [len(each) for each in detector.detect(frames(*range(795)))]
    assert sum(counts) == len(path.read_text().splitlines())
