"""A one-shot network on disk, and the box refiner beside it where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import WeightsError
from pipeline.perception.networks import saved
from pipeline.perception.networks.one_shot import KIND, OneShotNetwork
from pipeline.perception.networks.refiner import BoxRefiner
from pipeline.types import COCO_CLASSES

_REFINER = "refiner."
"""What the names of the refiner's tensors begin with."""
_OF_JUDGING = ("sure.weight", "sure.bias", "heat_share")


@dataclass(frozen=True, eq=False, slots=True)
class OneShotFile:
    """What such a file holds, in evaluation mode.

    class_names  COCO names of the heatmap's layers
    refiner      None where nobody trained one for these weights
    """

    network: OneShotNetwork
    class_names: tuple[str, ...]
    refiner: BoxRefiner | None = None


def write(path: Path, file: OneShotFile) -> None:
    """Write it. Raises UserError where that is not possible."""
    about = {
        "classes": list(file.class_names),
        "width": file.network.heat.in_channels,
        "refiner": file.refiner is not None,
    }
    tensors = dict(file.network.state_dict())
    if file.refiner is not None:
        tensors |= {_REFINER + name: value for name, value in file.refiner.state_dict().items()}
    saved.save(path, KIND, about, tensors)


def read(path: Path | str) -> OneShotFile:
    """Read it. Raises WeightsError, one sentence, where the file holds no such network."""
    about, tensors = saved.load(path, KIND)
    class_names = _class_names(path, about)
    network = OneShotNetwork(len(class_names), int(about["width"]))
    refiner = BoxRefiner() if about.get("refiner") else None
    if refiner is not None:
        said = _of_refiner(tensors)
        if not any(name.startswith("sure.") for name in said):  # from before refiners judged
            said |= {name: value for name, value in refiner.state_dict().items() if name in _OF_JUDGING}
        saved.fill(refiner, said, path)
        tensors = {name: value for name, value in tensors.items() if not name.startswith(_REFINER)}
        refiner.eval()
    saved.fill(network, tensors, path)
    return OneShotFile(network.eval(), class_names, refiner)


def _of_refiner(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(_REFINER): value for name, value in tensors.items() if name.startswith(_REFINER)}


def _class_names(path: Path | str, about: dict) -> tuple[str, ...]:
    names = about.get("classes")
    known = isinstance(names, list) and bool(names) and set(names) <= set(COCO_CLASSES)
    if not known or not isinstance(about.get("width"), int) or about["width"] < 1:
        raise WeightsError(
            f"{path}: its header names no COCO classes it finds, or no width; train it again with `nightfleet train`"
        )
    return tuple(names)
