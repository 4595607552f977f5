"""What is known of every candidate pair of a class group: looks, travel times and rivals, or places on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.calibration import Calibration, calibrate, known_strangers
from pipeline.identity.candidates import count_possible
from pipeline.identity.clustering import Clusters
from pipeline.identity.comparing import similarity, similarity_of_halves
from pipeline.identity.looks import Looks
from pipeline.identity.merges import Merges
from pipeline.identity.passing import Passing, learn
from pipeline.identity.spacetime import Ground
from pipeline.identity.strangers import Strangers, steepness
from pipeline.identity.topology import Sightings, Topology

VETO = -1e6
"""Log odds that no other evidence makes up for."""


@dataclass(frozen=True, eq=False, slots=True)
class Merging:
    """What clusters are merged by: score (P,) of each pair, `stranger` for pairs never looked at, `least` to merge."""

    score: np.ndarray
    stranger: float
    least: float

    @staticmethod
    def by_look(alike: np.ndarray, log_odds: np.ndarray, steep: float, calibration: Calibration) -> Merging:
        """Merge by similarity, whose average is the steadiest measure of looks. What else is known (log_odds) counts as
        so much similarity as would tell the same, `steep` log odds being worth a similarity higher by 1."""
        score = alike + log_odds / steep
        vetoed = (calibration.rule == "configured") & (alike < calibration.min_similarity)
        least = calibration.min_similarity
        return Merging(np.where(vetoed, VETO, score), min(calibration.stranger_similarity, least), least)

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
class Weighed:
    """P candidate pairs of a class group and what speaks for and against them.

    pairs        (P, 2) int64 rows, i < j, sorted
    alike        (P,)   float32, how alike they look
    calibration  what that is worth tonight
    unlike       how alike two strangers are, None where too few were known
    prior        (P,)   log odds by their places on the ground, NaN where these are not known; None without a ground
    n_possible   about how many pairs are possible, candidates or not
    passing      what travel times and rivals say; None with a ground, whose traffic says it better
    """

    pairs: np.ndarray
    alike: np.ndarray
    calibration: Calibration
    unlike: Strangers | None
    prior: np.ndarray | None
    n_possible: float
    passing: Passing | None

    @staticmethod
    def weigh(
        pairs: np.ndarray,
        sightings: Sightings,
        looks: Looks,
        topology: Topology,
        ground: Ground | None,
        *,
        configured: float | None,
        learn_travel: bool,
    ) -> Weighed:
        """Compare the pairs, and learn from the night what that is worth; configured is min_similarity as set."""
        alike = similarity(looks, pairs[:, 0], pairs[:, 1])
        prior = None if ground is None else ground.log_odds(pairs[:, 0], pairs[:, 1])
        strangers = similarity(looks, *known_strangers(sightings, topology))
        n_possible = count_possible(sightings, topology)
        same = similarity_of_halves(looks)
        calibration = calibrate(alike, n_possible, same, strangers, configured=configured, prior=prior)
        passing = None
        if ground is None:
            passing = learn(pairs, calibration.log_ratio(alike), sightings, topology, time_told=learn_travel)
        return Weighed(pairs, alike, calibration, Strangers.fit(strangers), prior, n_possible, passing)

    @property
    def merging(self) -> Merging:
        """What to merge clusters by."""
        if self.passing is None:
            return Merging.by_odds(self.alike, self.prior, self.calibration)
        steep = steepness(self.calibration, self.unlike)
        return Merging.by_look(self.alike, self.passing.log_odds, steep, self.calibration)

    @property
    def probability(self) -> np.ndarray:
        """Probability (P,) that each pair is one object, by all that is known of it."""
        beside = 0.0 if self.passing is None else self.passing.log_odds
        return _probability(self.calibration.log_odds(self.alike, self.prior) + beside)

    def by_looks(self, probability: np.ndarray) -> Calibration:
        """Return what a similarity is worth to who knows neither place nor time, as in a search by picture.

        On the ground the calibration's own prior is only that of the pairs whose places are unknown.
        """
        if self.prior is None:
            return self.calibration
        n_pairs = max(self.n_possible, float(len(self.pairs)))
        return self.calibration.expecting((float(probability.sum()) + 0.5) / (n_pairs + 1.0))

    def merges(self, clusters: Clusters, probability: np.ndarray) -> Merges:
        """Return the merges that made `clusters` with the evidence of the pairs that tied their sides."""
        tie = _rows_of(self.pairs, clusters.i, clusters.j)
        if self.passing is None:
            average = _probability(clusters.average)
            rule = np.where(np.isnan(self.prior[tie]), "look", "look and ground")
        else:
            average = self.calibration.probability(clusters.average)
            rule = np.where(self.passing.told[tie], "look and time", "look")
        found = (self.alike[tie], probability[tie].astype(np.float32), average.astype(np.float32))
        return Merges(clusters.i, clusters.j, *found, rule.astype(object))


def _probability(log_odds: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-log_odds))


def _rows_of(pairs: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Return the rows of the pairs (i, j) (M,) in `pairs` (P, 2), which is sorted and holds each."""
    span = int(pairs.max(initial=0)) + 1
    return np.searchsorted(pairs[:, 0] * span + pairs[:, 1], i * span + j)
