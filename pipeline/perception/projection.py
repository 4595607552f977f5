"""Projections of a network's features to 128 numbers: fitted by PCA and kept with the model's digest, or random."""

from __future__ import annotations

import contextlib
import errno
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UserError, WeightsError
from pipeline.perception.weights import RANDOM_PROJECTION_SEED, require_file
from pipeline.types import EMBEDDING_DIM

WHITENING = 0.05
"""Power of its variance by which a fitted direction is divided: whitening, which is 0.5, a tenth of the way, as the
directions of greatest variance are those of light and camera. Chosen on 631 people of Market-1501 by OSNet x0.25, three
times fitted to 481 and scored on the other 150: where camera means are removed, as in linking, mAP is highest each time
(by 0.13 to 0.16 over none, rank-1 by 0.1 to 0.5), and where they are left in it rises by 0.6."""

LEAST_VARIANCE = 1e-6
"""Share of the greatest variance below which a direction is rounding, and not made louder still."""


@dataclass(frozen=True, eq=False, slots=True)
class Projection:
    """Features of one model to 128 numbers: (unit row - mean) @ matrix, made unit again.

    mean          (D,)     float32
    matrix        (D, 128) float32
    model_digest  of the network it was fitted for (`weights.embedder_model_digest`)
    """

    mean: np.ndarray
    matrix: np.ndarray
    model_digest: str

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Turn features (N, D) into (N, 128) float32 unit vectors."""
        return unit_rows((unit_rows(features) - self.mean) @ self.matrix)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows (N, D) at unit length, float32. A row that is zero or not finite becomes the first axis."""
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0).astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    first = np.zeros((1, rows.shape[1]))
    first[:, :1] = 1
    return np.where(length > 1e-12, rows / np.maximum(length, 1e-12), first).astype(np.float32)


def fit_pca(features: np.ndarray, model_digest: str, *, whitening: float = 0.0) -> Projection:
    """Fit the 128 directions of greatest variance to features (N, D) of a model, each row made unit first.

    Each direction is divided by its variance to the power of `whitening`, the greatest variance counting as 1, and
    signed so that its greatest component is positive: the same features give the same file.
    Raises ValueError where there are fewer than 128 rows or columns.
    """
    if features.ndim != 2 or min(features.shape) < EMBEDDING_DIM:
        raise ValueError(f"features: expected at least 128 rows of at least 128 numbers, got shape {features.shape}")
    unit = unit_rows(features).astype(np.float64)
    mean = unit.mean(axis=0)
    centred = unit - mean
    variance, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    greatest = np.argsort(-variance, kind="stable")[:EMBEDDING_DIM]
    share = np.maximum(variance[greatest] / max(variance.max(), 1e-300), LEAST_VARIANCE)
    matrix = _signed(directions[:, greatest]) / share**whitening
    return Projection(mean.astype(np.float32), matrix.astype(np.float32), model_digest)


def random_projection(dim: int, model_digest: str) -> Projection:
    """Return a fixed random projection from `dim` numbers, for models that nobody fitted one for.

    An orthonormal basis drawn with a fixed seed keeps angles up to a known error (Johnson and Lindenstrauss 1984); it
    needs no data and loses a little against a fitted one. Fewer than 128 numbers are turned into 128 without loss, and
    exactly 128 pass unchanged.
    """
    mean = np.zeros(dim, np.float32)
    if dim == EMBEDDING_DIM:
        return Projection(mean, np.eye(dim, dtype=np.float32), model_digest)
    rng = np.random.Generator(np.random.PCG64(RANDOM_PROJECTION_SEED))
    gaussian = rng.standard_normal((max(dim, EMBEDDING_DIM), min(dim, EMBEDDING_DIM)))
    basis = _signed(np.linalg.qr(gaussian)[0]).astype(np.float32)
    return Projection(mean, basis if dim > EMBEDDING_DIM else basis.T, model_digest)


def save(projection: Projection, path: Path) -> None:
    """Write a projection as .npz, under a temporary name first. Raises UserError where it cannot be written."""
    temporary = _temporary(path)
    digest = np.array(projection.model_digest)
    try:
        with open(temporary, "wb") as file:
            np.savez(file, mean=projection.mean, matrix=projection.matrix, model_digest=digest)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _unwritable(path, error) from None


def require_place(path: Path) -> None:
    """Try whether `save` could write there, before anything takes time. Raises UserError where it could not."""
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _temporary(path).touch()
        _temporary(path).unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written: {error.strerror}; give another file")


def load(path: Path, *, dim: int, model_digest: str, model: str) -> Projection:
    """Read a projection and check that it fits the model. Raises WeightsError, one sentence, where it does not.

    dim           length of the model's own output
    model_digest  of the model it is wanted for
    model         its name, for messages
    """
    path = require_file(path, f"a projection fitted for {model}")
    try:
        with np.load(path, allow_pickle=False) as file:
            projection = Projection(file["mean"], file["matrix"], str(file["model_digest"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise WeightsError(f"{path}: not a projection; expected .npz with mean, matrix and model_digest") from None
    if projection.model_digest != model_digest:
        raise WeightsError(
            f"{path}: fitted for another model than {model} (digest {projection.model_digest}, "
            f"expected {model_digest}); fit it again for this one, or leave `projection` out"
        )
    if projection.mean.shape != (dim,) or projection.matrix.shape != (dim, EMBEDDING_DIM):
        raise WeightsError(
            f"{path}: expected mean ({dim},) and matrix ({dim}, {EMBEDDING_DIM}) for {model}, "
            f"got {projection.mean.shape} and {projection.matrix.shape}"
        )
    return projection


def _signed(columns: np.ndarray) -> np.ndarray:
    """Turn each column so that its component of greatest size is positive."""
    greatest = np.abs(columns).argmax(axis=0)
    return columns * np.where(columns[greatest, np.arange(columns.shape[1])] < 0, -1.0, 1.0)
