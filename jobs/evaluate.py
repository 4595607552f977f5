"""Scores against truth: of text files as the field's tools write them, or of a lake.

A lake's boxes are laid on the truth's frames by the truth's seqinfo.ini: frame = round((captured_at - startedAt) *
frameRate) + 1. Where that has no startedAt, a camera of one segment is laid frame by frame, the file's first being 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs import lake_tracks
from pipeline.errors import TruthError
from pipeline.evaluation import mot, mtmc
from pipeline.evaluation.formats import read_mot, read_mtmc, read_seqinfo
from pipeline.evaluation.tables import CameraBoxes, SequenceInfo, TrackedBoxes
from pipeline.lake import catalog


def evaluate_mot(truth: Path, predicted: str | Path, *, min_visibility: float = 0.0) -> dict[str, Any]:
    """Score tracks within each camera; see pipeline.evaluation.mot for the rules and fields.

    truth       a gt.txt, or a folder of `<sequence>/gt.txt` or `<sequence>/gt/gt.txt`, with their seqinfo.ini
    predicted   a text file for one sequence, a folder of `<sequence>.txt`, or a lake whose cameras are called like the
                sequences (one sequence of another name is compared with a lake's only camera)

    Returns the combined fields (HOTA, DetA, AssA, MOTA, IDF1, IDSW, ...) and `sequences`: the same by sequence.
    Raises UserError, one sentence, for whatever cannot be read or does not fit together.
    """
    truths = read_mot_truths(Path(truth))
    rules = mot.Rules(min_visibility=min_visibility)
    with catalog.connect(str(predicted)) if lake_tracks.is_lake(predicted) else nullcontext() as connection:
        sequences = [
            mot.TrackedSequence(
                one.name,
                one.boxes,
                _of_files(one, truths, Path(predicted)) if connection is None else _of_lake(one, truths, connection),
                None if one.info is None else one.info.length_frames,
            )
            for one in truths
        ]
    return mot.evaluate(sequences, rules)


def evaluate_mtmc(
    truth: Path,
    predicted: str | Path,
    *,
    cameras: Mapping[int, str] | None = None,
    regions: Path | None = None,
) -> dict[str, Any]:
    """Score identities across cameras; see pipeline.evaluation.mtmc for the definition and fields.

    truth       AI City text; for a lake, `<camera>/seqinfo.ini` in the same folder
    predicted   AI City text, or a lake
    cameras     for a lake: the camera behind each number of the truth; without it, 1 is the fleet's first camera,
                2 its second, and so on
    regions     folder with AI City's pictures of each camera's region of interest, `c001/roi.jpg`, white inside;
                without it no box is taken out for its place
    """
    truth = Path(truth)
    boxes = read_mtmc(truth)
    if not lake_tracks.is_lake(predicted):
        found = read_mtmc(Path(predicted))
        return mtmc.evaluate(boxes, found, regions=_regions(regions, boxes, found))
    with catalog.connect(str(predicted)) as connection:
        names = cameras or dict(enumerate(lake_tracks.camera_ids(connection), start=1))
        unknown = sorted(set(boxes.camera.tolist()) - set(names))
        if unknown:
            raise TruthError(f"{truth}: expected cameras 1 to {len(names)}, as many as the lake has, got {unknown[0]}")
        infos = {name: _info(truth.parent / name / "seqinfo.ini") for name in names.values()}
        found = lake_tracks.identified_boxes(connection, names, infos)
    return mtmc.evaluate(boxes, found, regions=_regions(regions, boxes, found))


def _regions(folder: Path | None, truth: CameraBoxes, found: CameraBoxes) -> dict[int, np.ndarray]:
    """Read the region of interest, (H, W) uint8, of every camera; none where there is no folder of them."""
    from pipeline.footage.pictures import read_picture

    if folder is None:
        return {}
    regions = {}
    for number in np.union1d(truth.camera, found.camera).tolist():
        path = Path(folder) / f"c{number:03d}" / "roi.jpg"
        picture = read_picture(str(path)) if path.is_file() else None
        if picture is None:
            raise TruthError(f"{path}: expected a picture of the region of interest of camera {number}, got none")
        regions[number] = picture.min(axis=2)
    return regions


@dataclass(frozen=True, slots=True)
class MotTruth:
    """One sequence of a truth."""

    name: str
    path: Path
    boxes: TrackedBoxes
    info: SequenceInfo | None


def read_mot_truths(truth: Path) -> list[MotTruth]:
    """Read a gt.txt, or those of every sequence in a folder, sorted by name."""
    if truth.is_file():
        return [_mot_truth(truth)]
    if not truth.is_dir():
        raise TruthError(f"{truth}: no such file or folder")
    paths = [path for pattern in ("gt.txt", "gt/gt.txt", "*/gt.txt", "*/gt/gt.txt") for path in truth.glob(pattern)]
    if not paths:
        raise TruthError(f"{truth}: expected gt.txt, <sequence>/gt.txt or <sequence>/gt/gt.txt in it, got none")
    return sorted((_mot_truth(path) for path in dict.fromkeys(paths)), key=lambda one: one.name)


def _mot_truth(path: Path) -> MotTruth:
    """Read one gt.txt; the sequence is called by its seqinfo.ini, or else by its folder."""
    folder = path.resolve().parent
    folder = folder.parent if folder.name == "gt" else folder
    info = _info(folder / "seqinfo.ini")
    return MotTruth(folder.name if info is None else info.name, path, read_mot(path), info)


def _info(path: Path) -> SequenceInfo | None:
    return read_seqinfo(path) if path.is_file() else None


def _of_files(one: MotTruth, truths: list[MotTruth], predicted: Path) -> TrackedBoxes:
    """Read the predictions of one sequence from a file or a folder of files."""
    if predicted.is_dir():
        path = predicted / f"{one.name}.txt"
        if not path.is_file():
            raise TruthError(f"{path}: no such file, though {one.path} has truth for that sequence")
        return read_mot(path)
    if len(truths) > 1:
        raise TruthError(
            f"{predicted}: expected a folder with one <sequence>.txt for each of {len(truths)} sequences, or a lake"
        )
    return read_mot(predicted)


def _of_lake(one: MotTruth, truths: list[MotTruth], connection: Any) -> TrackedBoxes:
    """Read the boxes of the camera called like the sequence, or of the only camera for the only sequence."""
    cameras = lake_tracks.camera_ids(connection)
    camera_id = cameras[0] if len(cameras) == len(truths) == 1 else one.name
    if camera_id not in cameras:
        raise TruthError(f"{one.path}: the lake has no camera {camera_id!r}; it has {', '.join(cameras) or 'none'}")
    return lake_tracks.tracked_boxes(connection, camera_id, one.info)
