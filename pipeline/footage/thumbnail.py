"""Small pictures of tracked objects, cut out of their frames. Equal pixels and boxes give equal bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np

VERSION = 1
"""Raised by one whenever equal input gives other pictures."""

LONGEST_PX = 160
"""Longer side of a picture at most: enough to know somebody again on a contact sheet, about 3 KB."""

MARGIN = 0.1
"""Share of a box's width and height that is shown around it."""

JPEG_QUALITY = 80

HEAD = 0.25
"""Share of a person's box, from the top, taken for the head: an eighth of somebody who stands, more of who sits, bends
or is cut off at the waist."""

MOSAIC_BLOCKS = 3
"""Blocks across a blurred head: what is left of a face are a few averages."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What shapes pictures besides their pixels."""

    blur_heads: bool
    version: int = VERSION
    longest_px: int = LONGEST_PX
    margin: float = MARGIN
    jpeg_quality: int = JPEG_QUALITY

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG file and its size in pixels."""

    jpeg: bytes
    width_px: int
    height_px: int


def cut_out(image: np.ndarray, xyxy: np.ndarray, heads_of: np.ndarray, settings: Settings) -> Thumbnail | None:
    """Cut one box (4,) float, pixels, with a margin out of a frame (H, W, 3) uint8 RGB; None where nothing is in it.

    heads_of (P, 4) are the boxes of all people in the frame: where `settings` say so, the top of each is made a mosaic
    before the picture is made smaller. Nothing is ever enlarged.
    """
    height_px, width_px = image.shape[:2]
    xyxy = xyxy.astype(np.float64)
    margin = settings.margin * (xyxy[2:] - xyxy[:2])
    window = _pixels(np.concatenate([xyxy[:2] - margin, xyxy[2:] + margin]), width_px, height_px)
    left, top, right, bottom = window
    if right <= left or bottom <= top:
        return None
    picture = image[top:bottom, left:right].copy()
    for person in heads_of if settings.blur_heads else ():
        _hide_head(picture, person, window)
    scale = settings.longest_px / max(picture.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in (picture.shape[1], picture.shape[0]))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, settings.jpeg_quality, cv2.IMWRITE_JPEG_OPTIMIZE, 0]
    done, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return Thumbnail(jpeg.tobytes(), picture.shape[1], picture.shape[0]) if done else None


def hide_heads(image: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Return a copy of a frame (H, W, 3) uint8 RGB in which the heads of people, boxes (P, 4), are made a mosaic."""
    picture = image.copy()
    for person in people:
        _hide_head(picture, person, (0, 0, image.shape[1], image.shape[0]))
    return picture


def _hide_head(picture: np.ndarray, person: np.ndarray, window: tuple[int, int, int, int]) -> None:
    """Make a mosaic, in place, of what of a person's head lies in the picture that shows `window` of the frame."""
    person = person.astype(np.float64)
    width, height = person[2:] - person[:2]
    head = np.array(
        [person[0] - MARGIN * width, person[1] - MARGIN * height, person[2] + MARGIN * width, person[1] + HEAD * height]
    )
    shift = np.array([window[0], window[1], window[0], window[1]])
    left, top, right, bottom = _pixels(head - shift, picture.shape[1], picture.shape[0])
    if right <= left or bottom <= top:
        return
    block_px = max(1.0, (head[2] - head[0]) / MOSAIC_BLOCKS)
    blocks = tuple(max(1, round(side / block_px)) for side in (right - left, bottom - top))
    coarse = cv2.resize(picture[top:bottom, left:right], blocks, interpolation=cv2.INTER_AREA)
    picture[top:bottom, left:right] = cv2.resize(coarse, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)


def _pixels(xyxy: np.ndarray, width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """Return the whole pixels that a box (4,) touches, within a picture of that size."""
    if not np.isfinite(xyxy).all():
        return 0, 0, 0, 0
    limit = (width_px, height_px)
    low = [int(np.clip(np.floor(value), 0, most)) for value, most in zip(xyxy[:2], limit)]
    high = [int(np.clip(np.ceil(value), 0, most)) for value, most in zip(xyxy[2:], limit)]
    return low[0], low[1], high[0], high[1]
