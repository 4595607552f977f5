"""Labelled pictures on disk: MOTChallenge folders, alone or by world.

```
DATA/<sequence>/{img1/000001.jpg, gt/gt.txt, seqinfo.ini}
DATA/<world>/<sequence>/{img1/000001.jpg, gt/gt.txt, seqinfo.ini}
```
A world is what shares identities: the same person has one id in all its sequences. A sequence that lies in DATA itself
is a world of its own. `classNames=person,car` in seqinfo.ini makes the class column of gt.txt a 1-based index into
those COCO names; without it the numbers of MOTChallenge hold (Dendorfer et al. 2020, "MOT20", table 1).
"""

from __future__ import annotations

import configparser
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import TruthError
from pipeline.types import COCO_CLASSES

IGNORED = -1
"""Class of a row that is neither to be found nor to be called wrong where it is found."""

_PERSON, _BICYCLE, _CAR, _MOTORCYCLE = (COCO_CLASSES.index(n) for n in ("person", "bicycle", "car", "motorcycle"))
MOT_CLASSES = {1: _PERSON, 3: _CAR, 4: _BICYCLE, 5: _MOTORCYCLE, 7: _PERSON}
"""MOTChallenge's numbers as COCO classes; 2 (person on vehicle), 6, 8 and above say nothing sure."""


@dataclass(frozen=True, eq=False, slots=True)
class LabelledFrame:
    """One picture and the N boxes known in it.

    xyxy        (N, 4) float32, pixels
    class_id    (N,)   int16, index into COCO_CLASSES, or IGNORED
    identity    (N,)   int64, dense over the whole data set, from 0; -1 where a row is ignored
    visibility  (N,)   float32, in [0, 1]
    """

    path: Path
    world: int
    sequence: int
    xyxy: np.ndarray
    class_id: np.ndarray
    identity: np.ndarray
    visibility: np.ndarray


@dataclass(frozen=True, eq=False, slots=True)
class LabelledSequence:
    """One camera's pictures.

    folder  where it lies
    world   name of the world, the sequence's own name where it lies in none
    frames  in order of time; frames without any row in gt.txt are there, empty
    """

    folder: Path
    world: str
    frames: tuple[LabelledFrame, ...]


@dataclass(frozen=True, eq=False, slots=True)
class LabelledData:
    """All sequences under one or several folders; `n_identities` of them differ.

    root  of each sequence, which of the folders it lies in
    """

    sequences: tuple[LabelledSequence, ...]
    n_identities: int
    root: tuple[int, ...]

    def even_weights(self) -> np.ndarray:
        """Return for each picture of `frames` (N,) how often it comes up where those of every folder do as often."""
        root = np.repeat(self.root, [len(sequence.frames) for sequence in self.sequences])
        return 1 / np.bincount(root)[root]

    def frames(self) -> list[LabelledFrame]:
        """Return every picture, sequence by sequence."""
        return [frame for sequence in self.sequences for frame in sequence.frames]


def read_folders(roots: list[Path]) -> LabelledData:
    """Read every sequence under `roots`, in order of name. Raises TruthError, one sentence, where one is unusable."""
    sequences: list[LabelledSequence] = []
    root_of: list[int] = []
    identity: dict[tuple[str, int], int] = {}
    worlds: dict[str, int] = {}
    for nth, root in enumerate(roots):
        found = _folders(Path(root))
        if not found:
            raise TruthError(
                f"{root}: holds no labelled sequence; expected folders with img1/ and gt/gt.txt (MOTChallenge), "
                "such as `nightfleet train scenes` and `nightfleet train labels` write"
            )
        for folder in found:
            world = folder if folder.parent == Path(root) else folder.parent
            number = worlds.setdefault(str(world), len(worlds))
            frames = _read(folder, number, len(sequences), str(world), identity)
            sequences.append(LabelledSequence(folder, world.name, frames))
            root_of.append(nth)
    return LabelledData(tuple(sequences), len(identity), tuple(root_of))


def data_digest(data: LabelledData) -> str:
    """Return the digest of all labels, and of each picture's path and size on disk."""
    content = hashlib.blake2b(repr(data.root).encode(), digest_size=16)
    for frame in data.frames():
        content.update(f"{frame.path} {frame.path.stat().st_size} {frame.world}\n".encode())
        for column in (frame.xyxy, frame.class_id, frame.identity, frame.visibility):
            content.update(column.tobytes())
    return content.hexdigest()


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        raise TruthError(f"{root}: no such folder; give a folder of labelled sequences (MOTChallenge layout)")
    return sorted({gt.parent.parent for pattern in ("*/gt/gt.txt", "*/*/gt/gt.txt") for gt in root.glob(pattern)})


def _read(
    folder: Path, world: int, sequence: int, world_name: str, identity: dict[tuple[str, int], int]
) -> tuple[LabelledFrame, ...]:
    pictures, classes = _seqinfo(folder)
    rows = _rows(folder / "gt" / "gt.txt")
    order = np.argsort(rows[:, 0], kind="stable")
    rows = rows[order]
    frames = []
    for picture in pictures:
        number = int(picture.stem)
        first, end = np.searchsorted(rows[:, 0], [number, number + 1])
        some = rows[first:end]
        xyxy = np.concatenate([some[:, 2:4], some[:, 2:4] + some[:, 4:6]], axis=1).astype(np.float32)
        class_id = np.array([classes.get(int(value), IGNORED) for value in some[:, 7]], np.int16)
        class_id[some[:, 6] == 0] = IGNORED
        ids = [
            -1 if found == IGNORED else identity.setdefault((world_name, int(value)), len(identity))
            for value, found in zip(some[:, 1], class_id, strict=True)
        ]
        frames.append(
            LabelledFrame(
                picture, world, sequence, xyxy, class_id, np.array(ids, np.int64), some[:, 8].astype(np.float32)
            )
        )
    return tuple(frames)


def _seqinfo(folder: Path) -> tuple[list[Path], dict[int, int]]:
    """Return the pictures in order and what the class column's numbers mean."""
    path = folder / "seqinfo.ini"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8") if path.exists() else "[Sequence]\n")
        section = parser["Sequence"]
    except (configparser.Error, KeyError, UnicodeDecodeError) as error:
        raise TruthError(
            f"{path}: not a seqinfo.ini with a section [Sequence] ({str(error).splitlines()[0]})"
        ) from None
    images = folder / section.get("imDir", "img1")
    ending = section.get("imExt", ".jpg")
    pictures = sorted(p for p in images.glob(f"*{ending}") if p.stem.isdigit())
    if not pictures:
        raise TruthError(f"{images}: holds no pictures named by number, such as 000001{ending}")
    names = section.get("classNames")
    if names is None:
        return pictures, MOT_CLASSES
    classes = {}
    for number, name in enumerate(names.split(","), start=1):
        if name.strip() not in COCO_CLASSES:
            raise TruthError(f"{path}: classNames has {name.strip()!r}, which is not a COCO class; write COCO's names")
        classes[number] = COCO_CLASSES.index(name.strip())
    return pictures, classes


def _rows(path: Path) -> np.ndarray:
    """Read gt.txt into (N, 9): frame, id, x, y, w, h, conf, class, visibility."""
    rows = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{path}: cannot be read as text ({str(error)[:80]}); expected MOTChallenge rows") from None
    for line_no, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            values = [float(word) for word in line.split(",")]
        except ValueError:
            values = []
        if not 8 <= len(values) <= 10 or not np.isfinite(values).all():
            raise TruthError(
                f"{path}, line {line_no}: expected frame,id,x,y,w,h,conf,class,visibility as numbers, got {line[:80]!r}"
            )
        rows.append(([*values, 1.0])[:9])
    return np.array(rows, np.float64).reshape(-1, 9)
