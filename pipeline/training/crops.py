"""Pictures of things to know again, with who they show: what embedders are trained on and validated with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.perception.crops import crop


@dataclass(frozen=True, eq=False, slots=True)
class Crops:
    """N pictures of one size.

    images    (N, 3, h, w) uint8 RGB
    identity  (N,) int64; whom a picture shows
    camera    (N,) int64; by whom it was seen, where that is unknown a number of its own
    world     (N,) int64; within a world identities can be compared: who has two numbers in it is two
    group     (N,) str; class group: "person", "vehicle"
    """

    images: np.ndarray
    identity: np.ndarray
    camera: np.ndarray
    world: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.identity)

    def take(self, index: np.ndarray) -> Crops:
        """Return the rows at `index` (numbers or a mask), in that order."""
        return Crops(*(getattr(self, name)[index] for name in self.__slots__))

    @property
    def groups(self) -> tuple[str, ...]:
        """The class groups there are, sorted."""
        return tuple(sorted(set(self.group.tolist())))

    @staticmethod
    def concatenate(parts: Sequence[Crops]) -> Crops:
        """Return the rows of all parts, one after another; at least one part is wanted."""
        return Crops(*(np.concatenate([getattr(part, name) for part in parts]) for name in Crops.__slots__))


@dataclass(frozen=True, eq=False, slots=True)
class Relations:
    """What is known of I identities, 0 to I - 1: none of them is another, or only some pairs are certain.

    certain  None where any two identities differ for sure; otherwise (R, 2) int64, the pairs that do
    """

    certain: np.ndarray | None

    def different(self, identity: np.ndarray) -> np.ndarray:
        """Tell for each two rows of `identity` (B,) whether they show two for sure: (B, B) bool."""
        unequal = identity[:, None] != identity[None, :]
        if self.certain is None:
            return unequal
        side = int(max(identity.max(initial=0), self.certain.max(initial=0))) + 1
        keys = np.concatenate([self.certain @ [side, 1], self.certain[:, ::-1] @ [side, 1]])
        return unequal & np.isin(identity[:, None] * side + identity[None, :], keys)

    def rivals(self) -> dict[int, np.ndarray]:
        """Return for each identity those known to be somebody else, where only some are known."""
        if self.certain is None:
            return {}
        both = np.concatenate([self.certain, self.certain[:, ::-1]])
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        names, starts = np.unique(both[:, 0], return_index=True)
        return dict(zip(names.tolist(), np.split(both[:, 1], starts[1:])))


def cut(image: np.ndarray, xyxy: np.ndarray, crop_hw: tuple[int, int]) -> np.ndarray:
    """Cut boxes (N, 4) out of a picture (H, W, 3) uint8 RGB as the pipeline does: (N, 3, h, w) uint8."""
    frame = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None])
    crops = crop(frame, xyxy.astype(np.float32).reshape(-1, 4), np.zeros(len(xyxy), np.int64), crop_hw)
    return crops.round().clamp(0, 255).to(torch.uint8).numpy()


def cut_whole(images: Iterator[np.ndarray], crop_hw: tuple[int, int]) -> np.ndarray:
    """Bring whole pictures to one size: (N, 3, h, w) uint8."""
    parts = [np.zeros((0, 3, *crop_hw), np.uint8)]
    parts += [cut(image, np.array([[0, 0, image.shape[1], image.shape[0]]]), crop_hw) for image in images]
    return np.concatenate(parts)


def spread(n: int, most: int) -> np.ndarray:
    """Return at most `most` of n row numbers, spread evenly."""
    return np.arange(n) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(np.int64))


def dense(values: np.ndarray) -> np.ndarray:
    """Number the different values (N,) from 0, in their order."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
