"""Tiles: parts of the picture looked at by themselves, for objects too small in the whole.

(Akyon et al., Slicing aided hyper inference, 2022, cut pictures likewise; how boxes are joined here is our own.)
"""

from __future__ import annotations

import math

import numpy as np

from pipeline.config import DetectorConfig, TilesConfig
from pipeline.perception.detector import Detector
from pipeline.perception.filtering import ONE_THING, select
from pipeline.perception.frames import DeviceFrames
from pipeline.types import COCO_CLASSES, Detections

BORDER_SHARE = 0.015
"""A box that ends nearer to an inner border than this share of the tile's side may be cut off there: 6 pixels of a
416-pixel input, twice what boxes of detectors waver."""

AGREE_IOU = 0.5
"""Two boxes are of one object if, in what both regions see, they overlap by so much."""


class TiledDetector:
    """A detector that looks at tiles, and at the whole frame too unless told otherwise.

    doubles  "any": what lies where tiles overlap is found in both
    """

    doubles = "any"

    def __init__(self, detector: Detector, config: DetectorConfig) -> None:
        self._detector = detector
        self._config = config
        told = config.tiles
        how = f"{told.columns} x {told.rows}" if told.tile_px is None else f"{told.tile_px} px wide and high"
        self.about = f"{getattr(detector, 'about', config.use)}; in tiles, {how}" + (
            ", and in the whole frame" if told.whole_frame else ""
        )

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return each frame's candidates, those of one object in several tiles made one."""
        seen = regions(self._config.tiles, frames.width_px, frames.height_px)
        by_region = [self._look(frames, region) for region in seen]
        return [
            merge([found[row] for found in by_region], seen, frames.width_px, frames.height_px)
            for row in range(len(frames))
        ]

    def _look(self, frames: DeviceFrames, region: np.ndarray) -> list[Detections]:
        """Detect in one region (4,) of all frames: filtered, suppressed, in pixels of the picture."""
        left, top, right, bottom = (int(value) for value in region)
        if (right - left, bottom - top) == (frames.width_px, frames.height_px):
            part = frames  # the same frames, of which a detector may keep something for the embedder
        else:
            part = _part(frames, left, top, right, bottom)
        how = {"width_px": part.width_px, "height_px": part.height_px}
        how |= {"doubles": getattr(self._detector, "doubles", "any")}
        found = [select(candidates, self._config, **how) for candidates in self._detector.detect(part)]
        shift = np.array([left, top, left, top], np.float32)
        return [Detections(each.xyxy + shift, each.score, each.class_id) for each in found]


def regions(config: TilesConfig, width_px: int, height_px: int) -> np.ndarray:
    """Return what is looked at, (R, 4) int64 pixels: the tiles row by row, all of one size, then the whole frame."""
    if config.tile_px is None:
        width, height = (_side(width_px, config.columns, config), _side(height_px, config.rows, config))
        columns, rows = config.columns, config.rows
    else:
        width, height = min(config.tile_px, width_px), min(config.tile_px, height_px)
        columns, rows = _count(width_px, width, config), _count(height_px, height, config)
    left, top = _starts(width_px, width, columns), _starts(height_px, height, rows)
    found = [(x, y, x + width, y + height) for y in top for x in left]
    whole = (0, 0, width_px, height_px)
    if (config.whole_frame and whole not in found) or not found:
        found.append(whole)
    return np.array(found, np.int64)


def merge(found: list[Detections], seen: np.ndarray, width_px: int, height_px: int) -> Detections:
    """Make the boxes of one object one where a tile's border cuts it; leave what merely overlaps to suppression.

    found  each region's boxes, in pixels of the picture
    seen   (R, 4) the regions

    A cut box goes if one that is not cut says the same of the part that both regions see. Cut boxes that are left over
    and agree with each other are joined: the joined box spans them, and has the class and score of the surest.
    """
    xyxy = np.concatenate([each.xyxy for each in found])
    score = np.concatenate([each.score for each in found])
    class_id = np.concatenate([each.class_id for each in found])
    region = seen[np.repeat(np.arange(len(seen)), [len(each) for each in found])]
    cut = is_cut(xyxy, region, width_px, height_px)
    if not cut.any():
        return Detections(xyxy, score, class_id)
    same = _agree(xyxy, region) & (_kind(class_id)[:, None] == _kind(class_id)[None])
    explained = cut & (same & ~cut[None]).any(axis=1)
    loose = np.flatnonzero(cut & ~explained)
    joined = [
        (_span(xyxy[rows]), *max(zip(score[rows], class_id[rows]), key=lambda pair: pair[0]))
        for rows in (loose[group] for group in _connected(same[np.ix_(loose, loose)]))
    ]
    kept = np.flatnonzero(~cut)
    return Detections(
        np.concatenate([xyxy[kept], *(box[None] for box, _, _ in joined)]).astype(np.float32),
        np.concatenate([score[kept], np.array([value for _, value, _ in joined], np.float32)]).astype(np.float32),
        np.concatenate([class_id[kept], np.array([value for _, _, value in joined], np.int16)]).astype(np.int16),
    )


def is_cut(xyxy: np.ndarray, region: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """(N,) bool: boxes (N, 4) that end at a side of their region (N, 4) which is no side of the picture."""
    margin = BORDER_SHARE * np.tile(region[:, 2:] - region[:, :2], 2)
    near = np.abs(xyxy - region) <= margin
    inner = region != np.array([0, 0, width_px, height_px])
    return (near & inner).any(axis=1)


def _span(xyxy: np.ndarray) -> np.ndarray:
    """Return the smallest box (4,) around boxes (N, 4)."""
    return np.concatenate([xyxy[:, :2].min(axis=0), xyxy[:, 2:].max(axis=0)])


def _part(frames: DeviceFrames, left: int, top: int, right: int, bottom: int) -> DeviceFrames:
    """Return a part of every frame; nothing is copied."""
    images, pixels = frames.images[:, :, top:bottom, left:right], frames.pixels[:, top:bottom, left:right]
    return DeviceFrames(images, pixels, frames.frame)


def _agree(xyxy: np.ndarray, region: np.ndarray) -> np.ndarray:
    """(N, N) bool: pairs of boxes of different regions that overlap well within what both regions see."""
    n_boxes = len(xyxy)
    first, second = np.triu_indices(n_boxes, 1)
    common = np.concatenate(
        [np.maximum(region[first, :2], region[second, :2]), np.minimum(region[first, 2:], region[second, 2:])], axis=1
    )
    one, other = (_within(xyxy[rows].astype(np.float64), common) for rows in (first, second))
    inner = np.concatenate([np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])], axis=1)
    shared = _area(inner)
    union = _area(one) + _area(other) - shared
    agree = (shared > 0) & (shared >= AGREE_IOU * union) & (region[first] != region[second]).any(axis=1)
    found = np.zeros((n_boxes, n_boxes), bool)
    found[first, second] = found[second, first] = agree
    return found


def _within(xyxy: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Clip each box (N, 4) to its region (N, 4); what lies outside becomes empty or inside out."""
    return np.concatenate([np.maximum(xyxy[:, :2], region[:, :2]), np.minimum(xyxy[:, 2:], region[:, 2:])], axis=1)


def _area(xyxy: np.ndarray) -> np.ndarray:
    return np.maximum(xyxy[:, 2] - xyxy[:, 0], 0) * np.maximum(xyxy[:, 3] - xyxy[:, 1], 0)


def _kind(class_id: np.ndarray) -> np.ndarray:
    """Classes of which a thing has one only count as one: a lorry's front may pass for a car."""
    alike = np.array([COCO_CLASSES.index(name) for name in ONE_THING], np.int16)
    return np.where(np.isin(class_id, alike), alike[0], class_id)


def _connected(same: np.ndarray) -> list[np.ndarray]:
    """Groups of rows that `same` (N, N), symmetric, connects; in order of their first row."""
    left, groups = set(range(len(same))), []
    while left:
        group, fresh = set(), {min(left)}
        while fresh:
            group |= fresh
            fresh = set(np.flatnonzero(same[sorted(fresh)].any(axis=0)).tolist()) - group
        groups.append(np.array(sorted(group)))
        left -= group
    return groups


def _side(whole_px: int, n_tiles: int, config: TilesConfig) -> int:
    """Width of `n_tiles` tiles which overlap and cover `whole_px`."""
    return min(whole_px, math.ceil(whole_px / (n_tiles - (n_tiles - 1) * config.overlap)))


def _count(whole_px: int, side_px: int, config: TilesConfig) -> int:
    """How many tiles of a side cover `whole_px` with at least the overlap asked for."""
    step = side_px * (1 - config.overlap)
    return max(1, math.ceil((whole_px - side_px * config.overlap) / step - 1e-9))


def _starts(whole_px: int, side_px: int, n_tiles: int) -> list[int]:
    return np.linspace(0, whole_px - side_px, n_tiles).round().astype(int).tolist()
