import numpy as np
import pytest

from pipeline.config import DetectorConfig, EmbedderConfig
from pipeline.errors import UserError
from pipeline.perception.perception import Perception
from pipeline.types import COCO_CLASSES, FrameBatch
from tests.perception.onnx_models import write_detector
from tests.perception.test_motion import EMPTY, batch, car, street, view, walker

IMAGES = np.stack([street([walker(20 + 8 * i), car(200)], seed=i) for i in range(10)])


MOTION = DetectorConfig(use="motion")


@pytest.fixture(scope="module")
def perception():
    return Perception(EmbedderConfig(), device="cpu", threads=1)


def frame_batch(images, start=0):
    index = np.arange(start, start + len(images))
    return FrameBatch(images, index.astype(np.int32), index.astype(np.int64))


def perceive(perception, batch_size, images=IMAGES):
    session = perception.session(MOTION, view(), lambda n: EMPTY[:n])
    found = []
    for start in range(0, len(images), batch_size):
        found += session.perceive(frame_batch(images[start : start + batch_size], start))
    return found


def test_batch_without_frames(perception):
    session = perception.session(MOTION, view(), lambda n: EMPTY[:n])
    assert session.perceive(frame_batch(IMAGES[:0])) == []


def test_frames_without_boxes_keep_their_place(perception):
    found = perceive(perception, 3, np.stack([IMAGES[0], street(seed=50), IMAGES[2]]))
    assert [len(detections) for detections, _ in found] == [2, 0, 2]
    assert [vectors.shape for _, vectors in found] == [(2, 128), (0, 128), (2, 128)]


def test_every_box_has_its_own_unit_vector(perception):
    for detections, vectors in perceive(perception, 4):
        assert vectors.dtype == np.float32 and len(vectors) == len(detections)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
        assert (np.diff(detections.score) <= 0).all()
    image, (detections, vectors) = IMAGES[3], perceive(perception, 10)[3]
    for box, vector in zip(detections.xyxy, vectors):
        np.testing.assert_allclose(perception.embed_picture(image, box)[0], vector, atol=1e-5)


def test_size_of_batches_changes_nothing(perception):
    for one, other in zip(perceive(perception, 1), perceive(perception, 7), strict=True):
        np.testing.assert_array_equal(one[0].xyxy, other[0].xyxy)
        np.testing.assert_array_equal(one[0].score, other[0].score)
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)


def test_whole_picture_is_a_crop(perception):
    height, width = IMAGES.shape[1:3]
    whole = perception.embed_picture(IMAGES[0])
    np.testing.assert_array_equal(whole, perception.embed_picture(IMAGES[0], np.array([0, 0, width, height])))
    assert whole.shape == (1, 128)


def test_time_is_counted_by_stage(perception):
    session = perception.session(MOTION, view(), lambda n: EMPTY[:n])
    session.perceive(frame_batch(IMAGES))
    assert session.detect_s > 0 and session.embed_s > 0


def test_models_are_loaded_once(perception, tmp_path):
    path = write_detector(tmp_path / "toy.onnx", np.zeros((84, 85)), np.zeros((84, 85)), 64, 1)
    config = DetectorConfig(use=f"onnx:{path}")
    first = perception.session(config, view(), lambda n: EMPTY[:n])
    path.unlink()
    second = perception.session(config, view(), lambda n: EMPTY[:n])
    assert (
        first.perceive(frame_batch(IMAGES))[0][0].xyxy.shape
        == second.perceive(frame_batch(IMAGES))[0][0].xyxy.shape
        == (0, 4)
    )


def test_thresholds_by_class_hold_for_motion_too(perception):
    plain, strict = MOTION, DetectorConfig(use="motion", score_threshold_by_class={"car": 1.0})
    seen = {}
    for name, config in (("plain", plain), ("strict", strict)):
        session = perception.session(config, view(), lambda n: EMPTY[:n])
        found = [detections for detections, _ in session.perceive(frame_batch(IMAGES))]
        seen[name] = {COCO_CLASSES[class_id] for each in found for class_id in each.class_id}
    assert seen == {"plain": {"person", "car"}, "strict": {"person"}}


def test_detector_in_tiles_says_so(perception, tmp_path):
    path = write_detector(tmp_path / "toy.onnx", np.zeros((84, 85)), np.zeros((84, 85)), 64, 1)
    config = DetectorConfig(use=f"onnx:{path}", tiles={"rows": 2, "columns": 3})
    (about,) = perception.load([config, config, MOTION])
    assert "layout yolox, input 64 x 64" in about and "in tiles, 3 x 2, and in the whole frame" in about
    assert perception.session(config, view(), None).perceive(frame_batch(IMAGES))[0][0].xyxy.shape == (0, 4)


def test_replayed_detections_get_embeddings(perception, tmp_path):
    (tmp_path / "c.txt").write_text("3,-1,30,80,14,40,0.9,-1,-1,-1\n3,-1,-20,80,14,40,0.9,-1,-1,-1\n")
    config = DetectorConfig(use=f"detections:{tmp_path}/{{segment}}.txt")
    found = perception.session(config, view(), lambda n: EMPTY[:n]).perceive(frame_batch(IMAGES))
    assert [len(detections) for detections, _ in found] == [0, 0, 1, *[0] * 7]
    assert found[2][1].shape == (1, 128)


@pytest.mark.parametrize("use", ["onnx:/nowhere.onnx", "torchvision:nothing", "detections:/nowhere.txt"])
def test_mistakes_are_the_users(perception, use):
    with pytest.raises(UserError, match=r"nowhere|nothing"):
        perception.session(DetectorConfig(use=use), view(), lambda n: EMPTY[:n])


def test_frames_are_shared_not_copied_on_the_cpu():
    frames = batch(list(IMAGES[:2]))
    assert frames.images.data_ptr() == frames.pixels.ctypes.data
    assert frames.images.shape == (2, 3, *IMAGES.shape[1:3])
