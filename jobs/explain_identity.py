"""Why an identity is what it is: sightings, the merges behind them, what people decided, and who was not joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.decided import Decided
from jobs.returners import Tints
from jobs.sightings import Sighting, instant, sightings
from pipeline.config import IdentityConfig
from pipeline.identity.calibration import Calibration
from pipeline.identity.comparing import similarity
from pipeline.identity.evidence import ExemplarSets, without_bias
from pipeline.identity.linking import exemplar_sets
from pipeline.identity.neighbours import nearest
from pipeline.identity.topology import Relation, Sightings, Topology
from pipeline.lake import catalog, identity_tables
from pipeline.lake.decisions import Decision
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, Exemplars, Tracklets, class_group

NEAREST = 5
"""Others shown that were not joined."""

NIGHTS = 3
"""Nights of an identity, the latest, in which others are looked for: a night's exemplars are read for it."""

LOOKED_UP = 50
"""Neighbours looked up per exemplar of the identity."""

RULES = {
    "look": "they look alike",
    "look and time": "they look alike, and the time between is what the way takes",
    "look and ground": "where and when they were fits, and looks do not speak against it",
    "returned": "somebody known came back: they look alike, after longer than a travel window",
    "person": "somebody merged them by hand",
}

_MERGES = """
SELECT date::VARCHAR AS local_date, * EXCLUDE (date, identity_id, run_id)
FROM identity_evidence
WHERE identity_id = $identity_id
ORDER BY date, nth
"""


def explain(lake_url: str, identity_id: str) -> dict:
    """Return all that the lake knows of why an identity is one.

    sightings in time; merges with the rule in words; decisions that name one of its tracklets; nearest, the most alike
    that were not joined and why, by looks and times alone. Raises UserError where there is no such identity.
    """
    lake = Lake.open(lake_url)
    with catalog.connect(lake.url) as connection:
        seen = sightings(connection, lake_url, identity_id)
        merges = catalog.select(connection, _MERGES, {"identity_id": identity_id}).to_pylist()
    decided = Decided.of(lake)
    config = lake.read_config().identity
    own = {one.tracklet_id for one in seen}
    concerning = [one for one in decided.decisions if one.tracklets & own]
    return {
        "identity_id": identity_id,
        "class_group": _group(seen[0].class_name),
        "sightings": [_sighting(number, one, seen) for number, one in enumerate(seen, 1)],
        "merges": [_merge(row, concerning) for row in merges],
        "decisions": [
            {"decision_id": one.decision_id, "kind": one.kind, "by": one.by, "note": one.note} for one in concerning
        ],
        "nearest": _nearest(lake, seen, decided, config),
    }


def _sighting(number: int, one: Sighting, seen: Sequence[Sighting]) -> dict:
    before = seen[number - 2] if number > 1 else None
    return {
        "nth": number,
        "camera_id": one.camera_id,
        "class": one.class_name,
        "tracklet_id": one.tracklet_id,
        "started_at": instant(one.started_at_us),
        "ended_at": instant(one.ended_at_us),
        "travel_s": None if before is None else (one.started_at_us - before.ended_at_us) / 1e6,
        "confidence": one.confidence,
    }


def _merge(row: dict, concerning: Sequence[Decision]) -> dict:
    pair = {row["tracklet_a"], row["tracklet_b"]}
    by_hand = [one for one in concerning if any(pair == set(both) for both in one.together)]
    words = RULES.get(row["rule"], row["rule"])
    if row["rule"] == "person" and by_hand:
        words += f" ({by_hand[0].decision_id}{f', {by_hand[0].by}' if by_hand[0].by else ''})"
    told = None if np.isnan(row["similarity"]) else row["similarity"]
    return {**row, "similarity": told, "because": words}


@dataclass(frozen=True, eq=False, slots=True)
class _Night:
    """N tracklets of one class group in one night, sorted by id, freed of what their cameras add."""

    tracklets: Tracklets
    camera_id: np.ndarray
    sets: ExemplarSets
    identity_of: Mapping[str, str]
    calibration: Calibration

    @staticmethod
    def read(lake: Lake, local_date: str, group: str) -> _Night | None:
        """Read a night; None where nothing was learned of the group in it."""
        calibration = identity_tables.calibration_of(lake, local_date, group)
        if calibration is None:
            return None
        tracklets, camera_id = lake.read_tracklets(local_date)
        chosen = np.array([class_group(int(one)) == group for one in tracklets.class_id], bool)
        own, places = tracklets.take(chosen), camera_id[chosen]
        names = set(own.tracklet_id)
        exemplars: Exemplars = lake.read_exemplars(local_date)
        mine = exemplars.take(np.array([one in names for one in exemplars.tracklet_id], bool))
        cameras, camera = np.unique(places.astype(str), return_inverse=True)
        tints: Tints = identity_tables.tints_of(lake, local_date)
        tint = np.stack([tints.get((group, place), np.zeros(own.embedding.shape[1])) for place in cameras.tolist()])
        sets = without_bias(exemplar_sets(own.tracklet_id, own.embedding, mine), camera, tint)
        return _Night(own, places, sets, identity_tables.identity_of(lake, local_date), Calibration(**calibration))


def _nearest(lake: Lake, seen: Sequence[Sighting], decided: Decided, config: IdentityConfig) -> list[dict]:
    """Return the NEAREST tracklets of other identities in the identity's latest nights, the most alike first."""
    own, group = {one.tracklet_id for one in seen}, _group(seen[0].class_name)
    apart = {(name, other) for pair in decided.apart for name, other in (pair, pair[::-1])}
    rows: list[dict] = []
    for local_date in sorted({one.local_date for one in seen})[-NIGHTS:]:
        night = _Night.read(lake, local_date, group)
        if night is not None:
            rows += _others(night, own, apart, config)
    rows.sort(key=lambda row: (-row["similarity"], row["tracklet_id"]))
    return rows[:NEAREST]


def _others(night: _Night, own: set[str], apart: set[tuple[str, str]], config: IdentityConfig) -> list[dict]:
    """Return for each look-alike of another identity the own tracklet most like it, and why the two were not joined."""
    tracklets = night.tracklets
    mine = np.array([name in own for name in tracklets.tracklet_id], bool)
    known = night.sets.means().any(axis=1)  # imported tracks have no looks, and are like nobody
    rows_mine, rows_other = np.flatnonzero(mine & known), np.flatnonzero(~mine & known)
    if len(rows_mine) == 0 or len(rows_other) == 0:
        return []
    query, reference = night.sets.take(rows_mine), night.sets.take(rows_other)
    _, index = nearest(query.vector, reference.vector, LOOKED_UP)
    i = np.broadcast_to(rows_mine[query.owner][:, None], index.shape).ravel()
    pairs = np.unique(np.stack([i, rows_other[reference.owner[index.ravel()]]], axis=1), axis=0)
    alike = similarity(night.sets, pairs[:, 0], pairs[:, 1])
    shown: dict[int, int] = {}
    for row in np.lexsort((pairs[:, 0], pairs[:, 1], -alike)).tolist():
        shown.setdefault(int(pairs[row, 1]), row)
    chosen = pairs[list(shown.values())[:NEAREST]]
    found = alike[list(shown.values())[:NEAREST]]
    topology = Topology.from_config(tuple(sorted(set(night.camera_id.tolist()))), config)
    place = {name: number for number, name in enumerate(topology.cameras)}
    spots = Sightings(
        np.array([place[name] for name in night.camera_id], np.int32), tracklets.started_at_us, tracklets.ended_at_us
    )
    relation = topology.relate(spots.take(chosen[:, 0]), spots.take(chosen[:, 1]))
    probability = night.calibration.probability(found)
    rows = []
    for (a, b), value, told, chance in zip(chosen.tolist(), found, relation, probability, strict=True):
        first, then = _way(topology, spots, a, b)
        travel_s = int(tracklets.started_at_us[then] - tracklets.ended_at_us[first]) / 1e6
        short = min(int(tracklets.n_observations[row]) for row in (a, b))
        if (tracklets.tracklet_id[a], tracklets.tracklet_id[b]) in apart:
            reason = "somebody decided that they are not one"
        elif short < config.min_observations:
            reason = f"a tracklet of {short} boxes is not judged (min_observations is {config.min_observations})"
        else:
            reason = _reason(topology, spots, first, then, int(told), float(chance), travel_s)
        rows.append(
            {
                "tracklet_id": tracklets.tracklet_id[b],
                "camera_id": night.camera_id[b],
                "identity_id": night.identity_of.get(tracklets.tracklet_id[b]),
                "beside": tracklets.tracklet_id[a],
                "similarity": float(value),
                "probability": float(chance) if told == Relation.POSSIBLE else None,
                "travel_s": travel_s,
                "reason": reason,
            }
        )
    return rows


def _way(topology: Topology, spots: Sightings, a: int, b: int) -> tuple[int, int]:
    """Return two tracklets in the order in which the travel time counts: by the clock, but along a one-way link."""
    there, back = (bool(topology.one_way[spots.camera[i], spots.camera[j]]) for i, j in ((a, b), (b, a)))
    if there or back:
        return (a, b) if there else (b, a)
    return (a, b) if spots.started_at_us[a] <= spots.started_at_us[b] else (b, a)


def _reason(
    topology: Topology, spots: Sightings, first: int, then: int, relation: int, probability: float, travel_s: float
) -> str:
    """Say why two tracklets, `first` of which comes first on the way (see `_way`), were not joined."""
    way = (spots.camera[first], spots.camera[then])
    names = tuple(topology.cameras[place] for place in way)
    at_once = travel_s <= 0 and spots.started_at_us[first] <= spots.ended_at_us[then]
    if at_once and way[0] == way[1]:
        return f"both were in camera {names[0]} at once"
    if at_once and not topology.overlapping[way]:
        return f"seen at once in {names[0]} and {names[1]}, whose views do not overlap"
    if relation == Relation.NEVER:
        least_s, most_s = (times[way] / 1e6 for times in (topology.min_travel_us, topology.max_travel_us))
        only = ", the only way that the link goes" if topology.one_way[way] else ""
        return (
            f"outside the travel window: {travel_s:.0f} s from {names[0]} to {names[1]}{only}, expected {least_s:.0f} "
            f"to {most_s:.0f}"
        )
    if way[0] == way[1]:
        return (
            f"both in camera {names[0]} at different times: one identity only where both belong to a tracklet of "
            "another camera and look it"
        )
    if relation == Relation.UNTOLD:
        return f"no travel window leads from {names[0]} to {names[1]}"
    if probability < 0.5:
        return f"looks alone do not say so: a probability of {probability:.2f}"
    return "likely by looks alone, but not with all that is known of the two sides: places, times, rivals, the others"


def _group(class_name: str) -> str:
    return class_group(COCO_CLASSES.index(class_name))
