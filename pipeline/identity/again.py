"""Seen again by the same camera: may two tracklets of one camera, at different times, be one object?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.comparing import similarity
from pipeline.identity.looks import Looks
from pipeline.identity.strangers import Strangers
from pipeline.identity.topology import Relation, Sightings

MAX_PAIRS = 50_000
"""Pairs of one camera at different times from which is learned how often somebody is seen again."""

SEED = 0


@dataclass(frozen=True, eq=False, slots=True)
class Again:
    """What tells whether a camera saw somebody again.

    Whoever passes two cameras usually passes each once, so two tracklets of one camera rarely belong to one identity
    only because both resemble the same tracklet of another camera. How rarely, the night tells.

    min_similarity  two tracklets of one camera less alike are not one object; infinite where nobody seems to come back
    """

    sightings: Sightings
    looks: Looks
    min_similarity: float

    @staticmethod
    def learn(sightings: Sightings, looks: Looks, strangers: Strangers | None) -> Again:
        """Learn how alike two tracklets of one camera at different times must be to be taken for one object.

        Pairs of one camera at different times, thinned out evenly, are compared with what as many strangers would
        give: from that similarity on, at least half of the pairs are more than that. Without known strangers nothing
        can be learned, and nothing is forbidden.
        """
        if strangers is None:
            return Again(sightings, looks, -1.0)
        alike = np.sort(similarity(looks, *_later_pairs(sightings)).astype(np.float64))[::-1]
        expected = len(alike) * strangers.above(alike)
        enough = 2.0 * expected <= np.arange(1, len(alike) + 1)
        n_kept = len(alike) if enough.all() else int(np.argmin(enough))
        return Again(sightings, looks, float(alike[n_kept - 1]) if n_kept else np.inf)

    def applied(self, relation: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return the Relation (P,) of tracklets i and j with NEVER for those that are not the same one again."""
        asked = np.flatnonzero((relation == Relation.UNTOLD) & (self.sightings.camera[i] == self.sightings.camera[j]))
        if len(asked) == 0:
            return relation
        alike = similarity(self.looks, i[asked], j[asked])
        result = relation.copy()
        result[asked[alike < self.min_similarity]] = Relation.NEVER
        return result


def _later_pairs(sightings: Sightings) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of tracklets of one camera without a common instant: all, or about MAX_PAIRS drawn evenly."""
    order = np.lexsort((sightings.ended_at_us, sightings.started_at_us, sightings.camera))
    first, size = np.unique(sightings.camera[order], return_index=True, return_counts=True)[1:]
    n_pairs = size * (size - 1) // 2
    last = np.cumsum(n_pairs)
    total = int(last[-1]) if len(last) else 0
    if total <= MAX_PAIRS:
        drawn = np.arange(total)
    else:
        drawn = np.unique(np.random.default_rng(SEED).integers(0, total, MAX_PAIRS))
    camera = np.searchsorted(last, drawn, side="right")
    nth = drawn - (last - n_pairs)[camera]  # of the pairs (0, 1), (0, 2), (1, 2), (0, 3), ... of that camera
    high = ((1 + np.sqrt(1 + 8 * nth.astype(np.float64))) / 2).astype(np.int64)
    high -= high * (high - 1) // 2 > nth
    high += (high + 1) * high // 2 <= nth
    low = nth - high * (high - 1) // 2
    i, j = order[first[camera] + low], order[first[camera] + high]
    apart = sightings.started_at_us[j] > sightings.ended_at_us[i]
    return i[apart], j[apart]
