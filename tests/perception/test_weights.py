import pytest

from pipeline.config import DetectorConfig, EmbedderConfig, MotionConfig
from pipeline.errors import WeightsError
from pipeline.perception.weights import file_digest, models_digest, replay_path

STRIPES = EmbedderConfig()


def test_same_configuration_same_digest():
    assert models_digest(DetectorConfig(), STRIPES) == models_digest(DetectorConfig(), STRIPES)


@pytest.mark.parametrize(
    "other",
    [
        DetectorConfig(score_threshold=0.4),
        DetectorConfig(nms_iou_by_class={"car": 0.3}),
        DetectorConfig(classes=("person",)),
        DetectorConfig(motion=MotionConfig(difference_threshold=25)),
        DetectorConfig(use="torchvision:ssdlite320_mobilenet_v3_large"),
    ],
)
def test_whatever_shapes_the_detections_changes_the_digest(other):
    assert models_digest(other, STRIPES) != models_digest(DetectorConfig(), STRIPES)


def test_content_counts_and_place_does_not(tmp_path):
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    config = [DetectorConfig(use=f"onnx:{path}") for path in (first, second)]
    before = models_digest(config[0], STRIPES)
    assert models_digest(config[1], STRIPES) == before
    first.write_bytes(b"others!")
    assert models_digest(config[0], STRIPES) != before


def test_projection_counts(tmp_path):
    model, projection = tmp_path / "e.onnx", tmp_path / "p.npz"
    model.write_bytes(b"m")
    projection.write_bytes(b"p")
    plain = EmbedderConfig(use=f"onnx:{model}")
    fitted = EmbedderConfig(use=f"onnx:{model}", projection=projection)
    assert models_digest(DetectorConfig(), plain) != models_digest(DetectorConfig(), fitted)


@pytest.mark.parametrize("use", ["onnx:/nowhere/a.onnx", "detections:/nowhere/{camera}.txt"])
def test_missing_file_is_named(use):
    with pytest.raises(WeightsError, match=r"/nowhere/.*: no such file"):
        models_digest(DetectorConfig(use=use), STRIPES)
    with pytest.raises(WeightsError, match="not a URL"):
        file_digest("s3://bucket/model.onnx", "a model")


def test_replay_counts_only_the_segments_own_file(tmp_path):
    assert (
        replay_path("/d/{camera}/{segment}.txt", "gate", "s3://b/f/gate_1.2.mp4").as_posix() == "/d/gate/gate_1.2.txt"
    )
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(name)
    config = DetectorConfig(use=f"detections:{tmp_path}/{{segment}}.txt")
    where = {"camera_id": "gate", "segment_url": "/footage/one.mp4"}
    one, all_files = models_digest(config, STRIPES, **where), models_digest(config, STRIPES)
    (tmp_path / "two.txt").write_text("changed")
    assert models_digest(config, STRIPES, **where) == one
    assert models_digest(config, STRIPES) != all_files
