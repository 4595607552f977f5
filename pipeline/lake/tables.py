"""Structs of arrays <-> Arrow tables of the lake, and Arrow tables <-> the bytes of their Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import LakeError
from pipeline.lake import schema
from pipeline.lake.kept import About, KeptDetections
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections, Exemplars, Observations, Tracklets

_CLASS_ID = {name: class_id for class_id, name in enumerate(COCO_CLASSES)}
_ABOUT = b"nightfleet.kept"
_ROWS_PER_GROUP = 122_880
"""DuckDB's own row group, the unit in which it spreads a scan over threads."""


def observations_table(camera_id: str, rows: Observations) -> pa.Table:
    """Return N observations of one camera as a table of schema.OBSERVATIONS."""
    return _table(
        schema.OBSERVATIONS,
        {
            "tracklet_id": rows.tracklet_id,
            "camera_id": _constant(camera_id, len(rows)),
            "segment_id": rows.segment_id,
            "captured_at": rows.captured_at_us,
            "frame": rows.frame,
            "class": _class_names(rows.class_id),
            "score": rows.score,
            "x1": rows.xyxy[:, 0],
            "y1": rows.xyxy[:, 1],
            "x2": rows.xyxy[:, 2],
            "y2": rows.xyxy[:, 3],
            "interpolated": rows.interpolated,
        },
    )


def tracklets_table(camera_id: str, segment_id: str, rows: Tracklets) -> pa.Table:
    """Return N tracklets that ended during one segment of one camera as a table of schema.TRACKLETS."""
    return _table(
        schema.TRACKLETS,
        {
            "tracklet_id": rows.tracklet_id,
            "camera_id": _constant(camera_id, len(rows)),
            "segment_id": _constant(segment_id, len(rows)),
            "class": _class_names(rows.class_id),
            "started_at": rows.started_at_us,
            "ended_at": rows.ended_at_us,
            "n_observations": rows.n_observations,
            "mean_score": rows.mean_score,
            "entry_x": rows.entry_xy[:, 0],
            "entry_y": rows.entry_xy[:, 1],
            "exit_x": rows.exit_xy[:, 0],
            "exit_y": rows.exit_xy[:, 1],
            "embedding": rows.embedding,
        },
    )


def embeddings_table(camera_id: str, rows: Exemplars) -> pa.Table:
    """Return N exemplars of one camera as a table of schema.EMBEDDINGS."""
    return _table(
        schema.EMBEDDINGS,
        {
            "tracklet_id": rows.tracklet_id,
            "camera_id": _constant(camera_id, len(rows)),
            "captured_at": rows.captured_at_us,
            "frame": rows.frame,
            "quality": rows.quality,
            "embedding": rows.embedding,
        },
    )


def detections_table(kept: KeptDetections) -> pa.Table:
    """Return a segment's N kept detections as a table of schema.DETECTIONS, in their order."""
    found, n_rows = kept.detections, len(kept.detections)
    return _table(
        schema.DETECTIONS,
        {
            "camera_id": _constant(kept.about.segment.camera_id, n_rows),
            "segment_id": _constant(kept.about.segment.segment_id, n_rows),
            "captured_at": np.repeat(kept.captured_at_us, kept.n_detections),
            "frame": np.repeat(kept.frame, kept.n_detections),
            "class": _class_names(found.class_id),
            "score": found.score,
            "x1": found.xyxy[:, 0],
            "y1": found.xyxy[:, 1],
            "x2": found.xyxy[:, 2],
            "y2": found.xyxy[:, 3],
            "embedding": kept.embedding,
        },
    )


def frames_table(kept: KeptDetections) -> pa.Table:
    """Return a segment's F frames as a table of schema.FRAMES, what they were made from in its metadata."""
    flat = pa.array(kept.camera_warp.reshape(-1), pa.float64())
    still = np.isnan(kept.camera_warp).any(axis=(1, 2))
    table = _table(
        schema.FRAMES,
        {
            "camera_id": _constant(kept.about.segment.camera_id, len(kept)),
            "segment_id": _constant(kept.about.segment.segment_id, len(kept)),
            "captured_at": kept.captured_at_us,
            "frame": kept.frame,
            "camera_warp": pa.FixedSizeListArray.from_arrays(flat, type=schema.WARP, mask=pa.array(still)),
        },
    )
    return table.replace_schema_metadata({**schema.FRAMES.metadata, _ABOUT: kept.about.to_json().encode()})


def identities_table(tracklet_id: np.ndarray, identity_id: np.ndarray, confidence: np.ndarray, run_id: str) -> pa.Table:
    """Return N identities (columns (N,) object, (N,) object, (N,) float32) as a table of schema.IDENTITIES.

    The run's id stands in the table's metadata too: a night without tracklets has a run all the same.
    """
    table = _table(
        schema.IDENTITIES,
        {
            "tracklet_id": tracklet_id,
            "identity_id": identity_id,
            "confidence": confidence,
            "run_id": _constant(run_id, len(tracklet_id)),
        },
    )
    return table.replace_schema_metadata({**schema.IDENTITIES.metadata, b"nightfleet.run_id": run_id.encode()})


def to_observations(table: pa.Table) -> Observations:
    """Return a table of schema.OBSERVATIONS as a struct, sorted by (captured_at, tracklet_id)."""
    table = table.sort_by([("captured_at", "ascending"), ("tracklet_id", "ascending")])
    return Observations(
        tracklet_id=_strings(table["tracklet_id"]),
        segment_id=_strings(table["segment_id"]),
        frame=_numbers(table["frame"], np.int32),
        captured_at_us=_instants(table["captured_at"]),
        class_id=_class_ids(table["class"]),
        score=_numbers(table["score"], np.float32),
        xyxy=_pairs(table, ("x1", "y1", "x2", "y2")),
        interpolated=_numbers(table["interpolated"], np.bool_),
    )


def to_tracklets(table: pa.Table) -> tuple[Tracklets, np.ndarray]:
    """Return a table of schema.TRACKLETS as a struct and its camera ids (N,), sorted by tracklet_id."""
    table = table.sort_by([("tracklet_id", "ascending")])
    tracklets = Tracklets(
        tracklet_id=_strings(table["tracklet_id"]),
        class_id=_class_ids(table["class"]),
        started_at_us=_instants(table["started_at"]),
        ended_at_us=_instants(table["ended_at"]),
        n_observations=_numbers(table["n_observations"], np.int32),
        mean_score=_numbers(table["mean_score"], np.float32),
        entry_xy=_pairs(table, ("entry_x", "entry_y")),
        exit_xy=_pairs(table, ("exit_x", "exit_y")),
        embedding=_vectors(table["embedding"]),
    )
    return tracklets, _strings(table["camera_id"])


def to_exemplars(table: pa.Table) -> Exemplars:
    """Return a table of schema.EMBEDDINGS as a struct, sorted by (tracklet_id, captured_at)."""
    table = table.sort_by([("tracklet_id", "ascending"), ("captured_at", "ascending")])
    return Exemplars(
        tracklet_id=_strings(table["tracklet_id"]),
        captured_at_us=_instants(table["captured_at"]),
        frame=_numbers(table["frame"], np.int32),
        quality=_numbers(table["quality"], np.float32),
        embedding=_vectors(table["embedding"]),
    )


def to_kept(frames: pa.Table, detections: pa.Table, origin: str) -> KeptDetections:
    """Return tables of schema.FRAMES and schema.DETECTIONS of one segment as a struct; `origin` names it in a message.

    Raises LakeError where a detection's frame is missing.
    """
    captured_at_us, seen_at_us = _instants(frames["captured_at"]), _instants(detections["captured_at"])
    first = np.searchsorted(seen_at_us, captured_at_us, side="left")
    last = np.searchsorted(seen_at_us, captured_at_us, side="right")
    if (last - first).sum() != len(seen_at_us):
        raise LakeError(f"{origin}: the kept detections do not fit their frames; remove both files and run again")
    warp = frames["camera_warp"].combine_chunks()
    camera_warp = np.full((len(warp), 6), np.nan)
    camera_warp[warp.is_valid().to_numpy(zero_copy_only=False)] = warp.flatten().to_numpy().reshape(-1, 6)
    return KeptDetections(
        about=kept_about(frames.schema, origin),
        frame=_numbers(frames["frame"], np.int32),
        captured_at_us=captured_at_us,
        camera_warp=camera_warp.reshape(-1, 2, 3),
        n_detections=last - first,
        detections=Detections(
            _pairs(detections, ("x1", "y1", "x2", "y2")),
            _numbers(detections["score"], np.float32),
            _class_ids(detections["class"]),
        ),
        embedding=detections["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, EMBEDDING_DIM),
    )


def kept_about(frames: pa.Schema, origin: str) -> About:
    """Return what kept detections were made from, out of the metadata of their frames. Raises LakeError."""
    return About.from_json((frames.metadata or {}).get(_ABOUT, b"").decode(), origin)


def named_table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Return columns by name as the table of that name (see schema.TABLES)."""
    return _table(schema.TABLES[name], columns)


def columns_of(table: pa.Table) -> dict[str, Any]:
    """Return a table's columns by name, as numpy; those that may be null as lists. Instants are in microseconds."""
    return {field.name: _column(table[field.name], field) for field in table.schema}


def to_parquet(table: pa.Table) -> bytes:
    """Return a table as a Parquet file: equal tables, equal bytes.

    Encodings by type (measured: half the size and a quarter of the time of the defaults): text as dictionary, whole
    numbers and instants as deltas, floats as byte streams, since hardly any two are equal. Half floats are plain:
    split into bytes they take 217 bytes a vector instead of 235, but DuckDB 2.0 could not read them.
    """
    text, encodings = [], {}
    for field in table.schema:
        if pa.types.is_string(field.type):
            text.append(field.name)
        elif pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif pa.types.is_floating(field.type):
            encodings[field.name] = "BYTE_STREAM_SPLIT"
        elif hasattr(field.type, "value_type") and field.type.value_type in (pa.float32(), pa.float64()):
            encodings[f"{field.name}.list.element"] = "BYTE_STREAM_SPLIT"
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=_ROWS_PER_GROUP,
        compression="zstd",
        use_dictionary=text,
        column_encoding=encodings,
        write_statistics=[name for name in table.schema.names if name != "embedding"],
    )
    return sink.getvalue().to_pybytes()


def to_plain_parquet(table: pa.Table) -> bytes:
    """Return a table of a row or a few as a Parquet file, uncompressed: thousands of them are read twice as fast so."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    return sink.getvalue().to_pybytes()


def schema_from_parquet(content: bytes, origin: str) -> pa.Schema:
    """Return the schema of the table in a Parquet file, its metadata included. Raises LakeError where it is damaged."""
    try:
        return pq.read_schema(pa.BufferReader(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise LakeError(f"{origin}: not a whole Parquet file ({error}); remove it and run again") from None


def schema_of_file(file: BinaryIO, origin: str) -> pa.Schema:
    """Return the schema of the table in an open Parquet file; no more than its end is read. Raises LakeError."""
    try:
        return pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise LakeError(f"{origin}: not a whole Parquet file ({error}); remove it and run again") from None


def from_parquet(content: bytes, origin: str) -> pa.Table:
    """Return the table in a Parquet file; `origin` names it in a message. Raises LakeError where it is damaged."""
    try:
        return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise LakeError(f"{origin}: not a whole Parquet file ({error}); remove it and run again") from None


def _column(column: pa.ChunkedArray, field: pa.Field) -> Any:
    if field.nullable:
        return column.to_pylist()
    if field.type == schema.VECTOR:
        return _vectors(column)
    if field.type == schema.INSTANT:
        return _instants(column)
    return _strings(column) if field.type == pa.string() else column.to_numpy()


def _table(table_schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    arrays = []
    for field in table_schema:
        values = columns[field.name]
        if isinstance(values, pa.Array):
            arrays.append(values)
        elif field.type in (schema.VECTOR, schema.HALF_VECTOR):
            number = field.type.value_type
            flat = pa.array(np.ascontiguousarray(values, number.to_pandas_dtype()).reshape(-1), number)
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=table_schema)


def _constant(value: str, n_rows: int) -> np.ndarray:
    return np.full(n_rows, value, dtype=object)


def _class_names(class_id: np.ndarray) -> np.ndarray:
    return np.array(COCO_CLASSES, dtype=object)[class_id]


def _class_ids(column: pa.ChunkedArray) -> np.ndarray:
    coded = column.combine_chunks().dictionary_encode()
    known = np.array([_CLASS_ID[name] for name in coded.dictionary.to_pylist()], dtype=np.int16)
    return known[coded.indices.to_numpy()]


def _strings(column: pa.ChunkedArray) -> np.ndarray:
    out = np.empty(len(column), dtype=object)
    out[:] = column.to_pylist()
    return out


def _numbers(column: pa.ChunkedArray, dtype: type) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False).astype(dtype)


def _instants(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int64()).to_numpy().astype(np.int64)


def _pairs(table: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([_numbers(table[name], np.float32) for name in names], axis=1)


def _vectors(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return values.astype(np.float32).reshape(-1, EMBEDDING_DIM)
