"""Travel windows proposed from a night's identities, for somebody to look over and put into the configuration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_MATCHES = 10
"""Fewer matches between two cameras say too little of how long the way takes: of 10 the longest is a fair guess."""

TAILS = (1.0, 99.0)
"""Percentiles of the travel times between which the window lies, before it is widened."""

WIDENING = 0.1
"""Part of the window's length added at both ends: the next night has slower and faster ones than this."""

OVERLAP_SHARE = 0.05
"""From this share of matches in both views at once on, the two see the same ground; less are errors in matching."""

ONE_WAY_SHARE = 0.98
ONE_WAY_MATCHES = 30
"""So many matches, and so many of them in one direction, make a one-way road; of 30, all 30 must be."""


@dataclass(frozen=True, slots=True)
class ProposedLink:
    """A link as it would stand in the configuration, with what it rests on.

    between      the cameras, in the direction most went
    matches      sightings of one identity in both; forward of them went in that direction
    median_s, p85_s  travel times, negative while both saw the object
    """

    between: tuple[str, str]
    min_travel_s: float
    max_travel_s: float
    overlapping: bool
    one_way: bool
    matches: int
    forward: int
    median_s: float
    p85_s: float


def count_matches(first: np.ndarray, then: np.ndarray) -> dict[tuple[str, str], int]:
    """Return how many matches (first, then) (M,) there are between every two cameras, by their names in order."""
    counted: dict[tuple[str, str], int] = {}
    for a, b in zip(first.tolist(), then.tolist()):
        pair = (min(a, b), max(a, b))
        counted[pair] = counted.get(pair, 0) + 1
    return counted


def propose_links(first: np.ndarray, then: np.ndarray, travel_s: np.ndarray) -> list[ProposedLink]:
    """Propose a link for every two cameras with MIN_MATCHES matches or more, sorted by name.

    first, then (M,) object (str), the cameras of M matches in the order of their starts; travel_s (M,) start of the
    later minus end of the earlier. The window takes in the middle 98 % of the travel times, in whichever direction,
    widened a little; below 0 only where the views overlap.
    """
    swapped = first.astype(str) > then.astype(str)
    low, high = np.where(swapped, then, first).astype(str), np.where(swapped, first, then).astype(str)
    proposed = []
    for a, b in sorted(set(zip(low.tolist(), high.tolist()))):
        mine = np.flatnonzero((low == a) & (high == b))
        if a != b and len(mine) >= MIN_MATCHES:
            proposed.append(_proposed(a, b, travel_s[mine], int(np.count_nonzero(~swapped[mine]))))
    return proposed


def _proposed(a: str, b: str, travel_s: np.ndarray, forward: int) -> ProposedLink:
    if 2 * forward < len(travel_s):
        a, b, forward = b, a, len(travel_s) - forward
    overlapping = bool(np.mean(travel_s < 0) >= OVERLAP_SHARE)
    low, high = np.percentile(travel_s if overlapping else np.maximum(travel_s, 0), TAILS)
    room = WIDENING * (high - low)
    low = low - room if overlapping else max(0.0, low - room)
    one_way = len(travel_s) >= ONE_WAY_MATCHES and forward >= ONE_WAY_SHARE * len(travel_s)
    # Overlapping views: who is seen by both at once went neither way, so that nothing is one-way there.
    return ProposedLink(
        (a, b),
        float(np.floor(low)),
        float(np.ceil(high + room)),
        overlapping,
        one_way and not overlapping,
        len(travel_s),
        forward,
        float(np.median(travel_s)),
        float(np.percentile(travel_s, 85)),
    )
