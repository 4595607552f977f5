import numpy as np
import pytest

from pipeline.config import DetectorConfig
from pipeline.errors import WeightsError
from pipeline.perception.class_names import COCO_NUMBERED, given_names, left_names, resolve
from pipeline.types import COCO_CLASSES


def config(**section):
    return DetectorConfig(use="onnx:d.onnx", **section)


def test_original_numbers_have_gaps():
    from torchvision import models

    theirs = models.get_model_weights("ssdlite320_mobilenet_v3_large").DEFAULT.meta["categories"]
    assert [name or None for name in COCO_NUMBERED] == [
        name if name in COCO_CLASSES else None for name in theirs
    ]  # "N/A" and the background
    coco = resolve(config(), {}, 91).coco
    assert sorted(coco[coco >= 0]) == list(range(80)) and coco[0] == -1
    assert COCO_CLASSES[coco[90]] == "toothbrush" and COCO_CLASSES[coco[3]] == "car"


def test_eighty_are_cocos_own():
    np.testing.assert_array_equal(resolve(config(), {}, 80).coco, np.arange(80))
    np.testing.assert_array_equal(resolve(config(), {}, None).coco, np.arange(80))


def test_darknets_spellings_and_capitals():
    found = resolve(config(class_names=["Person", "motorbike", "aeroplane", "tvmonitor", "tree"]), {}, 5)
    assert [COCO_CLASSES[index] if index >= 0 else None for index in found.coco] == [
        "person",
        "motorcycle",
        "airplane",
        "tv",
        None,
    ]


def test_names_from_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("van\nperson\n\n", encoding="utf-8")
    section = config(class_names=str(tmp_path / "names.txt"), class_map={"van": "car"})
    assert given_names(section) == ("van", "person")
    assert resolve(section, {}, 2).coco.tolist() == [COCO_CLASSES.index("car"), 0]
    for content in (b"", b"\n\n", b"\xff\xfe\x00"):
        (tmp_path / "names.txt").write_bytes(content)
        with pytest.raises(WeightsError, match=r"names\.txt: not a list of class names"):
            given_names(section)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'person', 1: 'car'}", ("person", "car")),
        ("['person', 'car']", ("person", "car")),
        ("{1: 'car'}", None),
        ("", None),
        ("__import__('os').system('true')", None),
        ("[]", None),
    ],
)
def test_names_left_in_the_file(text, names):
    assert left_names({"names": text}) == names


def test_left_names_of_another_number_do_not_count():
    assert resolve(config(), {"names": "['car']"}, 80).names == COCO_CLASSES
