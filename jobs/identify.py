"""Join the tracklets of each night into identities, where they changed since the last time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.at_once import kept_apart
from jobs.decided import Decided, redecided, text
from jobs.indexing import index
from jobs.returners import returned
from jobs.tonight import Tonight
from pipeline.config import FleetConfig, digest
from pipeline.identity.ground import GroundTracks, Homography, on_ground
from pipeline.identity.linked import Evidence, Linked
from pipeline.identity.linking import LINKING_VERSION, link
from pipeline.identity.naming import inherited, new_names
from pipeline.identity.paths import STEP_US
from pipeline.identity.returns import Return
from pipeline.lake import catalog, identity_tables
from pipeline.lake.identity_tables import MadeFrom, NightTables
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake

# One box a step of a path is enough.
_PLACES = """
SELECT tracklet_id, camera_id, epoch_us(captured_at) AS at_us, x1, y1, x2, y2
FROM observations
WHERE date BETWEEN CAST($first_date AS DATE) AND CAST($last_date AS DATE)
  AND list_contains($cameras, camera_id)
  AND tracklet_id IN (
      SELECT tracklet_id FROM tracklets WHERE date = CAST($local_date AS DATE) UNION ALL SELECT unnest($others)
  )
QUALIFY row_number() OVER (PARTITION BY tracklet_id, epoch_us(captured_at) // $step_us ORDER BY captured_at) = 1
ORDER BY tracklet_id, captured_at
"""


_SIDES = ("tracklet_a", "tracklet_b")


@dataclass(frozen=True, slots=True)
class _Fleet:
    """What stays the same while the nights of a lake are brought up to date, one after another."""

    config: FleetConfig
    homographies: Mapping[str, Homography]
    entries: Sequence[LedgerEntry]
    decided: Decided
    device: str


def identify(config: FleetConfig, lake: Lake, *, device: str | None = None) -> int:
    """Bring the identities of every night of the lake up to date; returns how many were made anew.

    A night is linked again only when its units, the identity section or a camera's homography changed, in the order of
    the dates; its run id is a digest of them and of what people decided of its tracklets. Other nights are never
    rewritten for it: it is linked with what lies within a travel window of it on both sides, and whoever it joins
    keeps their identity. A night to which decisions were added only is not linked again: they are applied to it.
    The search indexes follow. `device` stands in for that of the configuration.
    """
    homographies = _homographies(config)
    fleet = _Fleet(config, homographies, lake.ledger(), Decided.of(lake), device or config.execution.device)
    wanted = _wanted(fleet)
    for local_date in set(identity_tables.written_dates(lake)) - wanted.keys():
        identity_tables.remove_night(lake, local_date)
    present = {day for day, made in identity_tables.made_from(lake).items() if wanted.get(day) == made}
    n_identities = 0
    for local_date, target in wanted.items():
        if local_date in present:
            continue
        night = _with_decisions(fleet, lake, local_date, target)
        if night is None:
            night = _linked_night(fleet, lake, local_date, target, sorted(present))
            n_identities += len(set(night.identities["identity_id"]))
        identity_tables.write_night(lake, local_date, night, target)
        present.add(local_date)
    index(lake)
    return n_identities


def _wanted(fleet: _Fleet) -> dict[str, MadeFrom]:
    """Return what each night's identities are to be made from, in the order of the dates."""
    keys_by_date: dict[str, list] = {}
    for entry in fleet.entries:
        # Not the row counts: an erasure lowers them, and is no reason to link everybody else again.
        keys_by_date.setdefault(entry.local_date, []).append([entry.segment_id, entry.key, entry.state_in_digest])
    settings = digest(fleet.config.identity, fleet.homographies, LINKING_VERSION)
    return {
        local_date: MadeFrom(settings, digest(sorted(keys)), fleet.decided.rows_of(local_date))
        for local_date, keys in sorted(keys_by_date.items())
    }


def _with_decisions(fleet: _Fleet, lake: Lake, local_date: str, target: MadeFrom) -> NightTables | None:
    """Return a night as it is with new decisions applied, or None where more than decisions was added.

    Where a decision was taken back, or one of its tracklets is gone, the night of the tracklet that gave way is linked
    again; others go on as they are.
    """
    was = identity_tables.last_made_from(lake, local_date)
    if was is None or (was.settings, was.units) != (target.settings, target.units):
        return None
    tonight = identity_tables.identity_of(lake, local_date)
    added = set(target.decisions) - set(was.decisions)
    if any(gave_way in tonight for _, _, gave_way in set(was.decisions) - set(target.decisions)):
        return None
    night = identity_tables.read_night(lake, local_date, {was.run_id, target.run_id})
    if night is None:
        return None
    return redecided(night, local_date, added, fleet.decided, fleet.decided.identities(lake), lake)


def _linked_night(fleet: _Fleet, lake: Lake, local_date: str, target: MadeFrom, others: Sequence[str]) -> NightTables:
    """Link a night with what lies around it in the `others`, whose identities stand."""
    identity = fleet.config.identity
    was = identity_tables.last_made_from(lake, local_date)
    same_settings = was is not None and was.settings == target.settings
    tonight = Tonight.read(
        lake,
        local_date,
        fleet.entries,
        others,
        fleet.decided,
        identity,
        same_settings=same_settings,
        taken_back=set(was.decisions) - set(target.decisions) if was is not None else (),
    )
    ground = _ground_tracks(lake, tonight, fleet.homographies) if fleet.homographies else None
    linked = link(
        tonight.tracklets,
        tonight.camera_id,
        tonight.exemplars,
        identity,
        ground=ground,
        device=fleet.device,
        fixed=tonight.fixed,
    )
    label = linked.identities.identity_id.copy()  # `link` sorts by tracklet_id, and so is tonight
    own_id = tonight.tracklets.tracklet_id[tonight.own]
    label[tonight.own] = fleet.decided.joined(own_id, label[tonight.own], tonight.standing.keys())
    label = kept_apart(tonight, linked.identities.identity_id, label, linked.identities.confidence, fleet.decided.sides)
    own_labels = set(label[tonight.own])
    name_of = {name: identity for name, identity in tonight.standing.items() if name in own_labels}
    kept = _former_names(lake, tonight, label[tonight.own], name_of, others)
    if same_settings:  # whoever has a name of their own keeps it
        name_of |= kept
    asked = own_labels - name_of.keys()
    found = returned(
        lake, tonight, label, linked.groups, asked, set(name_of.values()), others, identity, device=fleet.device
    )
    name_of |= {name: one.known_id for name, one in found.items()}
    name_of |= {name: own for name, own in kept.items() if name not in name_of}
    name_of |= _new_names(lake, tonight, label[tonight.own], name_of)
    return _tables(tonight, label, linked, name_of, found, fleet.decided)


def _former_names(
    lake: Lake, tonight: Tonight, label: np.ndarray, settled: Mapping[str, str], others: Sequence[str]
) -> dict[str, str]:
    """Return the names of before that clusters go on bearing: those that no other night bears, and none is settled."""
    own_id, started_at_us = tonight.tracklets.tracklet_id[tonight.own], tonight.tracklets.started_at_us[tonight.own]
    names, number = np.unique(label.astype(str), return_inverse=True)
    former = [None if name in settled else tonight.former.get(own) for own, name in zip(own_id, label)]
    row_of = {name: row for row, name in enumerate(own_id.tolist())}
    kept = inherited(
        number,
        former,
        started_at_us,
        taken=identity_tables.in_use(lake, others, tonight.former.values()) | set(settled.values()),
        barred=[(row_of[name], identity) for name, identity in sorted(tonight.barred) if name in row_of],
    )
    return {str(names[cluster]): name for cluster, name in kept.items()}


def _new_names(lake: Lake, tonight: Tonight, label: np.ndarray, named: Mapping[str, str]) -> dict[str, str]:
    """Name the clusters that have no name yet after their earliest tracklets."""
    own_id, started_at_us = tonight.tracklets.tracklet_id[tonight.own], tonight.tracklets.started_at_us[tonight.own]
    first: dict[str, str] = {}
    for row in np.lexsort((own_id.astype(str), started_at_us)).tolist():
        if label[row] not in named:
            first.setdefault(label[row], own_id[row])
    dates = [day for day in identity_tables.written_dates(lake) if day != tonight.local_date]
    given = set(named.values())
    names = new_names(
        list(first.values()), lambda asked: identity_tables.in_use(lake, dates, asked) | given.intersection(asked)
    )
    return dict(zip(first, names, strict=True))


def _tables(
    tonight: Tonight,
    label: np.ndarray,
    linked: Linked,
    name_of: Mapping[str, str],
    found: Mapping[str, Return],
    decided: Decided,
) -> NightTables:
    """Lay out what was found, without the tracklets of other nights."""
    own_id, label, confidence = (
        column[tonight.own] for column in (tonight.tracklets.tracklet_id, label, linked.identities.confidence.copy())
    )
    alone = {name for name, n_rows in zip(*np.unique(label.astype(str), return_counts=True)) if n_rows == 1}
    for row, name in enumerate(label.tolist()):
        if name in found:
            probability = np.float32(found[name].probability)
            confidence[row] = probability if name in alone else min(confidence[row], probability)
    identity_of = {name: name_of[own] for name, own in zip(own_id.tolist(), label.tolist())}
    by_hand = decided.evidence(tonight.local_date)
    tint = [np.zeros((0, tonight.tracklets.embedding.shape[1])), *(group.tint for group in linked.groups)]
    return NightTables(
        identities={"tracklet_id": own_id, "identity_id": text(identity_of.values()), "confidence": confidence},
        identity_evidence=_evidence(linked.evidence, tonight, identity_of, found, by_hand),
        calibrations=_calibrations(linked),
        camera_looks={
            "class_group": text(group.class_group for group in linked.groups for _ in group.cameras),
            "camera_id": text(camera for group in linked.groups for camera in group.cameras),
            "tint": np.concatenate(tint),
        },
    )


def _evidence(
    evidence: Evidence,
    tonight: Tonight,
    identity_of: Mapping[str, str],
    found: Mapping[str, Return],
    by_hand: Sequence[dict],
) -> dict[str, np.ndarray]:
    """Return the merges of this night: those just made, those of before that stand, those who returned, those by hand.

    Merges among other nights' tracklets are left out, and those that a person's decision overruled.
    """
    standing = {name: tonight.standing[marked] for name, marked in tonight.fixed.identity_of.items()}
    both = {**standing, **identity_of}
    pairs = zip(evidence.tracklet_a.tolist(), evidence.tracklet_b.tolist())
    mine = np.array([(a in identity_of or b in identity_of) and both[a] == both[b] for a, b in pairs], bool)
    columns = {name: getattr(evidence, name)[mine].tolist() for name in Evidence.__slots__}
    carried = [dict(zip(tonight.carried, row)) for row in zip(*tonight.carried.values())]
    carried = [row for row in carried if row["identity_id"] in (identity_of.get(row[side]) for side in _SIDES)]
    by_hand = [row for row in by_hand if len({both[row[side]] for side in _SIDES if row[side] in both}) == 1]
    for row in (*carried, *(_of_return(back) for back in sorted(found.values(), key=_by_identity)), *by_hand):
        for name in columns:
            columns[name].append(row.get(name))
    sides = zip(columns["tracklet_a"], columns["tracklet_b"])
    columns["identity_id"] = [identity_of[a] if a in identity_of else identity_of[b] for a, b in sides]
    return {name: _like(getattr(evidence, name), values) for name, values in columns.items()}


def _by_identity(one: Return) -> tuple[str, str]:
    return one.known_id, one.tracklet_id


def _of_return(one: Return) -> dict:
    sides = [(one.known_tracklet_id, one.known_camera_id), (one.tracklet_id, one.camera_id)]
    (a, camera_a), (b, camera_b) = sides if one.known_first else reversed(sides)
    return {
        "tracklet_a": a,
        "tracklet_b": b,
        "camera_a": camera_a,
        "camera_b": camera_b,
        "similarity": one.similarity,
        "probability": one.probability,
        "merge_probability": one.probability,
        "travel_s": one.travel_s,
        "rule": "returned",
    }


def _like(column: np.ndarray, values: list) -> np.ndarray:
    return text(values) if column.dtype == object else np.array(values, column.dtype)


def _calibrations(linked: Linked) -> dict:
    """Return a row for each class group; see schema.CALIBRATIONS."""
    groups = linked.groups
    learned = [group.calibration for group in groups]
    return {
        "class_group": text(group.class_group for group in groups),
        "rule": text(one.rule for one in learned),
        "min_similarity": np.array([one.min_similarity for one in learned], np.float64),
        "stranger_mean": np.array([one.stranger_similarity for one in learned], np.float64),
        "stranger_sd": [one.stranger_sd for one in learned],
        "match_mean": [one.match_mean for one in learned],
        "match_sd": [one.match_sd for one in learned],
        "prior_log_odds": np.array([one.prior for one in learned], np.float64),
        "n_tracklets": np.array([group.n_tracklets for group in groups], np.int64),
        "n_pairs": np.array([group.n_pairs for group in groups], np.int64),
        "search": text(group.search for group in groups),
    }


def _homographies(config: FleetConfig) -> dict[str, Homography]:
    """Return the homography of every camera that shares the common ground plane, by camera id."""
    if config.identity.ground_plane == "per camera":
        return {}
    return {camera.id: camera.homography for camera in config.cameras if camera.homography is not None}


def _ground_tracks(lake: Lake, tonight: Tonight, homographies: Mapping[str, Homography]) -> GroundTracks:
    """Read where the tracklets stood."""
    params = {
        "cameras": sorted(homographies),
        "local_date": tonight.local_date,
        "first_date": tonight.dates[0],
        "last_date": tonight.dates[-1],
        "others": tonight.tracklets.tracklet_id[~tonight.own].tolist(),
        "step_us": STEP_US,
    }
    table = catalog.query(lake.url, _PLACES, params)
    xyxy = np.stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")], axis=1)
    names, cameras = (np.array(table[name].to_pylist(), dtype=object) for name in ("tracklet_id", "camera_id"))
    return on_ground(names, cameras, table["at_us"].to_numpy().astype(np.int64), xyxy, homographies)
