"""What people decided about identities: one small file a decision, never rewritten, by tracklet ids alone.

Tracklets outlive identities: a decision holds in every later run, whatever the identities are called then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.lake import tables
from pipeline.lake.identity_tables import Row
from pipeline.lake.writer import Lake

_FOLDER = "identity_decisions"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    rows           what it says of pairs of tracklets, in order. "merge": the two are one. "split": they are not.
                   tracklet_b is the one whose identity gives way
    decided_at_us  microseconds since 1970 UTC
    by, note       who and why, as given; else empty
    """

    rows: tuple[Row, ...]
    decided_at_us: int
    by: str = ""
    note: str = ""

    @property
    def decision_id(self) -> str:
        """Name of the decision, a digest of what and when."""
        text = repr((self.rows, self.decided_at_us))
        return f"{self.kind}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"

    @property
    def kind(self) -> str:
        """ "split" where anything is taken apart, else "merge"."""
        return "split" if any(kind == "split" for kind, *_ in self.rows) else "merge"

    @property
    def together(self) -> tuple[tuple[str, str], ...]:
        """Pairs that are one."""
        return tuple((a, b) for kind, a, b in self.rows if kind == "merge")

    @property
    def apart(self) -> tuple[tuple[str, str], ...]:
        """Pairs that are not."""
        return tuple((a, b) for kind, a, b in self.rows if kind == "split")

    @property
    def tracklets(self) -> set[str]:
        """Every tracklet it speaks of."""
        return {name for _, *pair in self.rows for name in pair}


def write(lake: Lake, decision: Decision) -> None:
    """Keep a decision."""
    n_rows = len(decision.rows)
    columns = {
        "decision_id": np.full(n_rows, decision.decision_id, dtype=object),
        "decided_at": np.full(n_rows, decision.decided_at_us, np.int64),
        "kind": [kind for kind, *_ in decision.rows],
        "tracklet_a": [a for _, a, _ in decision.rows],
        "tracklet_b": [b for *_, b in decision.rows],
        "decided_by": np.full(n_rows, decision.by, dtype=object),
        "note": np.full(n_rows, decision.note, dtype=object),
    }
    content = tables.to_plain_parquet(tables.named_table("identity_decisions", columns))
    lake.storage.write(_path(decision.decision_id), content)


def remove(lake: Lake, decision_id: str) -> None:
    """Forget a decision."""
    lake.storage.remove(_path(decision_id))


def read(lake: Lake) -> list[Decision]:
    """Return every decision, the earliest first. Raises LakeError where a file of one is damaged."""
    found = []
    for path in files(lake):
        content = lake.storage.read(path)
        if content is None:
            continue
        columns = tables.columns_of(tables.from_parquet(content, lake.storage.location(path)))
        rows = tuple(zip(*(columns[name].tolist() for name in ("kind", "tracklet_a", "tracklet_b")), strict=True))
        found.append(Decision(rows, int(columns["decided_at"][0]), columns["decided_by"][0], columns["note"][0]))
    return sorted(found, key=lambda decision: (decision.decided_at_us, decision.decision_id))


def files(lake: Lake) -> Sequence[str]:
    """Return the paths of the files, below the lake."""
    return lake.storage.files(_FOLDER, ".parquet")


def _path(decision_id: str) -> str:
    return f"{_FOLDER}/{decision_id}.parquet"
