"""Embedders that `nightfleet train embedder` made: a file of weights that rebuilds its network."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.config import EmbedderConfig
from pipeline.perception.networks import embedding_network
from pipeline.perception.projection import unit_rows
from pipeline.perception.weights import network_file
from pipeline.types import EMBEDDING_DIM

MAX_CROPS = 64
"""Crops the network sees at a time: bounds memory, and more gains no speed."""


class TrainedEmbedder:
    """A network of our own: crops (B, 3, h, w) in, 128 numbers out, mask and colours as in its training."""

    def __init__(self, config: EmbedderConfig, *, device: str) -> None:
        """Raises WeightsError where the file is no embedder of ours."""
        network = embedding_network.load(network_file(config.use))
        self.crop_hw = network.design.crop_hw
        # Channels last doubles the speed of depthwise convolutions on a CPU.
        self._network = embedding_network.folded(network).to(device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def embed(self, crops: torch.Tensor) -> np.ndarray:
        """Turn crops (N, 3, h, w) in [0, 255] into (N, 128) float32 unit vectors."""
        parts = [np.zeros((0, EMBEDDING_DIM), np.float32)]
        for rows in crops.split(MAX_CROPS) if len(crops) else ():
            parts.append(self._network(rows.contiguous(memory_format=torch.channels_last)).cpu().numpy())
        return unit_rows(np.concatenate(parts))
