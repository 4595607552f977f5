"""What a layout of a detector's inputs and outputs is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.perception.onnx_session import Port
from pipeline.perception.preparation import Preparation


class MisfitError(Exception):
    """A network's outputs are not what its layout says; the message is a part of a sentence about the file."""


@dataclass(frozen=True, eq=False, slots=True)
class Signature:
    """What a network looks like from outside.

    inputs, outputs  ports; shapes of outputs as seen in a trial run where the file leaves them open
    image            the input for images
    size_hw          height and width of the pictures for which the outputs have these shapes
    n_names          number of class names that the user gives, None where none are given
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    image: Port
    size_hw: tuple[int, int]
    n_names: int | None

    @property
    def input_names(self) -> set[str]:
        """Names of all inputs."""
        return {port.name for port in self.inputs}

    @property
    def output_names(self) -> set[str]:
        """Names of all outputs."""
        return {port.name for port in self.outputs}

    def output(self, *names: str) -> Port | None:
        """Return the first output that has one of these names, None where none has."""
        return next((port for port in self.outputs if port.name in names), None)


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """N candidates in one picture.

    xyxy   (N, 4) float32, pixels of the network's input
    score  (N,)   float32, in [0, 1]
    label  (N,)   int64, the network's own number of the class
    """

    xyxy: np.ndarray
    score: np.ndarray
    label: np.ndarray


class Layout(ABC):
    """A way to read a network, made for one file and one size of input.

    name         as in `layout:`
    expects      inputs and outputs in words
    preparation  how it wants its pictures unless told otherwise
    usual_hw     size of its input where neither the file nor the configuration says one
    batchable    whether its outputs have one row a picture, so that several pictures can go in at once
    repeats      whether it proposes a thing more than once, so that suppression is needed
    """

    name: ClassVar[str]
    expects: ClassVar[str]
    preparation: ClassVar[Preparation] = Preparation()
    usual_hw: ClassVar[tuple[int, int]] = (640, 640)
    batchable: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    def __init__(self, signature: Signature, size_hw: tuple[int, int]) -> None:
        """Raises MisfitError where inputs or outputs are missing, or it cannot take pictures of this size."""
        self.signature = signature
        self.size_hw = size_hw

    @classmethod
    @abstractmethod
    def recognises(cls, signature: Signature) -> bool:
        """Tell whether a network looks like this."""

    def wanted(self) -> Sequence[str]:
        """Return the names of the outputs that `decode` and `n_labels` take, in their order."""
        return [port.name for port in self.signature.outputs]

    def sides(self, n_images: int) -> Mapping[str, np.ndarray]:
        """Return the inputs beside the images, by name, for so many images."""
        return {}

    @abstractmethod
    def n_labels(self, outputs: Sequence[np.ndarray], n_images: int) -> int | None:
        """Return how many classes the network tells apart; None where its outputs do not say.

        Raises MisfitError where the outputs for so many images have other shapes than this layout's.
        """

    @abstractmethod
    def decode(self, outputs: Sequence[np.ndarray], min_score: float) -> list[Found]:
        """Turn outputs into each picture's candidates, at least `min_score` sure."""


def best_class(scores: np.ndarray, xyxy: np.ndarray, min_score: float) -> Found:
    """Keep each box's best class. scores (N, C), xyxy (N, 4); rows below `min_score` are left out."""
    label = scores.argmax(axis=1)
    score = scores[np.arange(len(scores)), label]
    rows = np.flatnonzero(score >= min_score)
    return Found(xyxy[rows].astype(np.float32), _share(score[rows]), label[rows])


def _share(score: np.ndarray) -> np.ndarray:
    return np.clip(score, 0, 1).astype(np.float32)


def centred(cxcywh: np.ndarray) -> np.ndarray:
    """Turn boxes (..., 4) given by centre and size into corners."""
    half = cxcywh[..., 2:] / 2
    return np.concatenate([cxcywh[..., :2] - half, cxcywh[..., :2] + half], axis=-1)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * values))


def shown(outputs: Sequence[np.ndarray]) -> str:
    """Return the shapes of outputs in words."""
    return ", ".join(str(tuple(each.shape)) for each in outputs)
