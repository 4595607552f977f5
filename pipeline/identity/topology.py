"""Where and when one object can have been: travel windows between cameras, and what they say about two tracklets."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pipeline.config import IdentityConfig

US_PER_S = 1_000_000


class Relation(IntEnum):
    """What space and time say about two tracklets, before anyone looks at them."""

    NEVER = -1  # cannot be one identity, directly or through others
    UNTOLD = 0  # no window speaks of the pair: not compared, but others may bring the two together
    POSSIBLE = 1  # inside the travel window: a candidate pair


@dataclass(frozen=True, eq=False, slots=True)
class Sightings:
    """N tracklets as places and times.

    camera         (N,) int32, index into Topology.cameras
    started_at_us  (N,) int64, first box; ended_at_us (N,) int64, last box; microseconds since 1970 UTC
    """

    camera: np.ndarray
    started_at_us: np.ndarray
    ended_at_us: np.ndarray

    def __len__(self) -> int:
        return len(self.camera)

    def take(self, index: np.ndarray) -> Sightings:
        """Return the rows at `index`, in that order."""
        return Sightings(self.camera[index], self.started_at_us[index], self.ended_at_us[index])


@dataclass(frozen=True, eq=False, slots=True)
class Topology:
    """Travel windows between C cameras, for each ordered pair (from, to).

    Travel time is the start of the later tracklet minus the end of the earlier one, the earlier being the one that
    started first; it is negative while both see the object. One way, the earlier one is that in the first camera,
    whatever the clocks say.

    linked         (C, C) bool, a window is given, symmetric; never True on the diagonal
    overlapping    (C, C) bool, one object can be in both at once
    one_way        (C, C) bool, nobody goes from the second to the first; its window is that of (first, second)
    min_travel_us  (C, C) int64, max_travel_us (C, C) int64, both ends inside
    everywhere     True where the windows hold for any two cameras (no topology was configured)
    """

    cameras: tuple[str, ...]
    linked: np.ndarray
    overlapping: np.ndarray
    one_way: np.ndarray
    min_travel_us: np.ndarray
    max_travel_us: np.ndarray
    everywhere: bool

    @staticmethod
    def from_config(cameras: tuple[str, ...], config: IdentityConfig) -> Topology:
        """Lay the configured links out over `cameras`; links of other cameras do not matter here.

        Without links any two cameras are linked, from 0 to config.max_travel_s, and none overlap: only a link can say
        that two cameras see the same ground.
        """
        n_cameras = len(cameras)
        shape = (n_cameras, n_cameras)
        if not config.links:
            return Topology(
                cameras,
                linked=~np.eye(n_cameras, dtype=bool),
                overlapping=np.zeros(shape, bool),
                one_way=np.zeros(shape, bool),
                min_travel_us=np.zeros(shape, np.int64),
                max_travel_us=np.full(shape, _microseconds(config.max_travel_s)),
                everywhere=True,
            )
        linked, overlapping, one_way = (np.zeros(shape, bool) for _ in range(3))
        min_travel_us, max_travel_us = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        place = {name: index for index, name in enumerate(cameras)}
        for link in config.links:
            a, b = (place.get(name) for name in link.between)
            if a is None or b is None:
                continue
            for pair in ((a, b), (b, a)):
                linked[pair], overlapping[pair] = True, link.overlapping
                min_travel_us[pair] = _microseconds(link.min_travel_s)
                max_travel_us[pair] = _microseconds(link.max_travel_s)
            one_way[a, b] = link.one_way
        return Topology(cameras, linked, overlapping, one_way, min_travel_us, max_travel_us, everywhere=False)

    def relate(self, a: Sightings, b: Sightings) -> np.ndarray:
        """Return the Relation of tracklets a[n] and b[n] as (N,) int8; symmetric.

        NEVER: in one camera with a common instant; in two cameras that do not overlap with a common instant; in linked
        cameras outside their window, too early or too late. UNTOLD: one camera at different times (a broken track, or
        somebody who came back), and cameras without a link at different times. POSSIBLE: inside the window.
        """
        relation = np.maximum(self._from_to(a, b), self._from_to(b, a))
        there, back = self.one_way[a.camera, b.camera], self.one_way[b.camera, a.camera]
        relation = np.where(there, self._on_the_way(a, b), np.where(back, self._on_the_way(b, a), relation))
        together = np.maximum(a.started_at_us, b.started_at_us) <= np.minimum(a.ended_at_us, b.ended_at_us)
        apart = together & ~self.overlapping[a.camera, b.camera]
        return np.where(apart, np.int8(Relation.NEVER), relation)

    def _on_the_way(self, first: Sightings, then: Sightings) -> np.ndarray:
        """Relate pairs by a one-way link's window from first to then."""
        way = (first.camera, then.camera)
        travel_us = then.started_at_us - first.ended_at_us
        inside = (travel_us >= self.min_travel_us[way]) & (travel_us <= self.max_travel_us[way])
        return np.where(inside, np.int8(Relation.POSSIBLE), np.int8(Relation.NEVER))

    def _from_to(self, first: Sightings, then: Sightings) -> np.ndarray:
        """Relate pairs by the window from first to then; NEVER where `then` in truth started before `first`."""
        way = (first.camera, then.camera)
        travel_us = then.started_at_us - first.ended_at_us
        long_enough = travel_us >= self.min_travel_us[way]
        # min_travel_s of 0 or more speaks of the way round; a common instant in overlapping views is not travel.
        long_enough |= self.overlapping[way] & (self.min_travel_us[way] >= 0) & (travel_us <= 0)
        inside = long_enough & (travel_us <= self.max_travel_us[way])
        relation = np.where(inside, np.int8(Relation.POSSIBLE), np.int8(Relation.NEVER))
        relation = np.where(self.linked[way], relation, np.int8(Relation.UNTOLD))
        return np.where(first.started_at_us <= then.started_at_us, relation, np.int8(Relation.NEVER))

    def reach_us(self, camera: int) -> int:
        """Return the longest travel time to or from a camera, whatever its sign; 0 where it is linked to none."""
        linked = self.linked[camera] | self.linked[:, camera]
        windows = (self.max_travel_us, -self.min_travel_us)
        longest = np.max([side for window in windows for side in (window[camera], window[:, camera])], axis=0)
        return max(0, int(longest[linked].max(initial=0)))


def _microseconds(seconds: float) -> int:
    return round(seconds * US_PER_S)
