"""The town as a user gets it: footage, truth and a fleet.yaml that loads."""

import configparser
import csv
import re
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import av
import numpy as np
import pytest

from pipeline import config
from pipeline.demo import footage, town

CAMERAS = ("square", "market")  # they overlap: four seconds are enough to be in both


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("town")
    calls = []
    path = town.render(
        out, seed=5, duration_s=4, cameras=CAMERAS, progress=lambda done, total: calls.append((done, total))
    )
    return out, path, calls


def frames_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_fleet_yaml_loads(rendered):
    out, path, _ = rendered
    fleet = config.load(path)
    assert [camera.id for camera in fleet.cameras] == list(CAMERAS)
    assert fleet.models.detector.use == "one-shot" and fleet.models.embedder.use == "trained"
    assert fleet.lake == str(out / "lake")
    assert path.read_text().startswith("# The demo town (seed 5)")


def test_whole_fleet_has_four_cameras_lines_zones_and_links():
    import yaml

    text = town.fleet_yaml(town.VIEWS, 0)
    fleet = config.parse(yaml.safe_load(text), origin="fleet.yaml", folder=town.Path("."))
    assert len(fleet.cameras) == 4
    assert all(camera.lines and camera.homography for camera in fleet.cameras)
    assert sum(len(camera.zones) for camera in fleet.cameras) >= 2
    overlapping = {frozenset(link.between): link for link in fleet.identity.links if link.overlapping}
    assert frozenset(("gate", "crossing")) not in overlapping
    assert overlapping[frozenset(("square", "market"))].min_travel_s < -10  # longer than a car takes from view to view


def test_segments_follow_each_other_and_carry_local_time(rendered):
    out, _, _ = rendered
    for camera in CAMERAS:
        files = sorted((out / "footage" / camera).glob("*.mp4"))
        starts = [datetime.strptime(f.name, f"{camera}_%Y%m%d_%H%M%S.mp4") for f in files]
        assert len(files) == 2
        assert starts[0].replace(tzinfo=ZoneInfo("Europe/Berlin")) == town.STARTED_AT
        for (a, start), (_, following) in pairwise(zip(files, starts, strict=True)):
            assert len(frames_of(a)) / town.FPS == (following - start).total_seconds()
        with av.open(str(files[0])) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 640, 360)
            assert stream.average_rate == town.FPS


@pytest.mark.parametrize(("n_frames", "expected"), [(10, [10]), (40, [20, 20]), (45, [30, 15]), (750, [300, 300, 150])])
def test_segment_sizes(n_frames, expected):
    assert footage.segment_frames(n_frames, 10) == expected


def test_gt_format(rendered):
    out, _, _ = rendered
    for camera in CAMERAS:
        lines = (out / "truth" / camera / "gt.txt").read_text().splitlines()
        number = r"\d+\.\d\d"
        assert lines
        assert all(re.fullmatch(rf"\d+,\d+,{number},{number},{number},{number},1,[13],[01]\.\d{{4}}", x) for x in lines)
        rows = np.array([[float(x) for x in line.split(",")] for line in lines])
        assert rows[:, 0].min() >= 1 and rows[:, 0].max() <= 40
        assert (rows[:, 2] + rows[:, 4] <= 640.01).all() and (rows[:, 3] + rows[:, 5] <= 360.01).all()
        assert (rows[:, 8] >= 0.1).all()
        assert len({(row[0], row[1]) for row in rows}) == len(rows)
        info = configparser.ConfigParser()
        info.read(out / "truth" / camera / "seqinfo.ini")
        sequence = info["Sequence"]
        assert (sequence["name"], sequence["framerate"], sequence["seqlength"]) == (camera, "10", "40")
        assert datetime.fromisoformat(sequence["startedat"]) == town.STARTED_AT


def test_mtmc_ground_places_fit_the_boxes(rendered):
    """The homography of fleet.yaml takes the foot of a person's box to about where the truth says they stand."""
    out, path, _ = rendered
    fleet = config.load(path)
    rows = np.loadtxt(out / "truth" / "mtmc.txt")
    people = {
        int(x.split(",")[1])
        for c in CAMERAS
        for x in (out / "truth" / c / "gt.txt").read_text().split()
        if x.split(",")[7] == "1"
    }
    checked = 0
    for camera, _, _, x, y, w, h, east, north in rows[np.isin(rows[:, 1], list(people))]:
        if y < 1 or y + h > 355 or x < 1 or x + w > 639:
            continue  # cut by the picture's edge
        ground = np.array(fleet.cameras[int(camera) - 1].homography) @ (x + w / 2, y + h, 1)
        assert np.hypot(ground[0] / ground[2] - east, ground[1] / ground[2] - north) < 0.6
        checked += 1
    assert checked > 20


def test_mtmc_labels_what_two_cameras_list(rendered):
    out, _, _ = rendered
    boxes = [np.loadtxt(out / "truth" / camera / "gt.txt", delimiter=",", ndmin=2) for camera in CAMERAS]
    both = set(boxes[0][:, 1]) & set(boxes[1][:, 1])
    assert both and both != set(boxes[0][:, 1]) | set(boxes[1][:, 1])
    want = {(camera, row[1], row[0]) for camera, rows in enumerate(boxes, start=1) for row in rows if row[1] in both}
    rows = np.loadtxt(out / "truth" / "mtmc.txt", ndmin=2)
    assert {tuple(row[:3]) for row in rows} == want and len(rows) == len(want)


def test_tables_of_crossings_and_dwell(rendered):
    out, path, _ = rendered
    lines = {(c.id, x.name): {x.forward, x.backward} for c in config.load(path).cameras for x in c.lines}
    with (out / "truth" / "crossings.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["direction"] in lines[row["camera_id"], row["line_id"]]
        assert 0 <= (datetime.fromisoformat(row["crossed_at"]) - town.STARTED_AT).total_seconds() < 4
    header = (out / "truth" / "dwell.csv").read_text().splitlines()[0]
    assert header == "camera_id,zone_id,class,object_id,entered_at,left_at,dwell_s"


def test_progress_ends_with_everything_done(rendered):
    _, _, calls = rendered
    assert calls[-1] == (80, 80)
    assert all(a[0] < b[0] for a, b in pairwise(calls))


def test_same_seed_same_bytes_also_from_other_processes(rendered, tmp_path):
    out, _, _ = rendered
    town.render(tmp_path, seed=5, duration_s=4, cameras=CAMERAS, processes=2)
    names = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_another_seed_differs(rendered, tmp_path):
    out, _, _ = rendered
    town.render(tmp_path, seed=6, duration_s=2, cameras=CAMERAS[:1])
    assert (tmp_path / "truth/square/gt.txt").read_text() != (out / "truth/square/gt.txt").read_text()


def test_rendering_again_leaves_nothing_of_the_longer_footage(tmp_path):
    for duration_s, files in ((2, 2), (1, 1)):
        town.render(tmp_path, seed=6, duration_s=duration_s, cameras=CAMERAS[:1])
        assert len(list((tmp_path / "footage" / "square").iterdir())) == files
