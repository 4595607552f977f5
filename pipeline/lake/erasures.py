"""Records of who was erased from a lake: digests and dates, nothing by which anybody could be found.

They outlive the erasure: by them an erasure that was cut short is completed, and rows of a unit that is made anew are
left out again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta

import numpy as np

from pipeline.errors import LakeError
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake

FOLDER = "erasures"
BEGUN, DONE = "begun", "done"


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure.

    erasure_id  digest of what was asked for, and the record's name
    kind        "identity" or "tracklet"
    names       digests of the ids erased: tracklets, and the identity where it was one
    vectors     digests of the embeddings erased, as float32 and as float16
    cameras, dates  of the tracklets: where there may be something of them
    begun_at    instant in UTC, ISO 8601
    state       BEGUN or DONE
    """

    erasure_id: str
    kind: str
    names: tuple[str, ...]
    vectors: tuple[str, ...]
    cameras: tuple[str, ...]
    dates: tuple[str, ...]
    begun_at: str
    state: str = BEGUN

    def concerns(self, entry: LedgerEntry) -> bool:
        """Tell whether a unit may have something of the tracklets: of their cameras, and their dates or the next."""
        days = (date.fromisoformat(entry.local_date) - date.fromisoformat(day) for day in self.dates)
        return entry.camera_id in self.cameras and any(timedelta(days=-1) <= gap <= timedelta(days=1) for gap in days)

    def done(self) -> Erasure:
        """Return it as completed."""
        return replace(self, state=DONE)


def name_digest(name: str) -> str:
    """Digest of an id."""
    return hashlib.blake2b(name.encode(), digest_size=16, person=b"erased id").hexdigest()


def vector_digest(vector: bytes) -> str:
    """Digest of an embedding's bytes."""
    return hashlib.blake2b(vector, digest_size=16, person=b"erased vector").hexdigest()


def write(lake: Lake, erasure: Erasure) -> None:
    """Keep a record, in place of an earlier state of it."""
    lake.storage.write(_path(erasure.erasure_id), json.dumps(asdict(erasure), indent=1).encode() + b"\n")


def outdate(lake: Lake, erasure: Erasure) -> None:
    """Say of the nights of an erasure that whatever was made of them before now, wherever it lies, is not to be used.

    To be called once before anything is removed and once after: the marks are never taken back.
    """
    for local_date in erasure.dates:
        lake.storage.write(f"{FOLDER}/date={local_date}/{erasure.erasure_id}-{uuid.uuid4().hex}", b"\n")


def marks(lake: Lake, local_date: str) -> list[str]:
    """Return what `outdate` has said of a night, in order; one listing, whatever was erased."""
    return lake.storage.names(f"{FOLDER}/date={local_date}")


def find(lake: Lake, erasure_id: str) -> Erasure | None:
    """Return a record, or None where there is none. Raises LakeError where it is damaged."""
    path = _path(erasure_id)
    content = lake.storage.read(path)
    if content is None:
        return None
    try:
        raw = json.loads(content)
        return Erasure(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})
    except (ValueError, KeyError, TypeError):
        raise LakeError(
            f"{lake.storage.location(path)}: not a record of an erasure; restore it from a copy, for without it "
            "whoever was erased may come back"
        ) from None


def read(lake: Lake) -> list[Erasure]:
    """Return every record, by id. Raises LakeError where one is damaged."""
    names = (name for name in lake.storage.names(FOLDER) if name.endswith(".json"))
    found = (find(lake, name.removesuffix(".json")) for name in names)
    return [erasure for erasure in found if erasure is not None]


def naming(lake: Lake, digest: str) -> Erasure | None:
    """Return a record that names this id among others, as that of an identity names its tracklets; None without one."""
    return next((erasure for erasure in read(lake) if digest in erasure.names), None)


def erased(lake: Lake) -> frozenset[str]:
    """Return the digests of all ids that were erased."""
    return frozenset(name for erasure in read(lake) for name in erasure.names)


def is_erased(names: Iterable[str], digests: frozenset[str] | set[str]) -> np.ndarray:
    """Tell of each of N ids whether its digest is among these, (N,) bool."""
    names = list(names)
    known = {name: name_digest(name) in digests for name in set(names)} if digests else {}
    return np.array([known.get(name, False) for name in names], bool)


def _path(erasure_id: str) -> str:
    return f"{FOLDER}/{erasure_id}.json"
