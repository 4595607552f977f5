"""From a network's own classes to COCO's 80."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import DetectorConfig
from pipeline.errors import WeightsError
from pipeline.perception.weights import require_file
from pipeline.types import COCO_CLASSES

COCO_GAPS = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Numbers among COCO's original 1 to 90, and 0, that no class has."""

COCO_NUMBERED: tuple[str, ...] = tuple(
    np.insert(np.array(COCO_CLASSES, object), np.array(COCO_GAPS) - np.arange(len(COCO_GAPS)), "").tolist()
)
"""COCO's classes at their original numbers; the gaps are empty names."""

SPELLINGS = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}
"""How Darknet's coco.names and Pascal VOC write some of COCO's classes."""

_COUNTED = {len(COCO_CLASSES): COCO_CLASSES, len(COCO_NUMBERED): COCO_NUMBERED}


@dataclass(frozen=True, eq=False, slots=True)
class ClassNames:
    """What each number of a network's classes means.

    names  its own names by number
    coco   (len(names),) int16, index into COCO_CLASSES, -1 for what is none of them
    """

    names: tuple[str, ...]
    coco: np.ndarray

    def described(self, asked: Sequence[str]) -> str:
        """Say what the network tells apart, and which of the classes asked for it does not know."""
        if self.names in (COCO_CLASSES, COCO_NUMBERED):
            told = "COCO's 80 classes"
        else:
            known = [
                name if COCO_CLASSES[index] == name else f"{name} (as {COCO_CLASSES[index]})"
                for name, index in zip(self.names, self.coco)
                if index >= 0
            ]
            others = [name for name, index in zip(self.names, self.coco) if index < 0]
            told = f"{len(self.names)} classes: {', '.join(known)}"
            told += f"; left out, for want of a `class_map`: {', '.join(others)}" if others else ""
        absent = [name for name in asked if COCO_CLASSES.index(name) not in self.coco]
        return told + (f"; it knows no {', '.join(absent)}" if absent else "")


def given_names(config: DetectorConfig) -> tuple[str, ...] | None:
    """Return the names that a configuration gives, from its list or its file of one name a line.

    Raises WeightsError where the file is missing, empty or no text.
    """
    if not isinstance(config.class_names, Path):
        return config.class_names
    path = require_file(config.class_names, "a list of class names, one a line")
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8").rstrip().splitlines())
    except UnicodeDecodeError:
        names = ()
    if not names:
        raise WeightsError(f"{path}: not a list of class names; expected text with one name a line, in their order")
    return names


def left_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names that the exporter left in the file as `names`, a list or a mapping by number; None without."""
    try:
        names = ast.literal_eval(metadata.get("names", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[number] for number in range(len(names))]
    return tuple(map(str, names)) if isinstance(names, list | tuple) and names else None


def resolve(config: DetectorConfig, metadata: Mapping[str, str], n_labels: int | None) -> ClassNames:
    """Say what a network's classes are: by the configuration, else by the file, else by their number.

    n_labels  how many it tells apart, None where its outputs do not say; COCO's 80 are supposed then

    Raises ValueError, a part of a sentence, where they are not as many as the names, or cannot be told.
    """
    names = given_names(config)
    if names is None:
        names = left_names(metadata)
        if names is None or n_labels not in (None, len(names)):
            names = _COUNTED.get(len(COCO_CLASSES) if n_labels is None else n_labels)
    if names is None:
        raise ValueError(f"it has {n_labels} classes, neither COCO's 80 nor its 91 numbers: give their `class_names`")
    if n_labels not in (None, len(names)):
        raise ValueError(f"it has {n_labels} classes, but `class_names` gives {len(names)} names")
    unknown = sorted(set(config.class_map) - set(names))
    if unknown:
        raise ValueError(
            f"`class_map` says what {unknown[0]!r} is, but its classes are {', '.join(filter(None, names))}"
        )
    coco = np.array([_coco_index(name, config.class_map) for name in names], np.int16)
    if (coco < 0).all():
        told = ", ".join(names[:8])
        raise ValueError(f"none of its classes ({told}) is one of COCO's: say what they are in `class_map`")
    return ClassNames(tuple(names), coco)


def _coco_index(name: str, class_map: Mapping[str, str]) -> int:
    plain = name.strip().lower()
    coco = class_map.get(name, SPELLINGS.get(plain, plain))
    return COCO_CLASSES.index(coco) if coco in COCO_CLASSES else -1
