"""Nobody is in two places at once, whatever was joined by hand or under one name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jobs.tonight import Tonight

AT_ONCE = "at once:"
"""Begins the label of tracklets that cannot be of their cluster, which was elsewhere at the same instant."""

ROW_BLOCK = 256
"""Tracklets compared at once with all of their identity."""

Unit = list[int]
"""Rows that stay or leave together."""


def kept_apart(
    tonight: Tonight, linked: np.ndarray, joined: np.ndarray, confidence: np.ndarray, sides: Mapping[str, set[str]]
) -> np.ndarray:
    """Return the clusters (N,) object of a night with nobody in two places at once.

    linked (N,) object, the clusters as they were linked, each possible in itself; joined (N,), after what people
    decided; sides, for each tracklet that people merged all that they merged it with; confidence (N,) float32. Several
    clusters end in one identity where they were merged by hand, or are parts of one that stands. Where those were at
    one instant in one camera, or in two that do not overlap, the weaker leave: other nights' tracklets and those that a
    decision names stay, then those that bore the name before, then the surer. Who leaves stays with those of the linked
    cluster that leave too. What was at once in two cameras when somebody merged it (it bore the name before, or no run
    was before) was their decision, and stays.
    """
    rows_of: dict[str, list[int]] = {}
    for row, name in enumerate(joined.tolist()):
        rows_of.setdefault(tonight.standing.get(name, name), []).append(row)
    result = joined.copy()
    for identity, rows in rows_of.items():
        if tonight.own[rows].any() and len(set(linked[rows])) > 1:
            group = _Group(tonight, identity, rows, sides)
            for gone in group.leaving(linked, confidence):
                result[gone] = f"{AT_ONCE}{min(group.names(gone))}"
    return result


class _Group:
    """Clusters of a night that end in one identity, with other nights' tracklets of it."""

    def __init__(self, tonight: Tonight, identity: str, rows: list[int], sides: Mapping[str, set[str]]) -> None:
        self.tonight, self.rows, self.sides = tonight, np.array(rows, np.int64), sides
        former, decided = tonight.former, [name for name in self.names(rows) if name in sides]
        self.before = {identity, *(former[name] for name in decided if name in former)}
        own = tonight.own[rows]
        bore = np.array([former.get(name) in self.before or not former for name in self.names(rows)], bool)
        seen_when_decided = np.zeros(len(tonight.own), bool)
        seen_when_decided[rows] = (~own | bore) & bool(decided)
        self.seen_when_decided = seen_when_decided

    def names(self, rows: Unit) -> list[str]:
        """Return the ids of the tracklets in these rows."""
        return self.tonight.tracklets.tracklet_id[rows].tolist()

    def leaving(self, linked: np.ndarray, confidence: np.ndarray) -> list[Unit]:
        """Return the own tracklets that cannot stay, in identities of their own."""
        blocks = (self.rows[start : start + ROW_BLOCK] for start in range(0, len(self.rows), ROW_BLOCK))
        if not any(self._at_once(block, self.rows).any() for block in blocks):
            return []
        placed = ~self.tonight.own
        clusters: dict[tuple, Unit] = {}
        for key, unit in sorted(self._units(linked).items(), key=lambda one: self._firmest(one[1], confidence)):
            if self._at_once(np.array(unit), self.rows[placed[self.rows]]).any():
                clusters.setdefault(key if key[0] == "decided" else ("linked", linked[unit[0]]), []).extend(unit)
            else:
                placed[unit] = True
        return list(clusters.values())

    def _units(self, linked: np.ndarray) -> dict[tuple[str, str], Unit]:
        """Return what stays or leaves together: what was merged by hand, what was linked to a part of an identity that
        stands and is not settled to be of it; others stand for themselves."""
        units: dict[tuple[str, str], Unit] = {}
        for row in self.rows[self.tonight.own[self.rows]].tolist():
            (name,) = self.names([row])
            if name in self.sides:
                key = ("decided", min(self.sides[name]))
            elif linked[row] in self.tonight.standing and name not in self.tonight.fixed.identity_of:
                key = ("part", linked[row])
            else:
                key = ("alone", name)
            units.setdefault(key, []).append(row)
        return units

    def _firmest(self, unit: Unit, confidence: np.ndarray) -> tuple:
        names = self.names(unit)
        return (
            names[0] not in self.sides,
            not any(self.tonight.former.get(name) in self.before for name in names),
            -float(confidence[unit].mean()),
            int(self.tonight.spots.started_at_us[unit].min()),
            names,
        )

    def _at_once(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        """Tell (I, J) which tracklets cannot be one; those of one unit are asked about others only."""
        a, b = self.tonight.spots.take(i[:, None]), self.tonight.spots.take(j[None, :])
        common = np.maximum(a.started_at_us, b.started_at_us) <= np.minimum(a.ended_at_us, b.ended_at_us)
        in_view = self.seen_when_decided[i][:, None] & self.seen_when_decided[j][None, :] & (a.camera != b.camera)
        apart = common & ~self.tonight.topology.overlapping[a.camera, b.camera] & ~in_view
        return apart & (i[:, None] != j[None, :])
