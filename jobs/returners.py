"""Who of a night is known from the nights before and after it, within the memory of the configuration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from jobs.tonight import Tonight, nights_near, reach_us
from pipeline.config import IdentityConfig
from pipeline.identity.evidence import without_bias
from pipeline.identity.linked import GroupLooks
from pipeline.identity.linking import exemplar_sets
from pipeline.identity.returns import Appearances, Return, recognise, settle
from pipeline.lake import identity_tables
from pipeline.lake.writer import Lake
from pipeline.types import Exemplars, Tracklets, class_group

Tints = Mapping[tuple[str, str], np.ndarray]
"""What each camera adds to the looks of a class group, by (class group, camera)."""


def returned(
    lake: Lake,
    tonight: Tonight,
    label: np.ndarray,
    groups: Sequence[GroupLooks],
    asked_for: Collection[str],
    taken: Collection[str],
    others: Sequence[str],
    config: IdentityConfig,
    *,
    device: str,
) -> dict[str, Return]:
    """Return which of tonight's clusters `asked_for` are known from other nights, by label.

    label (N,), cluster of each of tonight's tracklets; groups, what was learned of looks. Whoever is `taken` was seen
    tonight already. The nights are read one by one: only one is held beside tonight's.
    """
    near = nights_near(tonight.local_date, others, config.memory_days)
    if not near or not asked_for:
        return {}
    asked = _asked(tonight, label, groups, asked_for, config)
    learned = {group.class_group: group for group in groups if group.class_group in asked}
    barred = _barred(tonight, label)
    found: dict[str, list[Return]] = {name: [] for name in learned}
    known_ids: dict[str, set[str]] = {name: set() for name in learned}
    for local_date in near if learned else ():
        for name, known in _known(lake, local_date, set(taken), config).items():
            if name not in learned:
                continue
            known_ids[name] |= set(known.identity_id)
            found[name] += recognise(
                asked[name],
                known,
                learned[name].calibration,
                reach_us=reach_us(config),
                neighbours=config.neighbours,
                device=device,
                exact_vectors=config.exact_vectors,
                recall=config.recall,
                barred=barred,
            )
    ruled_out = _met(tonight, label, reach_us(config))
    settled: dict[str, Return] = {}
    for name, returns in found.items():
        likely = [one for one in returns if not ruled_out(one)]
        settled |= settle(likely, max(len(asked[name]), len(known_ids[name])))
    return settled


def _asked(
    tonight: Tonight,
    label: np.ndarray,
    groups: Sequence[GroupLooks],
    asked_for: Collection[str],
    config: IdentityConfig,
) -> dict[str, Appearances]:
    """Return how tonight's clusters `asked_for` look, by class group."""
    chosen = tonight.own & np.array([name in asked_for for name in label], bool)
    tracklets = tonight.tracklets.take(chosen)
    label_of = dict(zip(tracklets.tracklet_id.tolist(), label[chosen].tolist()))
    tints = {(group.class_group, camera): tint for group in groups for camera, tint in zip(group.cameras, group.tint)}
    return dict(_appearances(tracklets, tonight.camera_id[chosen], tonight.exemplars, label_of, tints, config))


def _known(lake: Lake, local_date: str, taken: set[str], config: IdentityConfig) -> dict[str, Appearances]:
    """Return how the identities of another night look, those `taken` left out, by class group."""
    names = identity_tables.identity_of(lake, local_date)
    names = {tracklet: identity for tracklet, identity in names.items() if identity not in taken}
    tracklets, camera_id = lake.read_tracklets(local_date)
    tints = identity_tables.tints_of(lake, local_date)
    return dict(_appearances(tracklets, camera_id, lake.read_exemplars(local_date), names, tints, config))


def _appearances(
    tracklets: Tracklets,
    camera_id: np.ndarray,
    exemplars: Exemplars,
    names: Mapping[str, str],
    tints: Tints,
    config: IdentityConfig,
) -> Iterator[tuple[str, Appearances]]:
    """Yield the looks of the tracklets that have names and are long enough to be judged, by class group."""
    judged = tracklets.n_observations >= config.min_observations
    judged &= np.array([name in names for name in tracklets.tracklet_id], bool)
    group = np.array([class_group(int(class_id)) for class_id in tracklets.class_id], dtype=object)
    for name in sorted(set(group[judged])):
        chosen = judged & (group == name)
        own = tracklets.take(chosen)
        cameras, camera = np.unique(camera_id[chosen].astype(str), return_inverse=True)
        tint = np.stack([tints.get((name, place), np.zeros(own.embedding.shape[1])) for place in cameras.tolist()])
        whose = set(own.tracklet_id)
        mine = exemplars.take(np.array([one in whose for one in exemplars.tracklet_id], bool))
        sets = without_bias(exemplar_sets(own.tracklet_id, own.embedding, mine), camera, tint)
        identity = np.array([*(names[one] for one in own.tracklet_id), None], dtype=object)[:-1]
        yield (
            name,
            Appearances.gather(identity, own.tracklet_id, camera_id[chosen], own.started_at_us, own.ended_at_us, sets),
        )


def _barred(tonight: Tonight, label: np.ndarray) -> set[tuple[str, str]]:
    """Return (label, identity) that people said are apart."""
    label_of = dict(zip(tonight.tracklets.tracklet_id.tolist(), label.tolist()))
    return {(label_of[name], identity) for name, identity in tonight.barred if name in label_of}


def _met(tonight: Tonight, label: np.ndarray, reach: int) -> Callable[[Return], bool]:
    """Return a function that tells of a return whether tonight's tracklets came within `reach` microseconds of one of
    another night with that identity: then linking had them before it, and did not join them."""
    tracklets, marked = tonight.tracklets, tonight.fixed.identity_of
    rows_of: dict[str, list[int]] = {}
    for row, (name, own) in enumerate(zip(tracklets.tracklet_id.tolist(), tonight.own.tolist())):
        if own:
            rows_of.setdefault(label[row], []).append(row)
        elif name in marked:
            rows_of.setdefault(tonight.standing[marked[name]], []).append(row)

    def met(one: Return) -> bool:
        mine, known = rows_of[one.identity_id], rows_of.get(one.known_id, [])
        later = np.maximum(tracklets.started_at_us[mine][:, None], tracklets.started_at_us[known][None])
        earlier = np.minimum(tracklets.ended_at_us[mine][:, None], tracklets.ended_at_us[known][None])
        return bool((later - earlier <= reach).any())

    return met
