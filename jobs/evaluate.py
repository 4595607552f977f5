"""Scores against truth: of text files as the field's tools write them, or of a lake.

A lake's boxes are laid on the truth's frames by the truth's seqinfo.ini: frame = round((captured_at - startedAt) *
frameRate) + 1. Where that has no startedAt, a camera of one segment is laid frame by frame, the file's first being 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jobs import lake_tracks
from pipeline.config import is_url
from pipeline.errors import TruthError, UserError
from pipeline.evaluation import counts, mot, mtmc
from pipeline.evaluation.formats import read_crossings, read_mot, read_mtmc, read_seqinfo
from pipeline.evaluation.tables import CameraBoxes, Crossings, SequenceInfo, TrackedBoxes
from pipeline.lake import catalog
from pipeline.lake.writer import MARKER

Classes = Literal["class", "group", "any"]

_SECONDS = {"s": 1, "min": 60, "h": 3600}


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
    with catalog.connect(str(predicted)) if _is_lake(predicted) else nullcontext() as connection:
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
    if not _is_lake(predicted):
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


def evaluate_counts(
    truth: Path, predicted: str | Path, *, by: str = "15min", classes: Classes = "group"
) -> dict[str, Any]:
    """Compare counts per cell (camera, line, direction, class, bin); see pipeline.evaluation.counts for the fields.

    truth       crossings CSV, one row a crossing
    predicted   crossings CSV, or a lake
    by          length of a bin: 30s, 15min, 1h; bins start at multiples of it in UTC
    classes     "class" counts each COCO class apart, "group" persons and vehicles, "any" all together

    Cameras the truth has no crossing of are not compared; `outside_truth` says how many crossings were measured there.
    """
    bin_s = bin_seconds(by)
    true = read_crossings(Path(truth))
    if _is_lake(predicted):
        with catalog.connect(str(predicted)) as connection:
            measured = lake_tracks.crossings(connection)
    else:
        measured = read_crossings(Path(predicted))
    known = np.isin(measured.camera_id.astype(str), true.camera_id.astype(str))
    of_truth = Crossings(*(getattr(measured, name)[known] for name in Crossings.__slots__))
    result = counts.compare(
        *(counts.count(_with_classes(side, classes), bin_s) for side in (true, of_truth)), bin_s=bin_s
    )
    per_cell = result.pop("per_cell")
    return {
        **result,
        "by": by,
        "classes": classes,
        "outside_truth": int(np.sum(~known)),
        "per_cell": per_cell,
    }


def bin_seconds(by: str) -> int:
    """Return the length of a bin in seconds: "30s", "15min", "1h". Raises UserError for anything else."""
    match = re.fullmatch(r"(\d+)(s|min|h)", by)
    if match is None or int(match[1]) == 0:
        raise UserError(f"expected the length of a bin such as 30s, 15min or 1h, got {by!r}")
    return int(match[1]) * _SECONDS[match[2]]


def _with_classes(crossings: Crossings, classes: Classes) -> Crossings:
    if classes == "group":
        return counts.group_classes(crossings)
    return counts.merge_classes(crossings) if classes == "any" else crossings


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


def _is_lake(location: str | Path) -> bool:
    return is_url(str(location)) or (Path(location) / MARKER).is_file()


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
