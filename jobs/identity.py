"""What people decide about identities: two are one, or some tracklets of one are somebody else. Stored and applied."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Sequence

from jobs.decided import Decided, Fact
from jobs.identify import identify
from jobs.sightings import Sighting, instant, sightings
from pipeline.config import FleetConfig
from pipeline.errors import UserError
from pipeline.lake import catalog, decisions
from pipeline.lake.decisions import Decision
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, class_group


def merge(lake_url: str, id_a: str, id_b: str, *, by: str = "", note: str = "") -> dict:
    """Make two identities one, for every run from now on; the one seen first gives the name.

    Raises UserError where there is no such identity, where the two cannot be one (seen at one instant in one camera,
    or of two class groups), and where an earlier decision says otherwise.
    """
    lake, config = _opened(lake_url)
    if id_a == id_b:
        raise UserError(f"{id_a} and {id_b} are one identity already; give two different ids")
    with catalog.connect(lake.url) as connection:
        both = [sightings(connection, lake_url, name) for name in (id_a, id_b)]
    (stays, kept), (gone, given_up) = sorted(zip((id_a, id_b), both), key=lambda one: (one[1][0].started_at_us, one[0]))
    _refuse_two_groups(kept, given_up)
    _refuse_at_once(kept, given_up)
    _refuse_if_apart(lake, kept, given_up)
    anchor = _first(kept).tracklet_id
    nights = {local_date: _first(own) for local_date, own in _by_night(given_up).items()}
    rows = tuple(("merge", anchor, one.tracklet_id) for _, one in sorted(nights.items()))
    decision = _decided(lake, config, rows, by, note)
    return {
        "decision_id": decision.decision_id,
        "kind": "merge",
        "identity_id": _identity_now(lake, anchor),
        "gone": gone if gone != stays else None,
        "tracklets": len(kept) + len(given_up),
        "nights": sorted(_by_night([*kept, *given_up])),
    }


def split(lake_url: str, identity_id: str, tracklet_ids: Sequence[str], *, by: str = "", note: str = "") -> dict:
    """Take tracklets out of an identity: they become one of their own, for every run from now on.

    The rest keeps the id. Raises UserError where there is no such identity, a tracklet is not of it, none would be
    left, or an earlier decision says otherwise.
    """
    lake, config = _opened(lake_url)
    with catalog.connect(lake.url) as connection:
        seen = {one.tracklet_id: one for one in sightings(connection, lake_url, identity_id)}
    named = list(dict.fromkeys(tracklet_ids))
    strangers = [name for name in named if name not in seen]
    if strangers:
        near = difflib.get_close_matches(strangers[0], seen, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(
            f"--tracklets: {strangers[0]!r} is not a tracklet of {identity_id}; {hint}it has "
            f"{', '.join(sorted(seen)[:5])}{' and more' if len(seen) > 5 else ''} (see "
            f"`nightfleet explain identity {lake_url} {identity_id}`)"
        )
    stay = [one for name, one in seen.items() if name not in named]
    if not named or not stay:
        what = "none" if not named else "all"
        raise UserError(
            f"--tracklets: expected some of the {len(seen)} tracklets of {identity_id}, got {what}; name those that "
            "are somebody else"
        )
    leave = sorted((seen[name] for name in named), key=_by_date)
    _refuse_if_merged(lake, stay, leave)
    first = leave[0].tracklet_id
    rows = (
        *(("merge", first, one.tracklet_id) for one in leave[1:]),
        *(("split", one.tracklet_id, first) for one in sorted(stay, key=_by_date)),
    )
    decision = _decided(lake, config, rows, by, note)
    return {
        "decision_id": decision.decision_id,
        "kind": "split",
        "identity_id": _identity_now(lake, stay[0].tracklet_id),
        "new_identity_id": _identity_now(lake, first),
        "tracklets": [one.tracklet_id for one in leave],
        "nights": sorted(_by_night(list(seen.values()))),
    }


def listed(lake_url: str) -> list[dict]:
    """Return every decision, the earliest first, with the identities it concerns now and whether it still applies.

    applies: "yes"; "in part" or "no" where tracklets that it names are gone, as after tracking anew.
    """
    lake = Lake.open(lake_url)
    decided = Decided.of(lake)
    identity_of = decided.identities(lake)
    rows = []
    for one in decided.decisions:
        holding = sum(decided.holds(row) for row in one.rows)
        gone = sorted(one.tracklets - decided.facts.keys())
        rows.append(
            {
                "decision_id": one.decision_id,
                "kind": one.kind,
                "decided_at": instant(one.decided_at_us),
                "by": one.by,
                "note": one.note,
                "identities": sorted({identity_of[name] for name in one.tracklets if name in identity_of}),
                "tracklets": sorted(one.tracklets),
                "applies": "yes" if holding == len(one.rows) else "in part" if holding else "no",
                "gone": gone,
            }
        )
    return rows


def undo(lake_url: str, decision_id: str) -> dict:
    """Take a decision back: the nights in which something gave way to it are linked again without it.

    Raises UserError where there is no such decision.
    """
    lake, config = _opened(lake_url)
    known = {one.decision_id: one for one in decisions.read(lake)}
    if decision_id not in known:
        near = difflib.get_close_matches(decision_id, known, 1)
        hint = f"the most similar is {near[0]}" if near else "there are none" if not known else "none is similar"
        raise UserError(
            f"{lake_url}: no decision {decision_id!r}; {hint}; list them with "
            f"`nightfleet identity decisions {lake_url}`"
        )
    decided = Decided.of(lake)
    before = decided.identities(lake)
    decisions.remove(lake, decision_id)
    identify(config, lake, device="auto")
    after = decided.identities(lake)
    names = known[decision_id].tracklets & decided.facts.keys()
    return {
        "decision_id": decision_id,
        "kind": known[decision_id].kind,
        "before": sorted({before[name] for name in names & before.keys()}),
        "after": sorted({after[name] for name in names & after.keys()}),
    }


def _opened(lake_url: str) -> tuple[Lake, FleetConfig]:
    """Open a lake with its own configuration; it lies where it is named now."""
    lake = Lake.open(lake_url)
    return lake, lake.read_config().model_copy(update={"lake": lake.url})


def _decided(lake: Lake, config: FleetConfig, rows: tuple, by: str, note: str) -> Decision:
    """Store a decision and apply it."""
    decision = Decision(rows, time.time_ns() // 1000, by, note)
    decisions.write(lake, decision)
    identify(config, lake, device="auto")
    return decision


def _identity_now(lake: Lake, tracklet_id: str) -> str:
    table = catalog.query(lake.url, "SELECT identity_id FROM identities WHERE tracklet_id = ?", [tracklet_id])
    return table[0].to_pylist()[0]


def _by_night(own: Sequence[Sighting]) -> dict[str, list[Sighting]]:
    nights: dict[str, list[Sighting]] = {}
    for one in own:
        nights.setdefault(one.local_date, []).append(one)
    return nights


def _first(own: Iterable[Sighting]) -> Sighting:
    return min(own, key=_by_date)


def _by_date(one: Fact) -> tuple:
    return one.local_date, one.started_at_us, one.tracklet_id


def _group(one: Fact) -> str:
    return class_group(COCO_CLASSES.index(one.class_name))


def _refuse_two_groups(kept: Sequence[Sighting], given_up: Sequence[Sighting]) -> None:
    a, b = kept[0], given_up[0]
    if _group(a) != _group(b):
        raise UserError(
            f"tracklet {a.tracklet_id} is a {a.class_name} and {b.tracklet_id} a {b.class_name}; identities of two "
            "class groups are never compared, so they cannot be merged"
        )


def _refuse_at_once(kept: Sequence[Sighting], given_up: Sequence[Sighting]) -> None:
    by_camera: dict[str, list[Sighting]] = {}
    for one in kept:
        by_camera.setdefault(one.camera_id, []).append(one)
    for b in given_up:
        for a in by_camera.get(b.camera_id, ()):
            at_us = max(a.started_at_us, b.started_at_us)
            if at_us <= min(a.ended_at_us, b.ended_at_us):
                raise UserError(
                    f"tracklets {a.tracklet_id} and {b.tracklet_id} were both in camera {a.camera_id} at "
                    f"{instant(at_us)}, so the two identities cannot be one; split off the wrong one first"
                )


def _refuse_if_apart(lake: Lake, kept: Sequence[Sighting], given_up: Sequence[Sighting]) -> None:
    decided = Decided.of(lake)
    side_of = decided.sides
    left, right = ({one.tracklet_id for one in own} for own in (kept, given_up))
    for decision in decided.decisions:
        for a, b in decision.apart:
            one, other = side_of.get(a, {a}), side_of.get(b, {b})
            if (one & left and other & right) or (one & right and other & left):
                raise UserError(
                    f"decision {decision.decision_id} says that tracklets {a} and {b} are not one; take it back first "
                    f"with `nightfleet identity undo {lake.url} {decision.decision_id}`"
                )


def _refuse_if_merged(lake: Lake, stay: Sequence[Sighting], leave: Sequence[Sighting]) -> None:
    decided = Decided.of(lake)
    left, right = ({one.tracklet_id for one in own} for own in (stay, leave))
    for decision in decided.decisions:
        for a, b in decision.together:
            if (a in left and b in right) or (a in right and b in left):
                raise UserError(
                    f"decision {decision.decision_id} says that tracklets {a} and {b} are one; take it back first with "
                    f"`nightfleet identity undo {lake.url} {decision.decision_id}`"
                )
