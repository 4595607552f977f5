"""Speeds in the demo town, whose simulation knows them: through its cameras' perspective, with boxes that jitter."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.demo import simulation, views
from pipeline.homography import apply
from pipeline.lake.catalog import query
from pipeline.lake.writer import Lake
from tests.lake.making import FPS, NOON_US, entry, fleet, rows

DURATION_S = 60
HEIGHT_PX = 40.0
JITTER_PX = 1.0


def places(camera_id, motion):
    """Return where every object of the town stands in a camera's picture, while it does: {object: (frames, (T, 2))}."""
    camera = views.view(camera_id).camera
    to_picture = np.linalg.inv(camera.homography)
    found = {}
    random = np.random.default_rng(3)
    for index in range(motion.xy.shape[1]):
        ground = motion.xy[:, index].astype(float)
        known = np.isfinite(ground).all(axis=1)
        depth = np.column_stack([ground, np.ones(len(ground))]) @ to_picture[2]
        xy = apply(to_picture, np.where(known[:, None], ground, 0.0))
        inside = known & (depth > 0) & (xy > 0).all(axis=1) & (xy < (camera.width_px, camera.height_px)).all(axis=1)
        frames = np.flatnonzero(inside)
        if len(frames) > 20 and (np.diff(frames) == 1).all():
            found[index] = frames, xy[frames] + random.normal(scale=JITTER_PX, size=(len(frames), 2))
    return found


@pytest.mark.parametrize("camera_id", ["gate", "crossing"])
def test_speeds_lie_within_their_errors_of_the_truth(tmp_path, camera_id):
    motion = simulation.simulate(seed=1, duration_s=DURATION_S, fps=FPS)
    view = views.view(camera_id)
    seen = places(camera_id, motion)
    lake = Lake.open_or_create(str(tmp_path))
    lines = [{"name": line.name, "points": line_points(view, line)} for line in view.lines]
    lake.write_fleet(fleet({"id": "gate", "homography": view.camera.homography.tolist(), "lines": lines}))
    tracks = {f"gate-{index}": [tuple(xy) for xy in places_px] for index, (_, places_px) in seen.items()}
    frames = {f"gate-{index}": frames.tolist() for index, (frames, _) in seen.items()}
    lake.write_unit(entry(), "2026-03-01", *rows(tracks, frames=frames, height_px=HEIGHT_PX), None)
    sql = "SELECT *, epoch_us(crossed_at) AS at_us FROM line_speeds(NULL, NULL) WHERE speed_kmh IS NOT NULL"
    measured = query(lake.url, sql).to_pylist()
    off = []
    for row in measured:
        index, at = int(row["tracklet_id"].split("-")[1]), (row["at_us"] - NOON_US) / 1e6 * FPS
        around = slice(max(0, round(at) - 5), round(at) + 6)
        ground = motion.xy[around, index]
        true_kmh = 3.6 * FPS * np.hypot(*np.polyfit(np.arange(len(ground)), ground, 1)[0])
        off.append((row["speed_kmh"] - true_kmh) / row["error_kmh"])
    assert len(off) >= 5
    assert np.abs(off).max() < 3
    assert np.median(np.abs(off)) < 0.8  # two pixels of noise are allowed for, and there is one


def line_points(view, line):
    return [tuple(point) for point in view.line_px(line).tolist()]
