"""Take tracklets out of a lake for good: every row of theirs, in every table and every night.

Files are written one after another, each whole, in an order in which a reader sees less and less of the tracklets and
never something that stands on what is gone: whoever is killed midway leaves a lake that can be read, and goes on
from the record. Rows of embeddings go last, since by them is known what to search for in the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import crossed, erasures, identity_tables, schema, tables, undeciding, unseeing
from pipeline.lake.erasures import Erasure
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.unseeing import Unseen
from pipeline.lake.writer import Lake, unit_path
from pipeline.types import EMBEDDING_DIM, Observations

_OF_IDENTITIES = ("identities", "identity_evidence", "identity_decisions")
ORDER = ("thumbnails", *schema.STORED, "tracklets", *_OF_IDENTITIES, "observations", "embeddings")
"""Tables in the order in which rows go: what is shown first; kept detections go before observations, by which they are
found. Stored tables go by whole files, and are made anew by whoever asks for them."""

_ID_COLUMNS = ("tracklet_id", "tracklet_a", "tracklet_b", "identity_id")
_COUNTED = (*schema.PER_SEGMENT, "detections")


@dataclass(frozen=True, eq=False)
class Findings:
    """All that a lake has of some tracklets, found before anything is removed.

    rows        rows to go, by table and path below the lake
    boxes       by camera, the tracklets' boxes
    unseen      kept detections to go
    vectors     bytes of their embeddings, each once; those of unknown look (zeros) are left out
    """

    rows: dict[str, dict[str, int]]
    boxes: dict[str, Observations]
    unseen: tuple[Unseen, ...]
    vectors: frozenset[bytes]
    cameras: frozenset[str] = field(default=frozenset())

    @cached_property
    def dates(self) -> tuple[str, ...]:
        """Local dates of all files concerned, ascending."""
        paths = [path for files in self.rows.values() for path in files] + [unseen.path for unseen in self.unseen]
        days = (part.removeprefix("date=") for path in paths for part in path.split("/") if part.startswith("date="))
        return tuple(sorted(set(days)))

    @property
    def counts(self) -> Counter[str]:
        """Rows to go, by table."""
        by_table = Counter({table: sum(files.values()) for table, files in self.rows.items()})
        by_table["detections"] += sum(int(unseen.rows.sum()) for unseen in self.unseen)
        return by_table


class Targets:
    """The ids to be erased, by their digests: what is left of an erasure that was cut short is known by those alone."""

    def __init__(self, digests: Iterable[str]) -> None:
        self._digests = frozenset(digests)

    def rows(self, table: pa.Table) -> np.ndarray:
        """Tell of each row whether any id in it is to go, (N,) bool."""
        gone = np.zeros(len(table), bool)
        for name in _ID_COLUMNS:
            if name in table.schema.names:
                coded = table[name].combine_chunks().dictionary_encode()
                hit = erasures.is_erased(coded.dictionary.to_pylist(), self._digests)
                gone |= hit[coded.indices.to_numpy()] if hit.any() else False
        return gone

    def names(self, names: Iterable[str]) -> np.ndarray:
        """Tell of each id whether it is to go."""
        return erasures.is_erased(names, self._digests)


def find(lake: Lake, targets: Targets) -> Findings:
    """Look through every table for what is to go; changes nothing. Raises LakeError where a file is damaged."""
    rows: dict[str, dict[str, int]] = defaultdict(dict)
    boxes: dict[str, list[Observations]] = defaultdict(list)
    vectors: set[bytes] = set()
    cameras: set[str] = set()
    for table in ORDER:
        for path in lake.storage.files(table, ".parquet"):
            found = _matching(lake, path, targets)
            if found is None:
                continue
            rows[table][path] = len(found)
            if "camera_id" in found.schema.names:
                cameras |= set(found["camera_id"].unique().to_pylist())
            if table == "observations":
                boxes[_camera_of(path)].append(tables.to_observations(found))
            if "embedding" in found.schema.names:
                vectors |= _vectors(found["embedding"].combine_chunks().flatten().to_numpy())
    joined = {camera: Observations.concatenate(parts) for camera, parts in boxes.items()}
    unseen = [
        each
        for camera, theirs in sorted(joined.items())
        for each in unseeing.detections_of(lake, camera, theirs, lambda c=camera: _others(lake, rows, c, targets))
    ]
    for each in unseen:
        vectors |= _vectors(each.vectors) | _vectors(each.vectors.astype(np.float32))
    return Findings(dict(rows), joined, tuple(unseen), frozenset(vectors), frozenset(cameras))


def remove(lake: Lake, erasure: Erasure, found: Findings) -> None:
    """Take everything found out of the lake's tables, and bring the ledger's row counts up to date."""
    targets = Targets(erasure.names)
    crossed.forget(lake, erasure.cameras, erasure.dates)
    undeciding.remove(lake, targets.names)  # first: who stands for the erased is known by identities and evidence
    for table in ORDER:
        if table == "observations":
            for unseen in found.unseen:
                unseeing.remove(lake, unseen)
        if table in ("identity_decisions", *schema.STORED):
            continue
        for path in found.rows.get(table, ()):
            content = tables.from_parquet(lake.storage.read(path), lake.storage.location(path))
            lake.storage.write(path, tables.to_parquet(content.filter(~targets.rows(content))))
    for day in identity_tables.written_dates(lake):
        identity_tables.without_decisions(lake, day, lambda row: bool(targets.names(row[1:]).any()))
    for entry in lake.ledger():
        if erasure.concerns(entry):
            _recount(lake, entry)


def _matching(lake: Lake, path: str, targets: Targets) -> pa.Table | None:
    """Return the rows of a file that are to go; None where there are none."""
    content = lake.storage.read(path)
    if content is None:
        return None
    origin = lake.storage.location(path)
    names = [name for name in tables.schema_from_parquet(content, origin).names if name in _ID_COLUMNS]
    gone = targets.rows(pq.ParquetFile(pa.BufferReader(content)).read(columns=names, use_threads=False))
    return tables.from_parquet(content, origin).filter(gone) if gone.any() else None


def _others(lake: Lake, rows: dict[str, dict[str, int]], camera: str, targets: Targets) -> Observations:
    """Return the boxes of all others in the files of a camera that hold boxes to go."""
    parts = [Observations.none()]
    for path in rows.get("observations", ()):
        if _camera_of(path) == camera:
            table = tables.from_parquet(lake.storage.read(path), lake.storage.location(path))
            parts.append(tables.to_observations(table.filter(~targets.rows(table))))
    return Observations.concatenate(parts)


def _recount(lake: Lake, entry: LedgerEntry) -> None:
    """Bring the row counts of a unit's ledger entry up to date."""
    counts = {}
    for table in _COUNTED:
        content = lake.storage.read(unit_path(table, entry.local_date, entry.camera_id, entry.segment_id))
        if content is not None:
            counts[table] = pq.ParquetFile(pa.BufferReader(content)).metadata.num_rows
    amended = replace(entry, **counts)
    if amended != entry:
        lake.amend(amended)


def _vectors(flat: np.ndarray) -> set[bytes]:
    """Return vectors (N * 128,) as bytes, as they are and as half floats; zeros left out."""
    rows = flat.reshape(-1, EMBEDDING_DIM)
    rows = rows[rows.any(axis=1)]
    return {row.tobytes() for part in (rows, rows.astype(np.float16)) for row in np.ascontiguousarray(part)}


def _camera_of(path: str) -> str:
    return next(part.removeprefix("camera=") for part in path.split("/") if part.startswith("camera="))
