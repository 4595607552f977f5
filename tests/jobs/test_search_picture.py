"""Which part of a picture is looked for: a crop as a whole, a scene by its most prominent object."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from jobs import search_picture
from jobs.search_picture import look_at
from pipeline.config import DetectorConfig, EmbedderConfig, ModelsConfig
from pipeline.errors import UserError, WeightsError
from pipeline.footage.stills import read_still
from pipeline.perception.perception import Perception
from pipeline.types import COCO_CLASSES, Detections
from tests.realdata import data_path

STRIPES = ModelsConfig()


@pytest.fixture
def scene(tmp_path):
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (100, 200, 3), np.uint8))
    return path


def finding(monkeypatch, *boxes):
    """Let the lake's detector find these: (class, score, x1, y1, x2, y2)."""
    found = Detections(
        np.array([box[2:] for box in boxes], np.float32).reshape(-1, 4),
        np.array([box[1] for box in boxes], np.float32),
        np.array([COCO_CLASSES.index(box[0]) for box in boxes], np.int16),
    )
    monkeypatch.setattr(search_picture, "_detections", lambda *_: (found, "the whole of it, since nothing is found"))


def embedded(path, xyxy=None):
    image = read_still(path)
    return Perception(STRIPES.embedder, device="cpu", threads=1).embed_picture(image, xyxy)


@pytest.mark.parametrize("use", ["motion", "detections:nowhere-{camera}.txt"])
def test_a_detector_that_needs_footage_leaves_the_picture_whole(scene, use):
    kind = use.partition(":")[0]
    looked_at = look_at(scene, ModelsConfig(detector=DetectorConfig(use=use)), None)
    assert looked_at.to_json() == {
        "box": None,
        "class": None,
        "score": None,
        "others": 0,
        "taken": f"the whole of it, since the lake's detector ({kind}) needs footage",
    }
    assert np.array_equal(looked_at.vector, embedded(scene)) and looked_at.image.shape == (100, 200, 3)


def test_the_most_prominent_object_is_taken(scene, monkeypatch):
    boxes = [("person", 0.9, 10, 10, 20, 30), ("person", 0.6, 50, 10, 80, 90), ("car", 0.3, 90, 10, 150, 60)]
    finding(monkeypatch, *boxes)
    looked_at = look_at(scene, STRIPES, None)
    told = looked_at.to_json()
    assert (told["box"], told["class"], told["others"]) == ([50, 10, 80, 90], "person", 2)
    assert told["taken"] == "the most prominent box" and looked_at.groups == {"person"}
    assert np.array_equal(looked_at.vector, embedded(scene, np.array([50, 10, 80, 90], np.float32)))
    assert np.array_equal(looked_at.image, read_still(scene)[10:90, 50:80])


@pytest.mark.parametrize(
    ("classes", "box"),
    [(("car",), [90, 10, 150, 60]), (("truck",), [90, 10, 150, 60]), (("dog",), None), (("person",), [50, 10, 80, 90])],
)
def test_a_class_narrows_to_its_own_else_to_its_group(scene, monkeypatch, classes, box):
    finding(monkeypatch, ("person", 0.6, 50, 10, 80, 90), ("car", 0.3, 90, 10, 150, 60))
    told = look_at(scene, STRIPES, classes).to_json()
    assert told["box"] == box
    if box is None:
        assert told["taken"] == "the whole of it, since the lake's detector finds no dog in it"


def test_a_crop_is_not_cut_again(scene, monkeypatch):
    finding(monkeypatch, ("car", 0.8, 5, 5, 190, 95), ("person", 0.9, 0, 0, 10, 10))
    looked_at = look_at(scene, STRIPES, None)
    assert looked_at.to_json()["taken"] == "the whole of it, since a car fills 83% of it"
    assert looked_at.xyxy is None and looked_at.groups == {"vehicle"} and looked_at.n_others == 1
    assert np.array_equal(looked_at.vector, embedded(scene))


def test_what_cannot_be_read_or_loaded_is_told(scene, tmp_path):
    (tmp_path / "words.jpg").write_text("words")
    with pytest.raises(UserError, match="is not a picture"):
        look_at(tmp_path / "words.jpg", STRIPES, None)
    with pytest.raises(WeightsError, match=r"nowhere\.onnx"):
        look_at(scene, ModelsConfig(embedder=EmbedderConfig(use="onnx:nowhere.onnx")), None)


@pytest.mark.realdata
def test_a_real_scene_and_a_real_crop(tmp_path):
    import av

    with av.open(str(data_path("video/vtest_480x360.mp4"))) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="bgr24")
    models = ModelsConfig(
        detector=DetectorConfig(use=f"onnx:{data_path('weights/yolox_nano.onnx')}"),
        embedder=EmbedderConfig(use=f"onnx:{data_path('weights/osnet_x0_25_msmt17.onnx')}"),
    )
    scene, crop = tmp_path / "scene.png", tmp_path / "crop.png"
    cv2.imwrite(str(scene), frame)
    in_scene = look_at(scene, models, ("person",))
    assert in_scene.class_name == "person" and in_scene.xyxy is not None and in_scene.n_others >= 3
    left, top, right, bottom = in_scene.xyxy.astype(int)
    cv2.imwrite(str(crop), frame[top:bottom, left:right])
    in_crop = look_at(crop, models, ("person",))
    assert in_crop.xyxy is None, in_crop.reason
    assert float(in_scene.vector[0] @ in_crop.vector[0]) > 0.8
