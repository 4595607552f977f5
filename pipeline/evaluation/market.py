"""Folders of crops named as Market-1501 names them: `PID_cXsY_FRAME_NN.jpg`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pipeline.errors import TruthError
from pipeline.evaluation.reid import DISTRACTOR, JUNK, Pictured

PICTURES = (".jpg", ".jpeg", ".png")

_NAME = re.compile(r"(?P<person>-1|\d+)_c(?P<camera>\d+)(s\d+)?(_.*)?", re.IGNORECASE)


def read_folder(folder: Path) -> tuple[list[Path], Pictured]:
    """Return the pictures of a folder, sorted by name, and whom they show by which camera.

    Files that are no pictures are passed over. Raises TruthError, one sentence, where there is no such folder, no
    picture in it, or one whose name does not say who it shows.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TruthError(f"{folder}: no such folder; expected crops named PID_cXsY_FRAME_NN.jpg, as Market-1501's are")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not paths:
        raise TruthError(f"{folder}: expected crops named PID_cXsY_FRAME_NN.jpg in it, got no jpg or png")
    facts = [_who_and_where(path) for path in paths]
    return paths, Pictured(*(np.array(column, np.int64) for column in zip(*facts)))


def require_people(crops: Pictured, folder: Path) -> None:
    """Raise TruthError where nobody of the crops was seen by a second camera: no query would have an answer."""
    known = np.unique(np.stack([crops.person, crops.camera], axis=1)[crops.person > DISTRACTOR], axis=0)
    if len(known) == len(np.unique(known[:, 0])):
        raise TruthError(
            f"{folder}: expected people seen by two cameras or more, got none; nothing could be found again"
        )


def _who_and_where(path: Path) -> tuple[int, int]:
    match = _NAME.fullmatch(path.stem)
    if match is None:
        raise TruthError(
            f"{path}: expected a name such as 0002_c1s1_000451_03.jpg (person, camera and sequence, frame, number; "
            f"person {DISTRACTOR} for nobody, {JUNK} for junk), got {path.name!r}"
        )
    return int(match["person"]), int(match["camera"])
