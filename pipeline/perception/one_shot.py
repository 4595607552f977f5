"""The one-shot network in the night's run: detector and embedder in one pass (Zhang et al. 2021, "FairMOT")."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torchvision.ops import nms

from pipeline.perception.frames import DeviceFrames
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot import SIZE_MULTIPLE, STRIDE
from pipeline.perception.networks.peaks import peaks
from pipeline.perception.networks.refiner import refined
from pipeline.perception.networks.running import Running
from pipeline.perception.preparation import GREY_LEVEL
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Detections

LONGEST_PX = 1024
"""Larger pictures are shrunk to this, longer side: the network was trained on pictures of 640. Tiles see small ones."""
MAX_FRAMES = 4
"""Frames run at a time: bounds memory."""
LEAST_HEAT = 0.1
"""Where boxes are judged, a place of which the heatmap says less is not looked at, however low a score is wanted."""
SAME_IOU = 0.6
"""Of boxes of a class that overlap so much the surest is taken: two peaks may lead to the same thing."""


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """N boxes in T frames, frame by frame, and what speaks for each.

    picture   (N,)    int64, row of the frame
    layer     (N,)    int64, layer of the heatmap: the class
    xyxy      (N, 4)  float32, pixels of the frames
    heat      (N,)    float32, logits: what the heatmap says of their middles
    look      (N,)    float32, logits: what a close look says of them; 0 where nobody judges
    score     (N,)    float32, in [0, 1]: what follows from both
    identity  (T, 128, h, w): what lies in each cell looks like
    """

    picture: torch.Tensor
    layer: torch.Tensor
    xyxy: torch.Tensor
    heat: torch.Tensor
    look: torch.Tensor
    score: torch.Tensor
    identity: torch.Tensor

    def once_each(self) -> torch.Tensor:
        """Return rows (M,), picture by picture: of those of a class that are one thing's, only the surest."""
        taken = []
        # One by one: batched_nms moves each group away from the others, and rounds boxes by where they then lie.
        for picture, layer in torch.unique(torch.stack([self.picture, self.layer], dim=1), dim=0):
            rows = ((self.picture == picture) & (self.layer == layer)).nonzero()[:, 0]
            taken.append(rows[nms(self.xyxy[rows], self.score[rows], SAME_IOU)])
        return torch.cat(taken) if taken else torch.zeros_like(self.picture)


class OneShotModel:
    """The network of one weights file, and what it last saw: detector and embedder look at the same frames in turn."""

    def __init__(self, path: Path | str, *, device: str, threads: int) -> None:
        """Raises WeightsError, one sentence, where the file is no such network."""
        file = one_shot_file.read(path)
        self.class_names = file.class_names
        layers = {"heat": len(self.class_names), "box": 4, "identity": EMBEDDING_DIM}
        outputs = {name: ["n", channels, "rows", "columns"] for name, channels in layers.items()}
        self._run = Running(file.network, outputs, device=device, threads=threads)
        self._refiner, self._judges, self._heat_share = None, False, 1.0
        if file.refiner is not None:
            said = {"shifts": ["n", 4], "sure": ["n", 1]}
            self._refiner = Running(file.refiner, said, device=device, threads=threads)
            self._judges, self._heat_share = file.refiner.judges, float(file.refiner.heat_share)
        self._class_id = np.array([COCO_CLASSES.index(name) for name in self.class_names], np.int16)
        self._seen: torch.Tensor | None = None
        self._identity: list[torch.Tensor] = []

    def look(self, images: torch.Tensor, min_score: float) -> list[Detections]:
        """Return what is in frames (T, 3, H, W) uint8 RGB, in picture pixels, and keep how it looks for `looks`."""
        found: list[Detections] = []
        self._seen, self._identity = images, []
        for part in images.split(MAX_FRAMES) if len(images) else ():
            seen = self.candidates(part, LEAST_HEAT if self._judges else min_score)
            self._identity += list(seen.identity.half())
            rows = self.taken(seen)
            rows = rows[seen.score[rows] >= min_score]
            found += [self.detections(seen, rows[seen.picture[rows] == frame]) for frame in range(len(part))]
        return found

    def taken(self, seen: Candidates) -> torch.Tensor:
        """Return the rows (M,) of candidates that are taken: each thing once, where it is judged which box is best."""
        return seen.once_each() if self._judges else torch.arange(len(seen.layer), device=seen.layer.device)

    def detections(self, seen: Candidates, rows: torch.Tensor) -> Detections:
        """Return the candidates of rows (M,), all of one frame."""
        xyxy, score, layer = (getattr(seen, name)[rows].cpu().numpy() for name in ("xyxy", "score", "layer"))
        return Detections(xyxy.astype(np.float32), score.astype(np.float32), self._class_id[layer])

    def candidates(self, images: torch.Tensor, min_heat: float) -> Candidates:
        """Return what the heatmap gives `min_heat` in a few frames (T, 3, H, W) uint8 RGB, refined and judged."""
        shown, factor_xy = fitted(images)
        heat, box, identity = self._run(shown)
        read = peaks(torch.sigmoid(heat), box, min_heat)
        xyxy, look = read.xyxy / factor_xy.repeat(2).to(read.xyxy), torch.zeros_like(read.score)
        for row, image in enumerate(images if self._refiner else ()):  # one by one: 4K takes 100 MB as numbers
            mine = read.picture == row
            here = torch.zeros(int(mine.sum()), device=xyxy.device)
            xyxy[mine], look[mine] = refined(self._refiner, image[None].float(), xyxy[mine], here)
        heat = self._heat_share * heat[read.picture, read.layer, read.row, read.column]
        score = torch.sigmoid(heat + look) if self._judges else read.score
        return Candidates(read.picture, read.layer, xyxy, heat, look, score, identity)

    def looks(self, images: torch.Tensor, xyxy: np.ndarray, frame_row: np.ndarray) -> np.ndarray:
        """Return how boxes (N, 4) of frames `frame_row` (N,) look: (N, 128) float32 of unit length.

        It is read where a box's middle lies. Frames that were just looked at are not looked at again.
        """
        if self._seen is not images:
            self._seen, self._identity = images, []
            for part in images.split(MAX_FRAMES) if len(images) else ():
                self._identity += list(self._run(fitted(part)[0])[2].half())
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
    doubles  of one class nothing is proposed twice: a middle is one peak, and of peaks that end on one thing the surest
             is taken
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
