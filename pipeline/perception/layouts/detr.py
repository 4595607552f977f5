"""Transformers that propose a set of boxes, each thing once: DETR (Carion et al., 2020) and its descendants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.perception.layouts.layout import (
    Found,
    Layout,
    MisfitError,
    Signature,
    best_class,
    centred,
    shown,
    sigmoid,
)
from pipeline.perception.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation

STRETCHED = Preparation(fit="stretch", antialias=True)
NORMALISED = Preparation(fit="stretch", antialias=True, mean=IMAGENET_MEAN, std=IMAGENET_STD)

LOGITS, BOXES = ("logits", "pred_logits"), ("pred_boxes", "boxes")
MASK = "pixel_mask"

_SCORED = ("labels", "boxes", "scores")

COCO_LABELS, COCO_WITH_GAPS, COCO_WITH_NOTHING = 80, 91, 92
"""Columns of COCO models: its classes; its original numbers, with gaps; those and one for nothing."""


class _Queries(Layout):
    """Logits (B, N, C) and boxes (B, N, 4) as centre and size in 0 to 1, by name."""

    expects = (
        "the input pixel_values B x 3 x H x W, perhaps with pixel_mask, and the outputs logits B x N x classes and "
        "pred_boxes B x N x 4 (centre and size in 0 to 1)"
    )
    repeats = False
    logits, boxes = LOGITS, BOXES

    def wanted(self) -> Sequence[str]:
        """Logits, then boxes."""
        ports = [self.signature.output(*self.logits), self.signature.output(*self.boxes)]
        if None in ports:
            raise MisfitError(f"expected the outputs {self.logits[0]} and {self.boxes[0]}")
        return [port.name for port in ports]

    def sides(self, n_images: int) -> Mapping[str, np.ndarray]:
        """A mask that says that all of the picture counts."""
        for port in self.signature.inputs:
            if port.name == MASK:
                _, height, width = (*port.shape, None, None, None)[:3]
                return {MASK: np.ones((n_images, height or self.size_hw[0], width or self.size_hw[1]), port.dtype)}
        return {}

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Columns of the logits."""
        logits, boxes = outputs
        if logits.ndim != 3 or len(logits) != n_images or boxes.shape != (*logits.shape[:2], 4):
            raise MisfitError(f"its outputs have the shapes {shown(outputs)}, expected B x N x classes and B x N x 4")
        return logits.shape[2]

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box a query, of its best class."""
        height, width = self.size_hw
        boxes = centred(outputs[1]) * np.array([width, height, width, height], np.float32)
        return [best_class(self._scores(rows), xyxy, min_score) for rows, xyxy in zip(outputs[0], boxes)]

    def _scores(self, logits: np.ndarray) -> np.ndarray:
        return sigmoid(logits)


def _n_logits(signature: Signature) -> int | None:
    """Columns of the logits where a network has DETR's outputs, None where it has not or they are open."""
    logits, boxes = signature.output(*LOGITS), signature.output("pred_boxes")
    if logits is None or boxes is None or not logits.shape:
        return None
    return logits.shape[-1]


class RtDetr(_Queries):
    """RT-DETR, v2, D-FINE and DEIM as Hugging Face's optimum exports them: each class by itself, levels in 0 to 1."""

    name = "rt-detr"
    preparation = STRETCHED

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By the outputs' names and COCO's 80 classes."""
        return _n_logits(signature) == COCO_LABELS and MASK not in signature.input_names


class DeformableDetr(_Queries):
    """Deformable, Conditional and DAB DETR as optimum exports them: each class by itself, normalised as ImageNet is."""

    name = "deformable-detr"
    preparation = NORMALISED
    usual_hw = (800, 1066)

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By the outputs' names and COCO's 91 numbers."""
        return _n_logits(signature) == COCO_WITH_GAPS


class Detr(_Queries):
    """DETR and YOLOS as optimum exports them: classes against each other, the last one being nothing."""

    name = "detr"
    preparation = NORMALISED
    usual_hw = (800, 1066)

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By the outputs' names and one class more than there are names, or than COCO's numbers."""
        n_logits = _n_logits(signature)
        own = signature.n_names is not None and n_logits == signature.n_names + 1
        return n_logits == COCO_WITH_NOTHING or own

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Columns of the logits but the last."""
        return super().n_labels(outputs, n_images) - 1

    def _scores(self, logits: np.ndarray) -> np.ndarray:
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (shares / shares.sum(axis=1, keepdims=True))[:, :-1]


class RfDetr(_Queries):
    """RF-DETR as its own `export()` writes it: boxes are called dets, logits labels."""

    name = "rf-detr"
    expects = (
        "one input B x 3 x H x W and the outputs dets B x N x 4 (centre and size in 0 to 1) and labels B x N x classes "
        "(logits)"
    )
    preparation = NORMALISED
    usual_hw = (560, 560)
    logits, boxes = ("labels",), ("dets",)

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By the outputs' names, where `dets` has no column for scores."""
        dets, labels = signature.output("dets"), signature.output("labels")
        if dets is None or labels is None or len(signature.inputs) != 1:
            return False
        return len(labels.shape) == 3 and dets.shape[-1:] in ((4,), (None,))

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Columns of the logits, but the one for nothing that networks trained on own classes have last."""
        n_columns = super().n_labels(outputs, n_images)
        return n_columns - 1 if self.signature.n_names == n_columns - 1 else n_columns

    def _scores(self, logits: np.ndarray) -> np.ndarray:
        n_labels = self.signature.n_names or logits.shape[1]
        return sigmoid(logits[:, :n_labels])


class RtDetrBoxes(Layout):
    """RT-DETR, D-FINE and DEIM by their authors' `export_onnx.py`: the best boxes, scored, with their classes."""

    name = "rt-detr-boxes"
    expects = (
        "the inputs images B x 3 x H x W and orig_target_sizes B x 2, and the outputs labels B x N, boxes B x N x 4 "
        "(corners), scores B x N"
    )
    preparation = STRETCHED
    repeats = False

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """By names of inputs and outputs."""
        return "orig_target_sizes" in signature.input_names and signature.output_names >= set(_SCORED)

    def wanted(self) -> Sequence[str]:
        """Labels, boxes, scores."""
        missing = [name for name in _SCORED if self.signature.output(name) is None]
        if missing or "orig_target_sizes" not in self.signature.input_names:
            raise MisfitError(f"it lacks {', '.join(missing) or 'orig_target_sizes'}, expected {self.expects}")
        return list(_SCORED)

    def sides(self, n_images: int) -> Mapping[str, np.ndarray]:
        """The input's own width and height for the picture's, so that boxes come back in input pixels."""
        port = next(port for port in self.signature.inputs if port.name == "orig_target_sizes")
        return {port.name: np.tile(np.array(self.size_hw[::-1], port.dtype), (n_images, 1))}

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> None:
        """Return None: only classes found are named."""
        labels, boxes, scores = outputs
        fits = labels.ndim == 2 and labels.shape == scores.shape and len(labels) == n_images
        if not fits or boxes.shape != (*labels.shape, 4):
            raise MisfitError(f"its outputs have the shapes {shown(outputs)}, expected B x N, B x N x 4, B x N")

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """One box a row."""
        found = []
        for label, xyxy, score in zip(*outputs):
            rows = np.flatnonzero(score >= min_score)
            share = np.clip(score[rows], 0, 1).astype(np.float32)
            found.append(Found(xyxy[rows].astype(np.float32), share, label[rows].astype(np.int64)))
        return found
