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
        DetectorConfig(use="motion", score_threshold=0.4),
        DetectorConfig(use="motion", nms_iou_by_class={"car": 0.3}),
        DetectorConfig(use="motion", classes=("person",)),
        DetectorConfig(use="motion", motion=MotionConfig(difference_threshold=25)),
        DetectorConfig(use="one-shot"),
        DetectorConfig(use="torchvision:ssdlite320_mobilenet_v3_large"),
    ],
)
def test_whatever_shapes_the_detections_changes_the_digest(other):
    assert models_digest(other, STRIPES) != models_digest(DetectorConfig(use="motion"), STRIPES)


def test_content_counts_and_place_does_not(tmp_path):
    first, second = tmp_path / "a.onnx", tmp_path / "b.onnx"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    config = [DetectorConfig(use=f"onnx:{path}") for path in (first, second)]
    before = models_digest(config[0], STRIPES)
    assert models_digest(config[1], STRIPES) == before
    first.write_bytes(b"others!")
    assert models_digest(config[0], STRIPES) != before


@pytest.mark.parametrize(
    "section",
    [
        {"layout": "yolox"},
        {"input": {"channels": "rgb"}},
        {"input": {"size": (640, 352)}},
        {"class_names": ["person"]},
        {"class_map": {"van": "car"}},
        {"tiles": {"rows": 2, "columns": 2}},
        {"tiles": {"tile_px": 640}},
        {"nms_across_iou": 1.0},
    ],
)
def test_every_key_of_onnx_detectors_counts(tmp_path, section):
    (tmp_path / "a.onnx").write_bytes(b"weights")
    use = f"onnx:{tmp_path / 'a.onnx'}"
    assert models_digest(DetectorConfig(use=use, **section), STRIPES) != models_digest(DetectorConfig(use=use), STRIPES)


def test_files_beside_an_onnx_file_count(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"graph")
    config = DetectorConfig(use=f"onnx:{tmp_path / 'a.onnx'}")
    seen = {models_digest(config, STRIPES)}
    for name in ("a.onnx.data", "a.onnx_data"):
        for content in (b"1", b"22"):
            (tmp_path / name).write_bytes(content)
            seen.add(models_digest(config, STRIPES))
    assert len(seen) == 5


def test_class_names_count_by_content(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"weights")
    digests = []
    for name, content in (("a.txt", "person"), ("b.txt", "person"), ("c.txt", "car")):
        (tmp_path / name).write_text(content)
        config = DetectorConfig(use=f"onnx:{tmp_path / 'a.onnx'}", class_names=tmp_path / name)
        digests.append(models_digest(config, STRIPES))
    assert digests[0] == digests[1] != digests[2]


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
