"""From labelled pictures to what the one-shot network is shown: parts of pictures, altered, with their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.footage.stills import read_still
from pipeline.perception.preparation import GREY_LEVEL
from pipeline.training.mot_folders import IGNORED, LabelledFrame

SCALES = (0.55, 1.5)
"""Pictures are shown between so many times smaller and larger."""
CENTRED_SHARE = 0.85
"""Share of parts that are chosen around something labelled, where there is anything."""
KEPT_SHARE = 0.3
"""Of a box that the part's edge cuts, so much of its area must be left; with less it is ignored."""
SMALLEST_PX = 4.0
"""A box that is narrower or lower than this, once scaled, is ignored: the network's cells have 4 pixels."""
SEEN_FROM = 0.1
"""A box less visible than this is ignored."""
EDGE_PX = 16
"""A part reaches so far beyond the picture at most, where it need not be larger than it."""


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One picture as shown, and its N boxes.

    image     (H, W, 3) uint8 RGB
    xyxy      (N, 4) float32, pixels, cut to the picture
    class_id  (N,)   int16, COCO, or IGNORED
    identity  (N,)   int64, -1 where ignored
    """

    image: np.ndarray
    xyxy: np.ndarray
    class_id: np.ndarray
    identity: np.ndarray


def training_sample(frame: LabelledFrame, size_hw: tuple[int, int], rng: np.random.Generator) -> Sample:
    """Show a random part of a frame, scaled, mirrored and in other light; equal generators give equal samples."""
    picture = read_still(frame.path)
    height, width = size_hw
    scale = float(np.exp(rng.uniform(*np.log(SCALES))))
    middle = _middle(frame, picture.shape, (width / scale, height / scale), rng)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    matrix = np.array(
        [[scale * mirror, 0, width / 2 - scale * mirror * middle[0]], [0, scale, height / 2 - scale * middle[1]]]
    )
    image = _warped(picture, matrix, scale, size_hw)
    x = frame.xyxy[:, 0::2] * matrix[0, 0] + matrix[0, 2]
    y = frame.xyxy[:, 1::2] * matrix[1, 1] + matrix[1, 2]
    moved = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], axis=1).astype(np.float32)
    return _cut(_other_light(image, rng), moved, frame)


def _warped(picture: np.ndarray, matrix: np.ndarray, scale: float, size_hw: tuple[int, int]) -> np.ndarray:
    """Move a picture by `matrix` (2, 3), in coordinates where pixel i covers [i, i + 1), and cut it to `size_hw`.

    What is shrunk is averaged first, as in the night's run: warping alone would pick pixels and leave others out.
    """
    if scale < 1:
        height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
        shrunk = np.array([width / picture.shape[1], height / picture.shape[0]])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        matrix = np.column_stack([matrix[:, :2] / shrunk, matrix[:, 2]])
    # OpenCV puts pixel centres on whole numbers, boxes put them on halves.
    at_centres = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2].sum(1) / 2 - 0.5])
    how = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_CONSTANT, "borderValue": (GREY_LEVEL,) * 3}
    return cv2.warpAffine(picture, at_centres, size_hw[::-1], **how)


def _middle(
    frame: LabelledFrame, shape: tuple[int, ...], window: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Choose the point of the picture that comes to lie in the middle of the part."""
    size = np.array([shape[1], shape[0]], float)
    spread = rng.uniform(-0.4, 0.4, 2) * window
    wanted = np.flatnonzero(frame.class_id != IGNORED)
    if len(wanted) and rng.random() < CENTRED_SHARE:
        # A class first, then one of it: the few vehicles of a crowded street come as often as its people.
        some = rng.choice(np.unique(frame.class_id[wanted]))
        box = frame.xyxy[rng.choice(np.flatnonzero(frame.class_id == some))]
        point = (box[:2] + box[2:]) / 2 + spread
    else:
        point = rng.uniform(0, 1, 2) * size
    # Not further out than needed: a part wider than the picture has all of it, a narrower one lies inside.
    reach = np.minimum(np.array(window), size) / 2
    return np.clip(point, reach - EDGE_PX, size - reach + EDGE_PX)


def _cut(image: np.ndarray, xyxy: np.ndarray, frame: LabelledFrame) -> Sample:
    """Cut boxes to the picture; ignore what is cut or hidden too much, leave out what is not in it at all."""
    height, width = image.shape[:2]
    cut = np.clip(xyxy, 0, (width, height, width, height)).astype(np.float32)
    sides = cut[:, 2:] - cut[:, :2]
    inside = (sides > 1).all(1)
    area = np.maximum(np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1), 1e-6)
    fit = (np.prod(sides, axis=1) / area >= KEPT_SHARE) & (sides >= SMALLEST_PX).all(1)
    fit &= (frame.visibility >= SEEN_FROM) & (frame.class_id != IGNORED)
    class_id = np.where(fit, frame.class_id, IGNORED).astype(np.int16)
    identity = np.where(fit, frame.identity, -1)
    return Sample(image, cut[inside], class_id[inside], identity[inside])


def _other_light(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Alter brightness, contrast, gamma, colours, sharpness and noise, each a little and not always."""
    levels = np.arange(256) / 255.0
    gain = rng.uniform(0.75, 1.3) * rng.normal(1, 0.05, 3)
    gamma = np.exp(rng.uniform(-0.25, 0.25))
    table = np.clip(0.5 + (np.outer(levels**gamma, gain) - 0.5) * rng.uniform(0.75, 1.25), 0, 1) * 255
    image = cv2.LUT(image, table.round().astype(np.uint8).reshape(1, 256, 3))
    if rng.random() < 0.5:
        saturation = rng.uniform(0, 1.5)
        grey = (1 - saturation) * np.array([0.299, 0.587, 0.114])
        image = cv2.transform(image, (saturation * np.eye(3) + grey).astype(np.float32))
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(1, 7), image.shape[:2]).astype(np.int16)
        image = cv2.add(image, np.repeat(noise[..., None], 3, axis=2), dtype=cv2.CV_8U)
    return image
