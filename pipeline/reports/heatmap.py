"""Where in a camera's picture objects stayed, as a table of cells and as a picture over the empty scene."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from pipeline.errors import UserError
from pipeline.lake.catalog import Connection
from pipeline.lake.catalog import select as answer

CELLS_ACROSS = 80
"""Cells in a picture's width where nothing else is asked for: a lane can be told, and it is smooth."""

COLOURS = "inferno"
"""Even to the eye, readable in grey and by those who tell few colours apart."""

_LEAST_OPACITY, _MOST_OPACITY = 0.35, 0.9
_WIDTH_INCHES, _DPI = 9.6, 100
_GROUND = 0.16
"""Grey of the ground where there is no picture of the scene, 0 to 1."""

_HEAT = """
SELECT x, y, sum(presence_s) AS presence_s
FROM heat($camera, $cell_px, $first, $last)
WHERE $classes IS NULL OR list_contains($classes, class)
GROUP BY x, y
ORDER BY y, x
"""

_SIZE = """
SELECT ceil(max(x2)) AS width_px, ceil(max(y2)) AS height_px FROM observations WHERE camera = $camera
"""


@dataclass(frozen=True, eq=False, slots=True)
class Heat:
    """Seconds of presence, cell by cell.

    presence_s   (R, C) float64, row 0 at the top
    cell_px      side of a cell, pixels
    size_px      width and height of the picture, pixels
    """

    presence_s: np.ndarray
    cell_px: float
    size_px: tuple[int, int]


def picture_size(connection: Connection, camera_id: str) -> tuple[int, int]:
    """Return how far a camera's boxes reach, width and height in pixels, for want of its picture; (0, 0) if none."""
    (row,) = answer(connection, _SIZE, {"camera": camera_id}).to_pylist()
    return int(row["width_px"] or 0), int(row["height_px"] or 0)


def measure(
    connection: Connection,
    camera_id: str,
    size_px: tuple[int, int],
    *,
    cell_px: float | None = None,
    classes: tuple[str, ...] | None = None,
    first: str | None = None,
    last: str | None = None,
) -> Heat:
    """Return the heat of a camera over local dates, first and last included. What stands outside the picture (a box may
    be smoothed beyond its edge) belongs to the cell at the edge. Raises UserError for a cell of no size."""
    side = cell_px or max(1.0, size_px[0] / CELLS_ACROSS)
    if not 1 <= side <= max(size_px):
        raise UserError(f"--cell: expected 1 to {max(size_px)} pixels, got {side:g}")
    params = {"camera": camera_id, "cell_px": side, "first": first, "last": last}
    table = answer(connection, _HEAT, {**params, "classes": None if classes is None else list(classes)})
    columns, rows = (max(1, int(np.ceil(length / side))) for length in size_px)
    presence_s = np.zeros((rows, columns))
    column = np.clip(np.round(table["x"].to_numpy() / side).astype(int), 0, columns - 1)
    row = np.clip(np.round(table["y"].to_numpy() / side).astype(int), 0, rows - 1)
    np.add.at(presence_s, (row, column), table["presence_s"].to_numpy())
    return Heat(presence_s, side, size_px)


def cells(heat: Heat) -> pa.Table:
    """Return the cells in which somebody was, with x, y (top left corner, pixels), cell_px and presence_s, by row."""
    row, column = np.nonzero(heat.presence_s)
    return pa.table(
        {
            "x": column * heat.cell_px,
            "y": row * heat.cell_px,
            "cell_px": np.full(len(row), float(heat.cell_px)),
            "presence_s": heat.presence_s[row, column],
        }
    )


def draw(heat: Heat, scene: np.ndarray | None, path: str | os.PathLike[str], title: str) -> Path:
    """Draw the heat over a scene (H, W, 3) uint8 RGB, or over plain ground, as a PNG with its colour scale.

    Colours are logarithmic from a hundredth of the greatest value to it: who stands still is counted by the minute, who
    passes by the tenth of a second. Equal input gives an equal file.
    """
    width_px, height_px = heat.size_px
    most = float(heat.presence_s.max(initial=0.0))
    height_inches = _WIDTH_INCHES * height_px / max(1, width_px) * 0.86 + 0.7
    figure = Figure(figsize=(_WIDTH_INCHES, height_inches), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ground = np.full((2, 2, 3), _GROUND) if scene is None else scene
    extent = (0, width_px, height_px, 0)
    axes.imshow(ground, extent=extent, interpolation="bilinear", aspect="equal")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    if most > 0:
        norm = LogNorm(most / 100, most, clip=True)
        colour = colormaps[COLOURS](norm(np.maximum(heat.presence_s, most / 1e6)))
        strength = np.asarray(norm(np.maximum(heat.presence_s, most / 1e6)))
        shown = heat.presence_s > 0
        colour[..., 3] = np.where(shown, _LEAST_OPACITY + (_MOST_OPACITY - _LEAST_OPACITY) * strength, 0)
        rows, columns = heat.presence_s.shape
        reach = (0, columns * heat.cell_px, rows * heat.cell_px, 0)
        axes.imshow(colour, extent=reach, interpolation="nearest", aspect="equal")
        axes.set_xlim(0, width_px)
        axes.set_ylim(height_px, 0)
        scale = figure.colorbar(_scale(norm), ax=axes, fraction=0.035, pad=0.015)
        scale.set_label(f"seconds of presence in a cell of {heat.cell_px:g} px", fontsize=9)
        scale.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        scale.ax.yaxis.set_minor_formatter(lambda value, _: "")
    else:
        axes.text(width_px / 2, height_px / 2, "nobody was seen", ha="center", color="white")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    return path


def _scale(norm: LogNorm):
    from matplotlib.cm import ScalarMappable

    return ScalarMappable(norm, COLOURS)
