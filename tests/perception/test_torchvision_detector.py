import urllib.error

import numpy as np
import pytest
import torch
from torchvision import models

from pipeline.errors import ConfigError, WeightsError
from pipeline.perception.frames import upload
from pipeline.perception.torchvision_detector import TorchvisionDetector, coco_index
from pipeline.types import COCO_CLASSES, FrameBatch

SSDLITE = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "ssdlite.pth"
    model = models.get_model(SSDLITE, weights=None, weights_backbone=None)
    torch.save({"model": model.state_dict()}, path)
    return path


def frames(n):
    images = np.random.default_rng(0).integers(0, 256, (n, 48, 64, 3), np.uint8)
    return upload(FrameBatch(images, np.arange(n, dtype=np.int32), np.arange(n)), "cpu")


def test_labels_become_ours_by_name():
    names = models.get_model_weights(SSDLITE).DEFAULT.meta["categories"]
    index = coco_index(names)
    assert len(index) == 91 and sorted(index[index >= 0]) == list(range(80))
    assert [COCO_CLASSES[index[label]] for label in (1, 2, 3, 8, 90)] == [
        "person",
        "bicycle",
        "car",
        "truck",
        "toothbrush",
    ]
    assert index[0] == index[12] == -1  # background, and an original category that was never used


def test_weights_from_a_file_run(weights):
    detector = TorchvisionDetector(SSDLITE, weights, min_score=0.0, device="cpu")
    assert detector.detect(frames(0)) == []
    found = detector.detect(frames(5))
    assert len(found) == 5 and sum(len(each) for each in found) > 0
    for each in found:
        assert (each.xyxy <= [64, 48, 64, 48]).all() and (each.class_id < 80).all() and (each.class_id >= 0).all()
    strict = TorchvisionDetector(SSDLITE, weights, min_score=1.1, device="cpu")
    assert [len(each) for each in strict.detect(frames(1))] == [0]


def test_weights_of_another_model_are_refused(weights):
    with pytest.raises(WeightsError, match="not weights of torchvision's fasterrcnn_mobilenet") as caught:
        TorchvisionDetector("fasterrcnn_mobilenet_v3_large_320_fpn", weights, min_score=0.5, device="cpu")
    assert "\n" not in str(caught.value) and weights.name in str(caught.value)


def test_unknown_model_is_refused():
    with pytest.raises(ConfigError, match="did you mean `ssdlite320"):
        TorchvisionDetector("ssdlite320_mobilenet_v3", None, min_score=0.5, device="cpu")


def test_failed_download_is_one_sentence(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", offline)
    with pytest.raises(WeightsError, match=r"could not be downloaded from https://.*give the file as `weights`"):
        TorchvisionDetector(SSDLITE, None, min_score=0.5, device="cpu")
