"""Structs of arrays as bytes and back: how a camera's tracking is kept between two segments.

The bytes are an uncompressed `.npz` without pickles, readable by `numpy.load`: equal content gives equal bytes, since
numpy gives every member the same fixed date and arrays are made contiguous first.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Write arrays under their names, in the order given. No array may have dtype object."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """Read back what `to_bytes` wrote. Raises ValueError where the bytes are damaged or something else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a saved state: {error}") from None


def columns(prefix: str, struct: Any) -> dict[str, np.ndarray]:
    """Return a struct's array columns as `prefix.name`; text becomes fixed-width, what is no array is left out."""
    found = {}
    for field in fields(struct):
        column = getattr(struct, field.name)
        if isinstance(column, np.ndarray):
            found[f"{prefix}.{field.name}"] = column.astype(np.str_) if column.dtype == object else column
    return found


def restored(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the columns saved under `prefix` by their own names, text as Python strings again."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): array.astype(object) if array.dtype.kind == "U" else array
        for name, array in arrays.items()
        if name.startswith(start)
    }
