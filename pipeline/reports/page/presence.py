"""Heat maps: for how long objects stood where in a camera's picture."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.period import Period
from pipeline.reports.page.scenes import Scene

CELLS_ACROSS = 80
"""Cells in a picture's width: a person in the middle of a street scene covers one or two."""

_TOP_PERCENTILE = 99
"""Of the cells anybody was in; the few above it (a bus stop, a parked car) do not fade all others."""

_COLOURS = cv2.COLORMAP_INFERNO
_FAINTEST, _STRONGEST = 0.25, 0.92
_STOPS = 9

_HEAT = "SELECT class, x, y, presence_s FROM heat($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class Presence:
    """One camera's heat map.

    picture   data URL of a PNG with one pixel a cell, clear where nobody was; to be stretched over (width, height)
    top_s     seconds at which the scale ends; longest_s of the cell where they were longest
    seconds   seconds by class, most first
    """

    camera_id: str
    picture: str
    width: float
    height: float
    cell_px: int
    top_s: float
    longest_s: float
    seconds: list[tuple[str, float]]


def presence(connection: Connection, period: Period, scenes: dict[str, Scene]) -> dict[str, Presence]:
    """Return the heat map of each camera in whose picture anybody was."""
    found = {}
    for camera in period.cameras:
        cell_px = max(1, round(scenes[camera].width / CELLS_ACROSS))
        rows = catalog.select(connection, _HEAT, [camera, cell_px, *period.asked])
        if rows.num_rows:
            found[camera] = _camera(camera, rows.to_pydict(), cell_px, scenes[camera])
    return found


def ramp() -> str:
    """Return the scale's colours as a CSS gradient, from little to much."""
    shades = _shaded(np.linspace(0, 1, _STOPS)[None])[0]
    return "linear-gradient(90deg, " + ", ".join(f"rgb({r} {g} {b} / {a / 255:.2f})" for r, g, b, a in shades) + ")"


def _camera(camera: str, rows: dict[str, list], cell_px: int, scene: Scene) -> Presence:
    x, y = (np.array(rows[name]) / cell_px for name in ("x", "y"))
    seconds = np.array(rows["presence_s"], np.float64)
    across, down = int(np.ceil(scene.width / cell_px)), int(np.ceil(scene.height / cell_px))
    grid = np.zeros((down, across))  # feet just outside of the picture count at its edge
    np.add.at(grid, (y.astype(int).clip(0, down - 1), x.astype(int).clip(0, across - 1)), seconds)
    top = float(np.percentile(grid[grid > 0], _TOP_PERCENTILE)) if (grid > 0).any() else 0.0
    shares = np.sqrt(np.clip(grid / top, 0, 1)) if top else grid
    by_class: dict[str, float] = {}
    for name, value in zip(rows["class"], seconds.tolist()):
        by_class[name] = by_class.get(name, 0.0) + value
    return Presence(
        camera_id=camera,
        picture=_png_url(np.where((grid > 0)[..., None], _shaded(shares), 0).astype(np.uint8)),
        width=float(across * cell_px),
        height=float(down * cell_px),
        cell_px=cell_px,
        top_s=top,
        longest_s=float(grid.max()),
        seconds=sorted(by_class.items(), key=lambda item: (-item[1], item[0])),
    )


def _shaded(shares: np.ndarray) -> np.ndarray:
    """Return (H, W) shares of the scale as (H, W, 4) uint8 RGBA."""
    bgr = cv2.applyColorMap((shares * 255).round().astype(np.uint8), _COLOURS)
    alpha = 255 * (_FAINTEST + (_STRONGEST - _FAINTEST) * shares)
    return np.dstack([bgr[..., ::-1], alpha.round().astype(np.uint8)])


def _png_url(rgba: np.ndarray) -> str:
    _, png = cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode("ascii")
