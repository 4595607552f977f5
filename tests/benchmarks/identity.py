"""What each part of cross-camera linking is worth on real truth: the evidence behind docs/identity.md.

    python -m tests.benchmarks.identity [--looks all,others,random] [--nights hcmc,wildtrack,ground]

IDF1 by the protocol written beside the data (see tests/identity/real_nights.py): real trajectories, real looks of other
people put on them. The parts come one after another, each with everything above it. `night` is the threshold that the
night's own calibration chooses, as in `link`; `best` the one that scores best, which only who knows the truth could
choose: the distance between the two is what calibration loses. The last rows are `link` itself, whose threshold is its
own, with the IDF1 that perfect looks would reach under the same windows.

Nothing here was trained. OSNet's weights are of MSMT17; Market-1501's people are new to it. Its 512 features become 128
by a PCA without labels, fitted to all of Market's people (`all`) or to those who are nobody on the night (`others`), or
by nightfleet's fixed random projection (`random`). The travel windows `as configured` are read off the truth of the
same road, as an operator would have measured them (1st to 99th percentile).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from pipeline.config import IdentityConfig, LinkConfig
from pipeline.identity import reranking
from pipeline.identity.calibration import calibrate, known_strangers
from pipeline.identity.clustering import agglomerate
from pipeline.identity.evidence import ExemplarSets, halves, without_bias
from pipeline.identity.linking import exemplar_sets, link
from pipeline.identity.topology import Relation, Sightings, Topology
from tests.identity import real_nights
from tests.identity.real_nights import RealNight
from tests.identity.slow_comparing import bias, similarity

THRESHOLDS = np.arange(0.2, 0.96, 0.02)
LEAST = 0.1
"""Pairs less alike are no candidates: strangers, whatever the threshold."""

HOUR_S = 3600.0
K1, K2 = 8, 3
"""Of re-ranking: one object has a handful of tracklets, not the 20 pictures of Market-1501's people."""

LONERS = {0.5: "half", 0.9: "nine tenths"}
"""Nights of whom most pass one camera only, cut down from the real ones."""

TIMES_NOT_LEARNED = {"learn_travel": False}

NEAR_M = 1.0
"""One person in two views is this close at most: boxes put him to some decimetres."""

LOOKS = ("all", "others", "random")


@dataclass(frozen=True, eq=False)
class Scene:
    """A night laid out for the parts: rows in the order of `night.seen`, which is that of tracklet ids."""

    night: RealNight
    sightings: Sightings
    sets: ExemplarSets
    topology: Topology

    @staticmethod
    def of(night: RealNight, config: IdentityConfig) -> Scene:
        tracklets, camera_id, exemplars = night.inputs
        topology = Topology.from_config(night.cameras, config)
        place = {name: index for index, name in enumerate(topology.cameras)}
        camera = np.array([place[name] for name in camera_id], np.int32)
        sets = exemplar_sets(tracklets.tracklet_id, tracklets.embedding, exemplars)
        return Scene(night, Sightings(camera, tracklets.started_at_us, tracklets.ended_at_us), sets, topology)

    def without_tint(self) -> Scene:
        tint = bias(self.sets, self.sightings.camera, len(self.topology.cameras))
        return replace(self, sets=without_bias(self.sets, self.sightings.camera, tint))

    def in_windows(self, config: IdentityConfig) -> Scene:
        return replace(self, topology=Topology.from_config(self.night.cameras, config))

    def relate(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        return self.topology.relate(self.sightings.take(i), self.sightings.take(j))

    def anything_goes(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Any two of different cameras may be one, whenever they were seen."""
        apart = self.sightings.camera[i] != self.sightings.camera[j]
        return np.where(apart, np.int8(Relation.POSSIBLE), np.int8(Relation.UNTOLD))

    def once(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """As `relate`, but that two tracklets of one camera are never one: nobody returns and no track breaks.

        So it is in the truth of both data sets, and the night says so itself: tracklets of one camera at different
        times look no more alike than those there at once.
        """
        twice = self.sightings.camera[i] == self.sightings.camera[j]
        return np.where(twice, np.int8(Relation.NEVER), self.relate(i, j))

    def idf1(self, label: np.ndarray) -> float:
        return real_nights.idf1(self.night.who, label, [one.n_observations for one in self.night.seen])


@dataclass(frozen=True, eq=False)
class Judged:
    """The pairs of a scene (P, 2), how alike they are (P,), and what the night says of it."""

    scene: Scene
    relate: Callable[[np.ndarray, np.ndarray], np.ndarray]
    pairs: np.ndarray
    alike: np.ndarray
    least: float
    stranger: float

    @staticmethod
    def of(scene: Scene, relate: Callable[[np.ndarray, np.ndarray], np.ndarray], *, company: bool = False) -> Judged:
        """Compare all that may be one by `relate`; with `company`, by k-reciprocal re-ranking among all tracklets."""
        i, j = np.triu_indices(len(scene.sightings), 1)
        possible = relate(i, j) == Relation.POSSIBLE
        pairs = np.stack([i[possible], j[possible]], axis=1)
        alike = similarity(scene.sets, *pairs.T)
        same = similarity(*halves(scene.sets))
        strange = known_strangers(scene.sightings, scene.topology)
        strangers = similarity(scene.sets, *strange)
        if company:
            every = np.stack([i, j], axis=1)
            kept = reranking.company_of_sets(scene.sets, every, similarity(scene.sets, i, j), k1=K1, k2=K2)
            lam = reranking.LAMBDA
            alike = reranking.blend(alike, kept.overlap(*pairs.T), lam)
            strangers = reranking.blend(strangers, kept.overlap(*strange), lam)
            same = reranking.blend(same, np.ones(len(same)), lam)  # one tracklet keeps one company
        found = calibrate(alike, float(len(pairs)), same, strangers, configured=None)
        kept_pairs = alike >= LEAST
        return Judged(
            scene, relate, pairs[kept_pairs], alike[kept_pairs], found.min_similarity, found.stranger_similarity
        )

    def chained(self, least: float) -> float:
        """Connected components of the pairs that reach `least`."""
        i, j = self.pairs[self.alike >= least].T
        size = len(self.scene.sightings)
        graph = sparse.coo_array((np.ones(len(i)), (i, j)), shape=(size, size))
        return self.scene.idf1(connected_components(graph, directed=False)[1])

    def averaged(self, least: float) -> float:
        """Average link of the pairs down to `least`."""
        clusters = agglomerate(
            len(self.scene.sightings),
            self.pairs,
            self.alike.astype(np.float64),
            self.relate,
            stranger_score=self.stranger,
            least=least,
        )
        return self.scene.idf1(clusters.label)


def scored(score: Callable[[float], float], least: float) -> str:
    """Score at the night's threshold and at the best one."""
    best = max((score(float(threshold)), float(threshold)) for threshold in THRESHOLDS)
    return f"{score(least):7.3f} at {least:4.2f}   {best[0]:7.3f} at {best[1]:4.2f}"


def parts(night: RealNight, views: IdentityConfig, windows: dict[str, tuple[LinkConfig, ...]]) -> None:
    """Print the parts one after another: each row has what the rows above it have."""
    bare = Scene.of(night, views)
    judged = Judged.of(bare, bare.anything_goes)
    _say("threshold, connected components", scored(judged.chained, judged.least))
    _say("average link instead", scored(judged.averaged, judged.least))
    judged = Judged.of(bare, bare.relate)
    _say("+ cannot-links", scored(judged.averaged, judged.least))
    even = bare.without_tint()
    judged = Judged.of(even, even.relate)
    _say("+ camera means taken out", scored(judged.averaged, judged.least))
    last = even
    for name, links in windows.items():
        last = even.in_windows(_config(links))
        judged = Judged.of(last, last.relate)
        _say(f"+ windows {name}", scored(judged.averaged, judged.least))
    judged = Judged.of(last, last.relate, company=True)
    _say("+ k-reciprocal re-ranking", scored(judged.averaged, judged.least))
    judged = Judged.of(last, last.once)
    _say("none twice in a camera, in its place", scored(judged.averaged, judged.least))
    judged = Judged.of(last, last.once, company=True)
    _say("both", scored(judged.averaged, judged.least))


def linked(name: str, night: RealNight, config: IdentityConfig) -> None:
    """Print the score of `link` itself."""
    began = time.perf_counter()
    found = link(*night.inputs, config, ground=night.ground, device="cpu")
    seconds = time.perf_counter() - began
    _say(f"link, {name}", f"{night.idf1(found):7.3f}   (perfect looks {night.bound(config):.3f}; {seconds:.1f} s)")


def road(fitted: real_nights.Fitted) -> None:
    """Vehicles in three cameras along a road."""
    night = real_nights.hcmc(fitted)
    _title("hcmc_3cam", night, fitted)
    windows = {
        "as configured, downstream": real_nights.road_windows(night),
        "as configured, signed": real_nights.road_windows(night, signed=True),
    }
    nothing_known = IdentityConfig(min_observations=1, max_travel_s=HOUR_S)
    parts(night, nothing_known, windows)
    for name, links in windows.items():
        linked(f"windows {name}, times not learned", night, _config(links).model_copy(update=TIMES_NOT_LEARNED))
        linked(f"windows {name}", night, _config(links))
    linked("no windows, times not learned", night, nothing_known.model_copy(update=TIMES_NOT_LEARNED))
    linked("no windows", night, nothing_known)
    linked("windows proposed by `topology learn`", night, _config(real_nights.learned_windows(night, nothing_known)))
    for share, name in LONERS.items():
        rest = real_nights.with_loners(night, share)
        linked(f"{name} in one camera only, signed windows", rest, _config(windows["as configured, signed"]))
        linked(f"{name} in one camera only, no windows", rest, nothing_known)


def square(fitted: real_nights.Fitted) -> None:
    """People in seven overlapping views of one square, by their looks."""
    night = real_nights.wildtrack(fitted)
    _title("WILDTRACK, looks alone", night, fitted)
    views = _config(real_nights.overlapping_views(night))
    parts(night, views, {})
    linked("overlapping views, times not learned", night, views.model_copy(update=TIMES_NOT_LEARNED))
    linked("overlapping views", night, views)
    for share, name in LONERS.items():
        linked(f"{name} in one camera only", real_nights.with_loners(night, share), views)


def ground(fitted: real_nights.Fitted) -> None:
    """The same with the places of their boxes on the square."""
    night = real_nights.wildtrack_ground(fitted)
    _title("WILDTRACK, looks and ground", night, fitted)
    _say("mean distance up to 1 m, average link", f"{near_on_average(night):7.3f}")
    linked("overlapping views, with places", night, _config(real_nights.overlapping_views(night)))


def near_on_average(night: RealNight) -> float:
    """Score average link by nothing but the mean distance at common instants.

    Those farther apart than NEAR_M, and those at once in one camera, are never one.
    """
    row = {one.name: index for index, one in enumerate(night.seen)}
    owner = np.array([row[name] for name in night.ground.tracklet_id])
    instant = np.unique(night.ground.captured_at_us, return_inverse=True)[1]
    place_m = np.full((len(row), instant.max() + 1, 2), np.nan, np.float32)
    place_m[owner, instant] = night.ground.xy_m
    there = ~np.isnan(place_m[:, :, 0])
    camera = np.array([one.camera for one in night.seen])
    together = there.astype(np.float32) @ there.T.astype(np.float32) > 0
    i, j = np.nonzero(np.triu(together, 1) & (camera[:, None] != camera))
    distance_m = np.array([np.nanmean(np.linalg.norm(place_m[a] - place_m[b], axis=1)) for a, b in zip(i, j)])
    in_one = (camera[:, None] == camera) & together
    relation = np.where(in_one & ~np.eye(len(row), dtype=bool), Relation.NEVER, Relation.UNTOLD).astype(np.int8)
    relation[i, j] = relation[j, i] = np.where(distance_m > NEAR_M, Relation.NEVER, Relation.POSSIBLE)
    near = distance_m <= NEAR_M
    pairs = np.stack([i[near], j[near]], axis=1)
    label = agglomerate(
        len(row), pairs, -distance_m[near], lambda a, b: relation[a, b], stranger_score=-NEAR_M, least=-NEAR_M
    ).label
    return real_nights.idf1(night.who, label, [one.n_observations for one in night.seen])


NIGHTS = {"hcmc": road, "wildtrack": square, "ground": ground}


def _config(links: tuple[LinkConfig, ...]) -> IdentityConfig:
    return IdentityConfig(links=links, min_observations=1)


def _title(name: str, night: RealNight, fitted: str) -> None:
    n_objects, n_boxes = len(np.unique(night.who)), sum(one.n_observations for one in night.seen)
    print(
        f"\n{name}: {len(night.seen)} tracklets of {n_objects} objects, {len(night.cameras)} cameras, {n_boxes} boxes; "
        f"128 numbers: {fitted}\n{'':56}IDF1, night       IDF1, best",
        flush=True,
    )


def _say(name: str, value: str) -> None:
    print(f"  {name:54}{value}", flush=True)


def main() -> None:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, known in (("--looks", LOOKS), ("--nights", tuple(NIGHTS))):
        parser.add_argument(option, default=",".join(known), help=f"of {', '.join(known)}; all without it")
    asked = parser.parse_args()
    for option, known in (("looks", LOOKS), ("nights", tuple(NIGHTS))):
        for one in getattr(asked, option).split(","):
            if one not in known:
                parser.error(f"--{option}: expected some of {', '.join(known)}, got {one!r}")
    for name in asked.nights.split(","):
        for fitted in asked.looks.split(","):
            NIGHTS[name](fitted)


if __name__ == "__main__":
    main()
