import numpy as np
import pytest
import torch

from pipeline import boxes
from pipeline.config import DetectorConfig
from pipeline.errors import WeightsError
from pipeline.perception.frames import upload
from pipeline.perception.layouts.yolox import anchors, decode
from pipeline.perception.onnx_detector import OnnxDetector
from pipeline.types import COCO_CLASSES, FrameBatch
from tests.perception.onnx_models import write_detector
from tests.realdata import data_path

SIZE = 64
CAR = COCO_CLASSES.index("car")


def frames(levels, height=32, width=64, device="cpu"):
    images = np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), height, width, 3))
    index = np.arange(len(images))
    return upload(FrameBatch(images, index.astype(np.int32), index), device)


def open_detector(path, min_score=0.1, **section):
    return OnnxDetector(DetectorConfig(use=f"onnx:{path}", **section), min_score=min_score, device="cpu", threads=1)


@pytest.fixture(params=[1, 3, "batch"], ids=["batch 1", "batch 3", "any batch"])
def detector(request, tmp_path):
    """One sure car of 16 x 8 letterbox pixels at (20, 12), surer the brighter the picture."""
    base, slope = np.zeros((84, 85)), np.zeros((84, 85))
    cell = 1 * 8 + 2  # stride 8: row 1, column 2 -> corner (16, 8)
    base[:, 2:4] = -3
    base[cell, :5] = (0.5, 0.5, np.log(2), 0, 0)
    base[cell, 5 + CAR] = 1
    slope[cell, 4] = 1 / 255
    return open_detector(write_detector(tmp_path / "toy.onnx", base, slope, SIZE, request.param))


def test_anchors_cover_the_input_at_three_strides():
    grid, stride = anchors(64, 32)
    assert len(grid) == 8 * 4 + 4 * 2 + 2 * 1
    np.testing.assert_array_equal(grid[:5], [[0, 0], [1, 0], [2, 0], [3, 0], [0, 1]])
    np.testing.assert_array_equal(stride[[0, 31, 32, 39, 40], 0], [8, 8, 16, 16, 32])


def test_decode_by_hand():
    found = decode(np.array([[0.5, 0.25, 0.0, np.log(2.0)]]), np.array([[2.0, 1.0]]), np.array([[8.0]]))
    np.testing.assert_allclose(found, [[20 - 4, 10 - 8, 20 + 4, 10 + 8]])


def test_batch_gives_each_frame_its_own_boxes(detector):
    assert detector.detect(frames([])) == []
    # Half of the letterbox is grey 114, so a level of 255 has the mean 184.5 and a score of 0.72.
    found = detector.detect(frames([255, 0, 128, 255, 64]))
    levels = np.array([255, 0, 128, 255, 64])
    np.testing.assert_allclose([each.score[0] for each in found], (levels + 114) / 2 / 255, rtol=1e-5)
    for each in found:
        np.testing.assert_allclose(each.xyxy, [[12, 8, 28, 16]], rtol=1e-5)
        assert each.class_id.tolist() == [CAR]


def test_boxes_return_to_picture_pixels(detector):
    found = detector.detect(frames([255], height=128, width=256))[0]
    np.testing.assert_allclose(found.xyxy, [[48, 32, 112, 64]], rtol=1e-5)


def test_more_frames_than_are_run_at_once(detector):
    levels = np.arange(0, 250, 13)
    found = detector.detect(frames(levels))
    np.testing.assert_allclose([each.score[0] for each in found], (levels + 114) / 2 / 255, rtol=1e-5)


def test_decoded_export_is_told_apart(tmp_path):
    base = np.zeros((84, 85))
    base[:, :4] = (32, 32, 10, 20)
    path = write_detector(tmp_path / "decoded.onnx", base, np.zeros((84, 85)), SIZE, 1)
    with pytest.raises(WeightsError, match="write `layout: yolox-decoded`"):
        open_detector(path)
    base[7, 4], base[7, 5] = 0.9, 1
    path = write_detector(tmp_path / "decoded.onnx", base, np.zeros((84, 85)), SIZE, 1)
    found = open_detector(path, layout="yolox-decoded").detect(frames([0]))[0]
    np.testing.assert_allclose(found.xyxy, [[27, 22, 37, 42]])


@pytest.mark.realdata
def test_real_network_finds_the_people_of_a_real_clip():
    import av

    detector = open_detector(data_path("weights/yolox_nano.onnx"), min_score=0.3)
    with av.open(str(data_path("video/vtest_480x360.mp4"))) as clip:
        images = [f.to_ndarray(format="rgb24") for i, f in enumerate(clip.decode(video=0)) if i % 80 == 0]
    truth = np.loadtxt(data_path("mot15/PETS09-S2L1/gt/gt.txt"), delimiter=",")
    index = np.arange(len(images))
    found = detector.detect(upload(FrameBatch(np.stack(images), index.astype(np.int32), index), "cpu"))
    hits = total = 0
    for i, each in enumerate(found):
        xywh = truth[truth[:, 0] == i * 80 + 1, 2:6] * np.array([480 / 768, 360 / 576] * 2)
        people = each.xyxy[each.class_id == 0].astype(float)
        best = boxes.iou(boxes.xywh_to_xyxy(xywh), people).max(axis=1, initial=0)
        hits, total = hits + (best >= 0.5).sum(), total + len(xywh)
    assert total > 40 and hits / total >= 0.85  # 0.92 over the whole clip


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_cpu(tmp_path):
    base = np.zeros((84, 85))
    base[10, :6] = (0.5, 0.5, 1, 1, 0.9, 1)
    path = write_detector(tmp_path / "toy.onnx", base, np.zeros((84, 85)), SIZE, "batch")
    config = DetectorConfig(use=f"onnx:{path}")
    one, other = (
        OnnxDetector(config, min_score=0.1, device=device, threads=1).detect(frames([1, 200], device=device))
        for device in ("cpu", "cuda")
    )
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine.xyxy, theirs.xyxy, atol=1e-3)
