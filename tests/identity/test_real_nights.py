"""Cross-camera identities on real trajectories and real appearance, by the protocol written beside the data.

The appearance is OSNet features of Market-1501 crops, brought to 128 numbers by PCA; objects take people in order. The
threshold is the night's own; nothing here was chosen by the truth but the travel windows of the road, which stand for
what an operator configures.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.linking import link
from tests.identity.nights import Seen, night, unit
from tests.realdata import data_path

pytestmark = pytest.mark.realdata


def hcmc_boxes():
    """Rows (camera, object, frame) of three cameras along a road."""
    parts = []
    for camera in (1, 2, 3):
        rows = np.loadtxt(data_path(f"mtmc/hcmc_3cam/gt_cam{camera}.txt"), delimiter=",", usecols=(1, 0)).astype(int)
        parts.append(np.column_stack([np.full(len(rows), camera), rows]))
    return np.concatenate(parts)


def wildtrack_boxes():
    """Rows (camera, object, frame) of seven overlapping cameras."""
    with data_path("mtmc/wildtrack/boxes.csv").open(newline="") as file:
        return np.array([[int(row[key]) for key in ("camera", "person_id", "frame")] for row in csv.DictReader(file)])


def appearance():
    """Market-1501 features as 128-d unit vectors (PCA over all of them), with person and camera."""
    with np.load(data_path("reid/market1501_osnet_features.npz")) as data:
        feature, person, camera = data["embedding"].astype(np.float64), data["person_id"], data["camera_id"]
    feature -= feature.mean(axis=0)
    _, axes = np.linalg.eigh(feature.T @ feature)
    return unit(feature @ axes[:, :-129:-1]).astype(np.float32), person.astype(int), camera.astype(int)


def tracklets_of(boxes, frames_per_s):
    """Return Seen and the object behind each: one tracklet per (camera, object), by the protocol."""
    feature, person, taken_by = appearance()
    cameras_of = {p: np.unique(taken_by[person == p]) for p in np.unique(person)}
    people = sorted(cameras_of, key=lambda p: (-len(cameras_of[p]), p))
    actor = dict(zip(np.unique(boxes[:, 1]), people))
    rng = np.random.default_rng(0)
    seen, who = [], []
    for camera, name in np.unique(boxes[:, :2], axis=0):
        frame = boxes[(boxes[:, 0] == camera) & (boxes[:, 1] == name), 2]
        cameras = cameras_of[actor[name]]
        rows = np.flatnonzero((person == actor[name]) & (taken_by == cameras[(camera - 1) % len(cameras)]))
        looks = feature[rng.choice(rows, min(4, len(rows)), replace=False)]
        start_s, end_s = frame.min() / frames_per_s, frame.max() / frames_per_s
        seen.append(Seen(f"c{camera}-{name:05d}", f"c{camera}", start_s, end_s, looks, n_observations=len(frame)))
        who.append(name)
    return seen, np.array(who)


def road_windows(seen, who):
    """Links between the cameras of the road: 1st to 99th percentile of the true travel times downstream."""
    at = {(s.camera, name): s for s, name in zip(seen, who)}
    links = []
    for a, b in (("c1", "c2"), ("c2", "c3"), ("c1", "c3")):
        both = [(at[a, name], at[b, name]) for name in np.unique(who) if (a, name) in at and (b, name) in at]
        travel_s = [then.start_s - first.end_s for first, then in both if then.start_s > first.end_s]
        low, high = np.percentile(travel_s, [1, 99])
        links.append(LinkConfig(between=(a, b), min_travel_s=low, max_travel_s=high))
    return tuple(links)


def idf1(seen, who, found):
    """Share of boxes under the best one-to-one matching of identities."""
    truth, identity = (np.unique(names, return_inverse=True)[1] for names in (who, found.identity_id.astype(str)))
    shared = np.zeros((truth.max() + 1, identity.max() + 1))
    np.add.at(shared, (truth, identity), [s.n_observations for s in seen])
    return shared[linear_sum_assignment(-shared)].sum() / shared.sum()


def test_vehicles_along_a_road_with_configured_windows():
    seen, who = tracklets_of(hcmc_boxes(), frames_per_s=10)
    config = IdentityConfig(links=road_windows(seen, who), min_observations=1)
    assert idf1(seen, who, link(*night(seen), config, device="cpu")) >= 0.88


def test_people_in_seven_overlapping_views_by_appearance_alone():
    seen, who = tracklets_of(wildtrack_boxes(), frames_per_s=10)
    names = [f"c{camera}" for camera in range(1, 8)]
    links = tuple(LinkConfig(between=(a, b), overlapping=True) for n, a in enumerate(names) for b in names[n + 1 :])
    config = IdentityConfig(links=links, min_observations=1)
    assert idf1(seen, who, link(*night(seen), config, device="cpu")) >= 0.78
