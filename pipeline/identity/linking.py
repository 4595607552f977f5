"""Tracklets of a night in, identities out: the parts of this package wired together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.config import IdentityConfig
from pipeline.identity.again import Again
from pipeline.identity.calibration import Calibration
from pipeline.identity.candidates import candidate_pairs
from pipeline.identity.clustering import Clusters, agglomerate
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.ground import GroundTracks
from pipeline.identity.kernels import ties
from pipeline.identity.linked import Fixed, GroupLooks, Identities, Linked
from pipeline.identity.looks import Looks
from pipeline.identity.merges import Merges, evidence_of
from pipeline.identity.naming import identity_name
from pipeline.identity.neighbours import SearchLog
from pipeline.identity.settled import Settled
from pipeline.identity.spacetime import Ground, survey
from pipeline.identity.tint import bias
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.identity.weighing import Weighed
from pipeline.types import Exemplars, Tracklets, class_group

NOTHING_FIXED = Fixed()

LINKING_VERSION = 1
"""Raised by one whenever the same tracklets may be linked otherwise than before: nights are then linked anew."""


def link(
    tracklets: Tracklets,
    camera_id: np.ndarray,
    exemplars: Exemplars,
    config: IdentityConfig,
    *,
    ground: GroundTracks | None = None,
    device: str = "auto",
    fixed: Fixed = NOTHING_FIXED,
    log: SearchLog | None = None,
) -> Linked:
    """Give every tracklet an identity, and say why.

    camera_id (N,) object (str), the camera of each tracklet. Rows may come in any order; the answer depends on their
    content alone. Candidate pairs are of two cameras, of one class group, inside the travel window of `config`. Two
    tracklets with a common instant in one camera, or in two cameras that do not overlap, and two outside the window of
    their cameras are never one identity, not through others either. Two tracklets of one camera at different times
    (a broken track, somebody who came back) are not compared with each other, but share an identity where both belong
    to the same tracklet of another camera and they look it (see again). A tracklet without exemplars is compared by its
    own embedding; one whose looks tell nothing is not judged.

    ground tells where the tracklets of calibrated cameras stood; then places and ways are evidence beside the looks
    (see spacetime): two that are apart on the ground, or too far for the time between, are never one, and a tracklet
    may continue one that broke off moments before in the same camera. fixed is what was settled before: an identity
    with a tracklet whose identity is fixed has that identity.
    Raises ValueError where ids repeat, lengths differ or an exemplar's tracklet is missing.
    """
    topology = Topology.from_config(tuple(sorted({str(name) for name in camera_id})), config)
    return link_within(
        topology, tracklets, camera_id, exemplars, config, ground=ground, device=device, fixed=fixed, log=log
    )


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
    log: SearchLog | None = None,
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
    looks = Looks.lay_out(tracklets.tracklet_id, tracklets.embedding, exemplars).take(order)
    judged = (tracklets.n_observations[order] >= config.min_observations) & looks.known()
    group = np.array([class_group(int(class_id)) for class_id in tracklets.class_id[order]], dtype=object)
    settled = Settled.lay_out(tracklet_id, fixed)

    label = np.arange(len(tracklet_id))
    confidence = np.zeros(len(tracklet_id), np.float32)
    merges, taught = [], []
    for name in sorted(set(group)):
        index = np.flatnonzero(judged & (group == name))
        own = sightings.take(index)
        on_ground = None if ground is None else survey(own, tracklet_id[index], topology, ground, str(name))
        found = _link_group(own, looks.take(index), topology, on_ground, settled.take(index), config, device, log)
        label[index], confidence[index] = index[found.clusters.label], found.confidence
        merges.append(found.merges.of(index))
        taught.append(found.looks(str(name), topology.cameras))
    label = settled.joined(label)
    identity = settled.named(label, identity_ids(tracklet_id, sightings.started_at_us, label))
    made = Merges.concatenate(merges)
    evidence = evidence_of(made, tracklet_id, identity, sightings, topology.cameras)
    return Linked(Identities(tracklet_id, identity, confidence), evidence, tuple(taught))


def exemplar_sets(tracklet_id: np.ndarray, embedding: np.ndarray, exemplars: Exemplars) -> ExemplarSets:
    """Gather the exemplars of each tracklet, in time; its own embedding (N, D) where it has none.

    tracklet_id (N,) sorted. Raises ValueError for an exemplar of a tracklet that is not there.
    """
    return Looks.lay_out(tracklet_id, embedding, exemplars).sets(np.arange(len(tracklet_id)))


def identity_ids(tracklet_id: np.ndarray, started_at_us: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Name each cluster after its earliest tracklet (ties by tracklet_id): (N,) object.

    The name is a digest, so it stays when later tracklets join and does not depend on how many identities there are.
    """
    name: dict[int, str] = {}
    for row in np.lexsort((tracklet_id.astype(str), started_at_us)).tolist():
        cluster = int(label[row])
        if cluster not in name:
            name[cluster] = identity_name(tracklet_id[row])
    return np.array([name[cluster] for cluster in label.tolist()], dtype=object)


@dataclass(frozen=True, eq=False, slots=True)
class _Group:
    """What linking one class group gave, rows being those of the group."""

    clusters: Clusters
    confidence: np.ndarray
    merges: Merges
    calibration: Calibration
    n_pairs: int
    tint: np.ndarray
    search: str

    def looks(self, name: str, cameras: tuple[str, ...]) -> GroupLooks:
        """Return what the night taught about the looks of the group."""
        tint, n_tracklets = self.tint.astype(np.float32), len(self.confidence)
        return GroupLooks(name, cameras, tint, self.calibration, n_tracklets, self.n_pairs, self.search)


def _link_group(
    sightings: Sightings,
    looks: Looks,
    topology: Topology,
    ground: Ground | None,
    settled: Settled,
    config: IdentityConfig,
    device: str,
    log: SearchLog | None,
) -> _Group:
    """Cluster the tracklets of one class group."""
    own_log = SearchLog()
    tint = bias(looks, sightings.camera, len(topology.cameras))
    looks = looks.without(tint, sightings.camera)
    search = {"device": device, "exact_vectors": config.exact_vectors, "recall": config.recall, "log": own_log}
    pairs = candidate_pairs(sightings, looks, topology, config.neighbours, **search)
    if log is not None:
        log.add(own_log.seconds, own_log.products, own_log.indexes)
    if ground is not None:
        pairs = _with_neighbours_on_the_ground(pairs, ground)
    weighed = Weighed.weigh(
        pairs, sightings, looks, topology, ground, configured=config.min_similarity, learn_travel=config.learn_travel
    )
    again = Again.learn(sightings, looks, weighed.unlike)

    def relate(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        placed = topology.relate(sightings.take(i), sightings.take(j)) if ground is None else ground.relate(i, j)
        return again.applied(placed, i, j)

    merging, free = weighed.merging, settled.free(pairs)
    clusters = agglomerate(
        len(sightings),
        pairs if free.all() else pairs[free],  # a million tracklets have some ten million pairs
        merging.score if free.all() else merging.score[free],
        settled.obeyed_by(relate),
        stranger_score=merging.stranger,
        least=merging.least,
        start=settled.start(),
    )
    probability = weighed.probability
    confidence = _confidence(clusters.label, pairs, probability)
    merges, by_looks = weighed.merges(clusters, probability), weighed.by_looks(probability)
    return _Group(clusters, confidence, merges, by_looks, len(pairs), tint, own_log.text)


def _with_neighbours_on_the_ground(pairs: np.ndarray, ground: Ground) -> np.ndarray:
    """Return the pairs found by look that the ground does not rule out, and those found on the ground, sorted."""
    possible = ground.relate(pairs[:, 0], pairs[:, 1]) == Relation.POSSIBLE
    return np.unique(np.concatenate([pairs[possible], ground.pairs()]), axis=0)


def _confidence(label: np.ndarray, pairs: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the confidence of each tracklet as Identities describes it."""
    tie_sum, n_ties, best_refused = (np.zeros(len(label)) for _ in range(3))
    ties.add_ties(label, pairs, probability, tie_sum, n_ties, best_refused)
    tied = np.divide(tie_sum, n_ties, out=np.zeros(len(label)), where=n_ties > 0)
    return np.where(n_ties > 0, tied, 1.0 - best_refused).astype(np.float32)
