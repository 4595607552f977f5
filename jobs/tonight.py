"""What a night is linked from: its own tracklets, those of other nights nearby, and what is settled of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from jobs.decided import Decided
from pipeline.config import IdentityConfig
from pipeline.identity.linked import Fixed
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.lake import identity_tables
from pipeline.lake.identity_tables import Row
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.types import Exemplars, Tracklets

SETTLED = "="
"""Put before the name of an identity that stands already, so that no new name is ever taken for it."""


@dataclass(frozen=True, eq=False, slots=True)
class Tonight:
    """N tracklets to be linked, sorted by id, of which those marked `own` (N,) are of the night itself.

    dates       of all of these, the night's own among them
    spots       where and when (N,) they were seen; topology, of those cameras
    fixed       what stands already: names of identities, each behind SETTLED, and what people took apart
    standing    the identity behind each of those names
    former      identity of own tracklets before this run
    carried     merges with other nights' tracklets that the run before found and that still hold, columns by name
    barred      (tracklet, identity) that people said are apart
    """

    local_date: str
    tracklets: Tracklets
    camera_id: np.ndarray
    exemplars: Exemplars
    own: np.ndarray
    dates: tuple[str, ...]
    spots: Sightings
    topology: Topology
    fixed: Fixed
    standing: Mapping[str, str]
    former: Mapping[str, str]
    carried: Mapping[str, list]
    barred: frozenset[tuple[str, str]]

    @staticmethod
    def read(
        lake: Lake,
        local_date: str,
        entries: Sequence[LedgerEntry],
        others: Sequence[str],
        decided: Decided,
        config: IdentityConfig,
        *,
        same_settings: bool,
        taken_back: Collection[Row] = (),
    ) -> Tonight:
        """Read a night, and of the `others`, whose identities stand, all that lies within a travel window of it.

        Merges with other nights that the night's last run found hold on if it had the same settings. Decisions that
        were taken back since then leave no trace: who was taken out has no name of their own any more, and who gave
        way to another does not go on as that one.
        """
        own, own_camera, own_exemplars = lake.read_units([e for e in entries if e.local_date == local_date])
        standing_dates = set(others)
        beside = _beside(own, [e for e in entries if e.local_date in standing_dates], config)
        context, camera, exemplars = _context(lake, own, beside, config)
        beside_dates = {entry.local_date for entry in beside}
        in_reach = {*beside_dates, *nights_near(local_date, others, config.memory_days)}
        in_reach = [day for day in others if day in in_reach]  # merges by hand reach further: they are asked for apart
        now = decided.identities(lake) if decided.facts else {}
        former = identity_tables.identity_of(lake, local_date)
        barred = decided.barred(now)
        barred |= {(b, former[a]) for kind, a, b in taken_back if kind == "merge" and a in former}
        barred |= {(b, former[b]) for kind, _, b in taken_back if kind == "merge" and b in former}
        dissolved = {former[b] for kind, a, b in taken_back if kind == "split" and b in former} - {
            former.get(a) for _, a, _ in taken_back
        }
        ties, carried = _ties(lake, local_date, own, in_reach, frozenset(barred), same_settings=same_settings)
        names = set(own.tracklet_id)
        ties |= {name: identity for name, identity in decided.ties(others, now).items() if name in names}
        identity_of: dict[str, str] = {}
        for day in sorted(beside_dates) if len(context) else ():
            night = identity_tables.identity_of(lake, day)
            identity_of |= {name: night[name] for name in context.tracklet_id.tolist() if name in night}
        tracklets, camera_id = Tracklets.concatenate([own, context]), np.concatenate([own_camera, camera])
        order = np.argsort(tracklets.tracklet_id, kind="stable")
        tracklets, camera_id = tracklets.take(order), camera_id[order]
        topology = Topology.from_config(tuple(sorted(set(camera_id.tolist()))), config)
        place = {name: index for index, name in enumerate(topology.cameras)}
        camera = np.array([place[name] for name in camera_id], np.int32)
        spots = Sightings(camera, tracklets.started_at_us, tracklets.ended_at_us)
        fixed, standing = _standing(tracklets.tracklet_id, spots, topology, ties | identity_of)
        return Tonight(
            local_date=local_date,
            tracklets=tracklets,
            camera_id=camera_id,
            exemplars=Exemplars.concatenate([own_exemplars, exemplars]),
            own=(np.arange(len(tracklets)) < len(own))[order],
            dates=tuple(sorted({local_date, *beside_dates})),
            spots=spots,
            topology=topology,
            fixed=Fixed(fixed, tuple(decided.apart)),
            standing=standing,
            former={name: identity for name, identity in former.items() if identity not in dissolved},
            carried=carried,
            barred=frozenset(barred),
        )


def _standing(
    tracklet_id: np.ndarray, spots: Sightings, topology: Topology, identity_of: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return a name for the identity of tracklets whose identity stands, and the identity behind each name.

    One identity may stand for sightings that no travel window joins: somebody returned, or was merged by hand. What
    may join one of those need not fit the others, so they go by different names.
    """

    def fits(row: int, part: list[int]) -> bool:
        relation = topology.relate(spots.take(np.full(len(part), row)), spots.take(np.array(part)))
        return bool((relation != Relation.NEVER).all())

    parts: dict[str, list[list[int]]] = {}
    names: dict[str, str] = {}
    row_of = {name: row for row, name in enumerate(tracklet_id.tolist()) if name in identity_of}
    for name, row in sorted(row_of.items(), key=lambda one: (int(spots.started_at_us[one[1]]), one[0])):
        of_identity = parts.setdefault(identity_of[name], [])
        fitting = (number for number, part in enumerate(of_identity) if fits(row, part))
        number = next(fitting, len(of_identity))
        if number == len(of_identity):
            of_identity.append([])
        of_identity[number].append(row)
        names[name] = f"{SETTLED}{identity_of[name]}{f'#{number}' if number else ''}"
    return names, {names[name]: identity_of[name] for name in names}


def reach_us(config: IdentityConfig) -> int:
    """Return the longest travel window, in microseconds."""
    longest_s = max((link.max_travel_s for link in config.links), default=config.max_travel_s)
    return max(0, round(longest_s * 1_000_000))


def nights_near(local_date: str, others: Sequence[str], memory_days: int) -> list[str]:
    """Return the other nights within the memory, the nearest first."""
    tonight = date.fromisoformat(local_date)
    apart = {day: abs((date.fromisoformat(day) - tonight).days) for day in others}
    return sorted((day for day in others if apart[day] <= memory_days), key=lambda day: (apart[day], day))


def _span_us(own: Tracklets, config: IdentityConfig) -> tuple[int, int]:
    """Return the first and the last instant within a travel window of any tracklet."""
    reach = reach_us(config)
    return int(own.started_at_us.min()) - reach, int(own.ended_at_us.max()) + reach


def _beside(own: Tracklets, entries: Sequence[LedgerEntry], config: IdentityConfig) -> list[LedgerEntry]:
    """Return the units of other nights that may lie within a travel window of the own tracklets."""
    if len(own) == 0:
        return []
    first_us, last_us = _span_us(own, config)
    seen = (entry for entry in entries if entry.tracklets or entry.started_at_us is not None)
    return [entry for entry in seen if _may_begin_by(entry, last_us) and _may_end_after(entry, first_us)]


def _context(
    lake: Lake, own: Tracklets, beside: Sequence[LedgerEntry], config: IdentityConfig
) -> tuple[Tracklets, np.ndarray, Exemplars]:
    """Return the tracklets of the units `beside` that lie within a travel window of the own."""
    tracklets, camera_id, exemplars = lake.read_units(beside)
    if len(own) == 0:
        return tracklets, camera_id, exemplars
    first_us, last_us = _span_us(own, config)
    kept = (tracklets.ended_at_us >= first_us) & (tracklets.started_at_us <= last_us)
    kept &= ~np.isin(tracklets.tracklet_id.astype(str), own.tracklet_id.astype(str))
    tracklets, names = tracklets.take(kept), set(tracklets.tracklet_id[kept])
    mine = np.array([name in names for name in exemplars.tracklet_id], bool)
    return tracklets, camera_id[kept], exemplars.take(mine)


def _may_begin_by(entry: LedgerEntry, at_us: int) -> bool:
    return entry.started_at_us is None or entry.started_at_us <= at_us


def _may_end_after(entry: LedgerEntry, at_us: int) -> bool:
    return entry.ended_at_us is None or entry.ended_at_us >= at_us


def _ties(
    lake: Lake,
    local_date: str,
    own: Tracklets,
    others: Sequence[str],
    barred: frozenset[tuple[str, str]],
    *,
    same_settings: bool,
) -> tuple[dict[str, str], dict[str, list]]:
    """Return the identity of own tracklets that merges with other nights' have settled, and the own ones among those.

    Other nights' merges always stand: those nights are not made again now. Those of this night's last run stand where
    the other tracklet still has the identity.
    """
    names = set(own.tracklet_id)
    ties: dict[str, str] = {}
    found = identity_tables.evidence_of(lake, others, names)
    for a, b, identity in zip(found["tracklet_a"], found["tracklet_b"], found["identity_id"]):
        ties |= {name: identity for name in (a, b) if name in names and (name, identity) not in barred}
    former = identity_tables.evidence_of(lake, [local_date] if same_settings else [], names)
    beyond = {name for pair in zip(former["tracklet_a"], former["tracklet_b"]) for name in pair} - names
    theirs: dict[str, str] = {}
    for day in others if beyond else ():
        night = identity_tables.identity_of(lake, day)
        theirs |= {name: night[name] for name in beyond & night.keys()}
    kept = []
    for row, (a, b) in enumerate(zip(former["tracklet_a"], former["tracklet_b"])):
        name, other = (a, b) if a in names else (b, a)
        identity = former["identity_id"][row]
        holds = (
            theirs.get(other) == identity and (name, identity) not in barred and ties.get(name, identity) == identity
        )
        if former["rule"][row] != "person" and holds:  # people's merges are asked for anew
            ties[name] = identity
            kept.append(row)
    return ties, {column: [values[row] for row in kept] for column, values in former.items()}
