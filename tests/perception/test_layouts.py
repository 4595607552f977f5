from typing import get_args

import numpy as np
import pytest
import torch

from pipeline.config import OnnxLayout
from pipeline.perception.layouts import table
from pipeline.perception.layouts.darknet import ANCHORS, Yolov3
from pipeline.perception.layouts.detr import Detr, RfDetr, RtDetr
from pipeline.perception.layouts.layout import MisfitError, Signature, sigmoid
from pipeline.perception.layouts.yolo import Yolov5, Yolov8, Yolov10
from pipeline.perception.onnx_session import Port

FLOAT, INT64 = "tensor(float)", "tensor(int64)"


def port(name, *shape, kind=FLOAT):
    return Port(name, kind, shape)


def signature(outputs, *, image=None, sides=(), size_hw=(640, 640), n_names=None):
    image = image or port("images", None, 3, *size_hw)
    return Signature((image, *sides), tuple(outputs), image, size_hw, n_names)


SCORED = [port("labels", None, 300, kind=INT64), port("boxes", None, 300, 4), port("scores", None, 300)]
SIZES = (port("orig_target_sizes", None, 2, kind=INT64),)
MASK = (port("pixel_mask", None, None, None, kind=INT64),)
HEADS = [port(name, None, 255, side, side) for name, side in (("a", 52), ("b", 26), ("c", 13))]
ZOO = [port("boxes:0", 1, None, 4), port("scores:0", 1, 80, None), port("indices:0", None, 3, kind="tensor(int32)")]

KNOWN = [
    ("rt-detr-boxes", signature(SCORED, sides=SIZES)),
    ("yolov3-zoo", signature(ZOO, sides=(port("image_shape", None, 2),))),
    ("detr", signature([port("logits", None, 100, 92), port("pred_boxes", None, 100, 4)], sides=MASK)),
    ("detr", signature([port("logits", None, 100, 92), port("pred_boxes", None, 100, 4)])),
    ("detr", signature([port("logits", None, 100, 4), port("pred_boxes", None, 100, 4)], n_names=3)),
    ("deformable-detr", signature([port("logits", None, 300, 91), port("pred_boxes", None, 300, 4)])),
    ("rt-detr", signature([port("logits", None, 300, 80), port("pred_boxes", None, 300, 4)])),
    ("rf-detr", signature([port("dets", 1, 300, 4), port("labels", 1, 300, 91)])),
    ("darknet", signature([port("boxes", 1, 10647, 1, 4), port("confs", 1, 10647, 80)])),
    ("yolov3", signature(HEADS, size_hw=(416, 416))),
    ("yolov3", signature(HEADS[::-1], size_hw=(416, 416))),
    ("yolox", signature([port("output", 1, 8400, 85)])),
    ("yolox", signature([port("output", 1, 8400, 6)])),
    ("yolov5", signature([port("output", 1, 25200, 85)])),
    ("yolov5", signature([port("output", 1, 6000, 85)])),  # tiny: strides 16 and 32
    ("yolov8", signature([port("output0", 1, 84, 8400)])),
    ("yolov8", signature([port("output0", None, 5, 8400)])),
    ("yolov8", signature([port("output0", None, 84, 5040)], size_hw=(384, 640))),
    ("yolov10", signature([port("output0", 1, 300, 6)])),
]


def known(wanted):
    return next(seen for name, seen in KNOWN if name == wanted)


@pytest.mark.parametrize(("name", "seen"), KNOWN)
def test_recognised_by_names_and_shapes(name, seen):
    assert table.recognised(seen).name == name


UNKNOWN = [
    [port("logits", None, 300, 7), port("pred_boxes", None, 300, 4)],  # could be any of three
    [port("dets", 1, 100, 5), port("labels", 1, 100, kind=INT64)],  # MMDeploy
    [port("output", 1, 1000)],
    [port("output", 1, 512, 20, 20)],
    [port("output", 1, 8399, 85)],
    [port("output0", 1, 116, 8400), port("output1", 1, 32, 160, 160)],  # segmentation
]


@pytest.mark.parametrize("outputs", UNKNOWN)
def test_others_are_not(outputs):
    seen = signature(outputs)
    assert table.recognised(seen) is None
    assert "layout:" in table.unrecognised(seen)


def test_configuration_and_table_know_the_same_names():
    assert sorted(get_args(OnnxLayout)) == sorted(layout.name for layout in table.LAYOUTS)
    assert all(table.by_name(layout.name) is layout for layout in table.LAYOUTS)


def test_yolov5_by_hand():
    layout = Yolov5(known("yolov5"), (640, 640))
    output = np.zeros((2, 3, 7), np.float32)
    output[0, 1] = (100, 50, 20, 40, 0.8, 0.25, 0.5)
    output[1, 2] = (10, 20, 4, 6, 0.9, 1, 0)
    one, other = layout.decode([output], 0.3)
    np.testing.assert_allclose(one.xyxy, [[90, 30, 110, 70]])
    np.testing.assert_allclose(one.score, [0.4])
    assert one.label.tolist() == [1]
    np.testing.assert_allclose(other.xyxy, [[8, 17, 12, 23]])
    assert layout.decode([output], 0.95)[0].xyxy.shape == (0, 4)


def test_yolov8_by_hand():
    layout = Yolov8(known("yolov8"), (640, 640))
    output = np.zeros((1, 6, 5), np.float32)
    output[0, :, 3] = (100, 50, 20, 40, 0.2, 0.7)
    (found,) = layout.decode([output], 0.3)
    np.testing.assert_allclose(found.xyxy, [[90, 30, 110, 70]])
    assert found.label.tolist() == [1] and found.score.dtype == np.float32


def test_yolov10_by_hand():
    layout = Yolov10(known("yolov10"), (640, 640))
    (found,) = layout.decode([np.array([[[1, 2, 3, 4, 0.9, 7], [1, 2, 3, 4, 0.1, 2]]], np.float32)], 0.3)
    np.testing.assert_allclose(found.xyxy, [[1, 2, 3, 4]])
    assert found.label.tolist() == [7] and layout.n_labels([np.zeros((1, 300, 6))], 1) is None


def slow_yolov3(outputs, size, min_score):
    """Every anchor of every cell, one by one (Redmon and Farhadi, 2018, section 2.1)."""
    found = []
    for output in outputs:
        stride = size // output.shape[1]
        for k, (anchor_w, anchor_h) in enumerate(ANCHORS[stride]):
            for row in range(output.shape[1]):
                for column in range(output.shape[2]):
                    t = output[k * 7 : k * 7 + 7, row, column].astype(float)
                    p = 1 / (1 + np.exp(-t))
                    x, y = (column + p[0]) * stride, (row + p[1]) * stride
                    w, h = anchor_w * np.exp(t[2]), anchor_h * np.exp(t[3])
                    label = int(p[5:].argmax())
                    if p[4] * p[5 + label] >= min_score:
                        found.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2, p[4] * p[5 + label], label))
    return sorted(found)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_yolov3_agrees_with_the_plain_formula(order):
    rng = np.random.default_rng(0)
    heads = [rng.normal(0, 2, (1, 21, 64 // stride, 96 // stride)).astype(np.float32) for stride in ANCHORS]
    outputs = [heads[place] for place in order]
    layout = Yolov3(
        signature([port(str(i), *each.shape) for i, each in enumerate(outputs)], size_hw=(64, 96)), (64, 96)
    )
    assert layout.n_labels(outputs, 1) == 2
    (found,) = layout.decode(outputs, 0.4)
    wanted = np.array(slow_yolov3([each[0] for each in outputs], 64, 0.4))
    got = np.column_stack([found.xyxy, found.score, found.label])
    assert len(wanted) > 10
    np.testing.assert_allclose(got[np.lexsort(got.T[::-1])], wanted, rtol=1e-4, atol=1e-3)


def test_detr_scores_are_shares_without_nothing():
    logits = np.random.default_rng(0).normal(0, 3, (1, 50, 5)).astype(np.float32)
    boxes = np.tile(np.array([0.5, 0.5, 0.2, 0.4], np.float32), (1, 50, 1))
    layout = Detr(signature([port("logits", 1, 50, 5), port("pred_boxes", 1, 50, 4)], n_names=4), (200, 100))
    (found,) = layout.decode([logits, boxes], 0.0)
    wanted, label = torch.from_numpy(logits).softmax(-1)[0, :, :-1].max(-1)
    np.testing.assert_allclose(found.score, wanted.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(found.label, label.numpy())
    np.testing.assert_allclose(found.xyxy, np.tile([40, 60, 60, 140], (50, 1)), rtol=1e-6)
    assert layout.n_labels([logits, boxes], 1) == 4


def test_rt_detr_scores_each_class_by_itself():
    logits = np.array([[[0.0, 2.0], [-5.0, -4.0]]], np.float32)
    layout = RtDetr(signature([port("logits", 1, 2, 2), port("pred_boxes", 1, 2, 4)]), (640, 640))
    (found,) = layout.decode([logits, np.full((1, 2, 4), 0.5, np.float32)], 0.3)
    np.testing.assert_allclose(found.score, [1 / (1 + np.exp(-2))], rtol=1e-6)
    assert found.label.tolist() == [1]


@pytest.mark.parametrize(("n_names", "n_labels"), [(3, 3), (None, 4), (4, 4)])
def test_rf_detr_leaves_out_the_slot_for_nothing(n_names, n_labels):
    outputs = [port("dets", 1, 2, 4), port("labels", 1, 2, 4)]  # as wide as each other: told apart by name
    layout = RfDetr(signature(outputs, n_names=n_names), (560, 560))
    assert layout.wanted() == ["labels", "dets"]
    logits = np.array([[[0, 1, 0, 3], [0, 0, 2, -1]]], np.float32)
    assert layout.n_labels([logits, np.zeros((1, 2, 4))], 1) == n_labels
    (found,) = layout.decode([logits, np.full((1, 2, 4), 0.5, np.float32)], 0.0)
    assert found.label.tolist() == ([1, 2] if n_names == 3 else [3, 2])


def test_mask_says_that_all_counts():
    seen = signature([port("logits", 1, 2, 92), port("pred_boxes", 1, 2, 4)], sides=MASK)
    mask = Detr(seen, (480, 640)).sides(2)["pixel_mask"]
    assert mask.shape == (2, 480, 640) and mask.dtype == np.int64 and mask.all()
    fixed = signature(seen.outputs, sides=(port("pixel_mask", None, 64, 64, kind="tensor(bool)"),))
    assert Detr(fixed, (480, 640)).sides(1)["pixel_mask"].shape == (1, 64, 64)


SHAPES = [
    ("yolox", [(1, 100, 85)]),
    ("yolov5", [(1, 100, 5)]),
    ("yolov8", [(1, 4, 100)]),
    ("yolov10", [(1, 100, 7)]),
    ("rt-detr", [(1, 10, 80), (1, 11, 4)]),
    ("rf-detr", [(1, 10, 80), (1, 10, 5)]),
    ("detr", [(1, 10), (1, 10, 4)]),
    ("rt-detr-boxes", [(1, 10), (1, 10, 4), (1, 9)]),
    ("darknet", [(1, 10, 1, 4), (1, 11, 80)]),
    ("yolov3", [(1, 255, 80, 80), (1, 255, 40, 40), (1, 255, 19, 19)]),
    ("yolov3", [(1, 256, 80, 80), (1, 256, 40, 40), (1, 256, 20, 20)]),
    ("yolov3-zoo", [(1, 10, 4), (1, 80, 11), (5, 3)]),
]


@pytest.mark.parametrize(("name", "shapes"), SHAPES)
def test_outputs_of_other_shapes_are_refused(name, shapes):
    layout = table.by_name(name)(known(name), (640, 640))
    with pytest.raises(MisfitError, match="expected"):
        layout.n_labels([np.zeros(shape, np.float32) for shape in shapes], 1)


def test_sigmoid_of_anything():
    values = np.array([-1000.0, -1, 0, 1, 1000])
    np.testing.assert_allclose(sigmoid(values), [0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1])
