"""Several cameras' pictures side by side, with their names, as one image file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

GAP_PX = 6
BACKGROUND_RGB = (24, 28, 33)


def mosaic(pictures: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Lay named pictures (H, W, 3) uint8 RGB out in a near-square grid; cells take the largest picture's size.

    Raises ValueError where there is none.
    """
    if not pictures:
        raise ValueError("a mosaic needs at least one picture")
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    height = max(image.shape[0] for _, image in pictures)
    width = max(image.shape[1] for _, image in pictures)
    sheet = np.empty((rows * (height + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX, 3), np.uint8)
    sheet[:] = BACKGROUND_RGB
    for place, (name, image) in enumerate(pictures):
        top = GAP_PX + place // columns * (height + GAP_PX)
        left = GAP_PX + place % columns * (width + GAP_PX)
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = _named(image, name)
    return sheet


def write_picture(image: np.ndarray, path: str | os.PathLike[str]) -> Path:
    """Write a picture (H, W, 3) uint8 RGB in the format of the path's ending, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    done, content = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"{path}: no picture of this kind can be written")
    path.write_bytes(content.tobytes())
    return path


def _named(image: np.ndarray, name: str) -> np.ndarray:
    """Return a copy with the name in its top left corner, light on a dark strip."""
    image = np.ascontiguousarray(image).copy()
    (text_width, text_height), baseline = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    cv2.rectangle(image, (0, 0), (text_width + 12, text_height + baseline + 8), BACKGROUND_RGB, cv2.FILLED)
    cv2.putText(image, name, (6, text_height + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (240, 240, 240), 1, cv2.LINE_AA)
    return image
