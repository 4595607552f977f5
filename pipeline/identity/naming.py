"""What identities are called: the name of before where there was one, else a new one that nobody else bears."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np


def identity_name(tracklet_id: str, attempt: int = 0) -> str:
    """Return the name of an identity whose earliest tracklet this is. Another attempt gives another name."""
    text = tracklet_id if attempt == 0 else f"{tracklet_id}#{attempt}"
    return "id-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def inherited(
    label: np.ndarray,
    former: Sequence[str | None],
    started_at_us: np.ndarray,
    *,
    taken: Collection[str] = (),
    barred: Iterable[tuple[int, str]] = (),
) -> dict[int, str]:
    """Return the former name that each cluster goes on bearing, by label; clusters with none are left out.

    label (N,) int64, cluster of each tracklet; former (N,), its identity before, None where it had none; started_at_us
    (N,) int64. A cluster inherits from the identity with which it shares most tracklets; each name goes to one cluster,
    and of equals the one whose shared tracklets begin earlier comes first, then by name. Names in `taken` go to nobody;
    `barred` are (row, name) that must not come together.
    """
    shared: Counter[tuple[int, str]] = Counter()
    first_us: dict[tuple[int, str], int] = {}
    for cluster, name, start_us in zip(label.tolist(), former, started_at_us.tolist(), strict=True):
        if name is not None and name not in taken:
            shared[cluster, name] += 1
            first_us[cluster, name] = min(start_us, first_us.get((cluster, name), start_us))
    for row, name in barred:
        shared.pop((int(label[row]), name), None)
    names: dict[int, str] = {}
    given: set[str] = set()
    for cluster, name in sorted(shared, key=lambda one: (-shared[one], first_us[one], one[1], one[0])):
        if cluster not in names and name not in given:
            names[cluster] = name
            given.add(name)
    return names


def new_names(tracklet_ids: Sequence[str], used: Callable[[Sequence[str]], Collection[str]]) -> list[str]:
    """Name new identities after their earliest tracklets; `used` tells which of some names somebody bears already."""
    names = [identity_name(name) for name in tracklet_ids]
    open_rows, attempt = list(range(len(names))), 0
    while open_rows:
        borne = used([names[row] for row in open_rows])
        open_rows = [row for row in open_rows if names[row] in borne]
        attempt += 1
        for row in open_rows:
            names[row] = identity_name(tracklet_ids[row], attempt)
    return names
