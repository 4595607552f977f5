"""What a travel time says of a pair: learned from the night, way by way, together with who matches whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.identity.kernels import passing as kernels
from pipeline.identity.partners import mean_partners
from pipeline.identity.threads import in_parts
from pipeline.identity.topology import Sightings, Topology

BINS = 256
"""Steps of the travel times' density, each with as many pairs: fine where traffic is thick."""

ROUNDS = 4
"""Rounds of belief propagation: on these sparse graphs the marginals then stand to three digits."""

SWEEPS = 8
"""Rounds of learning. What matches and how long it takes settle together."""

MOST_MATCHED = 0.95
"""Largest share of a camera's tracklets taken to be seen by the other camera too: tracks get lost everywhere."""

SEED_MATCHES = 3.0
"""So many matches of any travel time are added to those found: a few matches say little of where others lie."""

SURPRISE = 0.05
"""Share of journeys that take any time: somebody stops to talk, a van unloads. So a travel time weighs against a pair
by a factor of 20 at most; only windows say never. As on the ground (spacetime.SURPRISE)."""

UNHEEDED = 0.4
"""Share of cases in which the claims of others are beside the point, since their own partner was lost or they are parts
of one broken track. So rivals weigh against a pair by a factor of 2.5 at most. Chosen among 0.2 to 0.7 on the nights of
tests.benchmarks.identity, whole and with most objects left in one camera: what few rivals gain there many lose."""

LEAST_MATCHES = 5.0
"""Fewer matches on a way, and its travel times are left out of account."""

LEAST_TOLD = 0.05
"""A log ratio this small tells nothing."""


@dataclass(frozen=True, eq=False, slots=True)
class Passing:
    """What was learned of P pairs.

    log_time  (P,) float64, log of how much likelier the travel time is of one object than of two; 0 where unknown
    rivalry   (P,) float64, at most 0: log of how much less likely the pair is for others having a claim to either, when
              everybody passes a camera once
    """

    log_time: np.ndarray
    rivalry: np.ndarray

    @property
    def log_odds(self) -> np.ndarray:
        """What travel time and rivals say together (P,)."""
        return self.log_time + np.log((1.0 - UNHEEDED) * np.exp(self.rivalry) + UNHEEDED)

    @property
    def told(self) -> np.ndarray:
        """Tell (P,) where the travel time says something."""
        return np.abs(self.log_time) > LEAST_TOLD


def learn(
    pairs: np.ndarray, look: np.ndarray, sightings: Sightings, topology: Topology, *, time_told: bool = True
) -> Passing:
    """Learn the travel times between every two cameras from the night itself.

    pairs (P, 2) are candidates, sorted; look (P,) the log of how much more alike they look than two strangers. Of every
    two cameras is learned, in turns: which pairs match, where everybody has one partner in the other camera or none,
    rivals counting against each other (belief propagation, Williams and Lau 2014); what share has a partner; and the
    density of the travel times of matches against that of all pairs. time_told False leaves the travel times out.
    Source of the turns: expectation maximisation, Dempster, Laird and Rubin 1977; of the bandwidth: Silverman 1986.
    """
    swapped = sightings.camera[pairs[:, 0]] > sightings.camera[pairs[:, 1]]
    a = np.where(swapped, pairs[:, 1], pairs[:, 0])
    b = np.where(swapped, pairs[:, 0], pairs[:, 1])
    n_cameras = len(topology.cameras)
    way = sightings.camera[a].astype(np.int64) * n_cameras + sightings.camera[b]
    order = np.lexsort((travel_us(sightings, topology, a, b), way))  # equal times in the order of the pairs
    ways, first = np.unique(way[order], return_index=True)
    first = np.append(first, len(order)).astype(np.int64)
    partners = mean_partners(sightings, topology)
    there, back = ways // n_cameras, ways % n_cameras
    n_tracklets = np.bincount(sightings.camera, minlength=n_cameras)
    either = np.minimum(n_tracklets[there], n_tracklets[back]).astype(np.float64)
    rivals = np.maximum(1.0, np.sqrt(partners[there, back] * partners[back, there]))
    log_time, rivalry, probability = (np.zeros(len(pairs)) for _ in range(3))
    a, b, look = a[order], b[order], look[order].astype(np.float64)

    def work(part: slice) -> None:
        sums = np.zeros((2, len(sightings)))
        kernels.learn(
            first[part.start : part.stop + 1], a, b, look, rivals[part], either[part], time_told, BINS, ROUNDS, SWEEPS,
            MOST_MATCHED, SEED_MATCHES, SURPRISE, LEAST_MATCHES, sums[0], sums[1], log_time, rivalry,
            probability,
        )  # fmt: skip

    in_parts(work, len(ways))
    back_in_place = np.empty_like(order)
    back_in_place[order] = np.arange(len(order))
    return Passing(log_time[back_in_place], rivalry[back_in_place])


def travel_us(sightings: Sightings, topology: Topology, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return (P,) int64 travel times from a to b in microseconds: below 0 for who was in b's camera first.

    One way, it is the start of b minus the end of a, whatever the clocks say (see Topology), or the other way round.
    """
    there = sightings.started_at_us[b] - sightings.ended_at_us[a]
    back = sightings.started_at_us[a] - sightings.ended_at_us[b]
    cameras = sightings.camera[a], sightings.camera[b]
    forward = sightings.started_at_us[a] <= sightings.started_at_us[b]
    forward = np.where(topology.one_way[cameras], True, np.where(topology.one_way[cameras[::-1]], False, forward))
    return np.where(forward, there, -back)
