"""The one-shot network in the night's run: detector and embedder in one pass (Zhang et al. 2021, "FairMOT")."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from pipeline.perception.frames import DeviceFrames
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot import SIZE_MULTIPLE, STRIDE
from pipeline.perception.networks.peaks import Peaks, peaks
from pipeline.perception.networks.refiner import refined
from pipeline.perception.networks.running import Running
from pipeline.perception.preparation import GREY_LEVEL
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections

LONGEST_PX = 1024
"""Larger pictures are shrunk to this, longer side: the network was trained on pictures of 640. Tiles see small ones."""
MAX_FRAMES = 4
"""Frames run at a time: bounds memory."""


class OneShotModel:
    """The network of one weights file, and what it last saw: detector and embedder look at the same frames in turn."""

    def __init__(self, path: Path | str, *, device: str, threads: int) -> None:
        """Raises WeightsError, one sentence, where the file is no such network."""
        file = one_shot_file.read(path)
        self.class_names = file.class_names
        layers = {"heat": len(self.class_names), "box": 4, "identity": EMBEDDING_DIM}
        outputs = {name: ["n", channels, "rows", "columns"] for name, channels in layers.items()}
        self._run = Running(file.network, outputs, device=device, threads=threads)
        self._refiner = None
        if file.refiner is not None:
            self._refiner = Running(file.refiner, {"shifts": ["n", 4]}, device=device, threads=threads)
        self._seen: torch.Tensor | None = None
        self._identity: list[torch.Tensor] = []

    def look(self, images: torch.Tensor, min_score: float) -> list[Detections]:
        """Return what is in frames (T, 3, H, W) uint8 RGB, in picture pixels, and keep how it looks for `looks`."""
        found: list[Detections] = []
        self._seen, self._identity = images, []
        class_id = torch.tensor([COCO_CLASSES.index(name) for name in self.class_names], dtype=torch.int64)
        for part in images.split(MAX_FRAMES) if len(images) else ():
            shown, factor_xy = fitted(part)
            heat, box, identity = self._run(shown)
            read = peaks(torch.sigmoid(heat), box, min_score)
            xyxy = self._placed(read, part, factor_xy).cpu().numpy()
            score, layer, picture = read.score.cpu().numpy(), read.layer.cpu(), read.picture.cpu().numpy()
            coco = class_id[layer].numpy().astype(np.int16)
            for row in range(len(part)):
                mine = picture == row
                found.append(Detections(xyxy[mine].astype(np.float32), score[mine].astype(np.float32), coco[mine]))
            self._identity += list(identity.half())
        return found

    def _placed(self, read: Peaks, images: torch.Tensor, factor_xy: torch.Tensor) -> torch.Tensor:
        """Return the boxes of peaks in the pixels of images (T, 3, H, W) uint8, refined where there is a refiner."""
        xyxy = read.xyxy / factor_xy.repeat(2).to(read.xyxy)
        if self._refiner is None:
            return xyxy
        look = lambda views: self._refiner(views)[0]  # noqa: E731
        placed = xyxy.clone()
        for row, image in enumerate(images):  # one by one: a frame of 4K takes 100 MB as numbers
            mine = read.picture == row
            here = torch.zeros(int(mine.sum()), device=xyxy.device)
            placed[mine] = refined(look, image[None].float(), xyxy[mine], here)
        return placed

    def looks(self, images: torch.Tensor, xyxy: np.ndarray, frame_row: np.ndarray) -> np.ndarray:
        """Return how boxes (N, 4) of frames `frame_row` (N,) look: (N, 128) float32 of unit length.

        It is read where a box's middle lies. Frames that were just looked at are not looked at again.
        """
        if self._seen is not images:
            self.look(images, 1.0)
        factor_xy = fitted_factor(*images.shape[2:])
        vectors = np.zeros((len(xyxy), EMBEDDING_DIM), np.float32)
        middle = torch.from_numpy((xyxy[:, :2] + xyxy[:, 2:]) / 2).float() * factor_xy / STRIDE
        for row in np.unique(frame_row):
            mine = frame_row == row
            identity = self._identity[int(row)]
            cell = middle[torch.from_numpy(mine)].long().to(identity.device)
            column, line = cell[:, 0].clamp(0, identity.shape[2] - 1), cell[:, 1].clamp(0, identity.shape[1] - 1)
            vectors[mine] = functional.normalize(identity[:, line, column].float().T, dim=1).cpu().numpy()
        return vectors


class OneShotDetector:
    """A one-shot network as a detector. Stateless between frames, so one serves every camera.

    about    what it is, in words
    doubles  a middle is one peak, so of one class nothing is proposed twice, however much two people overlap
    """

    doubles = "across classes"

    def __init__(self, model: OneShotModel, *, min_score: float) -> None:
        """`min_score` is the least score any class keeps."""
        self.about = f"a one-shot network that finds {', '.join(model.class_names)}, pictures up to {LONGEST_PX} pixels"
        self._model = model
        self._min_score = min_score

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return each frame's candidates: the peaks of the heatmaps."""
        return self._model.look(frames.images, self._min_score)


class OneShotEmbedder:
    """A one-shot network as an embedder: it looks at whole frames, not at crops."""

    def __init__(self, model: OneShotModel) -> None:
        self._model = model

    def embed_boxes(self, images: torch.Tensor, xyxy: np.ndarray, frame_row: np.ndarray) -> np.ndarray:
        """Embed boxes (N, 4) of frames `frame_row` (N,): (N, 128) float32 of unit length."""
        return self._model.looks(images, xyxy, frame_row)


def fitted_factor(height: int, width: int) -> torch.Tensor:
    """Return the factors (2,) from picture x, y to the network's input."""
    ratio = min(1.0, LONGEST_PX / max(height, width))
    return torch.tensor([round(width * ratio) / width, round(height * ratio) / height])


def fitted(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Shrink frames (T, 3, H, W) uint8 where they are too large, and fill them up to multiples of 32 with grey.

    Returns (T, 3, h, w) float32 in [0, 255] and the factors (2,) from picture x, y to it.
    """
    height, width = images.shape[2:]
    factor_xy = fitted_factor(height, width)
    inner = (round(height * float(factor_xy[1])), round(width * float(factor_xy[0])))
    shown = images.float()
    if inner != (height, width):
        shown = functional.interpolate(shown, inner, mode="bilinear", align_corners=False, antialias=True)
    below, right = (math.ceil(side / SIZE_MULTIPLE) * SIZE_MULTIPLE - side for side in inner)
    return functional.pad(shown, (0, right, 0, below), value=GREY_LEVEL), factor_xy
