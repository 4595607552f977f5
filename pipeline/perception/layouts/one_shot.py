"""Our own one-shot network as `nightfleet export onnx` writes it: heatmaps, boxes and identities of every cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pipeline.perception.layouts.layout import Found, Layout, MisfitError, Signature, shown
from pipeline.perception.networks.one_shot import SIZE_MULTIPLE, STRIDE
from pipeline.perception.networks.peaks import peaks
from pipeline.perception.preparation import Preparation

OUTPUTS = ("heatmap", "box", "identity")


class OneShot(Layout):
    """Heatmaps are shares; a box is the offset of the middle in its cell and the logarithms of its size, in cells."""

    name = "one-shot"
    expects = "one input B x 3 x H x W, H and W in 32s, and outputs heatmap, box and identity at a quarter of the size"
    preparation = Preparation(fit="letterbox", channels="rgb", range=255)
    usual_hw = (384, 640)
    repeats = False

    def __init__(self, signature: Signature, size_hw: tuple[int, int]) -> None:
        """Raises MisfitError where the size is not in 32s."""
        super().__init__(signature, size_hw)
        if size_hw[0] % SIZE_MULTIPLE or size_hw[1] % SIZE_MULTIPLE:
            raise MisfitError(f"its input is {size_hw[1]} x {size_hw[0]}, expected width and height in 32s")

    @classmethod
    def recognises(cls, signature: Signature) -> bool:
        """Those outputs by name."""
        return set(OUTPUTS) == signature.output_names

    def wanted(self) -> Sequence[str]:
        """Identities are left to `models.embedder`."""
        return OUTPUTS[:2]

    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int:
        """Layers of the heatmap."""
        cells = tuple(side // STRIDE for side in self.size_hw)
        heat, box = outputs
        if heat.ndim != 4 or heat.shape[::2] != (n_images, cells[0]) or box.shape != (n_images, 4, *cells):
            raise MisfitError(f"its outputs have the shapes {shown(outputs)}, expected cells of {STRIDE} pixels")
        return heat.shape[1]

    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """The peaks of the heatmaps."""
        heat, box = (torch.from_numpy(np.ascontiguousarray(each)).float() for each in outputs)
        read = peaks(heat, box, min_score)
        mine = [read.picture == row for row in range(len(heat))]
        return [Found(read.xyxy[m].numpy(), read.score[m].numpy(), read.layer[m].numpy()) for m in mine]
