"""Tracklets of a night in, identities out: the parts of this package wired together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from pipeline.config import IdentityConfig
from pipeline.identity.calibration import Calibration, calibrate, known_strangers
from pipeline.identity.candidates import candidate_pairs, count_possible
from pipeline.identity.clustering import Clusters, agglomerate
from pipeline.identity.evidence import ExemplarSets, bias, halves, similarity, without_bias
from pipeline.identity.ground import GroundTracks
from pipeline.identity.linked import Evidence, Fixed, GroupLooks, Identities, Linked
from pipeline.identity.settled import Settled
from pipeline.identity.spacetime import Ground, survey
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.types import Exemplars, Tracklets, class_group

US_PER_S = 1_000_000
NOTHING_FIXED = Fixed()


def link(
    tracklets: Tracklets,
    camera_id: np.ndarray,
    exemplars: Exemplars,
    config: IdentityConfig,
    *,
    ground: GroundTracks | None = None,
    device: str = "auto",
    fixed: Fixed = NOTHING_FIXED,
) -> Linked:
    """Give every tracklet an identity, and say why.

    camera_id (N,) object (str), the camera of each tracklet. Rows may come in any order; the answer depends on their
    content alone. Candidate pairs are of two cameras, of one class group, inside the travel window of `config`. Two
    tracklets with a common instant in one camera, or in two cameras that do not overlap, and two outside the window of
    their cameras are never one identity, not through others either. Two tracklets of one camera at different times
    (a broken track, somebody who came back) are not compared with each other, but share an identity where both belong
    to the same tracklet of another camera. A tracklet without exemplars is compared by its own embedding.

    ground tells where the tracklets of calibrated cameras stood; then places and ways are evidence beside the looks
    (see spacetime): two that are apart on the ground, or too far for the time between, are never one, and a tracklet
    may continue one that broke off moments before in the same camera. fixed is what was settled before: an identity
    with a tracklet whose identity is fixed has that identity.
    Raises ValueError where ids repeat, lengths differ or an exemplar's tracklet is missing.
    """
    topology = Topology.from_config(tuple(sorted({str(name) for name in camera_id})), config)
    return link_within(topology, tracklets, camera_id, exemplars, config, ground=ground, device=device, fixed=fixed)


def link_within(
    topology: Topology,
    tracklets: Tracklets,
    camera_id: np.ndarray,
    exemplars: Exemplars,
    config: IdentityConfig,
    *,
    ground: GroundTracks | None = None,
    device: str = "auto",
    fixed: Fixed = NOTHING_FIXED,
) -> Linked:
    """Do what `link` does inside a topology that is already laid out; config.links is not read."""
    if len(camera_id) != len(tracklets):
        raise ValueError(f"camera_id: expected {len(tracklets)} rows, one a tracklet, got {len(camera_id)}")
    order = np.argsort(tracklets.tracklet_id, kind="stable")
    tracklet_id = tracklets.tracklet_id[order]
    repeated = tracklet_id[1:][tracklet_id[1:] == tracklet_id[:-1]]
    if len(repeated):
        raise ValueError(f"tracklets: expected every tracklet_id once, got {repeated[0]!r} twice")
    place = {name: index for index, name in enumerate(topology.cameras)}
    sightings = Sightings(
        np.array([place[name] for name in camera_id[order]], np.int32),
        tracklets.started_at_us[order],
        tracklets.ended_at_us[order],
    )
    sets = exemplar_sets(tracklet_id, tracklets.embedding[order], exemplars)
    judged = tracklets.n_observations[order] >= config.min_observations
    group = np.array([class_group(int(class_id)) for class_id in tracklets.class_id[order]], dtype=object)
    settled = Settled.lay_out(tracklet_id, fixed)

    label = np.arange(len(tracklet_id))
    confidence = np.zeros(len(tracklet_id), np.float32)
    merges, looks = [], []
    for name in sorted(set(group)):
        index = np.flatnonzero(judged & (group == name))
        own = sightings.take(index)
        on_ground = None if ground is None else survey(own, tracklet_id[index], topology, ground, str(name))
        found = _link_group(own, sets.take(index), topology, on_ground, settled.take(index), config, device)
        label[index], confidence[index] = index[found.clusters.label], found.confidence
        merges.append(found.merges.of(index))
        looks.append(found.looks(str(name), topology.cameras))
    label = settled.joined(label)
    identity = settled.named(label, identity_ids(tracklet_id, sightings.started_at_us, label))
    evidence = _evidence(
        Merges.concatenate([_by_hand(settled), *merges]), tracklet_id, identity, sightings, topology.cameras
    )
    return Linked(Identities(tracklet_id, identity, confidence), evidence, tuple(looks))


def exemplar_sets(tracklet_id: np.ndarray, embedding: np.ndarray, exemplars: Exemplars) -> ExemplarSets:
    """Gather the exemplars of each tracklet, in time; its own embedding (N, D) where it has none.

    tracklet_id (N,) sorted. Raises ValueError for an exemplar of a tracklet that is not there.
    """
    place = {name: index for index, name in enumerate(tracklet_id)}
    strays = sorted(set(exemplars.tracklet_id) - place.keys())
    if strays:
        raise ValueError(f"exemplars: expected only those of the tracklets given, got some of {strays[0]!r}")
    owner = np.array([place[name] for name in exemplars.tracklet_id], np.int64)
    bare = np.setdiff1d(np.arange(len(tracklet_id)), owner)
    owner = np.concatenate([owner, bare])
    instant = np.concatenate([exemplars.captured_at_us, np.zeros(len(bare), np.int64)])
    frame = np.concatenate([exemplars.frame, np.zeros(len(bare), np.int32)])
    vector = np.concatenate([exemplars.embedding, embedding[bare]])
    in_order = np.lexsort((frame, instant, owner))
    size = np.bincount(owner, minlength=len(tracklet_id))
    return ExemplarSets(vector[in_order], np.concatenate([[0], np.cumsum(size)]).astype(np.int64))


def identity_ids(tracklet_id: np.ndarray, started_at_us: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Name each cluster after its earliest tracklet (ties by tracklet_id): (N,) object.

    The name is a digest, so it stays when later tracklets join and does not depend on how many identities there are.
    """
    name: dict[int, str] = {}
    for row in np.lexsort((tracklet_id.astype(str), started_at_us)).tolist():
        cluster = int(label[row])
        if cluster not in name:
            name[cluster] = "id-" + hashlib.blake2b(tracklet_id[row].encode(), digest_size=8).hexdigest()
    return np.array([name[cluster] for cluster in label.tolist()], dtype=object)


VETO = -1e6
"""Log odds that no other evidence makes up for."""


@dataclass(frozen=True, eq=False, slots=True)
class Merging:
    """What clusters are merged by: score (P,) of each pair, `stranger` for pairs never looked at, `least` to merge."""

    score: np.ndarray
    stranger: float
    least: float

    @staticmethod
    def by_look(alike: np.ndarray, calibration: Calibration) -> Merging:
        """Merge by similarity: where looks are all there is, their average is the steadier measure."""
        return Merging(alike, calibration.stranger_similarity, calibration.min_similarity)

    @staticmethod
    def by_odds(alike: np.ndarray, prior: np.ndarray, calibration: Calibration) -> Merging:
        """Merge by log odds, in which looks, places and times add up; from 0 on one is likelier than two.

        A configured min_similarity is obeyed as a veto: a pair below it counts as nearly impossible.
        """
        stranger = float(calibration.log_odds(np.array([calibration.stranger_similarity]))[0])
        score = calibration.log_odds(alike, prior)
        vetoed = (calibration.rule == "configured") & (alike < calibration.min_similarity)
        return Merging(np.where(vetoed, VETO, score), stranger, 0.0)


@dataclass(frozen=True, eq=False, slots=True)
class Merges:
    """M merges: the pair (i, j) that tied two sides, its similarity and probability, that of the sides, the rule."""

    i: np.ndarray
    j: np.ndarray
    similarity: np.ndarray
    probability: np.ndarray
    merge_probability: np.ndarray
    rule: np.ndarray

    def of(self, index: np.ndarray) -> Merges:
        """Return the same merges with rows i and j replaced by index[i] and index[j]."""
        return Merges(
            index[self.i], index[self.j], self.similarity, self.probability, self.merge_probability, self.rule
        )

    @staticmethod
    def concatenate(parts: list[Merges]) -> Merges:
        """Lay merges one after another."""
        return Merges(*(np.concatenate([getattr(part, name) for part in parts]) for name in Merges.__slots__))


@dataclass(frozen=True, eq=False, slots=True)
class _Group:
    """What linking one class group gave, rows being those of the group."""

    clusters: Clusters
    confidence: np.ndarray
    merges: Merges
    tint: np.ndarray
    calibration: Calibration
    n_pairs: int

    def looks(self, name: str, cameras: tuple[str, ...]) -> GroupLooks:
        return GroupLooks(
            name, cameras, self.tint.astype(np.float32), self.calibration, len(self.confidence), self.n_pairs, "exact"
        )


def _link_group(
    sightings: Sightings,
    sets: ExemplarSets,
    topology: Topology,
    ground: Ground | None,
    settled: Settled,
    config: IdentityConfig,
    device: str,
) -> _Group:
    """Cluster the tracklets of one class group."""
    tint = bias(sets, sightings.camera, len(topology.cameras))
    sets = without_bias(sets, sightings.camera, tint)
    pairs = candidate_pairs(sightings, sets, topology, config.neighbours, device=device)
    if ground is not None:
        pairs = _with_neighbours_on_the_ground(pairs, ground)
    alike = similarity(sets, pairs[:, 0], pairs[:, 1])
    prior = None if ground is None else ground.log_odds(pairs[:, 0], pairs[:, 1])
    calibration = calibrate(
        alike,
        count_possible(sightings, topology),
        similarity(*halves(sets)),
        similarity(sets, *known_strangers(sightings, topology)),
        configured=config.min_similarity,
        prior=prior,
    )
    merge = Merging.by_look(alike, calibration) if prior is None else Merging.by_odds(alike, prior, calibration)
    relate = settled.obeyed_by(
        (lambda i, j: topology.relate(sightings.take(i), sightings.take(j))) if ground is None else ground.relate
    )
    free = settled.free(pairs)
    clusters = agglomerate(
        len(sightings),
        pairs[free],
        merge.score[free],
        relate,
        stranger_score=merge.stranger,
        least=merge.least,
        start=settled.start(),
    )
    probability = calibration.probability(alike, prior)
    tie = _rows_of(pairs, clusters.i, clusters.j)
    if prior is None:
        average, told = calibration.probability(clusters.average), np.zeros(len(tie), bool)
    else:
        average, told = 1.0 / (1.0 + np.exp(-clusters.average)), ~np.isnan(prior[tie])
    merges = Merges(
        clusters.i,
        clusters.j,
        alike[tie],
        probability[tie].astype(np.float32),
        average.astype(np.float32),
        np.where(told, "look and ground", "look").astype(object),
    )
    return _Group(clusters, _confidence(clusters.label, pairs, probability), merges, tint, calibration, len(pairs))


def _rows_of(pairs: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the rows of the pairs (i, j) (M,) in `pairs` (P, 2), which is sorted and holds each."""
    span = int(pairs.max(initial=0)) + 1
    return np.searchsorted(pairs[:, 0] * span + pairs[:, 1], i * span + j)


def _by_hand(settled: Settled) -> Merges:
    """Return the merges that people made."""
    i, j = settled.together.T
    one = np.ones(len(i), np.float32)
    return Merges(i, j, np.full(len(i), np.nan, np.float32), one, one, np.full(len(i), "person", dtype=object))


def _evidence(
    merges: Merges, tracklet_id: np.ndarray, identity_id: np.ndarray, sightings: Sightings, cameras: tuple[str, ...]
) -> Evidence:
    """Write merges out with the names of things; of each pair the tracklet that began first comes first."""
    i, j = merges.i, merges.j
    swapped = sightings.started_at_us[j] < sightings.started_at_us[i]
    a, b = np.where(swapped, j, i), np.where(swapped, i, j)
    name = np.array([*cameras, None], dtype=object)[:-1]
    return Evidence(
        identity_id[a],
        tracklet_id[a],
        tracklet_id[b],
        name[sightings.camera[a]],
        name[sightings.camera[b]],
        merges.similarity,
        merges.probability,
        merges.merge_probability,
        (sightings.started_at_us[b] - sightings.ended_at_us[a]) / US_PER_S,
        merges.rule,
    )


def _with_neighbours_on_the_ground(pairs: np.ndarray, ground: Ground) -> np.ndarray:
    """Return the pairs found by look that the ground does not rule out, and those found on the ground, sorted."""
    possible = ground.relate(pairs[:, 0], pairs[:, 1]) == Relation.POSSIBLE
    return np.unique(np.concatenate([pairs[possible], ground.pairs()]), axis=0)


def _confidence(label: np.ndarray, pairs: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the confidence of each tracklet as Identities describes it."""
    joined = label[pairs[:, 0]] == label[pairs[:, 1]]
    tie_sum, n_ties, best_refused = (np.zeros(len(label)) for _ in range(3))
    for side in (0, 1):
        np.add.at(tie_sum, pairs[joined, side], probability[joined])
        np.add.at(n_ties, pairs[joined, side], 1)
        np.maximum.at(best_refused, pairs[~joined, side], probability[~joined])
    tied = np.divide(tie_sum, n_ties, out=np.zeros(len(label)), where=n_ties > 0)
    return np.where(n_ties > 0, tied, 1.0 - best_refused).astype(np.float32)
