"""Detectors of the YOLO line with one output, whose boxes are decoded inside the file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.perception.layouts.layout import Found, Layout, MisfitError, Signature, best_class, centred
from pipeline.perception.layouts.yolox import n_points
from pipeline.perception.preparation import Preparation

STRIDES = ((8, 16, 32), (8, 16, 32, 64), (16, 32), (4, 8, 16, 32))
"""Output grids of the usual, the P6, the tiny and the P2 networks."""

ANCHORS_A_CELL = 3


class _OneOutput(Layout):
    """What the layouts below share: one input, one output of three dimensions."""

    preparation = Preparation(fit="letterbox-centred")

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        if len(signature.inputs) != 1 or len(signature.outputs) != 1:
            return False
        shape = signature.outputs[0].shape
        return len(shape) == 3 and None not in shape[1:] and cls._fits(shape[1], shape[2], signature.size_hw)

    @classmethod
    def _fits(cls, rows: int, columns: int, size_hw: tuple[int, int]) -> bool:
        raise NotImplementedError

    def _check(self, outputs: Sequence[np.ndarray], n_images: int) -> None:
        shape = outputs[0].shape
        if len(shape) != 3 or len(outputs[0]) != n_images or not self._fits(*shape[1:], self.size_hw):
            raise MisfitError(f"its output has the shape {shape}, expected {self.expects.rpartition('output ')[2]}")


class Yolov5(_OneOutput):
    """Rows of centre, size, objectness, classes: YOLOv3, v5 and v7 as their PyTorch successors export them."""

    name = "yolov5"
    expects = "one input B x 3 x H x W and one output B x A x (5 + classes), A = 3 anchors a cell of every grid"

    @classmethod
    def _fits(cls, rows: int, columns: int, size_hw: tuple[int, int]) -> bool:
        return columns > 5 and rows in [ANCHORS_A_CELL * n_points(size_hw, strides) for strides in STRIDES]

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Columns but for the box and the objectness."""
        self._check(outputs, n_images)
        return outputs[0].shape[2] - 5

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box a row, of its best class; score = objectness times class."""
        found = []
        for output in outputs[0]:
            rows = output[output[:, 4] >= min_score]
            found.append(best_class(rows[:, 4:5] * rows[:, 5:], centred(rows[:, :4]), min_score))
        return found


class Yolov8(_OneOutput):
    """Columns of centre, size, classes, without objectness: YOLOv8, v9, 11, 12."""

    name = "yolov8"
    expects = "one input B x 3 x H x W and one output B x (4 + classes) x A, A = one a cell of every grid"

    @classmethod
    def _fits(cls, rows: int, columns: int, size_hw: tuple[int, int]) -> bool:
        return rows > 4 and columns in [n_points(size_hw, strides) for strides in STRIDES]

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Rows but for the box."""
        self._check(outputs, n_images)
        return outputs[0].shape[1] - 4

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box a column, of its best class."""
        found = []
        for output in outputs[0]:
            columns = output[:, output[4:].max(axis=0) >= min_score]
            found.append(best_class(columns[4:].T, centred(columns[:4].T), min_score))
        return found


class Yolov10(_OneOutput):
    """Rows of corners, score, class, already suppressed: YOLOv10, 26, and others exported with their suppression."""

    name = "yolov10"
    expects = "one input B x 3 x H x W and one output B x N x 6 (x1, y1, x2, y2, score, class)"
    repeats = False

    @classmethod
    def _fits(cls, rows: int, columns: int, size_hw: tuple[int, int]) -> bool:
        return columns == 6

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> None:
        """Return None: only classes found are named."""
        self._check(outputs, n_images)

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box a row."""
        found = []
        for output in outputs[0]:
            rows = output[output[:, 4] >= min_score]
            label = rows[:, 5].round().astype(np.int64)
            found.append(Found(rows[:, :4].astype(np.float32), np.clip(rows[:, 4], 0, 1).astype(np.float32), label))
        return found
