"""People's decisions without erased tracklets: what was decided of everybody else holds on.

A decision hangs on few tracklets. Where one of them goes, another of the same side takes its place: one that the
decision merged with it, or one that its looks alone, nobody's word, had tied to it in the same identity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property

import numpy as np

from pipeline.lake import decisions, identity_tables, tables
from pipeline.lake.decisions import Decision
from pipeline.lake.identity_tables import Row
from pipeline.lake.writer import Lake

IsErased = Callable[[Iterable[str]], np.ndarray]
"""Tells of N ids whether they are to go, (N,) bool."""


def remove(lake: Lake, is_erased: IsErased) -> None:
    """Take tracklets out of every decision. One that says nothing without them goes; of one that does, the note goes,
    which may tell of them. To be called before anything of their identities is removed."""
    known = _Known(lake)
    for decision in decisions.read(lake):
        names = sorted(decision.tracklets)
        gone = {name for name, hit in zip(names, is_erased(names)) if hit}
        if not gone:
            continue
        left = _without(decision, gone, known, is_erased)
        if left:  # under the name of what is left of it
            decisions.write(lake, replace(decision, rows=left, note=""))
        decisions.remove(lake, decision.decision_id)


class _Known:
    """What a lake's identities say of tracklets, read once and only where a decision needs it."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    @cached_property
    def night_of(self) -> dict[str, tuple[str, str]]:
        """Identity and local date of each tracklet."""
        found = {}
        for local_date in identity_tables.written_dates(self._lake):
            night = identity_tables.identity_of(self._lake, local_date)
            found |= {name: (identity, local_date) for name, identity in night.items()}
        return found

    @cached_property
    def tied_to(self) -> dict[str, set[str]]:
        """The tracklets that a merge by anything but somebody's word names together with each."""
        tied = defaultdict(set)
        for path in self._lake.storage.files("identity_evidence", ".parquet"):
            content = self._lake.storage.read(path)
            if content is None:
                continue
            table = tables.from_parquet(content, self._lake.storage.location(path))
            for a, b, rule in zip(*(table[name].to_pylist() for name in ("tracklet_a", "tracklet_b", "rule"))):
                if rule != "person":
                    tied[a].add(b)
                    tied[b].add(a)
        return dict(tied)

    def like(self, name: str) -> list[str]:
        """Return the tracklets of the identity of one that are tied to it through any number of others, those of its
        own night first."""
        if name not in self.night_of:
            return []
        identity, local_date = self.night_of[name]
        reached, at = {name}, [name]
        while at:
            more = {other for one in at for other in self.tied_to.get(one, ())} - reached
            at = sorted(other for other in more if self.night_of.get(other, ("", ""))[0] == identity)
            reached.update(at)
        return sorted(reached - {name}, key=lambda other: (self.night_of[other][1] != local_date, other))


def _without(decision: Decision, gone: set[str], known: _Known, is_erased: IsErased) -> tuple[Row, ...]:
    """Return the rows of a decision with another tracklet of the same side for each that goes, as far as there are."""
    sides = _sides(decision)
    instead = {}
    for name in sorted(gone):
        like = known.like(name)
        left = [other for other, hit in zip(like, is_erased(like)) if not hit]
        named = sorted(sides.get(name, set()) - gone)
        # One that the decision names itself is the firmest, where looks agree; else one that it does not name.
        instead[name] = next((other for other in [*(n for n in named if n in left), *left, *named]), None)
    rows = ((kind, instead.get(a, a), instead.get(b, b)) for kind, a, b in decision.rows)
    return tuple(dict.fromkeys(row for row in rows if None not in row and row[1] != row[2]))


def _sides(decision: Decision) -> dict[str, set[str]]:
    """Return for each tracklet that a decision merges with others all of its side, itself included."""
    side_of: dict[str, set[str]] = {}
    for a, b in decision.together:
        both = side_of.get(a, {a}) | side_of.get(b, {b})
        side_of.update(dict.fromkeys(both, both))
    return side_of
