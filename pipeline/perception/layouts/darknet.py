"""YOLOv3 and v4 from Darknet files, in the three forms that converters to ONNX write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.perception.layouts.layout import Found, Layout, MisfitError, Signature, best_class, shown, sigmoid
from pipeline.perception.preparation import Preparation

ANCHORS = {
    8: ((10, 13), (16, 30), (33, 23)),
    16: ((30, 61), (62, 45), (59, 119)),
    32: ((116, 90), (156, 198), (373, 326)),
}
"""Widths and heights in pixels of yolov3.cfg's anchors, by stride (Redmon and Farhadi, YOLOv3, 2018, section 2.3)."""

DARKNET = Preparation(fit="letterbox-centred", pad_level=128.0)
"""As Darknet's own detector does it: the shape kept, in the middle, grey 0.5 beside it."""

_N_ANCHORS = 3


class Darknet(Layout):
    """Boxes and scores decoded in the file: pytorch-YOLOv4's `demo_darknet2onnx.py`, for YOLOv3 and v4, tiny too."""

    name = "darknet"
    expects = (
        "one input B x 3 x H x W and the outputs boxes B x A x 1 x 4 (corners in 0 to 1) and confs B x A x classes"
    )
    preparation = Preparation(fit="stretch")
    usual_hw = (416, 416)

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By the outputs' names."""
        return len(signature.inputs) == 1 and signature.output_names == {"boxes", "confs"}

    def wanted(self) -> Sequence[str]:
        """Boxes, then scores."""
        if len(self.signature.outputs) != 2:
            raise MisfitError(f"it has {len(self.signature.outputs)} outputs, expected boxes and confs")
        boxes = self.signature.output("boxes") or next((p for p in self.signature.outputs if p.shape[-1] == 4), None)
        scores = [port for port in self.signature.outputs if port is not boxes]
        if boxes is None or len(scores) != 1:
            raise MisfitError("expected the outputs boxes and confs")
        return [boxes.name, scores[0].name]

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Columns of the scores."""
        boxes, scores = outputs
        if scores.ndim != 3 or len(scores) != n_images or boxes.size != 4 * scores.shape[0] * scores.shape[1]:
            raise MisfitError(f"its outputs have the shapes {shown(outputs)}, expected B x A x 1 x 4, B x A x classes")
        return scores.shape[2]

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box an anchor, of its best class."""
        height, width = self.size_hw
        boxes = outputs[0].reshape(*outputs[1].shape[:2], 4) * np.array([width, height, width, height], np.float32)
        return [best_class(scores, xyxy, min_score) for scores, xyxy in zip(outputs[1], boxes)]


class Yolov3(Layout):
    """The three convolutions before Darknet's yolo layers, as TensorRT's `yolov3_to_onnx.py` writes them.

    The anchors are those of yolov3.cfg. Networks with others are for `darknet`, whose converter reads them.
    """

    name = "yolov3"
    expects = (
        "one input B x 3 x H x W, H and W in 32s, and three outputs B x 3(5 + classes) x h x w, h x w an 8th, 16th and "
        "32nd of the input"
    )
    preparation = DARKNET
    usual_hw = (416, 416)

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """Three outputs of four dimensions and as many channels, at the three strides."""
        shapes = [port.shape for port in signature.outputs]
        if len(signature.inputs) != 1 or len(shapes) != 3 or any(len(shape) != 4 for shape in shapes):
            return False
        channels = {shape[1] for shape in shapes}
        if len(channels) != 1 or None in channels or channels.pop() % _N_ANCHORS:
            return False
        grids = {shape[2:] for shape in shapes}
        wanted = {(signature.size_hw[0] // stride, signature.size_hw[1] // stride) for stride in ANCHORS}
        return grids == wanted or all(None in grid for grid in grids)

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """A third of the channels, but for the box and the objectness."""
        grids = {(self.size_hw[0] // stride, self.size_hw[1] // stride) for stride in ANCHORS}
        channels = {each.shape[1] for each in outputs if each.ndim == 4 and len(each) == n_images}
        if len(outputs) != 3 or {each.shape[2:] for each in outputs} != grids or len(channels) != 1:
            raise MisfitError(f"its outputs have the shapes {shown(outputs)}, expected grids of {sorted(grids)}")
        n_channels = channels.pop()
        if n_channels % _N_ANCHORS or n_channels <= 5 * _N_ANCHORS:
            raise MisfitError(f"its outputs have {n_channels} channels, expected 3 x (5 + classes)")
        return n_channels // _N_ANCHORS - 5

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box an anchor, of its best class; score = objectness times class."""
        found = []
        for picture in zip(*outputs):
            parts = [self._grid(grid, min_score) for grid in picture]
            columns = zip(*[(part.xyxy, part.score, part.label) for part in parts])
            found.append(Found(*(np.concatenate(column) for column in columns)))
        return found

    def _grid(self, output: np.ndarray, min_score: float) -> Found:
        """Decode one grid (3(5 + C), h, w): centre (sigmoid(t) + cell) * stride, size anchor * exp(t)."""
        _, height, width = output.shape
        stride = self.size_hw[0] // height
        rows = output.reshape(_N_ANCHORS, -1, height, width).transpose(0, 2, 3, 1)  # (3, h, w, 5 + C)
        objectness = sigmoid(rows[..., 4])
        anchor, y, x = np.nonzero(objectness >= min_score)
        rows = rows[anchor, y, x]
        centre = (sigmoid(rows[:, :2]) + np.stack([x, y], axis=1)) * stride
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which the filter drops
            half = np.exp(rows[:, 2:4]) * np.array(ANCHORS[stride], np.float32)[anchor] / 2
        scores = objectness[anchor, y, x, None] * sigmoid(rows[:, 5:])
        return best_class(scores, np.concatenate([centre - half, centre + half], axis=1), min_score)


class Yolov3Suppressed(Layout):
    """YOLOv3 of the ONNX model zoo (from Keras): boxes, scores, and the indices that its own suppression kept.

    What it scores below its own threshold, or suppresses, is not in its indices whatever the configuration says.
    """

    name = "yolov3-zoo"
    expects = (
        "the inputs input_1 1 x 3 x H x W and image_shape 1 x 2, and the outputs boxes 1 x A x 4 (y1, x1, y2, x2), "
        "scores 1 x classes x A, indices N x 3 (picture, class, box)"
    )
    preparation = DARKNET
    usual_hw = (416, 416)
    batchable = False

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By the second input's name."""
        return "image_shape" in signature.input_names and len(signature.outputs) == 3

    def wanted(self) -> Sequence[str]:
        """Boxes, scores, indices, which are whole numbers; boxes come first in the file."""
        indices = [port for port in self.signature.outputs if np.issubdtype(port.dtype, np.integer)]
        others = [port.name for port in self.signature.outputs if port not in indices]
        if len(indices) != 1 or len(others) != 2:
            raise MisfitError(f"expected {self.expects}")
        return [*others, indices[0].name]

    def sides(self, n_images: int) -> Mapping[str, np.ndarray]:
        """The input's own size for the picture's, so that boxes come back in input pixels."""
        return {"image_shape": np.array([self.size_hw], np.float32)}

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Rows of the scores."""
        boxes, scores, indices = outputs
        fits = boxes.ndim == 3 and scores.ndim == 3 and boxes.shape[2] == 4 and scores.shape[2] == boxes.shape[1]
        if not fits or indices.shape[-1] != 3:
            raise MisfitError(f"its outputs have the shapes {shown(outputs)}, expected {self.expects}")
        return scores.shape[1]

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box an index."""
        boxes, scores, indices = outputs
        indices = indices.reshape(-1, 3)
        indices = indices[(indices >= 0).all(axis=1)]  # the tiny one fills up with -1
        score = scores[0, indices[:, 1], indices[:, 2]]
        rows = np.flatnonzero(score >= min_score)
        xyxy = boxes[0, indices[rows, 2]][:, [1, 0, 3, 2]]
        score = np.clip(score[rows], 0, 1).astype(np.float32)
        return [Found(xyxy.astype(np.float32), score, indices[rows, 1].astype(np.int64))]
