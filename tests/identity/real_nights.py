"""Real trajectories with real appearance, by the protocol written beside the data: nights whose identities are known.

A tracklet is each (camera, object) of the truth. The objects in ascending id take Market-1501's people in the order of
how many cameras saw them (most first, ties by person); a tracklet in camera c takes up to 4 OSNet features, drawn with
seed 0, of its person's camera number (c - 1) mod n. Travel windows of the road stand for what an operator configures,
and are the only thing here that is read off the truth.
"""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from jobs.topology import MIN_CONFIDENCE
from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity.ground import GroundTracks, Homography, on_ground
from pipeline.identity.learned import propose_links
from pipeline.identity.linking import link
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.perception.projection import fit_pca, random_projection
from tests.identity.nights import US, Seen, night
from tests.realdata import data_path

SEED = 0
EXEMPLARS = 4
FRAMES_PER_S = 10.0
"""Of the frame numbers of both data sets; of WILDTRACK's every fifth frame has boxes."""

Fitted = Literal["all", "others", "random"]
"""Features to 128 numbers: PCA fitted to all of Market's people, to those who are no object of the night, or drawn."""


@dataclass(frozen=True, eq=False)
class RealNight:
    """N tracklets with the object behind each: `link(*it.inputs, config, ground=it.ground)`."""

    seen: list[Seen]
    who: np.ndarray  # (N,) int
    ground: GroundTracks | None = None

    @cached_property
    def inputs(self):
        """Tracklets, camera_id and exemplars, as `link` takes them."""
        return night(self.seen)

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(sorted({one.camera for one in self.seen}))

    def idf1(self, found) -> float:
        """Share of boxes under the best one-to-one matching of identities, of what `link` returned."""
        found = getattr(found, "identities", found)
        identity_of = dict(zip(found.tracklet_id, found.identity_id))
        return idf1(self.who, [identity_of[one.name] for one in self.seen], [one.n_observations for one in self.seen])

    def bound(self, config: IdentityConfig) -> float:
        """IDF1 of perfect looks under the cannot-links of `config`: of each object the largest part that may be one."""
        topology = Topology.from_config(self.cameras, config)
        place = {name: index for index, name in enumerate(topology.cameras)}
        sightings = Sightings(
            np.array([place[one.camera] for one in self.seen], np.int32),
            np.array([round(one.start_s * US) for one in self.seen], np.int64),
            np.array([round(one.end_s * US) for one in self.seen], np.int64),
        )
        size = np.array([one.n_observations for one in self.seen])
        kept = 0
        for name in np.unique(self.who):
            rows = np.flatnonzero(self.who == name)
            i, j = (np.repeat(rows, len(rows)), np.tile(rows, len(rows)))
            never = (topology.relate(sightings.take(i), sightings.take(j)) == Relation.NEVER) & (i != j)
            never = never.reshape(len(rows), len(rows))
            parts = (list(part) for n in range(1, len(rows) + 1) for part in combinations(range(len(rows)), n))
            kept += max(int(size[rows[part]].sum()) for part in parts if not never[np.ix_(part, part)].any())
        return kept / int(size.sum())


def idf1(who, identity, n_boxes) -> float:
    """Share of boxes under the best one-to-one matching: who, identity, n_boxes (N,), one a tracklet.

    IDF1 by its definition too: as every box is found, IDTP + IDFN = IDTP + IDFP = all boxes.
    """
    truth, found = (np.unique(np.asarray(names).astype(str), return_inverse=True)[1] for names in (who, identity))
    shared = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(shared, (truth, found), n_boxes)
    return float(shared[linear_sum_assignment(-shared)].sum() / shared.sum())


def hcmc(fitted: Fitted = "all") -> RealNight:
    """Vehicles in three cameras one after another along a road."""
    return _night(hcmc_boxes(), fitted)


def wildtrack(fitted: Fitted = "all") -> RealNight:
    """People in seven overlapping views of one square, by their looks."""
    return _night(wildtrack_boxes(), fitted)


def wildtrack_ground(fitted: Fitted = "all", homographies: dict[str, Homography] | None = None) -> RealNight:
    """The same with the places of their boxes' bottom centres on the square, by the published calibrations."""
    boxes = wildtrack_boxes()
    plain = _night(boxes, fitted)
    ground = on_ground(
        np.array([_name(camera, person) for camera, person in boxes[:, :2].tolist()], dtype=object),
        np.array([f"c{camera}" for camera in boxes[:, 0]], dtype=object),
        np.round(boxes[:, 2] / FRAMES_PER_S * US).astype(np.int64),
        boxes[:, 3:].astype(np.float64),
        wildtrack_homographies() if homographies is None else homographies,
    )
    return RealNight(plain.seen, plain.who, ground)


def with_loners(night: RealNight, share: float) -> RealNight:
    """The same night with that share of the objects left in one camera only, drawn with the protocol's seed."""
    rng, kept = np.random.default_rng(SEED), []
    for name in np.unique(night.who):
        rows = np.flatnonzero(night.who == name)
        kept += [int(rng.choice(rows))] if rng.random() < share else rows.tolist()
    return RealNight([night.seen[row] for row in sorted(kept)], night.who[sorted(kept)])


def road_windows(road: RealNight, *, signed: bool = False) -> tuple[LinkConfig, ...]:
    """Links between the cameras of the road: 1st to 99th percentile of the truth's travel times, start - end.

    As an operator would measure them, over those who came later further down; or, signed, as the inventory has them,
    over all: 12 vehicles are in camera 3 about 877 s before they are in camera 1, for camera 3's clock begins anew.
    """
    at = {(one.camera, name): one for one, name in zip(road.seen, road.who.tolist())}
    links = []
    for a, b in (("c1", "c2"), ("c2", "c3"), ("c1", "c3")):
        both = [(at[a, name], at[b, name]) for name in np.unique(road.who) if (a, name) in at and (b, name) in at]
        travel_s = np.array([then.start_s - first.end_s for first, then in both])
        low, high = np.percentile(travel_s if signed else travel_s[travel_s > 0], [1, 99])
        links.append(LinkConfig(between=(a, b), min_travel_s=float(low), max_travel_s=float(high), one_way=signed))
    return tuple(links)


def learned_windows(road: RealNight, config: IdentityConfig) -> tuple[LinkConfig, ...]:
    """Links as `topology learn` proposes them from the identities that `config` gives, without a look at the truth."""
    found = link(*road.inputs, config, device="cpu").identities
    identity_of = dict(zip(found.tracklet_id, zip(found.identity_id, found.confidence)))
    sure = sorted((one for one in road.seen if identity_of[one.name][1] >= MIN_CONFIDENCE), key=lambda one: one.start_s)
    matches = [
        (first.camera, then.camera, then.start_s - first.end_s)
        for first, then in combinations(sure, 2)
        if identity_of[first.name][0] == identity_of[then.name][0] and first.camera != then.camera
    ]
    first, then, travel_s = (
        np.array(column, dtype=kind) for column, kind in zip(zip(*matches), (object, object, float))
    )
    return tuple(
        LinkConfig(
            between=one.between,
            min_travel_s=one.min_travel_s,
            max_travel_s=one.max_travel_s,
            overlapping=one.overlapping,
            one_way=one.one_way,
        )
        for one in propose_links(first, then, travel_s)
    )


def overlapping_views(square: RealNight) -> tuple[LinkConfig, ...]:
    """Links between all cameras of the square: each sees what the others see, nothing is known of travel."""
    return tuple(LinkConfig(between=pair, overlapping=True) for pair in combinations(square.cameras, 2))


def hcmc_boxes() -> np.ndarray:
    """Rows (camera, object, frame) of three cameras along a road."""
    parts = []
    for camera in (1, 2, 3):
        rows = np.loadtxt(data_path(f"mtmc/hcmc_3cam/gt_cam{camera}.txt"), delimiter=",", usecols=(1, 0)).astype(int)
        parts.append(np.column_stack([np.full(len(rows), camera), rows]))
    return np.concatenate(parts)


def wildtrack_boxes() -> np.ndarray:
    """Rows (camera, object, frame, left, top, right, bottom) of seven overlapping cameras."""
    columns = ("camera", "person_id", "frame", "x1", "y1", "x2", "y2")
    with data_path("mtmc/wildtrack/boxes.csv").open(newline="") as file:
        return np.array([[int(row[key]) for key in columns] for row in csv.DictReader(file)])


def wildtrack_homographies() -> dict[str, Homography]:
    """Pixels of each view to metres on the square, from the published calibrations.

    The ground is z = 0 of the world, in centimetres, and the pictures are free of distortion: a point (X, Y) is seen at
    K [r1 r2 t] (X, Y, 1), which is inverted here.
    """
    names = [f"CVLab{n}" for n in range(1, 5)] + [f"IDIAP{n}" for n in range(1, 4)]
    found = {}
    for number, name in enumerate(names, start=1):
        intrinsic = _xml(f"intrinsic_zero/intr_{name}.xml").find("camera_matrix/data")
        extrinsic = _xml(f"extrinsic/extr_{name}.xml")
        camera = _numbers(intrinsic).reshape(3, 3)
        rotation = Rotation.from_rotvec(_numbers(extrinsic.find("rvec"))).as_matrix()
        seen = camera @ np.column_stack([rotation[:, :2], _numbers(extrinsic.find("tvec"))])
        to_metres = np.diag([0.01, 0.01, 1.0]) @ np.linalg.inv(seen)
        to_metres /= np.abs(to_metres).max()
        found[f"c{number}"] = tuple(tuple(row) for row in to_metres.tolist())
    return found


def _xml(relative: str) -> ElementTree.Element:
    return ElementTree.parse(data_path(f"mtmc/wildtrack/calibrations/{relative}")).getroot()


def _numbers(element: ElementTree.Element) -> np.ndarray:
    return np.array(element.text.split(), np.float64)


@cache
def _market() -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    """Market-1501's features (M, 512), person and camera (M,), and its people, seen by most cameras first."""
    with np.load(data_path("reid/market1501_osnet_features.npz")) as data:
        feature, person, camera = data["embedding"].astype(np.float32), data["person_id"], data["camera_id"]
    n_cameras = {who: len(np.unique(camera[person == who])) for who in np.unique(person).tolist()}
    return feature, person.astype(int), camera.astype(int), tuple(sorted(n_cameras, key=lambda p: (-n_cameras[p], p)))


def _looks(fitted: Fitted, n_objects: int) -> np.ndarray:
    """Return Market-1501's features as 128-d unit vectors (M, 128) float32."""
    feature, person, _, people = _market()
    if fitted == "random":
        return random_projection(feature.shape[1], "").apply(feature)
    fitted_to = np.isin(person, people[n_objects:]) if fitted == "others" else np.ones(len(person), bool)
    return fit_pca(feature[fitted_to], "").apply(feature)


def _night(boxes: np.ndarray, fitted: Fitted) -> RealNight:
    """One tracklet per (camera, object) of rows (camera, object, frame, ...), by the protocol."""
    _, person, taken_by, people = _market()
    objects = np.unique(boxes[:, 1])
    feature = _looks(fitted, len(objects))
    actor = dict(zip(objects.tolist(), people))
    rng = np.random.default_rng(SEED)
    seen, who = [], []
    for camera, name in np.unique(boxes[:, :2], axis=0).tolist():
        frame = boxes[(boxes[:, 0] == camera) & (boxes[:, 1] == name), 2]
        cameras = np.unique(taken_by[person == actor[name]])
        rows = np.flatnonzero((person == actor[name]) & (taken_by == cameras[(camera - 1) % len(cameras)]))
        looks = feature[rng.choice(rows, min(EXEMPLARS, len(rows)), replace=False)]
        start_s, end_s = frame.min() / FRAMES_PER_S, frame.max() / FRAMES_PER_S
        seen.append(Seen(_name(camera, name), f"c{camera}", start_s, end_s, looks, n_observations=len(frame)))
        who.append(name)
    return RealNight(seen, np.array(who))


def _name(camera: int, name: int) -> str:
    return f"c{camera}-{name:05d}"
