"""Networks as embedders: pictures normalised as in ImageNet training, features projected to 128 numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision import models

from pipeline.config import EmbedderConfig
from pipeline.errors import ConfigError
from pipeline.perception import projection, torchvision_weights
from pipeline.perception.onnx_session import OnnxModel
from pipeline.perception.preparation import IMAGENET_MEAN, IMAGENET_STD
from pipeline.perception.projection import Projection
from pipeline.perception.weights import embedder_model_digest

PERSON_CROP_HW = (128, 64)
"""Crops for convolutional torchvision backbones, which take any size: Market-1501's own crop size."""

_FIXED_SIZE_FAMILIES = ("vit_", "maxvit_", "swin_")
"""Backbones whose attention windows want the size they were trained at."""

MAX_CROPS = 64
"""Crops a network sees at a time: bounds memory, and more gains no speed."""


def normalised(crops: torch.Tensor) -> torch.Tensor:
    """Turn crops (N, 3, h, w) in [0, 255] into ImageNet's normalised units."""
    mean = torch.tensor(IMAGENET_MEAN, device=crops.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=crops.device).view(1, 3, 1, 1)
    return (crops / 255 - mean) / std


class OnnxEmbedder:
    """An ONNX network: crops (B, 3, h, w) in, features (B, D) out."""

    def __init__(self, config: EmbedderConfig, *, device: str, threads: int) -> None:
        """Raises WeightsError where the file is no such network or the projection is another's."""
        path = config.use.partition(":")[2]
        what = "an appearance embedder (images in, one vector each out) in ONNX"
        self._model = OnnxModel(path, what=what, device=device, threads=threads)
        _, channels, height, width = self._model.input_shape
        if channels != 3 or height is None or width is None:
            raise self._model.wrong(f"its input has the shape {self._model.input_shape}, expected 3 x H x W")
        self.crop_hw = (height, width)
        features = self._model.run(torch.zeros((1, 3, height, width)).to(device), MAX_CROPS)
        if features.ndim != 2 or len(features) != 1:
            raise self._model.wrong(f"its output has the shape {features.shape}, expected (1, D)")
        self._projection = _projection(config, features.shape[1])

    def embed(self, crops: torch.Tensor) -> np.ndarray:
        """Turn crops (N, 3, h, w) in [0, 255] into (N, 128) float32 unit vectors."""
        return self._projection.apply(self.features(crops))

    def features(self, crops: torch.Tensor) -> np.ndarray:
        """Return the network's own features (N, D) float32 of crops (N, 3, h, w) in [0, 255]."""
        if not len(crops):
            return np.zeros((0, len(self._projection.mean)), np.float32)
        return self._model.run(normalised(crops), MAX_CROPS)


class TorchvisionEmbedder:
    """A torchvision classification model without its last layer."""

    def __init__(self, config: EmbedderConfig, *, device: str) -> None:
        """Raises ConfigError for an unknown name, WeightsError where the weights or the projection are another's."""
        name = config.use.partition(":")[2]
        torchvision_weights.known_model(name, models, "classification model")
        model = models.get_model(name, weights=None)
        loaded = torchvision_weights.state_dict(name, config.weights)
        head = _head_name(model, name)
        self._dim = model.get_submodule(head).in_features
        model.set_submodule(head, nn.Identity())
        # The head is dropped, so a model fine-tuned to another number of classes or people serves as well.
        backbone = {key: value for key, value in loaded.items() if not key.startswith(f"{head}.")}
        torchvision_weights.fill(model, backbone, name=name, origin=config.weights)
        self._model = model.eval().to(device)
        self.crop_hw = _crop_hw(name)
        self._projection = _projection(config, self._dim)

    def embed(self, crops: torch.Tensor) -> np.ndarray:
        """Turn crops (N, 3, h, w) in [0, 255] into (N, 128) float32 unit vectors."""
        return self._projection.apply(self.features(crops))

    @torch.inference_mode()
    def features(self, crops: torch.Tensor) -> np.ndarray:
        """Return the network's own features (N, D) float32 of crops (N, 3, h, w) in [0, 255]."""
        parts = [np.zeros((0, self._dim), np.float32)]
        for rows in crops.split(MAX_CROPS) if len(crops) else ():
            parts.append(self._model(normalised(rows)).cpu().numpy())
        return np.concatenate(parts)


def _projection(config: EmbedderConfig, dim: int) -> Projection:
    """Load the configured projection, or take the random one where none is configured."""
    digest = embedder_model_digest(config)
    if config.projection is None:
        return projection.random_projection(dim, digest)
    return projection.load(Path(config.projection), dim=dim, model_digest=digest, model=config.use)


def _head_name(model: nn.Module, name: str) -> str:
    """Name of a classifier's last linear layer."""
    linear = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ConfigError(f"torchvision:{name}: ends in no linear layer, so it gives no vector; take another backbone")
    return linear[-1]


def _crop_hw(name: str) -> tuple[int, int]:
    if not name.startswith(_FIXED_SIZE_FAMILIES):
        return PERSON_CROP_HW
    side = models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
    return (side, side)
