"""From similarity to probability, learned from the night itself: its free labels and its candidate pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.identity.topology import Sightings, Topology

MIN_STRANGERS = 10
"""Fewer pairs of known strangers give no spread worth the name: of 10 its standard error is already a quarter."""

MAX_STRANGERS = 50_000
"""More pairs of known strangers than this add cost, not knowledge."""

SEPARATION_SD = 2.0
"""The same object must on average look this many stranger deviations more alike than strangers do. Closer than that,
the upper tail of the strangers would pass for matches on a night when nobody went from one camera to another."""

OUTLIER_SD = 3.0
"""The three-sigma rule, for pairs that only seem to be strangers."""

UNLIKE = 0.05
"""Share of matches taken to look like strangers: half hidden, from behind, in the headlights. So an unlike look weighs
against a pair by a factor of 20 at most."""

MIN_SD = 0.02
"""Least spread of a component: identical embeddings must not make it a spike."""

FALLBACK_RANGE = (0.6, 0.9)
"""Bounds of the similarity asked for where a night is too small to calibrate. Strangers reach 0.6 in less than one pair
of a thousand once camera means are removed (Market-1501 crops, OSNet); 0.9 is what repeats of one crop reach."""

FALLBACK_SCALE = 0.05
"""Similarity over which the fallback's probability climbs from 0.5 to 0.73: a third of the strangers' usual spread."""

BIN = 0.0005
"""Pairs closer in similarity are fitted as one: a fortieth of the least spread of a component."""

ITERATIONS = 300
TOLERANCE = 1e-7
_GRID = np.linspace(-1.0, 1.0, 2001)


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """What a similarity is worth this night.

    min_similarity       pairs below are not joined by looks alone
    stranger_similarity  expected between two different objects
    stranger_sd          its spread; None where too few strangers were known: then nothing could be fitted
    match_mean           similarity of one object in two cameras, match_sd its spread; None likewise
    prior                log odds that a possible pair nothing else is known of is one identity
    rule                 "mixture", "few pairs" or "configured": where min_similarity came from
    """

    min_similarity: float
    stranger_similarity: float
    stranger_sd: float | None
    match_mean: float | None
    match_sd: float | None
    prior: float
    rule: str

    @property
    def table(self) -> np.ndarray:
        """Log of how much likelier similarities of -1 to 1 are between sightings of one object than between strangers,
        (2001,) float64, non-decreasing."""
        if self.stranger_sd is None or self.match_mean is None or self.match_sd is None:
            return (_GRID - self.min_similarity) / FALLBACK_SCALE
        return _table(self.match_mean, self.match_sd, self.stranger_similarity, self.stranger_sd)

    def log_odds(self, similarity: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """Return the log odds that pairs of these similarities (P,) are one identity, (P,) float64.

        prior (P,), log odds before looking at them; where it is NaN, or not given, that of any possible pair.
        """
        before = self.prior if prior is None else np.where(np.isnan(prior), self.prior, prior)
        return self.log_ratio(similarity) + before

    def log_ratio(self, similarity: np.ndarray) -> np.ndarray:
        """Return the log of how much likelier similarities (P,) are of one object than of two, (P,) float64."""
        return np.interp(similarity, _GRID, self.table)

    def probability(self, similarity: np.ndarray, prior: np.ndarray | None = None) -> np.ndarray:
        """Return the probability that pairs of these similarities (P,) are one identity, (P,) float64."""
        return 1.0 / (1.0 + np.exp(-self.log_odds(similarity, prior)))

    def expecting(self, share: float) -> Calibration:
        """Return the same for who knows nothing but the share of possible pairs that are one identity: with it as the
        prior, and min_similarity where a pair is then as likely one as not, unless that was configured."""
        prior = _logit(share)
        if self.rule != "mixture":
            return replace(self, prior=prior)
        return replace(self, prior=prior, min_similarity=_even_odds(self.table, prior))


def calibrate(
    candidates: np.ndarray,
    n_possible: float,
    same: np.ndarray,
    strangers: np.ndarray,
    *,
    configured: float | None,
    prior: np.ndarray | None = None,
) -> Calibration:
    """Learn what similarity is worth from the similarities of four kinds of pairs.

    candidates  (P,) of the candidate pairs, of which some are one identity
    n_possible  how many pairs are possible; those that are no candidates are taken for strangers
    same        (S,) between the halves of one tracklet: known to be one object, though in one camera and at one time
    strangers   (R,) between tracklets seen at once in one camera (see known_strangers): known to be two objects
    configured  min_similarity as the user set it, or None
    prior       (P,) what place and time say of each candidate: log odds, NaN where they say nothing

    Two normal components are fitted to the possible pairs by EM: strangers, fixed by the known ones, and matches, begun
    at `same` and then free, because between cameras an object looks less like itself than within one. A pair with a
    prior enters with it, the others with the share of matches among them, which is fitted too. min_similarity is where
    a pair without a prior is as likely one as not. With fewer than MIN_STRANGERS known strangers, or without halves,
    nothing can be fitted: then it is two deviations below the mean of `same` within FALLBACK_RANGE, or the top of that
    range.
    """
    if len(strangers) < MIN_STRANGERS or len(same) == 0 or len(candidates) == 0:
        floor = _fallback(same) if configured is None else configured
        rule = "few pairs" if configured is None else "configured"
        stranger_similarity = float(strangers.mean()) if len(strangers) else 0.0
        return Calibration(floor, min(stranger_similarity, floor), None, None, None, 0.0, rule)
    stranger = _stranger_component(strangers.astype(np.float64))
    known = np.full(len(candidates), np.nan) if prior is None else prior
    match, share = _mixture(candidates.astype(np.float64), known, n_possible, same, stranger)
    if configured is not None:
        return Calibration(configured, *stranger, *match, share, "configured")
    floor = _even_odds(_table(*match, *stranger), share)
    return Calibration(floor, *stranger, *match, share, "mixture")


def known_strangers(sightings: Sightings, topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of tracklets that cannot be one object, (R,) and (R,) int64.

    They have a common instant in one camera; where that gives fewer than MIN_STRANGERS, also in two cameras that do not
    overlap, which is only as sure as the configured topology and the clocks. Evenly thinned out above MAX_STRANGERS.
    """
    i, j = _at_once(sightings, sightings.camera)
    if len(i) < MIN_STRANGERS:
        i, j = _at_once(sightings, np.zeros_like(sightings.camera))
        apart = ~topology.overlapping[sightings.camera[i], sightings.camera[j]]
        i, j = i[apart], j[apart]
    if len(i) > MAX_STRANGERS:
        chosen = np.linspace(0, len(i) - 1, MAX_STRANGERS).round().astype(np.int64)
        i, j = i[chosen], j[chosen]
    return i, j


def _at_once(sightings: Sightings, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of tracklets of one place (N,) with a common instant; at least MAX_STRANGERS where there are."""
    order = np.lexsort((sightings.ended_at_us, sightings.started_at_us, place))
    place, started, ended = place[order], sightings.started_at_us[order], sightings.ended_at_us[order]
    found, n_found = [np.zeros((2, 0), np.int64)], 0
    for lag in range(1, len(order)):
        row = np.flatnonzero((place[lag:] == place[:-lag]) & (started[lag:] <= ended[:-lag]))
        if len(row) == 0 or n_found > MAX_STRANGERS:
            break  # whoever is further on starts later still
        found.append(np.stack([order[row], order[row + lag]]))
        n_found += len(row)
    i, j = np.concatenate(found, axis=1)
    return i, j


def _fallback(same: np.ndarray) -> float:
    """Return min_similarity for a night too small to calibrate."""
    low, high = FALLBACK_RANGE
    if len(same) == 0:
        return high
    return float(np.clip(same.mean() - 2 * same.std(), low, high))


def _mixture(
    candidates: np.ndarray, prior: np.ndarray, n_possible: float, same: np.ndarray, stranger: tuple[float, float]
) -> tuple[tuple[float, float], float]:
    """Fit the matches and their share by EM; return their mean and deviation, and the log odds of the share."""
    stranger_mean, stranger_sd = stranger
    candidates, prior, n_pairs = _binned(candidates, prior)
    told = ~np.isnan(prior)
    n_asked = float(n_pairs[~told].sum())
    n_untold = max(n_possible - np.count_nonzero(told), n_asked, 1.0)
    least_mean = min(stranger_mean + SEPARATION_SD * stranger_sd, float(same.mean()))
    if told.any():  # place and time tell matches from strangers: looks need not, but matches never look less alike
        least_mean = stranger_mean
    match_mean, match_sd = max(float(same.mean()), least_mean), max(MIN_SD, float(same.std()))
    share = min(0.5, max(n_asked, 1.0) / n_untold / 2)
    for _ in range(ITERATIONS):
        before_look = np.where(told, prior, _logit(share))
        odds = _log_ratio(candidates, match_mean, match_sd, stranger_mean, stranger_sd) + before_look
        weight = n_pairs / (1.0 + np.exp(-np.clip(odds, -500, 500)))
        total = float(weight.sum())
        if total < 1e-9:
            break  # no candidate looks like a match
        before = (share, match_mean, match_sd)
        # Half a match more than found (Jeffreys): none among few pairs is no proof that there are none.
        share = min((float(weight[~told].sum()) + 0.5) / (n_untold + 1.0), 1.0 - 1e-12)
        match_mean = max(float(weight @ candidates) / total, least_mean)
        match_sd = max(MIN_SD, float(np.sqrt(weight @ (candidates - match_mean) ** 2 / total)))
        if np.allclose(before, (share, match_mean, match_sd), rtol=TOLERANCE, atol=TOLERANCE):
            break
    return (match_mean, match_sd), _logit(share)


def _even_odds(table: np.ndarray, prior: float) -> float:
    """Return the least similarity from which on a pair is likelier one than not, infinite where there is none."""
    likely = np.flatnonzero(table + prior >= 0)
    return float(_GRID[likely[0]]) if len(likely) else np.inf


def _table(match_mean: float, match_sd: float, stranger_mean: float, stranger_sd: float) -> np.ndarray:
    """Return the log ratio of matches to strangers over the grid, mended where two normals mislead."""
    ratio = _log_ratio(_GRID, match_mean, match_sd, stranger_mean, stranger_sd)
    # Two normals of different width cross twice: more alike must never mean less probable.
    middle = np.searchsorted(_GRID, stranger_mean)
    ratio[:middle] = ratio[middle]
    ratio = np.logaddexp(np.log1p(-UNLIKE) + ratio, np.log(UNLIKE))
    return np.maximum.accumulate(ratio)


def _binned(candidates: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put pairs without a prior together that are as similar to within BIN: similarity, prior and number, (B,) each.

    So a night of millions of pairs is fitted as fast as one of thousands; each bin stands at the mean of its pairs.
    """
    told = ~np.isnan(prior)
    place = np.floor((candidates[~told] + 1.0) / BIN).astype(np.int64)
    count = np.bincount(place)
    held = np.flatnonzero(count)
    mean = np.bincount(place, weights=candidates[~told])[held] / count[held]
    one, bins = np.ones(np.count_nonzero(told)), np.full(len(held), np.nan)
    columns = ((candidates[told], mean), (prior[told], bins), (one, count[held]))
    similarity, prior, n_pairs = (np.concatenate(column) for column in columns)
    return similarity, prior, n_pairs


def _stranger_component(strangers: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of the strangers, but for those that are hardly strangers.

    An object that its camera tracks twice at once passes for two; such pairs lengthen the upper tail only. So the
    spread is first taken below the median, and what lies OUTLIER_SD of it above the median is left out.
    """
    middle = float(np.median(strangers))
    spread = float(np.sqrt(np.mean((strangers[strangers <= middle] - middle) ** 2)))
    kept = strangers[strangers <= middle + OUTLIER_SD * max(spread, MIN_SD)]
    return float(kept.mean()), max(MIN_SD, float(kept.std()))


def _log_ratio(
    similarity: np.ndarray, match_mean: float, match_sd: float, stranger_mean: float, stranger_sd: float
) -> np.ndarray:
    """Return log(match density) - log(stranger density), clipped so that exp() of it is finite."""
    match = -0.5 * ((similarity - match_mean) / match_sd) ** 2 - np.log(match_sd)
    stranger = -0.5 * ((similarity - stranger_mean) / stranger_sd) ** 2 - np.log(stranger_sd)
    return np.clip(match - stranger, -500, 500)


def _logit(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))
