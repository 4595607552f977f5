"""The embedding network that a training starts from: drawn, with ImageNet's backbone, or trained before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import ConfigError
from pipeline.perception.networks import embedding_network, trunk
from pipeline.perception.networks.embedding_network import DEFAULT_WIDTH, Design, EmbeddingNetwork

IMAGENET = "imagenet"


@dataclass(frozen=True, slots=True)
class Start:
    """What to start from.

    width    None for the backbone's usual one
    crop_hw  height and width of its crops in pixels
    init     None for random weights, "imagenet", or the file of an embedder, which then says all the rest
    """

    backbone: str = "mobilenet"
    width: float | None = None
    mask: bool = False
    colours: bool = False
    crop_hw: tuple[int, int] = (96, 48)
    init: str | None = None

    @property
    def is_trained(self) -> bool:
        """Whether it knows somebody again already."""
        return self.init not in (None, IMAGENET)


def network(start: Start, seed: int) -> EmbeddingNetwork:
    """Build the network with the weights to start from. Raises ConfigError, WeightsError."""
    if start.is_trained:
        return embedding_network.load(start.init)
    width = DEFAULT_WIDTH.get(start.backbone, 1.0) if start.width is None else start.width
    design = Design(start.backbone, width, start.crop_hw, start.mask, start.colours)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = EmbeddingNetwork(design)
    if start.init == IMAGENET:
        if design.backbone != "mobilenet" or design.width != 1:
            raise ConfigError(
                f"--init imagenet: there are ImageNet weights for --backbone mobilenet of width 1 only, got "
                f"{design.backbone} of width {design.width:g}"
            )
        trunk.start_from_imagenet(built.trunk)
    return built


def require_blocks(network: EmbeddingNetwork, frozen: int) -> None:
    """Raise ConfigError where a network has fewer blocks than shall stay as they are."""
    n_blocks = len(list(network.trunk.children()))
    if not 0 <= frozen <= n_blocks:
        has = f"0 to {n_blocks}, the blocks of {network.design.backbone}" if n_blocks else "0, as colours has no blocks"
        raise ConfigError(f"--frozen: expected {has}; got {frozen}")


def save(start: Start, path: Path, *, seed: int = 0) -> None:
    """Write the weights that a training would start from, to compare with. Raises UserError."""
    embedding_network.save(network(start, seed), path, {"untrained": True})
