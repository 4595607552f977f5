"""What a training looks like: losses, distances, CMC, features in two dimensions, and the hardest pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.errors import UserError
from pipeline.training.crops import Crops

FOLDER = "plots"
SHOWN_IDENTITIES = 12
"""Identities coloured in the picture of the features: more colours cannot be told apart."""

HARDEST = 12
"""Pairs on each half of the sheet."""

RANKS = 20
INK, OTHER = "#1f6f8b", "#c8553d"


def draw(
    folder: Path,
    rows: Sequence[Mapping[str, float]],
    crops: Crops,
    vectors: np.ndarray,
    compared: np.ndarray,
) -> list[Path]:
    """Write all pictures of a finished training into `folder`/plots, and return where.

    rows      the log, an epoch each
    crops     validation crops, V of them, and their vectors (V, 128)
    compared  (V, V) bool: which pairs are known to show one or to show two

    Raises UserError where they cannot be written.
    """
    similarity = vectors @ vectors.T
    same = (crops.identity[:, None] == crops.identity[None]) & compared
    differ = (crops.identity[:, None] != crops.identity[None]) & compared
    np.fill_diagonal(same, False)
    figures = {"loss": _loss(rows), "features": _features(crops, vectors)}
    if same.any() and differ.any():
        figures["distances"] = _distances(1 - similarity[same], 1 - similarity[differ])
        figures["cmc"] = _cmc(similarity, same, differ)
        figures["hardest"] = _hardest(crops, similarity, same, differ)
    place = folder / FOLDER
    try:
        place.mkdir(exist_ok=True)
        paths = [place / f"{name}.png" for name in figures]
        for path, figure in zip(paths, figures.values()):
            FigureCanvasAgg(figure)
            figure.savefig(path, dpi=110)
    except OSError as error:
        raise UserError(f"{place}: cannot be written: {error.strerror}; give another --out") from None
    return paths


def _loss(rows: Sequence[Mapping[str, float]]) -> Figure:
    figure, axes = _axes("epoch", "loss")
    epochs = [row["epoch"] for row in rows]
    for name in [name for name in (rows[0] if rows else ()) if name.startswith("loss")]:
        axes.plot(epochs, [row[name] for row in rows], label=name.replace("_", " "))
    right = axes.twinx()
    right.plot(epochs, [row["mAP"] for row in rows], color="black", linestyle="--", label="mAP, validation")
    right.set_ylim(0, 1)
    right.set_ylabel("mAP")
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="center right")
    return figure


def _distances(positive: np.ndarray, negative: np.ndarray) -> Figure:
    figure, axes = _axes("cosine distance", "share of pairs")
    bins = np.linspace(0, max(1.0, float(negative.max())), 60)
    for values, colour, label in ((positive, INK, "same identity"), (negative, OTHER, "others")):
        weights = np.full(values.size, 1 / values.size)
        axes.hist(values, bins, weights=weights, alpha=0.6, color=colour, label=label)
    axes.legend()
    return figure


def _cmc(similarity: np.ndarray, same: np.ndarray, differ: np.ndarray) -> Figure:
    """Share of crops with a right answer among the first k."""
    best = np.where(same, similarity, -np.inf).max(axis=1)
    asked = same.any(axis=1)
    before = (differ & (similarity > best[:, None])).sum(axis=1)[asked]
    figure, axes = _axes("rank", "found")
    ranks = np.arange(1, RANKS + 1)
    axes.plot(ranks, [(before < k).mean() for k in ranks], color=INK, marker="o", markersize=3)
    axes.set_ylim(0, 1.02)
    return figure


def _features(crops: Crops, vectors: np.ndarray) -> Figure:
    """Lay the vectors out along their two greatest principal directions."""
    centred = vectors - vectors.mean(axis=0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :2]
    x, y = (centred @ directions).T
    figure, axes = _axes("first direction", "second direction")
    axes.scatter(x, y, s=4, color="#cccccc")
    names, counts = np.unique(crops.identity, return_counts=True)
    for name in names[np.argsort(-counts, kind="stable")][:SHOWN_IDENTITIES]:
        mine = crops.identity == name
        axes.scatter(x[mine], y[mine], s=14, label=f"{crops.group[mine][0]} {name}")
    axes.legend(fontsize=6, ncols=2)
    return figure


def _hardest(crops: Crops, similarity: np.ndarray, same: np.ndarray, differ: np.ndarray) -> Figure:
    """Show the farthest pairs of one identity above, the nearest pairs of two below, each identity pair once."""
    figure = Figure(figsize=(HARDEST * 0.8, 7.2), layout="constrained")
    rows = figure.subplots(4, HARDEST, squeeze=False)
    for place in rows.flat:
        place.axis("off")
    for mask, value, first in ((same, similarity, 0), (differ, -similarity, 2)):
        for column, (i, j) in enumerate(_first_pairs(mask, value, crops.identity)):
            for row, at in ((first, i), (first + 1, j)):
                rows[row, column].imshow(crops.images[at].transpose(1, 2, 0))
            rows[first, column].set_title(f"{1 - similarity[i, j]:.2f}", fontsize=7)
    figure.suptitle(
        "Above: one identity, farthest apart. Below: two identities, nearest. Cosine distances.", fontsize=9
    )
    return figure


def _first_pairs(mask: np.ndarray, value: np.ndarray, identity: np.ndarray) -> list[tuple[int, int]]:
    """Return up to HARDEST pairs of the mask with the least value, of each two identities one."""
    upper = np.triu(mask, 1)
    rows, columns = np.nonzero(upper)
    order = np.argsort(value[rows, columns], kind="stable")
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for at in order.tolist():
        pair = (int(rows[at]), int(columns[at]))
        key = tuple(sorted((int(identity[pair[0]]), int(identity[pair[1]]))))
        found.setdefault(key, pair)
        if len(found) == HARDEST:
            break
    return list(found.values())


def _axes(x: str, y: str):
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes
