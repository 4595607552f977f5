"""What linking a night gives: identities, the evidence behind them, and what was learned of looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.identity.calibration import Calibration


@dataclass(frozen=True, eq=False, slots=True)
class Identities:
    """The identity of each of N tracklets, sorted by tracklet_id.

    tracklet_id  (N,) object (str)
    identity_id  (N,) object (str), derived from the identity's earliest tracklet, or that of a tracklet given as fixed
    confidence   (N,) float32, in [0, 1]. Of a tracklet joined with others: the probability of the pairs that tie it to
                 them, averaged. Of one left alone: 1 minus the probability of its best candidate. 0 where it was not
                 judged at all: shorter than min_observations, or its looks are unknown.
    """

    tracklet_id: np.ndarray
    identity_id: np.ndarray
    confidence: np.ndarray

    def __len__(self) -> int:
        return len(self.tracklet_id)


@dataclass(frozen=True, eq=False, slots=True)
class Evidence:
    """The M merges that made the identities, by class group in the order of merging.

    identity_id               (M,) object (str)
    tracklet_a, tracklet_b    (M,) object (str), the pair that tied the two sides most firmly; a began first
    camera_a, camera_b        (M,) object (str)
    similarity                (M,) float32, of the pair
    probability               (M,) float32, that the pair is one object, by all that is known of it
    merge_probability         (M,) float32, that the two sides are, by all pairs between them
    travel_s                  (M,) float64, start of b minus end of a; negative while both see the object
    rule                      (M,) object (str): "look", "look and time" or "look and ground"
    """

    identity_id: np.ndarray
    tracklet_a: np.ndarray
    tracklet_b: np.ndarray
    camera_a: np.ndarray
    camera_b: np.ndarray
    similarity: np.ndarray
    probability: np.ndarray
    merge_probability: np.ndarray
    travel_s: np.ndarray
    rule: np.ndarray

    def __len__(self) -> int:
        return len(self.identity_id)


@dataclass(frozen=True, eq=False, slots=True)
class GroupLooks:
    """What a night taught about the looks of one class group.

    cameras      names of the C cameras
    tint         (C, 128) float32, what each camera adds to every embedding
    calibration  what a similarity is worth
    n_tracklets  tracklets judged; n_pairs compared
    search       how neighbours were found
    """

    class_group: str
    cameras: tuple[str, ...]
    tint: np.ndarray
    calibration: Calibration
    n_tracklets: int
    n_pairs: int
    search: str


@dataclass(frozen=True, eq=False, slots=True)
class Linked:
    """All that `link` has to say of a night."""

    identities: Identities
    evidence: Evidence
    groups: tuple[GroupLooks, ...]


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is settled before a night is linked.

    identity_of  identity of tracklets of other nights, by tracklet_id: it stays, and no two of these are joined
    apart        pairs of tracklet ids that somebody said are not one
    Pairs that name an unknown tracklet are passed over.
    """

    identity_of: Mapping[str, str] = field(default_factory=dict)
    apart: tuple[tuple[str, str], ...] = ()
