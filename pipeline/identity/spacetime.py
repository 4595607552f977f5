"""What the ground says about two tracklets: they stood in one place, one walked on as the other, or neither."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.identity.ground import GroundTracks
from pipeline.identity.motion import Mobility, log_meeting, log_passage, mobility, too_fast
from pipeline.identity.paths import STEP_US, Ends, Paths, lay_paths
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.identity.traffic import Traffic, observe

LOOKS = 8
"""Instants at which two tracklets that live at once are compared, spread evenly over their common time."""

APART_SQ = 25.0
"""Five deviations apart, on average of the looks: two objects, whatever they look like."""

SURPRISE = 0.05
"""Share of true pairs that the model of motion does not foresee: somebody turns round, stops for a talk, is placed
by half a box. So evidence against a pair never exceeds a factor of 20; only cannot-links say never."""

SUCCESSION_US = 5_000_000
"""A tracklet of the same camera that begins at most so long after another ended may be its continuation."""

HORIZON_US = 60_000_000
"""Beyond a minute, motion tells less than look and window do, and pairs are found by look alone."""

PAIR_BLOCK = 65536


@dataclass(frozen=True, eq=False, slots=True)
class Ground:
    """The paths of one class group's tracklets and the traffic among which they move."""

    sightings: Sightings
    topology: Topology
    paths: Paths
    traffic: Traffic
    how: Mobility

    def relate(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return the topology's Relation of tracklets i and j, (P,) int8, with what the ground adds.

        NEVER: apart at the common instants of overlapping views, or too far for the time between. POSSIBLE: in one
        camera, one beginning within SUCCESSION_US after the other's end.
        """
        a, b = self.sightings.take(i), self.sightings.take(j)
        relation = self.topology.relate(a, b)
        known = self.paths.known[i] & self.paths.known[j]
        break_us = np.maximum(a.started_at_us, b.started_at_us) - np.minimum(a.ended_at_us, b.ended_at_us)
        succession = known & (a.camera == b.camera) & (i != j) & (break_us > 0) & (break_us <= SUCCESSION_US)
        relation = np.where(succession, np.int8(Relation.POSSIBLE), relation)
        asked = np.flatnonzero(known & (relation == Relation.POSSIBLE))
        relation[asked[self._cannot_be(i[asked], j[asked])]] = Relation.NEVER
        return relation

    def log_odds(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Return (P,) log of how much likelier the two paths are one object's than two that met by chance.

        The rivals are in it: others are about with the density of the traffic there and then. NaN where a path lacks.
        """
        result = np.full(len(i), np.nan)
        known = np.flatnonzero(self.paths.known[i] & self.paths.known[j])
        for start in range(0, len(known), PAIR_BLOCK):
            part = known[start : start + PAIR_BLOCK]
            together, step = self._common_steps(i[part], j[part])
            met, passed = part[together], part[~together]
            result[met] = self._log_odds_of_meeting(i[met], j[met], step[together])
            result[passed] = self._log_odds_of_passage(i[passed], j[passed])
        return result

    def pairs(self) -> np.ndarray:
        """Return the pairs (i, j), i < j, that are POSSIBLE and at most HORIZON_US apart: (P, 2) int64, sorted."""
        started, ended = self.sightings.started_at_us, self.sightings.ended_at_us
        order = np.lexsort((np.arange(len(self.paths)), started))
        order = order[self.paths.known[order]]
        camera = self.sightings.camera[order]
        found = [np.zeros((0, 2), np.int64)]
        for own in np.unique(camera):
            near = self.topology.linked[own] | self.topology.linked[:, own]
            near[own] = True
            probe, other = order[camera == own], order[near[camera]]
            # Of every pair one began first, or both at once: it is found from there.
            first = np.searchsorted(started[other], started[probe], side="left")
            n_met = np.searchsorted(started[other], ended[probe] + HORIZON_US, side="right") - first
            done = np.concatenate([[0], np.cumsum(n_met)])
            for begin in range(0, int(done[-1]), PAIR_BLOCK):
                nth = np.arange(begin, min(begin + PAIR_BLOCK, int(done[-1])))
                row = np.searchsorted(done, nth, side="right") - 1
                i, j = probe[row], other[first[row] + nth - done[row]]
                possible = (i != j) & (self.relate(i, j) == Relation.POSSIBLE)
                found.append(np.sort(np.stack([i[possible], j[possible]], axis=1), axis=1))
        return np.unique(np.concatenate(found), axis=0)

    def _cannot_be(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Tell (P,) which pairs of known paths are clearly apart, or too far for the time between."""
        result = np.zeros(len(i), bool)
        for start in range(0, len(i), PAIR_BLOCK):
            part = np.arange(start, min(start + PAIR_BLOCK, len(i)))
            together, step = self._common_steps(i[part], j[part])
            met, passed = part[together], part[~together]
            result[met] = self._meeting(i[met], j[met], step[together])[1].mean(axis=1) > APART_SQ
            result[passed] = too_fast(*self._way(i[passed], j[passed]), self.how)
        return result

    def _common_steps(self, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Tell (P,) which pairs live at once, and the steps (P, LOOKS) at which those are compared."""
        first = np.maximum(self.paths.start[i], self.paths.start[j])
        last = np.minimum(self.paths.start[i] + self.paths.size[i], self.paths.start[j] + self.paths.size[j]) - 1
        step = first[:, None] + np.round(np.linspace(0, 1, LOOKS) * (last - first)[:, None]).astype(np.int64)
        return last >= first, step

    def _meeting(self, i: np.ndarray, j: np.ndarray, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log densities and squared lengths of the gaps at the steps, both (P, LOOKS)."""
        at_i, cov_i = self.paths.at(i[:, None], step)
        at_j, cov_j = self.paths.at(j[:, None], step)
        return log_meeting(at_i - at_j, cov_i + cov_j, self.how)

    def _way(self, i: np.ndarray, j: np.ndarray) -> tuple[Ends, Ends]:
        """Return how the earlier of each pair left and the later came."""
        i_first = self.paths.exit.at_us[i] <= self.paths.entry.at_us[j]
        before, after = np.where(i_first, i, j), np.where(i_first, j, i)
        return _rows(self.paths.exit, before), _rows(self.paths.entry, after)

    def _log_odds_of_meeting(self, i: np.ndarray, j: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Judge pairs that live at once by distance; LOOKS instants count as one, for their errors go together."""
        middle = step[:, LOOKS // 2]
        place = (self.paths.at(i, middle)[0] + self.paths.at(j, middle)[0]) / 2
        log_two = self.traffic.log_density((i, j), middle * STEP_US, place)
        return _with_surprise(self._meeting(i, j, step)[0] - log_two[:, None]).mean(axis=1)

    def _log_odds_of_passage(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Judge pairs of which one ended before the other began by where and how it came."""
        gone, came = self._way(i, j)
        log_two = self.traffic.log_density((i, j), came.at_us, came.xy_m, came.v_mps)
        return _with_surprise(log_passage(gone, came, self.how) - log_two)


def survey(
    sightings: Sightings, tracklet_id: np.ndarray, topology: Topology, tracks: GroundTracks, group: str
) -> Ground | None:
    """Lay out the paths of a class group's tracklets (N,), sorted by id; None where none of them has a path."""
    paths = lay_paths(tracklet_id, tracks)
    traffic = observe(paths, mobility(group))
    return None if traffic is None else Ground(sightings, topology, paths, traffic, mobility(group))


def _with_surprise(log_odds: np.ndarray) -> np.ndarray:
    """Mix in the SURPRISE share, in which one object is where chance would have it."""
    return np.logaddexp(np.log1p(-SURPRISE) + log_odds, np.log(SURPRISE))


def _rows(ends: Ends, index: np.ndarray) -> Ends:
    return Ends(*(getattr(ends, field.name)[index] for field in fields(Ends)))
