"""Who of tonight was known already: identities of two nights compared by looks alone."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline.identity.calibration import FALLBACK_RANGE, Calibration
from pipeline.identity.comparing import similarity
from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.neighbours import nearest

EXEMPLARS = 8
"""Exemplars an identity is known by, spread over all it has: as many as one tracklet has at most."""

LEAST_PROBABILITY = 0.5
"""From here on it is likelier that somebody returned than that not."""


@dataclass(frozen=True, eq=False, slots=True)
class Appearances:
    """I identities of one class group in one night, and the S tracklets in which they were seen.

    identity_id     (I,) object (str), sorted
    sets            I sets of at most EXEMPLARS exemplars, freed of what their cameras add
    exemplar_of     (E,) int64, tracklet each exemplar is of, index into those below
    first           (I + 1,) int64, identity n was seen in the tracklets first[n]:first[n + 1], in time
    tracklet_id     (S,) object (str); camera_id (S,) object (str)
    started_at_us   (S,) int64; ended_at_us (S,) int64
    """

    identity_id: np.ndarray
    sets: ExemplarSets
    exemplar_of: np.ndarray
    first: np.ndarray
    tracklet_id: np.ndarray
    camera_id: np.ndarray
    started_at_us: np.ndarray
    ended_at_us: np.ndarray

    def __len__(self) -> int:
        return len(self.identity_id)

    @staticmethod
    def gather(
        identity_id: np.ndarray,
        tracklet_id: np.ndarray,
        camera_id: np.ndarray,
        started_at_us: np.ndarray,
        ended_at_us: np.ndarray,
        sets: ExemplarSets,
    ) -> Appearances:
        """Gather tracklets (N,) with their identities and exemplar sets, already freed of their cameras' tints."""
        names, who = np.unique(identity_id.astype(str), return_inverse=True)
        order = np.lexsort((tracklet_id.astype(str), started_at_us, who))
        first = np.searchsorted(who[order], np.arange(len(names) + 1))
        in_time = sets.take(order)
        owner = in_time.owner  # (E',) tracklet of each exemplar, by identity and time
        bounds = in_time.first[first]
        size = np.diff(bounds)
        kept = np.minimum(size, EXEMPLARS)
        start = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        step = np.arange(start[-1]) - np.repeat(start[:-1], kept)
        spread = (2 * step + 1) * np.repeat(size, kept) // (2 * np.repeat(kept, kept))
        chosen = np.repeat(bounds[:-1], kept) + spread
        return Appearances(
            names.astype(object),
            ExemplarSets(in_time.vector[chosen], start),
            owner[chosen],
            first.astype(np.int64),
            tracklet_id[order],
            camera_id[order],
            started_at_us[order],
            ended_at_us[order],
        )

    def break_us(self, i: int, other: Appearances, j: int) -> int:
        """Return the shortest time between sightings of own identity i and the other's j; below 0 where at once."""
        own, theirs = slice(*self.first[i : i + 2]), slice(*other.first[j : j + 2])
        later = np.maximum(self.started_at_us[own, None], other.started_at_us[None, theirs])
        return int((later - np.minimum(self.ended_at_us[own, None], other.ended_at_us[None, theirs])).min())


@dataclass(frozen=True, slots=True)
class Return:
    """One identity of tonight that looks like one of another night, each the other's best.

    identity_id, known_id    of tonight, of the other night
    tracklet_id, known_tracklet_id   those whose exemplars were most alike
    travel_s     start of the later tracklet minus end of the earlier
    log_ratio    log of how much likelier the looks are of one than of two
    probability  that the two are one; set by `settle`
    """

    identity_id: str
    known_id: str
    tracklet_id: str
    known_tracklet_id: str
    camera_id: str
    known_camera_id: str
    known_first: bool
    travel_s: float
    similarity: float
    log_ratio: float
    probability: float = 0.0


def recognise(
    tonight: Appearances,
    known: Appearances,
    calibration: Calibration,
    *,
    reach_us: int,
    neighbours: int,
    device: str = "auto",
    exact_vectors: int | None = None,
    recall: float = 1.0,
    barred: Collection[tuple[str, str]] = (),
) -> list[Return]:
    """Return who of tonight looks most like whom of another night, and the other way round, in the order of tonight's.

    Two with sightings at most `reach_us` apart are passed over: whether those are one, travel windows have told. So are
    the pairs (identity of tonight, of the other night) in `barred`. Where no spread could be fitted tonight, only looks
    as much alike as repeats of one picture count (see calibration.FALLBACK_RANGE); a configured least is obeyed.
    Beyond exact_vectors identities of a side they are searched by an index that finds the share `recall` of neighbours.
    """
    search = partial(nearest, k=neighbours, device=device, exact_vectors=exact_vectors, recall=recall)
    pairs = _candidates(tonight, known, search)
    both = _joined_sets(tonight.sets, known.sets)
    alike = similarity(both, pairs[:, 0], len(tonight) + pairs[:, 1])
    log_ratio = calibration.log_odds(alike, np.zeros(len(alike)))
    likely = (alike >= _least(calibration)) & (log_ratio >= 0)  # below, no prior makes it likelier than not
    pairs, alike, log_ratio = pairs[likely], alike[likely], log_ratio[likely]
    allowed = np.array(
        [
            (tonight.identity_id[i], known.identity_id[j]) not in barred and tonight.break_us(i, known, j) > reach_us
            for i, j in pairs.tolist()
        ],
        bool,
    )
    pairs, alike, log_ratio = pairs[allowed], alike[allowed], log_ratio[allowed]
    mutual = _best(pairs[:, 0], pairs[:, 1], alike) & _best(pairs[:, 1], pairs[:, 0], alike)
    return [
        _return(tonight, known, i, j, float(value), float(ratio))
        for (i, j), value, ratio in zip(pairs[mutual].tolist(), alike[mutual], log_ratio[mutual], strict=True)
    ]


def settle(found: list[Return], n_rivals: int) -> dict[str, Return]:
    """Return who is taken for whom, by tonight's identity: one to one, the likeliest first.

    found may hold several nights' returns. n_rivals, how many could be meant: the greater of tonight's number of
    identities and that of all known. Of so many at most one is right, so the prior odds are one to that number.
    """
    prior = -np.log(max(n_rivals, 1))
    taken: set[str] = set()
    settled: dict[str, Return] = {}
    for one in sorted(found, key=_likeliest_first):
        probability = float(1.0 / (1.0 + np.exp(-np.clip(one.log_ratio + prior, -500, 500))))
        if probability < LEAST_PROBABILITY:
            break
        if one.identity_id not in settled and one.known_id not in taken:
            settled[one.identity_id] = replace(one, probability=probability)
            taken.add(one.known_id)
    return settled


def _likeliest_first(one: Return) -> tuple:
    return -one.log_ratio, -one.similarity, one.travel_s, one.identity_id, one.known_id


def _least(calibration: Calibration) -> float:
    """Return the least similarity that counts."""
    if calibration.rule == "few pairs":
        return max(calibration.min_similarity, FALLBACK_RANGE[1])
    return calibration.min_similarity if calibration.rule == "configured" else -1.0


def _candidates(tonight: Appearances, known: Appearances, search: Callable) -> np.ndarray:
    """Return the pairs (P, 2) of which `search` finds either among the other's neighbours by their mean looks, sorted.

    Means, not exemplars: 64 times as many exemplar pairs would have to be searched, night after night of the memory.
    """
    own, theirs = _mean_looks(tonight.sets), _mean_looks(known.sets)
    _, of_own = search(own, theirs)
    _, of_theirs = search(theirs, own)
    i = np.broadcast_to(np.arange(len(own))[:, None], of_own.shape)
    j = np.broadcast_to(np.arange(len(theirs))[:, None], of_theirs.shape)
    found = [np.stack([i.ravel(), of_own.ravel()], axis=1), np.stack([of_theirs.ravel(), j.ravel()], axis=1)]
    pairs = np.concatenate(found)
    return np.unique(pairs[(pairs >= 0).all(axis=1)], axis=0).astype(np.int64)  # -1 where an index found fewer


def _mean_looks(sets: ExemplarSets) -> np.ndarray:
    """Return the mean of each set at unit length, (N, D) float32."""
    mean = sets.means()
    length = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.divide(mean, length, out=np.zeros_like(mean), where=length > 0).astype(np.float32)


def _joined_sets(a: ExemplarSets, b: ExemplarSets) -> ExemplarSets:
    return ExemplarSets(np.concatenate([a.vector, b.vector]), np.concatenate([a.first, a.first[-1] + b.first[1:]]))


def _best(side: np.ndarray, other: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Tell (P,) which pairs are the most alike of their `side`; ties go to the lower `other`."""
    order = np.lexsort((other, -alike, side))
    best = np.zeros(len(side), bool)
    best[order[np.unique(side[order], return_index=True)[1]]] = True
    return best


def _return(tonight: Appearances, known: Appearances, i: int, j: int, alike: float, log_ratio: float) -> Return:
    """Name the two tracklets whose exemplars are most alike, and the time between."""
    own, theirs = slice(*tonight.sets.first[i : i + 2]), slice(*known.sets.first[j : j + 2])
    product = tonight.sets.vector[own] @ known.sets.vector[theirs].T
    row, column = np.unravel_index(int(np.argmax(product)), product.shape)
    a, b = int(tonight.exemplar_of[own][row]), int(known.exemplar_of[theirs][column])
    known_first = bool(known.started_at_us[b] <= tonight.started_at_us[a])
    later_us = tonight.started_at_us[a] if known_first else known.started_at_us[b]
    earlier_us = known.ended_at_us[b] if known_first else tonight.ended_at_us[a]
    return Return(
        identity_id=str(tonight.identity_id[i]),
        known_id=str(known.identity_id[j]),
        tracklet_id=str(tonight.tracklet_id[a]),
        known_tracklet_id=str(known.tracklet_id[b]),
        camera_id=str(tonight.camera_id[a]),
        known_camera_id=str(known.camera_id[b]),
        known_first=known_first,
        travel_s=int(later_us - earlier_us) / 1e6,
        similarity=alike,
        log_ratio=log_ratio,
    )
