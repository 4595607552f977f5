import numpy as np
import onnx
import pytest
from onnx import TensorProto

from pipeline.config import DetectorConfig
from pipeline.errors import WeightsError
from pipeline.perception.filtering import select
from pipeline.perception.frames import upload
from pipeline.perception.onnx_detector import OnnxDetector
from pipeline.types import COCO_CLASSES, FrameBatch
from tests.perception.onnx_models import relaid, write_detector, write_embedder, write_outputs
from tests.realdata import data_path

PERSON, CAR, TRUCK = (COCO_CLASSES.index(name) for name in ("person", "car", "truck"))


def frames(images):
    index = np.arange(len(images))
    return upload(FrameBatch(np.asarray(images), index.astype(np.int32), index), "cpu")


def grey(n, height=64, width=128):
    return frames(np.full((n, height, width, 3), 90, np.uint8))


def detector(path, min_score=0.3, **section):
    return OnnxDetector(DetectorConfig(use=f"onnx:{path}", **section), min_score=min_score, device="cpu", threads=1)


def queries(n_columns, label, level=3.0):
    """One sure box in the middle, a quarter of the picture wide and half as high; the other query sees nothing."""
    logits = np.full((2, n_columns), -9, np.float32)
    logits[0, label] = level
    return logits, np.array([[0.5, 0.5, 0.25, 0.5], [0, 0, 1, 1]], np.float32)


def check_middle(found, n, height=64, width=128):
    """Each of `n` pictures has the box that `queries` puts into it."""
    assert len(found) == n
    for each in found:
        np.testing.assert_allclose(each.xyxy, [[3 / 8 * width, height / 4, 5 / 8 * width, 3 / 4 * height]], rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, "batch"])
@pytest.mark.parametrize(("n_columns", "label", "name"), [(80, CAR, "rt-detr"), (91, 3, "deformable-detr")])
def test_detr_of_hugging_face(tmp_path, batch, n_columns, label, name):
    logits, boxes = queries(n_columns, label)
    outputs = {"logits": logits, "pred_boxes": boxes}
    path = write_outputs(tmp_path / "d.onnx", outputs, image="pixel_values", batch=batch)
    found = detector(path)
    assert f"layout {name}" in found.about and "COCO's 80 classes" in found.about
    assert found.detect(grey(0)) == []
    check_middle(found.detect(grey(5)), 5)
    assert [each.class_id.tolist() for each in found.detect(grey(1))] == [[CAR]]
    assert found.doubles == "across classes"


def test_detr_with_its_mask_and_open_sizes(tmp_path):
    logits, boxes = queries(92, 3)
    sides = {"pixel_mask": (TensorProto.INT64, ("batch", "h", "w"))}
    outputs = {"logits": logits, "pred_boxes": boxes}
    path = write_outputs(tmp_path / "d.onnx", outputs, image="pixel_values", sides=sides, hw=("h", "w"))
    found = detector(path)
    assert "layout detr, input 1066 x 800 (stretch, RGB, 0 to 1, less [0.485" in found.about
    check_middle(found.detect(grey(9)), 9)
    assert "input 640 x 352" in detector(path, input={"size": (640, 352)}).about


@pytest.mark.parametrize("batch", [1, "N"])
@pytest.mark.parametrize("fit", [None, "letterbox", "letterbox-centred"])
def test_rt_detr_of_its_authors(tmp_path, batch, fit):
    labels, scores = np.array([TRUCK, PERSON], np.int64), np.array([0.9, 0.1], np.float32)
    shares = np.array([[0.25, 0.5, 0.5, 0.75], [0, 0, 1, 1]], np.float32)
    sides = {"orig_target_sizes": (TensorProto.INT64, (batch, 2))}
    outputs = {"labels": labels, "boxes": shares, "scores": scores}
    scaled = {"boxes": "orig_target_sizes"}
    path = write_outputs(tmp_path / "d.onnx", outputs, hw=(64, 128), batch=batch, sides=sides, scaled=scaled)
    found = detector(path, input={"fit": fit})
    for each in found.detect(grey(3)):
        np.testing.assert_allclose(each.xyxy, [[32, 32, 64, 48]], rtol=1e-5)
        assert each.class_id.tolist() == [TRUCK]
    tall = found.detect(grey(1, height=128, width=128))[0]
    if fit is None:  # each side by itself
        np.testing.assert_allclose(tall.xyxy, [[32, 64, 64, 96]], rtol=1e-5)
    else:
        left = 0 if fit == "letterbox" else 32
        np.testing.assert_allclose(tall.xyxy, [[64 - 2 * left, 64, 128 - 2 * left, 96]], rtol=1e-5)


def test_labels_beyond_the_names_are_refused_when_they_appear(tmp_path):
    outputs = {
        "labels": np.array([85], np.int64),
        "boxes": np.ones((1, 4), np.float32),
        "scores": np.array([0.9], np.float32),
    }
    sides = {"orig_target_sizes": (TensorProto.INT64, ("batch", 2))}
    path = write_outputs(tmp_path / "d.onnx", outputs, sides=sides)
    with pytest.raises(WeightsError, match="class 85, but has 80 names; give all its `class_names`"):
        detector(path).detect(grey(1))


def test_rf_detr_with_own_classes(tmp_path):
    logits, boxes = queries(4, 1)
    path = write_outputs(tmp_path / "d.onnx", {"dets": boxes, "labels": logits}, image="input", batch=1)
    found = detector(path, class_names=["person", "van", "kite"], class_map={"van": "truck"})
    assert "3 classes: person, van (as truck), kite; it knows no bicycle, car" in found.about
    check_middle(found.detect(grey(2)), 2)
    assert found.detect(grey(1))[0].class_id.tolist() == [TRUCK]


def test_darknet_by_pytorch_yolov4(tmp_path):
    confs = np.zeros((2, 80), np.float32)
    confs[1, PERSON] = 0.8
    boxes = np.array([[[0, 0, 1, 1]], [[3 / 8, 1 / 4, 5 / 8, 3 / 4]]], np.float32)
    path = write_outputs(tmp_path / "d.onnx", {"boxes": boxes, "confs": confs}, image="input")
    check_middle(detector(path).detect(grey(2)), 2)


def test_half_precision_input(tmp_path):
    logits, boxes = queries(80, CAR)
    outputs = {"logits": logits, "pred_boxes": boxes}
    path = write_outputs(tmp_path / "d.onnx", outputs, image_type=TensorProto.FLOAT16)
    check_middle(detector(path).detect(grey(2)), 2)


def test_open_output_shapes_are_tried_out(tmp_path):
    output = np.zeros((85, 84), np.float32).T[:, :84].copy()  # (84, 84): as many anchor points as 64 x 64 has
    output[:, 5] = (32, 32, 16, 32, *np.eye(80)[CAR])
    path = write_outputs(tmp_path / "d.onnx", {"output0": output}, open_shapes=True)
    found = detector(path, layout="yolov8")
    np.testing.assert_allclose(found.detect(grey(1, 64, 64))[0].xyxy, [[24, 16, 40, 48]])
    rows = np.zeros((300, 6), np.float32)
    rows[7] = (24, 16, 40, 48, 0.9, CAR)
    path = write_outputs(tmp_path / "e.onnx", {"output0": rows}, open_shapes=True)
    found = detector(path)
    assert "layout yolov10" in found.about
    np.testing.assert_allclose(found.detect(grey(1, 64, 64))[0].xyxy, [[24, 16, 40, 48]])


def test_exporters_names_are_read_from_the_file(tmp_path):
    output = np.zeros((6, 84), np.float32)
    output[:, 5] = (32, 32, 16, 32, 0, 0.9)
    path = write_outputs(tmp_path / "d.onnx", {"output0": output}, names="{0: 'kerb', 1: 'Car'}")
    found = detector(path)
    assert "2 classes: Car (as car); left out, for want of a `class_map`: kerb" in found.about
    assert found.detect(grey(1))[0].class_id.tolist() == [CAR]
    given = detector(path, class_names=("truck", "person"))
    assert given.detect(grey(1))[0].class_id.tolist() == [PERSON]


def test_other_files_are_refused_with_one_sentence(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    darknet = tmp_path / "yolov3.weights"
    darknet.write_bytes(np.array([0, 2, 0, 32013312, 0], np.int32).tobytes() + bytes(1000))
    embedder = write_embedder(tmp_path / "embedder.onnx", np.eye(3))
    odd = write_detector(tmp_path / "odd.onnx", np.zeros((84, 25)), np.zeros((84, 25)), 64, 1)
    any_detr = write_outputs(
        tmp_path / "any.onnx", {"logits": np.zeros((2, 7), np.float32), "pred_boxes": np.zeros((2, 4), np.float32)}
    )
    last = write_outputs(tmp_path / "last.onnx", {"output": np.zeros((84, 85), np.float32)}, hw=(64, 64))
    model = onnx.load(str(last))
    del model.graph.input[0].type.tensor_type.shape.dim[:]
    for size in (1, 64, 64, 3):
        model.graph.input[0].type.tensor_type.shape.dim.add().dim_value = size
    onnx.save(model, str(last))
    for path, section, reason in (
        (tmp_path / "absent.onnx", {}, "no such file"),
        (text, {}, "not an ONNX model"),
        (darknet, {}, "it is Darknet weights; docs/detectors.md"),
        (
            embedder,
            {},
            r"has inputs images \(\? x 3 x 32 x 16, float\), outputs output \(\? x 3, float\); it looks like",
        ),
        (any_detr, {}, "detr, deformable-detr or rt-detr"),
        (odd, {}, "it has 20 classes, neither"),
        (odd, {"class_names": ["person"]}, "it has 20 classes, but `class_names` gives 1"),
        (odd, {"layout": "yolov8"}, "not a detector of the layout `yolov8`|25"),
        (odd, {"layout": "detr"}, "expected the outputs logits and pred_boxes"),
        (odd, {"layout": "rt-detr-boxes"}, "it lacks labels, boxes, scores"),
        (odd, {"layout": "yolov3-zoo"}, "expected the inputs input_1"),
        (odd, {"layout": "darknet"}, "it has 1 outputs"),
        (odd, {"input": {"size": (640, 640)}}, "its input is 64 x 64, but `input.size` says 640 x 640; leave it out"),
        (last, {}, "expected one input of images, N x 3 x height x width"),
    ):
        with pytest.raises(WeightsError, match=reason) as caught:
            detector(path, **section)
        assert path.name in str(caught.value) and "\n" not in str(caught.value)


def test_class_names_must_mean_something(tmp_path):
    path = write_outputs(tmp_path / "d.onnx", {"output0": np.zeros((6, 84), np.float32)})
    for section, reason in (
        ({"class_names": ["a", "b"]}, "none of its classes .a, b. is one of COCO's"),
        ({"class_names": ["car", "b"], "class_map": {"c": "bus"}}, "`class_map` says what 'c' is"),
        ({"class_names": tmp_path / "absent.txt"}, "absent.txt: no such file"),
    ):
        with pytest.raises(WeightsError, match=reason):
            detector(path, **section)


@pytest.mark.realdata
def test_reid_network_is_no_detector():
    with pytest.raises(WeightsError, match="not a detector in ONNX: it has inputs"):
        detector(data_path("weights/osnet_x0_25_msmt17.onnx"))


@pytest.fixture(scope="module")
def scenes():
    """Real pictures with people, and YOLOX-Nano's own candidates in them."""
    import av

    yolox = data_path("weights/yolox_nano.onnx")
    with av.open(str(data_path("video/vtest_480x360.mp4"))) as clip:
        images = [f.to_ndarray(format="rgb24") for i, f in enumerate(clip.decode(video=0)) if i in (40, 400)]
    return yolox, frames(np.stack(images)), detector(yolox).detect(frames(np.stack(images)))


AS_YOLOX = {"fit": "letterbox", "channels": "bgr", "range": 255, "antialias": False}


@pytest.mark.realdata
@pytest.mark.parametrize(
    "layout", ["yolox-decoded", "yolov8", "yolov10", "rt-detr", "rt-detr-boxes", "darknet", "yolov3-zoo"]
)
def test_a_real_network_says_the_same_through_every_layout(scenes, layout, tmp_path):
    yolox, pictures, wanted = scenes
    path = relaid(yolox, tmp_path / "relaid.onnx", layout)
    given = {"layout": layout} if layout in ("yolox-decoded", "yolov10") else {}  # as many rows as raw YOLOX
    found = detector(path, input=AS_YOLOX, **given)
    assert f"layout {layout}, input 416 x 416 (letterbox, BGR, 0 to 255)" in found.about
    config = DetectorConfig(use=f"onnx:{path}", score_threshold=0.3)
    how = {"width_px": pictures.width_px, "height_px": pictures.height_px}
    for mine, theirs in zip(found.detect(pictures), wanted, strict=True):
        mine, theirs = (select(each, config, **how) for each in (mine, theirs))
        assert len(theirs) >= 4
        np.testing.assert_allclose(mine.xyxy, theirs.xyxy, atol=0.1)
        np.testing.assert_allclose(mine.score, theirs.score, atol=1e-3)  # the graph is optimised otherwise
        np.testing.assert_array_equal(mine.class_id, theirs.class_id)
