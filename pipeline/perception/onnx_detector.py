"""Detectors in ONNX: a file, the layout it has, and the way from frames to boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from pipeline.config import DetectorConfig
from pipeline.errors import WeightsError
from pipeline.perception.class_names import given_names, resolve
from pipeline.perception.frames import DeviceFrames
from pipeline.perception.layouts import table
from pipeline.perception.layouts.layout import Found, MisfitError, Signature
from pipeline.perception.layouts.yolox import Yolox
from pipeline.perception.onnx_session import OnnxSession
from pipeline.perception.preparation import GREY_LEVEL, prepare
from pipeline.types import Detections

MAX_FRAMES = 8
"""Frames prepared and, where the model allows, run at a time: bounds memory."""

USUAL_HW = (640, 640)
"""Size of the trial run that shows the outputs' shapes where the file leaves all sizes open."""

DECODED_OFFSET = 16.0
"""Offsets of raw YOLOX boxes are a few strides; half of decoded ones lie beyond this in pixels of any usual input."""

_WHAT = "a detector in ONNX"
_TO_DO = "docs/detectors.md says what each layout expects and how to export it"


class OnnxDetector:
    """A network read through one of the layouts. Stateless between frames, so one serves every camera.

    about    what it is, in words
    doubles  what of its candidates may be one thing: "any", or "across classes" where it proposes each thing once
    """

    def __init__(self, config: DetectorConfig, *, min_score: float, device: str, threads: int) -> None:
        """`min_score` is the least score any class keeps. Raises WeightsError where the file is no such network."""
        path = Path(config.use.partition(":")[2])
        self._session = OnnxSession(path, what=_WHAT, device=device, threads=threads)
        self._device = device
        self._min_score = min_score
        signature = self._signature(config)
        chosen = table.by_name(config.layout) if config.layout else table.recognised(signature)
        if chosen is None:
            raise self._session.wrong(f"it has {self._session.described()}", table.unrecognised(signature))
        self._session.what = f"a detector of the layout `{chosen.name}`"
        self._preparation = chosen.preparation.overridden(config.input)
        try:
            self._layout = chosen(signature, self._size_hw(config) or chosen.usual_hw)
            self._wanted = self._layout.wanted()
            self._names = resolve(config, self._session.metadata, self._trial())
        except (MisfitError, ValueError) as error:
            raise self._session.wrong(f"{error}; it has {self._session.described()}", _TO_DO) from None
        self.doubles = "any" if self._layout.repeats else "across classes"
        self.about = self._described(config)

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return each frame's candidates, at least `min_score` sure, in picture pixels."""
        found = []
        step = MAX_FRAMES if self._layout.batchable else 1
        for start in range(0, len(frames), step):
            images = frames.images[start : start + step]
            prepared, placement = prepare(images, self._layout.size_hw, self._preparation)
            for each in self._decoded(self._run(prepared), len(images)):
                found.append(self._detections(replace(each, xyxy=placement.to_picture(each.xyxy))))
        return found

    def _run(self, prepared: torch.Tensor) -> list[np.ndarray]:
        return self._session.run(prepared, self._layout.sides, self._wanted, MAX_FRAMES)

    def _decoded(self, outputs: list[np.ndarray], n_images: int) -> list[Found]:
        try:
            self._layout.n_labels(outputs, n_images)
            return self._layout.decode(outputs, self._min_score)
        except MisfitError as error:
            raise self._session.wrong(str(error), _TO_DO) from None

    def _detections(self, found: Found) -> Detections:
        """Give classes their COCO numbers, and leave out those that have none."""
        if len(found.label) and (found.label.max() >= len(self._names.names) or found.label.min() < 0):
            raise self._session.wrong(
                f"it found something of class {found.label.max()}, but has {len(self._names.names)} names",
                "give all its `class_names`",
            )
        class_id = self._names.coco[found.label]
        return Detections(found.xyxy, found.score, class_id).take(class_id >= 0)

    def _signature(self, config: DetectorConfig) -> Signature:
        """Look at the file from outside; where it has one input, and its outputs' sizes are open, try them out."""
        image = self._session.image
        if image is None or image.shape[1] not in (3, None):
            raise self._session.wrong(
                f"it has {self._session.described()}; expected one input of images, N x 3 x height x width, floats",
                "export it so, channels before rows",
            )
        size_hw = self._size_hw(config) or USUAL_HW
        names = given_names(config)
        n_names = None if names is None else len(names)
        signature = Signature(self._session.inputs, self._session.outputs, image, size_hw, n_names)
        if len(signature.inputs) > 1 or not any(None in port.shape[1:] for port in signature.outputs):
            return signature
        try:
            outputs = self._session.run(self._grey(size_hw), lambda n: {}, [p.name for p in signature.outputs], 1)
        except WeightsError:
            return signature
        outputs = [replace(port, shape=(None, *each.shape[1:])) for port, each in zip(signature.outputs, outputs)]
        return replace(signature, outputs=tuple(outputs))

    def _size_hw(self, config: DetectorConfig) -> tuple[int, int] | None:
        """Height and width of the input: the file's, else the configuration's, None where neither says."""
        own, asked = self._session.image.shape[2:], config.input.size
        if asked is not None:
            size = (asked[1], asked[0])
            if any(mine not in (None, want) for mine, want in zip(own, size)):
                raise self._session.wrong(
                    f"its input is {own[1]} x {own[0]}, but `input.size` says {asked[0]} x {asked[1]}", "leave it out"
                )
            return size
        return None if None in own else (own[0], own[1])

    def _grey(self, size_hw: tuple[int, int]) -> torch.Tensor:
        return torch.full((1, 3, *size_hw), GREY_LEVEL / 255, dtype=torch.float32, device=self._device)

    def _trial(self) -> int | None:
        """Run the network once, see that it fits its layout, and return how many classes it has."""
        grey = torch.full((1, 3, *self._layout.size_hw), GREY_LEVEL, dtype=torch.uint8, device=self._device)
        outputs = self._run(prepare(grey, self._layout.size_hw, self._preparation)[0])
        n_labels = self._layout.n_labels(outputs, 1)
        if type(self._layout) is Yolox and np.median(np.abs(outputs[0][..., :2])) > DECODED_OFFSET:
            raise MisfitError("its boxes are decoded already (--decode_in_inference): write `layout: yolox-decoded`")
        return n_labels

    def _described(self, config: DetectorConfig) -> str:
        height, width = self._layout.size_hw
        return (
            f"{config.use}: layout {self._layout.name}, input {width} x {height} ({self._preparation}), "
            f"{self._names.described(config.classes)}"
        )
