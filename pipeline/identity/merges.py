"""The merges that made a night's identities, as rows of evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.linked import Evidence
from pipeline.identity.topology import Sightings

US_PER_S = 1_000_000


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
        kinds = (np.int64, np.int64, np.float32, np.float32, np.float32, object)
        columns = zip(Merges.__slots__, (np.zeros(0, kind) for kind in kinds))
        return Merges(*(np.concatenate([none, *(getattr(part, name) for part in parts)]) for name, none in columns))


def evidence_of(
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
