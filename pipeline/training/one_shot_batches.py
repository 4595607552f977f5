"""Which pictures make up a batch: two of each of several worlds, so that there are pairs to tell apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from pipeline.training.mot_folders import LabelledFrame
from pipeline.training.one_shot_samples import Sample, training_sample
from pipeline.training.one_shot_targets import Targets
from pipeline.training.together import Share

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """images (B, 3, H, W) float32 RGB in [0, 255], and what they should give."""

    images: torch.Tensor
    targets: Targets


class Batches(Generic[Made]):
    """The batches of a training run. A step's batch depends on the seed and the step alone, so a run may resume."""

    def __init__(
        self,
        frames: list[LabelledFrame],
        made: Callable[[list[Sample], np.random.Generator], Made],
        *,
        n_pictures: int,
        size_hw: tuple[int, int],
        seed: int,
        share: Share,
        weights: np.ndarray | None = None,
    ) -> None:
        """`n_pictures` in a batch, each of `size_hw` pixels; of them those that are this process's share.

        `made` turns its samples into a batch, drawing from the generator it is handed. weights (N,) tell how often the
        frames (N,) come up, on average over each world; without them all come up as often.
        """
        self._by_world: dict[int, list[LabelledFrame]] = defaultdict(list)
        often: dict[int, float] = defaultdict(float)
        for frame, weight in zip(frames, np.ones(len(frames)) if weights is None else weights, strict=True):
            self._by_world[frame.world].append(frame)
            often[frame.world] += float(weight)
        self._worlds = sorted(self._by_world)
        counts = np.array([often[world] for world in self._worlds])
        if weights is not None:  # a world of a single picture is drawn once where others are drawn twice
            counts *= np.array([2 / min(2, len(self._by_world[world])) for world in self._worlds])
        self._share = counts / counts.sum()
        self._made = made
        self._n_pictures = n_pictures
        self._size_hw = size_hw
        self._seed = seed
        self._mine = range(n_pictures)[share.part(n_pictures)]
        self._ahead = ThreadPoolExecutor(1)
        self._waiting: dict[int, Future[Made]] = {}

    def at(self, step: int) -> Made:
        """Return the batch of a step, and begin to make the next."""
        for wanted in (step, step + 1):
            if wanted not in self._waiting:
                self._waiting[wanted] = self._ahead.submit(self._make, wanted)
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """Let go of the thread that makes batches."""
        self._ahead.shutdown(cancel_futures=True)

    def _make(self, step: int) -> Made:
        rng = np.random.default_rng([self._seed, step])
        chosen = self._choose(rng)
        samples = [
            training_sample(chosen[i], self._size_hw, np.random.default_rng([self._seed, step, i])) for i in self._mine
        ]
        return self._made(samples, rng)

    def _choose(self, rng: np.random.Generator) -> list[LabelledFrame]:
        """Take two pictures each of worlds drawn by their number of pictures."""
        chosen: list[LabelledFrame] = []
        while len(chosen) < self._n_pictures:
            frames = self._by_world[self._worlds[int(rng.choice(len(self._worlds), p=self._share))]]
            some = rng.choice(len(frames), size=min(2, len(frames), self._n_pictures - len(chosen)), replace=False)
            chosen += [frames[int(index)] for index in some]
        return chosen


def stacked(samples: list[Sample]) -> torch.Tensor:
    """Turn the pictures of samples of one size into a batch (B, 3, H, W) float32."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return images.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
