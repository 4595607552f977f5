"""YOLOX (Ge et al., 2021) as its own export writes it: one row an anchor point, raw or already decoded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.perception.layouts.layout import Found, Layout, MisfitError, Signature, centred
from pipeline.perception.preparation import Preparation

STRIDES = (8, 16, 32)

_LEAST_COLUMNS = 6


class Yolox(Layout):
    """Raw outputs: offsets from the anchor points in strides, logarithms of sizes; scores are probabilities."""

    name = "yolox"
    expects = (
        "one input B x 3 x H x W, H and W in 32s, and one output B x A x (5 + classes), A = HW/64 + HW/256 + HW/1024"
    )
    preparation = Preparation(fit="letterbox", channels="bgr", range=255)

    def __init__(self, signature: Signature, size_hw: tuple[int, int]) -> None:
        """Raises MisfitError where the size is not in 32s."""
        super().__init__(signature, size_hw)
        if size_hw[0] % max(STRIDES) or size_hw[1] % max(STRIDES):
            raise MisfitError(f"its input is {size_hw[1]} x {size_hw[0]}, expected width and height in 32s")
        self._grid, self._stride = anchors(*size_hw)

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """One output with a row for each anchor point."""
        if len(signature.inputs) != 1 or len(signature.outputs) != 1:
            return False
        shape = signature.outputs[0].shape
        return len(shape) == 3 and shape[1] == n_points(signature.size_hw) and (shape[2] or 0) >= _LEAST_COLUMNS

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Columns but for the box and the objectness."""
        shape = outputs[0].shape
        wanted = (n_images, len(self._grid))
        if len(shape) != 3 or shape[:2] != wanted or shape[2] < _LEAST_COLUMNS:
            raise MisfitError(f"its output has the shape {shape}, expected {(*wanted, '5 + classes')}")
        return shape[2] - 5

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box an anchor point, of its best class; score = objectness times class."""
        return [self._found(each, min_score) for each in outputs[0]]

    def _found(self, output: np.ndarray, min_score: float) -> Found:
        rows = np.flatnonzero(output[:, 4] >= min_score)  # no class makes a box surer than its objectness
        likely = output[rows]
        label = likely[:, 5:].argmax(axis=1)
        score = likely[:, 4] * likely[np.arange(len(likely)), 5 + label]
        kept = score >= min_score
        boxes = self._boxes(likely[kept, :4], rows[kept])
        return Found(boxes, np.clip(score[kept], 0, 1).astype(np.float32), label[kept])

    def _boxes(self, raw: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return decode(raw, self._grid[rows], self._stride[rows])


class YoloxDecoded(Yolox):
    """YOLOX exported with `--decode_in_inference`: boxes are centre and size in input pixels already."""

    name = "yolox-decoded"

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """Never: it looks like `yolox` but for the values."""
        return False

    def _boxes(self, raw: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return centred(raw)


def n_points(size_hw: tuple[int, int], strides: Sequence[int] = STRIDES) -> int:
    """Return how many anchor points an input of this size has."""
    return sum((size_hw[0] // stride) * (size_hw[1] // stride) for stride in strides)


def anchors(height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of the three output grids: (A, 2) float32 x, y in cells, and (A, 1) float32 stride in pixels.

    Order: strides ascending, rows from the top, columns from the left.
    """
    grids, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[0 : height_px // stride, 0 : width_px // stride]
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((grids[-1].shape[0], 1), stride))
    return np.concatenate(grids).astype(np.float32), np.concatenate(strides).astype(np.float32)


def decode(raw: np.ndarray, grid: np.ndarray, stride: np.ndarray) -> np.ndarray:
    """Turn raw outputs (A, 4) into letterbox corners: centre (o + grid) * stride, size exp(o) * stride."""
    centre = (raw[:, :2] + grid) * stride
    with np.errstate(over="ignore"):  # an overflow becomes infinity, which the filter drops
        half = np.exp(raw[:, 2:]) * stride / 2
    return np.concatenate([centre - half, centre + half], axis=1)
