"""Save the search index of each night of a lake, which `nightfleet search` maps into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import FleetConfig, IdentityConfig, digest
from pipeline.errors import LakeError, WeightsError
from pipeline.identity.index import without_tint
from pipeline.identity.saving import save
from pipeline.lake import catalog, erasures, index_folders
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.storage import LocalStorage
from pipeline.lake.writer import Lake
from pipeline.perception.weights import embedder_digest, models_digest
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, class_group

FACTS = "facts.parquet"
"""In a partition's folder: row (its place in the partition), and what is known of each tracklet."""

CALIBRATION = ("rule", "min_similarity", "stranger_mean", "stranger_sd", "match_mean", "match_sd", "prior_log_odds")
"""Columns of `calibrations` that a partition keeps."""

_VECTORS_AT_ONCE = 500_000
"""Exemplars read at once, where one camera has no more: 256 MiB."""

_FACTS_AT_ONCE = 8192
"""Rows of FACTS that are read to have one: 20 hits among a million take 0.05 s, 0.13 s in DuckDB's own row groups."""

_FACTS = """
SELECT t.tracklet_id, t.camera_id, t.class, t.started_at, t.ended_at, i.identity_id, i.confidence, e.size
FROM tracklets AS t
JOIN (
    SELECT tracklet_id, count(*) AS size FROM embeddings WHERE date = CAST($local_date AS DATE) GROUP BY tracklet_id
) AS e USING (tracklet_id)
LEFT JOIN (FROM identities WHERE date = CAST($local_date AS DATE)) AS i USING (tracklet_id)
WHERE t.date = CAST($local_date AS DATE)
ORDER BY t.tracklet_id
"""

_EXEMPLARS = """
SELECT tracklet_id, camera_id, embedding FROM embeddings
WHERE date = CAST($local_date AS DATE) AND list_contains($cameras, camera_id)
ORDER BY tracklet_id, captured_at, frame
"""

_OF_GROUP = "WHERE date = CAST($local_date AS DATE) AND class_group = $group"
_LOOKS = f"SELECT camera_id, tint FROM camera_looks {_OF_GROUP}"
_CALIBRATION = f"FROM calibrations {_OF_GROUP}"


@dataclass(frozen=True, slots=True)
class Night:
    """A night's index on this machine.

    embedder  digest of the embedder its vectors come from, None where that cannot be told
    groups    class groups it has a partition of, ascending
    """

    local_date: str
    folder: Path
    embedder: str | None
    groups: tuple[str, ...]

    def partition(self, group: str) -> Path:
        """Folder of a group's partition."""
        return self.folder / f"group={group}"


def index(lake: Lake) -> int:
    """Bring the saved indexes of every night up to date; returns how many were made anew.

    Each is of one run of the night's identities, and made anew with the next. Indexes of nights that are no more go.
    """
    nights = dates(lake)
    for name in lake.storage.names(index_folders.INDEX):
        if name.removeprefix("date=") not in nights:
            forget(lake, name.removeprefix("date="))
    return sum(_found(lake, day) is None and _make(lake, day, upload=True) is not None for day in nights)


def night(lake: Lake, local_date: str) -> Night:
    """Return a night's index, made now where there is none of the night's last run."""
    return _found(lake, local_date) or _make(lake, local_date, upload=False)


def forget(lake: Lake, local_date: str) -> None:
    """Remove a night's index, from the lake and from this machine; the next search or `index` makes it anew."""
    index_folders.forget(lake.storage, local_date)


def dates(lake: Lake) -> list[str]:
    """Return the nights with identities or entered units, ascending."""
    identified = {day for day in _named(lake, "identities") if lake.storage.names(f"identities/date={day}")}
    return sorted(identified | {day for day in set(_named(lake, "ledger")) - identified if _units(lake, day)})


def _named(lake: Lake, table: str) -> list[str]:
    return [name.removeprefix("date=") for name in lake.storage.names(table) if name.startswith("date=")]


def _units(lake: Lake, local_date: str) -> list[str]:
    return lake.storage.files(f"ledger/date={local_date}", ".parquet")


def _found(lake: Lake, local_date: str) -> Night | None:
    found = index_folders.find(lake.storage, local_date, _run_id(lake, local_date))
    if found is None:
        return None
    folder, head = found
    return Night(local_date, folder, head["embedder"], tuple(head["groups"]))


def _run_id(lake: Lake, local_date: str) -> str:
    """Return the run that a night's identities are of; a digest of its units where it has none yet.

    With each erasure that concerns the night it is another: no copy made before, on whatever machine, is used again.
    """
    erased = erasures.marks(lake, local_date)
    return _identities_run_id(lake, local_date) + (f" less {digest(erased)}" if erased else "")


def _identities_run_id(lake: Lake, local_date: str) -> str:
    path = f"identities/date={local_date}/identities.parquet"
    try:
        if isinstance(lake.storage, LocalStorage):
            metadata = pq.read_schema(lake.storage.location(path)).metadata
        else:
            with lake.storage.filesystem.open(str(lake.storage.root / path)) as file:
                metadata = pq.read_schema(file).metadata
        return metadata[b"nightfleet.run_id"].decode()
    except FileNotFoundError:
        keys = sorted([entry.segment_id, entry.key] for entry in _entries(lake, local_date))
        return f"units {digest(keys)}"
    except (pa.ArrowInvalid, KeyError, TypeError) as error:
        place = lake.storage.location(path)
        raise LakeError(f"{place}: not a whole Parquet file ({error}); remove it and run again") from None


def _entries(lake: Lake, local_date: str) -> list[LedgerEntry]:
    return [entry for entry in lake.ledger() if entry.local_date == local_date]


def _make(lake: Lake, local_date: str, *, upload: bool) -> Night:
    """Save a night's index in place of any other."""
    config = config_of(lake)
    identity = IdentityConfig() if config is None else config.identity
    facts = catalog.query(lake.url, _FACTS, {"local_date": local_date})
    group_of = {name: class_group(COCO_CLASSES.index(name)) for name in facts["class"].unique().to_pylist()}
    group = np.array([group_of[name] for name in facts["class"].to_pylist()], dtype=object)
    groups = sorted(set(group))
    made_by = digest(sorted({entry.weights_digest for entry in _entries(lake, local_date)}))
    before = index_folders.head(lake.storage, local_date)
    embedder = before["embedder"] if before.get("made_by") == made_by else _embedder(lake, local_date, config)
    head = {"run_id": _run_id(lake, local_date), "made_by": made_by, "embedder": embedder, "groups": groups}
    with index_folders.made(lake.storage, local_date, head, upload=upload) as folder:
        for name in groups:
            mine = facts.take(np.flatnonzero(group == name))
            _save_partition(lake, local_date, name, mine, folder / f"group={name}", identity)
    found = index_folders.find(lake.storage, local_date, head["run_id"])
    if found is None:
        raise LakeError(f"{lake.url}: the search index of {local_date} was replaced while it was made; search again")
    return Night(local_date, found[0], embedder, tuple(groups))


def _save_partition(
    lake: Lake, local_date: str, group: str, facts: pa.Table, folder: Path, config: IdentityConfig
) -> None:
    tints = _tints(lake, local_date, group)
    names = np.char.encode(np.array(facts["tracklet_id"].to_pylist(), str), "utf-8")
    size = facts["size"].to_numpy()
    about = {
        "group": group,
        "calibration": _calibration(lake, local_date, group),
        "centre": None if not tints else np.mean(list(tints.values()), axis=0).tolist(),
        "cameras": sorted(facts["camera_id"].unique().to_pylist()),
        "classes": sorted(facts["class"].unique().to_pylist()),
        "first_us": min(facts["started_at"].cast(pa.int64()).to_pylist()),
        "last_us": max(facts["ended_at"].cast(pa.int64()).to_pylist()),
    }
    blocks = _blocks(lake, local_date, facts, names, size, tints)
    save(
        folder,
        np.array(facts["tracklet_id"].to_pylist(), str),
        size,
        blocks,
        exact_vectors=config.exact_vectors,
        recall=config.recall,
        about=about,
    )
    write_facts(folder, facts.drop_columns(["size"]))


def write_facts(folder: Path, facts: pa.Table) -> None:
    """Write what is known of a partition's tracklets, one row each in the order of the partition."""
    row = pa.array(np.arange(len(facts), dtype=np.int32))
    pq.write_table(
        facts.add_column(0, "row", row),
        folder / FACTS,
        row_group_size=_FACTS_AT_ONCE,
        compression="zstd",
        use_dictionary=["camera_id", "class", "identity_id"],
        column_encoding=dict.fromkeys(("row", "started_at", "ended_at"), "DELTA_BINARY_PACKED"),
    )


def _blocks(
    lake: Lake, local_date: str, facts: pa.Table, names: np.ndarray, size: np.ndarray, tints: dict[str, np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read exemplars, a few cameras at a time; yield where each lies in the partition, and it freed of its tint."""
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    camera = np.array(facts["camera_id"].to_pylist(), dtype=object)
    with catalog.connect(lake.url) as connection:
        for cameras in _batches({name: int(size[camera == name].sum()) for name in sorted(set(camera))}):
            read = catalog.select(connection, _EXEMPLARS, {"local_date": local_date, "cameras": cameras})
            owner = np.char.encode(np.array(read["tracklet_id"].to_pylist(), str), "utf-8")
            row = np.minimum(np.searchsorted(names, owner), len(names) - 1)
            mine = np.flatnonzero(names[row] == owner)
            row = row[mine]
            begins = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, bool)
            run = np.maximum.accumulate(np.where(begins, np.arange(len(row)), 0))
            vector = read["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, EMBEDDING_DIM)[mine]
            seen_by = read["camera_id"].combine_chunks().dictionary_encode()
            none = np.zeros(EMBEDDING_DIM)
            tint = np.array([tints.get(name, none) for name in seen_by.dictionary.to_pylist()])
            yield first[row] + np.arange(len(row)) - run, without_tint(vector, tint[seen_by.indices.to_numpy()[mine]])


def _batches(n_vectors: dict[str, int]) -> Iterator[list[str]]:
    """Gather cameras until they have _VECTORS_AT_ONCE together."""
    batch, total = [], 0
    for name, n in n_vectors.items():
        if batch and total + n > _VECTORS_AT_ONCE:
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += n
    if batch:
        yield batch


def _tints(lake: Lake, local_date: str, group: str) -> dict[str, np.ndarray]:
    """Return what each camera adds to embeddings (128,) that night; none in a lake whose identities are older."""
    rows = catalog.query(lake.url, _LOOKS, {"local_date": local_date, "group": group}).to_pylist()
    return {row["camera_id"]: np.array(row["tint"], np.float64) for row in rows}


def _calibration(lake: Lake, local_date: str, group: str) -> dict[str, Any] | None:
    rows = catalog.query(lake.url, _CALIBRATION, {"local_date": local_date, "group": group}).to_pylist()
    return {name: rows[0][name] for name in CALIBRATION} if rows else None


def rows_of(facts: pa.Table) -> np.ndarray:
    """Return the column `row`, (R,) int32; pyarrow's own way would load pandas, which takes a second."""
    return np.from_dlpack(facts["row"].combine_chunks())


def config_of(lake: Lake) -> FleetConfig | None:
    """Return the configuration of the last run, or None where this program cannot read it."""
    try:
        return lake.read_config()
    except LakeError:
        return None


def _embedder(lake: Lake, local_date: str, config: FleetConfig | None) -> str | None:
    """Return the digest of the embedder that a night's vectors come from, or None where it cannot be told.

    It is the configured one where some unit of the night was made by the models configured now: a run that changed
    them makes every unit anew.
    """
    if config is None:
        return None
    try:
        embedder = embedder_digest(config.models.embedder)
    except WeightsError:
        return None
    cameras = {camera.id: camera for camera in config.cameras}
    for entry in _entries(lake, local_date):
        if entry.camera_id not in cameras:
            continue
        where = {"camera_id": entry.camera_id, "segment_url": entry.url}
        detector = config.detector_for(cameras[entry.camera_id])
        try:
            made_by = models_digest(detector, config.models.embedder, **where)
        except WeightsError:  # its files are elsewhere
            continue
        if made_by == entry.weights_digest:
            return embedder
    return None
