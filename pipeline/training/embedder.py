"""Train an embedding network on crops: the loop, which goes on as if it had not been killed, whenever it was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.config import digest
from pipeline.errors import ConfigError
from pipeline.perception.networks.embedding_network import EmbeddingNetwork
from pipeline.training import checkpoint, log, losses, sampling
from pipeline.training.augmentation import augment
from pipeline.training.crops import Crops, Relations
from pipeline.training.schedule import rate_share
from pipeline.types import EMBEDDING_DIM

ALGORITHM_VERSION = 1
"""Raised by one with every change after which a checkpoint cannot be gone on with."""

EMBEDDED_AT_ONCE = 128

Validate = Callable[[np.ndarray], dict[str, float]]
"""Vectors (V, 128) of the validation crops to scores; `mAP` is the one that is watched."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How it is trained.

    loss           losses summed: names of `losses.NAMES` with + between. Which tracklets of a lake are two is known of
                   too few for an identity loss; and where it is known of all, `pairs` learns more in the same time: an
                   identity's direction is seen a few times an epoch only
    epochs         passes over about as many pictures as there are crops
    identities     P, of each batch; each: K, pictures of each of them
    learning_rate  greatest, of AdamW: risen to in the first `warm_up` share of the steps, then falling as a cosine
    frozen         first blocks of the trunk that stay as they are: what ImageNet taught them of edges and colours holds
                   for real pictures better than what rendered ones would teach them, and half the time is theirs
    patience       epochs without a better validation mAP after which it ends; 0: never
    seed           of everything drawn
    """

    loss: str = "triplet+pairs"
    epochs: int = 20
    identities: int = 16
    each: int = 4
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.1
    frozen: int = 0
    patience: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.terms if name not in losses.NAMES]
        if unknown or len(set(self.terms)) != len(self.terms):
            names = ", ".join(losses.NAMES)
            raise ConfigError(f"--loss: expected one or several of {names} with + between, got {self.loss!r}")
        if self.epochs < 1 or self.identities < 2 or self.each < 2:
            raise ConfigError("expected at least 1 epoch, and batches of at least 2 identities with 2 pictures each")

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the losses that are summed."""
        return tuple(self.loss.split("+"))


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of it: the epoch whose weights the network now has (0: those it began with), and a row an epoch.

    start, scores  of the weights it began with, and of the best ones
    """

    epoch: int
    start: dict[str, float]
    scores: dict[str, float]
    rows: list[dict[str, float]]
    stopped_early: bool


class Training:
    """One training in a folder; `run` begins it, or goes on with it."""

    def __init__(
        self,
        network: EmbeddingNetwork,
        crops: Crops,
        relations: Relations,
        recipe: Recipe,
        *,
        validation: Crops,
        validate: Validate,
        folder: Path,
        device: str,
    ) -> None:
        """`network` has the weights to start from, and gets those of the best epoch; folder is there."""
        if "identity" in recipe.terms and relations.certain is not None:
            raise ConfigError(
                "--loss: identity wants pictures of which any two identities differ, and of tracklets that is not "
                "known; take triplet, pairs or contrastive"
            )
        self._network = network.to(device, memory_format=torch.channels_last)
        self._crops, self._relations, self._recipe = crops, relations, recipe
        self._validation, self._validate = validation, validate
        self._folder, self._device = folder, torch.device(device)
        self._frozen = list(network.trunk.children())[: recipe.frozen]
        for block in self._frozen:
            block.requires_grad_(False)
        n_identities = int(crops.identity.max(initial=0)) + 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self._identity_loss = losses.IdentityLoss(n_identities, EMBEDDING_DIM).to(device)
        learned = [p for m in (network, self._identity_loss) for p in m.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(learned, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._scaler = torch.amp.GradScaler(enabled=self._device.type == "cuda")
        per_epoch = sum(1 for _ in self._batches(1))
        self._n_steps = recipe.epochs * per_epoch
        self.signature = self._signature()

    def run(self, *, resume: bool, told: Callable[[dict[str, float]], None] = lambda row: None) -> Trained:
        """Train to the end, and leave the best epoch's weights in the network.

        resume  go on after the last whole epoch, where there is a checkpoint
        told    hears each epoch's row as it ends

        Raises UserError where the checkpoint is another training's, or a file cannot be written.
        """
        state = checkpoint.load(self._folder, self.signature) if resume else None
        if state is None:
            start = self._scores()
            rows, step = [], 0
            best = {"epoch": 0, "scores": start, "network": _copied(self._network.state_dict())}
        else:
            rows, best, step, start = state["rows"], state["best"], state["step"], state["start"]
            self._network.load_state_dict(state["network"])
            self._identity_loss.load_state_dict(state["identity_loss"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state["scaler"])
        board = log.Board(self._folder, after_epoch=len(rows))
        try:
            while len(rows) < self._recipe.epochs and not self._is_over(rows, best):
                row, step = self._epoch(len(rows) + 1, step)
                rows.append(row)
                if row["mAP"] > best["scores"]["mAP"]:
                    scores = {name: row[name] for name in start}
                    best = {"epoch": len(rows), "scores": scores, "network": _copied(self._network.state_dict())}
                self._save({"rows": rows, "best": best, "step": step, "start": start})
                log.write_csv(rows, self._folder)
                board.add(row)
                told(row)
        finally:
            board.close()
        self._network.load_state_dict(best["network"])
        return Trained(best["epoch"], start, best["scores"], rows, stopped_early=len(rows) < self._recipe.epochs)

    def _is_over(self, rows: list[dict[str, float]], best: dict[str, Any]) -> bool:
        return bool(self._recipe.patience and len(rows) - best["epoch"] >= self._recipe.patience)

    def _scores(self) -> dict[str, float]:
        return self._validate(embed(self._network, self._validation.images, self._device))

    def _epoch(self, epoch: int, step: int) -> tuple[dict[str, float], int]:
        """Train one epoch from its first step on, and validate; return its row and the step after it."""
        began = time.perf_counter()
        sums: dict[str, float] = {}
        self._network.train()
        for block in self._frozen:
            block.eval()
        n_batches = 0
        for rows in self._batches(epoch):
            rate = self._rate(step)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            for name, value in self._step(rows, step).items():
                sums[name] = sums.get(name, 0.0) + value
            step, n_batches = step + 1, n_batches + 1
        means = {name: value / n_batches for name, value in sums.items()}
        scores = self._scores()
        took = time.perf_counter() - began
        return {"epoch": float(epoch), "learning_rate": rate, **means, **scores, "wall_s": took}, step

    def _step(self, rows: np.ndarray, step: int) -> dict[str, float]:
        """Learn from one batch; return its losses."""
        generator = torch.Generator().manual_seed(self._recipe.seed * 1_000_003 + step)
        crops = torch.from_numpy(self._crops.images[rows]).to(self._device).float()
        crops = augment(crops, generator).contiguous(memory_format=torch.channels_last)
        identity = torch.from_numpy(self._crops.identity[rows]).to(self._device)
        different = torch.from_numpy(self._relations.different(self._crops.identity[rows])).to(self._device)
        # Of few identities a batch repeats crops; that a crop is like itself teaches nothing.
        row = torch.from_numpy(rows).to(self._device)
        same = (identity[:, None] == identity[None, :]) & (row[:, None] != row[None, :])
        self._optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, dtype=torch.float16, enabled=self._device.type == "cuda"):
            unit = self._network(crops)
        terms = self._losses(unit.float(), identity, same, different)
        self._scaler.scale(sum(terms.values())).backward()
        self._scaler.unscale_(self._optimizer)
        nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        values = {f"loss_{name}": value.item() for name, value in terms.items()}
        return {"loss": sum(values.values()), **values}

    def _losses(
        self, unit: torch.Tensor, identity: torch.Tensor, same: torch.Tensor, different: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        distance = losses.cosine_distances(unit)
        of_pairs = {"triplet": losses.triplet, "contrastive": losses.contrastive, "pairs": losses.pairs}
        return {
            name: self._identity_loss(unit, identity)
            if name == "identity"
            else of_pairs[name](distance, same, different)
            for name in self._recipe.terms
        }

    def _rate(self, step: int) -> float:
        return self._recipe.learning_rate * rate_share(step, self._n_steps, self._recipe.warm_up)

    def _batches(self, epoch: int):
        crops, recipe = self._crops, self._recipe
        how = {"identities": recipe.identities, "each": recipe.each, "seed": recipe.seed, "epoch": epoch}
        return sampling.batches(crops.identity, crops.camera, self._relations, **how)

    def _save(self, progress: dict[str, Any]) -> None:
        state = {
            **progress,
            "network": self._network.state_dict(),
            "identity_loss": self._identity_loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        checkpoint.save(self._folder, self.signature, state)

    def _signature(self) -> str:
        """Digest of all that shapes the weights, those to start from among it."""
        content = hashlib.blake2b(digest_size=16)
        for crops in (self._crops, self._validation):
            for array in (crops.images, crops.identity, crops.camera, crops.world):
                content.update(np.ascontiguousarray(array).data)
        if self._relations.certain is not None:
            content.update(np.ascontiguousarray(self._relations.certain).data)
        for value in self._network.state_dict().values():
            content.update(value.detach().cpu().contiguous().numpy().data)
        facts = [ALGORITHM_VERSION, self._device.type, asdict(self._recipe), asdict(self._network.design)]
        return digest(facts, content.hexdigest())


@torch.inference_mode()
def embed(network: EmbeddingNetwork, images: np.ndarray, device: torch.device | str) -> np.ndarray:
    """Embed crops (N, 3, h, w) uint8: (N, 128) float32 unit vectors; the network is left in evaluation mode."""
    network.eval()
    parts = [np.zeros((0, EMBEDDING_DIM), np.float32)]
    for start in range(0, len(images), EMBEDDED_AT_ONCE):
        crops = torch.from_numpy(images[start : start + EMBEDDED_AT_ONCE]).to(device).float()
        parts.append(network(crops.contiguous(memory_format=torch.channels_last)).cpu().numpy())
    return np.concatenate(parts)


def _copied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}
