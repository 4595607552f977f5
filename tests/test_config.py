"""A strict configuration: what it accepts, and the one sentence for what it does not."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import yaml

from pipeline import config
from pipeline.errors import ConfigError

GOOD = """
fleet: town
lake: lake
cameras:
  - id: gate
    footage: footage/*.mp4
    time_pattern: gate_%Y%m%d.mp4
    time_zone: Europe/Berlin
    lines:
      - {name: bridge, points: [[0, 10], [50, 10]], forward: in, backward: out}
  - id: square
    footage: s3://bucket/square/*.mkv
identity:
  links:
    - {between: [gate, square], min_travel_s: 5, max_travel_s: 60}
"""


def load(tmp_path: Path, text: str) -> config.FleetConfig:
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return config.load(path)


def test_a_good_file_and_its_paths(tmp_path):
    fleet = load(tmp_path, GOOD)
    assert fleet.lake == str(tmp_path / "lake")
    assert fleet.camera("gate").footage == str(tmp_path / "footage/*.mp4")
    assert fleet.camera("square").footage == "s3://bucket/square/*.mkv"
    assert fleet.detector_for(fleet.camera("gate")).use == "one-shot"


def test_the_example_is_a_good_file(tmp_path):
    text = (resources.files("configs") / "fleet.example.yaml").read_text(encoding="utf-8")
    assert load(tmp_path, text).cameras[0].lines[0].name == "stop-line"


def test_weights_are_found_beside_the_file(tmp_path):
    fleet = load(tmp_path, GOOD + "models: {detector: {use: 'onnx:w/y.onnx'}, embedder: {use: 'onnx:w/e.onnx'}}\n")
    assert fleet.models.detector.use == f"onnx:{tmp_path / 'w/y.onnx'}"
    assert fleet.models.embedder.use == f"onnx:{tmp_path / 'w/e.onnx'}"
    fleet = load(tmp_path, GOOD + "models: {detector: {use: 'onnx:y.onnx', class_names: own.txt}}\n")
    assert fleet.models.detector.class_names == tmp_path / "own.txt"
    fleet = load(tmp_path, GOOD + "models: {detector: {use: 'onnx:y.onnx', class_names: [van, person]}}\n")
    assert fleet.models.detector.class_names == ("van", "person")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("time_zone:", "time_zne:", "unknown key `cameras[gate].time_zne` (did you mean `time_zone`?)"),
        ("Europe/Berlin", "Europe/Berln", "'Europe/Berln' is not an IANA time zone (did you mean `Europe/Berlin`?)"),
        ("id: square", "id: gate", "two cameras have the id 'gate'"),
        ("[gate, square]", "[gate, sqare]", "names a camera 'sqare' that is not configured (did you mean `square`?)"),
        ("min_travel_s: 5", "min_travel_s: 500", "min_travel_s 500.0 is greater than max_travel_s 60.0"),
        ("[[0, 10], [50, 10]]", "[[0, 10], [0, 10]]", "the two ends are the same point"),
        ("backward: out", "backward: in", "both directions are called 'in'"),
        ("fleet: town", "fleet: town\nfleet: twice", "line 3: not valid YAML: the key 'fleet' is written twice"),
        ("lake: lake", "lake: [", "not valid YAML"),
        ("id: gate", "id: ../gate", "`cameras[../gate].id`"),
        (
            "lake: lake",
            "models: {detector: {motion: {background_frames: 20}}}",
            "motion is for motion detectors, not for one-shot; leave it out",
        ),
        (
            "lake: lake",
            "models: {detector: {layout: yolov8}}",
            "layout is for onnx detectors, not for one-shot; leave it out",
        ),
        (
            "lake: lake",
            "models: {detector: {use: 'detections:d.txt', tiles: {rows: 2, columns: 2}}}",
            "tiles is for one-shot, onnx and torchvision detectors, not for detections",
        ),
        (
            "lake: lake",
            "models: {detector: {use: 'onnx:d', tiles: {rows: 2}}}",
            "`models.detector.tiles`: expected either rows and columns, or tile_px",
        ),
        ("lake: lake", "models: {detector: {use: 'onnx:d', tiles: {rows: 1, columns: 1}}}", "are the whole frame"),
        (
            "lake: lake",
            "models: {detector: {use: 'onnx:d', input: {colour: rgb}}}",
            "unknown key `models.detector.input.colour`; known here: antialias, channels, fit, mean",
        ),
        ("lake: lake", "models: {detector: {use: 'onnx:d', class_names: 3}}", "expected a list of names, or a file"),
        (
            "lake: lake",
            "models: {detector: {use: 'onnx:d', class_map: {van: trcuk}}}",
            "'trcuk' is not a COCO class (did you mean `truck`?)",
        ),
        ("lake: lake", "models: {detector: {use: moton}}", "got 'moton' (did you mean `motion`?)"),
        ("lake: lake", "models: {detector: {use: onnx}}", "onnx wants to be told which; write `onnx:FILE`"),
        (
            "lake: lake",
            "models: {detector: {classes: [persn]}}",
            "'persn' is not a COCO class (did you mean `person`?)",
        ),
        (
            "lake: lake",
            "execution: {device: cpu, gpus_per_worker: 1}",
            "device cpu contradicts gpus_per_worker above 0",
        ),
        ("footage: footage/*.mp4", "footage: ''", "`cameras[gate].footage`"),
        ("    footage: footage/*.mp4\n", "", "`cameras[gate].footage` is missing"),
        (
            "footage: footage/*.mp4",
            "footage: 5",
            "`cameras[gate].footage`: expected a glob, a list of globs, or a live",
        ),
        ("footage: footage/*.mp4", "footage: []", "`cameras[gate].footage`: expected a glob, a list of globs, or a"),
        ("footage: footage/*.mp4", "footage: {device: 0}", "`cameras[gate].footage`: `seconds` is missing; add it"),
        ("footage: footage/*.mp4", "footage: {seconds: 5}", "`cameras[gate].footage`: expected either `device` or"),
        (
            "footage: footage/*.mp4",
            "footage: {device: 0, seconds: 5, floder: a}",
            "unknown key `floder` (did you mean `folder`?)",
        ),
        ("footage: footage/*.mp4", "footage: {url: gate, seconds: 5}", "url: expected an address such as rtsp://"),
        ("footage: footage/*.mp4", "footage: {device: -1, seconds: 5}", "device: expected 0 or more, got -1"),
    ],
)
def test_one_sentence_for_each_mistake(tmp_path, old, new, sentence):
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert sentence in str(caught.value)
    assert str(tmp_path / "fleet.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such file; `nightfleet init DIR` writes one"):
        config.load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    with pytest.raises(ConfigError, match="expected keys such as `cameras:`"):
        load(tmp_path, text)


def test_an_unknown_camera_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no camera 'gat' in this fleet \(did you mean `gate`\?\); it has gate, square"
    ):
        load(tmp_path, GOOD).camera("gat")


def test_digests_tell_sections_apart():
    assert config.digest(config.TrackerConfig()) == config.digest(config.TrackerConfig())
    assert config.digest(config.TrackerConfig()) != config.digest(config.TrackerConfig(n_init=4))


@pytest.mark.parametrize("name", config.tracker_presets())
def test_every_preset_is_a_tracker_that_no_rename_can_change(tmp_path, name):
    """Its values stand in the fields, so a digest knows nothing of where they came from."""
    preset = config.tracker_preset(name)
    by_name = load(tmp_path, GOOD + f"tracker: {{preset: {name}}}\n").tracker
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(preset.model_dump()), encoding="utf-8")
    by_path = load(tmp_path, GOOD + "tracker: {preset: mine.yaml}\n").tracker
    written_out = load(tmp_path, GOOD + yaml.safe_dump({"tracker": preset.model_dump()})).tracker
    assert preset == by_name == by_path == written_out
    assert len({config.digest(one) for one in (preset, by_name, by_path, written_out)}) == 1


def test_footage_of_several_places_and_live(tmp_path):
    text = GOOD.replace("footage: footage/*.mp4", "footage: [old/*.avi, s3://bucket/new/*.mp4]")
    assert load(tmp_path, text).camera("gate").globs == (str(tmp_path / "old/*.avi"), "s3://bucket/new/*.mp4")
    fleet = load(tmp_path, GOOD.replace("footage: footage/*.mp4", "footage: {url: 'rtsp://${USER}@gate', seconds: 5}"))
    camera = fleet.camera("gate")
    assert camera.globs == (str(tmp_path / "lake-recordings/gate/*.mp4"),)
    assert camera.footage.url == "rtsp://${USER}@gate", "what may be a password is not written anywhere"
    assert config.FleetConfig.model_validate_json(fleet.model_dump_json()) == fleet
    text = GOOD.replace("footage: footage/*.mp4", "footage: {device: 0, seconds: 5, folder: there}")
    assert load(tmp_path, text).camera("gate").globs == (str(tmp_path / "there/*.mp4"),)
    with pytest.raises(ConfigError, match=r"camera gate: recordings are kept on this machine, not at s3://bucket"):
        load(tmp_path, text.replace(", folder: there", "").replace("lake: lake", "lake: s3://bucket/lake"))


def test_a_preset_fills_in_what_the_file_leaves_open(tmp_path):
    tracker = load(tmp_path, GOOD + "tracker: {preset: sort, n_init: 7, max_cosine_distance: 0.4}\n").tracker
    assert (tracker.n_init, tracker.max_cosine_distance) == (7, 0.4)
    assert tracker.max_age_frames == config.tracker_preset("sort").max_age_frames == 1
    assert tracker.max_exemplars == config.TrackerConfig().max_exemplars


def test_a_preset_may_build_on_another(tmp_path):
    (tmp_path / "mine.yaml").write_text("preset: sort\nmax_age_frames: 9\n", encoding="utf-8")
    tracker = config.tracker_preset(str(tmp_path / "mine.yaml"))
    assert tracker == config.TrackerConfig(preset="sort", max_age_frames=9)


@pytest.mark.parametrize(
    ("preset", "content", "sentence"),
    [
        ("srt", "", "no tracker preset 'srt' (did you mean `sort`?); there are bytetrack, minimal, reference, sort"),
        ("5", "", "`tracker.preset`: input should be a valid string, got 5"),
        ("gone.yaml", "", "gone.yaml: no such file; give a file of tracker keys, or one of bytetrack"),
        ("mine.yaml", "n_int: 3", "mine.yaml: unknown key `n_int` (did you mean `n_init`?)"),
        ("mine.yaml", "gate_sq: -1", "mine.yaml: `gate_sq`: input should be greater than 0, got -1"),
        ("mine.yaml", "- a", "mine.yaml: expected tracker keys such as `max_age_frames:`, got list"),
        ("mine.yaml", "n_init: [", "mine.yaml, line 1: not valid YAML"),
        ("mine.yaml", "preset: mine.yaml", "mine.yaml: this preset leads back to itself"),
        ("${NO_SUCH_VARIABLE}/mine.yaml", "", "environment variable NO_SUCH_VARIABLE, which is not set"),
    ],
)
def test_one_sentence_for_a_preset_that_cannot_be_used(tmp_path, preset, content, sentence):
    (tmp_path / "mine.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GOOD + f"tracker: {{preset: {preset if preset == '5' else repr(preset)}}}\n")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_environment_variables_in_paths(tmp_path, monkeypatch):
    text = GOOD.replace("footage: footage/*.mp4", "footage: ${FOOTAGE_HERE:-there}/*.mp4")
    monkeypatch.delenv("FOOTAGE_HERE", raising=False)
    assert load(tmp_path, text).camera("gate").footage == str(tmp_path / "there/*.mp4")
    monkeypatch.setenv("FOOTAGE_HERE", "/mnt/nvr")
    assert load(tmp_path, text).camera("gate").footage == "/mnt/nvr/*.mp4"
    monkeypatch.delenv("FOOTAGE_HERE")
    with pytest.raises(ConfigError, match="environment variable FOOTAGE_HERE, which is not set"):
        load(tmp_path, text.replace(":-there", ""))


POINTS = "[{pixel: [0, 0], metres: [0, 0]}, {pixel: [100, 0], metres: [10, 0]}, {pixel: [100, 100], metres: [10, 10]}"
FOURTH = ", {pixel: [0, 100], metres: [0, 10]}]"


def with_camera_keys(text: str) -> str:
    return GOOD.replace("    time_zone: Europe/Berlin\n", "    time_zone: Europe/Berlin\n" + text)


def test_ground_points_stand_for_a_homography_and_survive_the_lake(tmp_path):
    keys = f"    ground_points: {POINTS}{FOURTH}\n    marking_error_px: 2\n"
    fleet = load(tmp_path, with_camera_keys(keys))
    camera = fleet.camera("gate")
    diagonal = [camera.homography[i][i] for i in range(3)]
    assert diagonal == pytest.approx([0.1, 0.1, 1.0])
    assert camera.ground_fit().sigma_px == 2.0
    again = config.FleetConfig.model_validate_json(fleet.model_dump_json())
    assert again == fleet
    assert fleet.camera("square").ground_fit() is None


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (f"    ground_points: {POINTS}]\n", "ground_points: 3 points do not fix a homography; mark at least 4"),
        (
            f"    ground_points: {POINTS}, {{pixel: [50, 0], metres: [5, 0]}}]\n",
            "ground_points: too many of the points are the same or lie on one line",
        ),
        (
            f"    ground_points: {POINTS}{FOURTH}\n    homography: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n",
            "homography and ground_points are both given; keep ground_points",
        ),
        ("    marking_error_px: 2\n", "marking_error_px says how well ground_points are marked; there are none"),
        (f"    ground_points: {POINTS}{FOURTH}\n    marking_error_px: 0\n", "input should be greater than 0, got 0"),
        (
            "    ground_points: [{pixel: [0, 0], meters: [0, 0]}]\n",
            "`cameras[gate].ground_points[0].metres` is missing; add it",
        ),
    ],
)
def test_one_sentence_for_ground_points_that_are_none(tmp_path, keys, sentence):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, with_camera_keys(keys))
    assert sentence in str(caught.value)
    assert "cameras[gate]" in str(caught.value)
    assert "\n" not in str(caught.value)
