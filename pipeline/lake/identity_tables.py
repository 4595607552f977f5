"""A night's identities in a lake: what they are, the evidence for them, and what the night taught about looks.

Four small files a night, all with the id of the run that made them. The evidence is written last and vouches for the
others: it says what they were made from. Readers go by the run of the identities, so that they never see rows of two
runs; where a writer was killed between the files, a night has no evidence to show until it is made again, and what the
run before had found out is still there for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import digest
from pipeline.lake import schema, tables
from pipeline.lake.writer import Lake

Row = tuple[str, str, str]
"""What somebody decided of a pair: "merge" or "split", tracklet_a, tracklet_b."""

_FILES = {
    "calibrations": "calibrations",
    "camera_looks": "looks",
    "identities": "identities",
    "identity_evidence": "evidence",
}
"""File of each table in its folder of a date, in the order of writing."""

_WRITTEN = {name: ["run_id"] + ["nth"] * (name == "identity_evidence") for name in _FILES}
"""Columns of each table that `write_night` fills in itself."""

_MADE_FROM, _RUN_ID = b"nightfleet.made_from", b"nightfleet.run_id"


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What a night's identities were made from.

    settings   digest of the identity section and of the cameras' homographies
    units      digest of the night's units
    decisions  what people decided of the night's tracklets, sorted
    """

    settings: str
    units: str
    decisions: tuple[Row, ...] = ()

    @property
    def run_id(self) -> str:
        """Digest of it all."""
        return digest(self.settings, self.units, [list(row) for row in self.decisions])

    def to_json(self) -> str:
        """Return it as JSON text."""
        return json.dumps({"settings": self.settings, "units": self.units, "decisions": self.decisions})

    @staticmethod
    def from_json(text: str) -> MadeFrom:
        """Return what `to_json` wrote."""
        raw = json.loads(text)
        return MadeFrom(raw["settings"], raw["units"], tuple(tuple(row) for row in raw["decisions"]))


@dataclass(frozen=True, eq=False, slots=True)
class NightTables:
    """A night's four tables as columns by name, without `run_id` and without `nth`; see schema for their meaning."""

    identities: Mapping[str, np.ndarray]
    identity_evidence: Mapping[str, np.ndarray]
    calibrations: Mapping[str, Any]
    camera_looks: Mapping[str, np.ndarray]


def write_night(lake: Lake, local_date: str, night: NightTables, made_from: MadeFrom) -> None:
    """Write a night in place of an earlier run's."""
    about = {_RUN_ID: made_from.run_id.encode(), _MADE_FROM: made_from.to_json().encode()}
    for name in _FILES:
        columns = dict(getattr(night, name))
        n_rows = len(next(iter(columns.values())))
        columns["run_id"] = np.full(n_rows, made_from.run_id, dtype=object)
        if name == "identity_evidence":
            columns["nth"] = np.arange(1, n_rows + 1, dtype=np.int32)
        table = tables.named_table(name, columns)
        table = table.replace_schema_metadata({**table.schema.metadata, **about})
        lake.storage.write(_path(name, local_date), tables.to_parquet(table))


def read_night(lake: Lake, local_date: str, runs: Collection[str]) -> NightTables | None:
    """Return a night as it was written, or None where a file is missing or of none of these runs. Raises LakeError."""
    found = {name: _read(lake, name, local_date) for name in _FILES}
    if any(table is None or _run_of(table.schema) not in runs for table in found.values()):
        return None
    columns = {name: tables.columns_of(table.drop_columns(_WRITTEN[name])) for name, table in found.items()}
    return NightTables(**columns)


def without_decisions(lake: Lake, local_date: str, gone: Callable[[Row], bool]) -> None:
    """Take what was decided of pairs that are `gone` out of what a night says it was made from, and name its run anew.

    No identity changes: the next run, which no longer finds those decisions either, finds the night as it is.
    """
    before = last_made_from(lake, local_date)
    if before is None:
        return
    after = replace(before, decisions=tuple(row for row in before.decisions if not gone(row)))
    if after == before:
        return
    for name in _FILES:
        table = _read(lake, name, local_date)
        if table is None:
            continue
        place = table.schema.get_field_index("run_id")
        table = table.set_column(place, table.schema.field(place), pa.array([after.run_id] * len(table), pa.string()))
        about = {_RUN_ID: after.run_id.encode(), _MADE_FROM: after.to_json().encode()}
        table = table.replace_schema_metadata({**table.schema.metadata, **about})
        lake.storage.write(_path(name, local_date), tables.to_parquet(table))


def remove_night(lake: Lake, local_date: str) -> None:
    """Remove all of a night's identities, the file that vouches for the others first, whoever wrote them."""
    for name in reversed(_FILES):
        lake.storage.remove(_path(name, local_date))


def written_dates(lake: Lake) -> list[str]:
    """Return the local dates of which anything is written, by whatever version, ascending."""
    return sorted({local_date for name in _FILES for local_date in _dates(lake, name)})


def made_from(lake: Lake) -> dict[str, MadeFrom]:
    """Return what each whole night's identities were made from, by local date. Raises LakeError."""
    dates = set.intersection(*(set(_dates(lake, name)) for name in _FILES))
    last = {local_date: last_made_from(lake, local_date) for local_date in sorted(dates)}
    schemas = {local_date: _schema(lake, "identities", local_date) for local_date, made in last.items() if made}
    return {
        local_date: last[local_date] for local_date, own in schemas.items() if _run_of(own) == last[local_date].run_id
    }


def last_made_from(lake: Lake, local_date: str) -> MadeFrom | None:
    """Return what the last run that finished a night made it from, None where none of this nightfleet did."""
    own = _schema(lake, "identity_evidence", local_date)
    about = {} if own is None else own.metadata or {}
    return MadeFrom.from_json(about[_MADE_FROM].decode()) if _MADE_FROM in about else None


def identity_of(lake: Lake, local_date: str) -> dict[str, str]:
    """Return the identity of each tracklet of a night; empty where it has none yet."""
    table = _read(lake, "identities", local_date)
    if table is None:
        return {}
    return dict(zip(table["tracklet_id"].to_pylist(), table["identity_id"].to_pylist()))


def in_use(lake: Lake, local_dates: Iterable[str], identity_ids: Iterable[str]) -> set[str]:
    """Return those of the identity ids that some night of these dates has."""
    asked = pa.array(sorted(set(identity_ids)), pa.string())
    found: set[str] = set()
    for local_date in local_dates:
        table = _read(lake, "identities", local_date)
        if table is not None and len(asked):
            column = table["identity_id"]
            found |= set(column.filter(pc.is_in(column, value_set=asked)).unique().to_pylist())
    return found


def evidence_of(lake: Lake, local_dates: Iterable[str], tracklet_ids: Iterable[str]) -> dict[str, list]:
    """Return the merges of these nights in which one of these tracklets has a part: columns of the table, by name."""
    asked = pa.array(sorted(set(tracklet_ids)), pa.string())
    parts = [schema.IDENTITY_EVIDENCE.empty_table()]
    for local_date in local_dates:
        table = _read(lake, "identity_evidence", local_date)
        if table is not None and len(asked):
            sides = (pc.is_in(table[name], value_set=asked) for name in ("tracklet_a", "tracklet_b"))
            parts.append(table.filter(pc.or_(*sides)).replace_schema_metadata(schema.IDENTITY_EVIDENCE.metadata))
    return pa.concat_tables(parts).to_pydict()


def tints_of(lake: Lake, local_date: str) -> dict[tuple[str, str], np.ndarray]:
    """Return what each camera added to the looks of a class group in a night, (128,) by (class group, camera)."""
    table = _read(lake, "camera_looks", local_date)
    if table is None:
        return {}
    columns = tables.columns_of(table)
    return dict(zip(zip(columns["class_group"], columns["camera_id"]), columns["tint"]))


def calibration_of(lake: Lake, local_date: str, class_group: str) -> dict[str, Any] | None:
    """Return what a similarity was worth in a night, under the names of identity.calibration.Calibration; or None."""
    table = _read(lake, "calibrations", local_date)
    rows = [] if table is None else [row for row in table.to_pylist() if row["class_group"] == class_group]
    if not rows:
        return None
    renamed = {"stranger_similarity": "stranger_mean", "prior": "prior_log_odds"}
    names = ("min_similarity", "stranger_similarity", "stranger_sd", "match_mean", "match_sd", "prior", "rule")
    return {name: rows[0][renamed.get(name, name)] for name in names}


def _dates(lake: Lake, name: str) -> list[str]:
    return [path.split("/")[1].removeprefix("date=") for path in lake.storage.files(name, ".parquet")]


def _schema(lake: Lake, name: str, local_date: str) -> pa.Schema | None:
    path = _path(name, local_date)
    file = lake.storage.opened(path)
    if file is None:
        return None
    with file:
        return tables.schema_of_file(file, lake.storage.location(path))


def _run_of(own: pa.Schema | None) -> str | None:
    return None if own is None else (own.metadata or {}).get(_RUN_ID, b"").decode()


def _read(lake: Lake, name: str, local_date: str) -> pa.Table | None:
    path = _path(name, local_date)
    content = lake.storage.read(path)
    return None if content is None else tables.from_parquet(content, lake.storage.location(path))


def _path(name: str, local_date: str) -> str:
    return f"{name}/date={local_date}/{_FILES[name]}.parquet"
