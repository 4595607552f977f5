"""What people decided about identities, as far as it still speaks of tracklets that there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pipeline.identity.naming import new_names
from pipeline.lake import catalog, decisions, identity_tables
from pipeline.lake.decisions import Decision
from pipeline.lake.identity_tables import NightTables, Row
from pipeline.lake.writer import Lake

OUT = "out:"
"""Begins the label of tracklets that a decision took out of a cluster."""

_FACTS = """
SELECT
    tracklet_id, date::VARCHAR AS local_date, camera_id, segment_id, class,
    epoch_us(started_at) AS started_at_us, epoch_us(ended_at) AS ended_at_us
FROM tracklets
WHERE tracklet_id IN (SELECT unnest($names))
"""


@dataclass(frozen=True, slots=True)
class Fact:
    """One tracklet: the columns of the lake that a decision needs, and the date it is filed under."""

    tracklet_id: str
    local_date: str
    camera_id: str
    segment_id: str
    class_name: str
    started_at_us: int
    ended_at_us: int


def facts_of(lake: Lake, tracklet_ids: Iterable[str]) -> dict[str, Fact]:
    """Look tracklets up, by id; unknown ones are left out."""
    names = sorted(set(tracklet_ids))
    if not names:
        return {}
    rows = catalog.query(lake.url, _FACTS, {"names": names}).to_pylist()
    return {row["tracklet_id"]: Fact(*row.values()) for row in rows}


@dataclass(frozen=True)
class Decided:
    """Every decision, and the tracklets of theirs that there are. What follows from them is worked out once."""

    decisions: tuple[Decision, ...]
    facts: Mapping[str, Fact]

    @staticmethod
    def of(lake: Lake) -> Decided:
        """Read what was decided."""
        found = tuple(decisions.read(lake))
        return Decided(found, facts_of(lake, (name for one in found for name in one.tracklets)))

    def holds(self, row: Row) -> bool:
        """Tell whether both tracklets of a row are there."""
        return row[1] in self.facts and row[2] in self.facts

    def rows_of(self, local_date: str) -> tuple[Row, ...]:
        """Return the rows that concern a night: those with a tracklet of it, sorted."""
        return self._rows_by_date.get(local_date, ())

    @cached_property
    def _rows_by_date(self) -> dict[str, tuple[Row, ...]]:
        rows_of: dict[str, list[Row]] = {}
        for row in sorted({row for one in self.decisions for row in one.rows if self.holds(row)}):
            for local_date in {self.facts[name].local_date for name in row[1:]}:
                rows_of.setdefault(local_date, []).append(row)
        return {local_date: tuple(rows) for local_date, rows in rows_of.items()}

    def pairs(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Return the pairs of tracklets that are there and of which this ("merge" or "split") was decided."""
        return self._pairs_by_kind.get(kind, ())

    @cached_property
    def _pairs_by_kind(self) -> dict[str, tuple[tuple[str, str], ...]]:
        pairs: dict[str, set[tuple[str, str]]] = {}
        for kind, a, b in (row for one in self.decisions for row in one.rows if self.holds(row)):
            pairs.setdefault(kind, set()).add((a, b))
        return {kind: tuple(sorted(both)) for kind, both in pairs.items()}

    @cached_property
    def sides(self) -> dict[str, set[str]]:
        """For each tracklet that was merged with others all of them, itself included."""
        return sides_of(self.pairs("merge"))

    def identities(self, lake: Lake) -> dict[str, str]:
        """Return the present identity of every tracklet of a decision, where it has one."""
        found: dict[str, str] = {}
        for local_date in sorted({fact.local_date for fact in self.facts.values()}):
            night = identity_tables.identity_of(lake, local_date)
            found |= {name: night[name] for name in self.facts.keys() & night.keys()}
        return found

    @cached_property
    def apart(self) -> list[tuple[str, str]]:
        """Every pair (stays, leaves) that is apart: a decision about a tracklet holds for all merged with it."""
        side_of = self.sides
        return sorted(
            {
                (stay, leave)
                for stays, leaves in self.pairs("split")
                for stay in side_of.get(stays, {stays})
                for leave in side_of.get(leaves, {leaves})
            }
        )

    def barred(self, identity_of: Mapping[str, str]) -> set[tuple[str, str]]:
        """Return (tracklet, identity) that people said are apart, by the identities that tracklets have now.

        Of two that still bear one name, the one that was taken out loses it.
        """
        found = set()
        for stay, leave in self.apart:
            old, new = identity_of.get(stay), identity_of.get(leave)
            found |= {(leave, old)} if old is not None else set()
            found |= {(stay, new)} if new is not None and new != old else set()
        return found

    def ties(self, nights: Collection[str], identity_of: Mapping[str, str]) -> dict[str, str]:
        """Return the identity that merges with tracklets of these nights give to others."""
        found: dict[str, str] = {}
        for a, b in self.pairs("merge"):
            for name, other in ((a, b), (b, a)):
                if self.facts[other].local_date in nights and other in identity_of:
                    found.setdefault(name, identity_of[other])
        return found

    def joined(self, tracklet_id: np.ndarray, label: np.ndarray, standing: Collection[str]) -> np.ndarray:
        """Return the clusters (N,) object of a night with those joined of which somebody said so, whatever else speaks
        against it. The label of the tracklet that stays holds, but one in `standing` before others.

        Where that brings together what another decision took apart, the tracklets taken out leave.
        """
        label_of = dict(zip(tracklet_id.tolist(), label.tolist()))
        goes_by: dict[str, str] = {}

        def present(name: str) -> str:
            while name in goes_by:
                name = goes_by[name]
            return name

        for a, b in self.pairs("merge"):
            if a in label_of and b in label_of:
                keep, lose = present(label_of[a]), present(label_of[b])
                if lose in standing and keep not in standing:
                    keep, lose = lose, keep
                if keep != lose:
                    goes_by[lose] = keep
        if goes_by:
            label_of = {name: present(own) for name, own in label_of.items()}
        for stay, leave in self.apart:
            if stay in label_of and leave in label_of and label_of[stay] == label_of[leave]:
                out = sorted(name for name in self.sides.get(leave, {leave}) if name in label_of)
                label_of |= dict.fromkeys(out, f"{OUT}{out[0]}")
        return text(label_of.values())

    def evidence(self, local_date: str) -> list[dict]:
        """Return the merges by hand in which a tracklet of this night gave way."""
        pairs = self.pairs("merge")
        return [by_hand(self.facts[a], self.facts[b]) for a, b in pairs if self.facts[b].local_date == local_date]


def sides_of(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return for each tracklet all that were merged with it, itself included."""
    side_of: dict[str, set[str]] = {}
    for a, b in pairs:
        less, more = sorted((side_of.setdefault(a, {a}), side_of.setdefault(b, {b})), key=len)
        if less is not more:
            more |= less
            side_of.update(dict.fromkeys(less, more))
    return side_of


def redecided(
    night: NightTables, local_date: str, added: set[Row], decided: Decided, identity_of: Mapping[str, str], lake: Lake
) -> NightTables:
    """Return a night with decisions applied and nothing else touched.

    added, the rows that the night was made without; identity_of, the present identity of decided tracklets anywhere.
    A merge renames the identity of tracklet_b to that of tracklet_a; a split gives the tracklets taken out an identity
    of their own, named after the first of them, and drops the merges that tied them to the others. To do so again
    changes nothing.
    """
    names = dict(zip(night.identities["tracklet_id"].tolist(), night.identities["identity_id"].tolist()))
    evidence = [dict(zip(night.identity_evidence, row)) for row in zip(*night.identity_evidence.values(), strict=True)]
    now = dict(identity_of)
    for decision in decided.decisions:
        rows = [row for row in decision.rows if row in added and decided.holds(row)]
        if not rows:
            continue
        if decision.kind == "split":
            _split(decision, names, now, decided, lake, local_date)
            out = _taken_out(decision)
            evidence = [row for row in evidence if (row["tracklet_a"] in out) == (row["tracklet_b"] in out)]
        else:
            _merge(rows, names, now)
        merges = [(a, b) for kind, a, b in rows if kind == "merge" and b in names]
        evidence += [by_hand(decided.facts[a], decided.facts[b]) for a, b in merges]
    for row in evidence:
        row["identity_id"] = names[row["tracklet_a"] if row["tracklet_a"] in names else row["tracklet_b"]]
    columns = {
        name: text(row[name] for row in evidence)
        if values.dtype == object
        else np.array([row[name] for row in evidence], values.dtype)
        for name, values in night.identity_evidence.items()
    }
    renamed = {**night.identities, "identity_id": text(names.values())}
    return replace(night, identities=renamed, identity_evidence=columns)


def text(values: Iterable[str]) -> np.ndarray:
    """Return strings as (N,) object."""
    return np.array([*values, None], dtype=object)[:-1]


def _merge(rows: list[Row], names: dict[str, str], now: dict[str, str]) -> None:
    """Rename, in place, the identity of each tracklet_b of this night to that of tracklet_a."""
    for _, a, b in rows:
        target, old = now.get(a), names.get(b)
        if target is not None and old is not None:  # else the tracklet that gives way is another night's
            names |= {name: target for name, identity in names.items() if identity == old}
            now |= {name: names[name] for name in now.keys() & names.keys()}


def _split(
    decision: Decision, names: dict[str, str], now: dict[str, str], decided: Decided, lake: Lake, local_date: str
) -> None:
    """Give, in place, those taken out of an identity this night one of their own."""
    out = _taken_out(decision)
    old = {now[name] for name, _ in decision.apart if name in now}
    here = [name for name in out & names.keys() if names[name] in old]
    if not here:
        return
    first = min((decided.facts[name] for name in out & decided.facts.keys()), key=_by_date).tracklet_id
    own = now.get(first)
    if own is None or own in old:
        dates = [date for date in identity_tables.written_dates(lake) if date != local_date]
        given = set(names.values())
        own = new_names([first], lambda asked: identity_tables.in_use(lake, dates, asked) | given.intersection(asked))[
            0
        ]
    names |= dict.fromkeys(here, own)
    now |= {name: names[name] for name in now.keys() & names.keys()}


def _taken_out(decision: Decision) -> set[str]:
    return {name for _, name in decision.apart} | {name for pair in decision.together for name in pair}


def _by_date(fact: Fact) -> tuple:
    return fact.local_date, fact.started_at_us, fact.tracklet_id


def by_hand(a: Fact, b: Fact) -> dict:
    """Return the evidence of a merge by a person: the looks do not matter to it."""
    a, b = sorted((a, b), key=lambda fact: (fact.started_at_us, fact.tracklet_id))
    return {
        "tracklet_a": a.tracklet_id,
        "tracklet_b": b.tracklet_id,
        "camera_a": a.camera_id,
        "camera_b": b.camera_id,
        "similarity": np.nan,
        "probability": 1.0,
        "merge_probability": 1.0,
        "travel_s": (b.started_at_us - a.ended_at_us) / 1e6,
        "rule": "person",
    }
