"""Training data from real footage without a label: a detector with all the time there is, a tracker that looks back.

Each clip becomes a world of one sequence: DATA/<clip>/<clip>/{img1, gt/gt.txt, seqinfo.ini}, as MOTChallenge lays it
out, with the classes of `classNames` in seqinfo.ini. What is only half believed is a row with conf 0: to be ignored.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipeline import boxes
from pipeline.config import CameraConfig, DetectorConfig, EmbedderConfig, TrackerConfig
from pipeline.errors import SegmentError, UserError
from pipeline.evaluation.formats import write_mot, write_seqinfo
from pipeline.evaluation.tables import SequenceInfo, TrackedBoxes
from pipeline.execution.progress import Progress, Silence
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.footage.segments import discover
from pipeline.tracking.tracklets import CameraTracking
from pipeline.training import views
from pipeline.training.labels import Labels, Seen, labels_of
from pipeline.types import TRAFFIC_CLASSES, CameraView, FrameBatch, Segment

JPEG_QUALITY = 92

BATCH_SIZE = 8

NO_CLOCK = "2026-01-01T00:00:00Z"
"""Any instant: a clip's labels do not depend on when it was taken."""


NOWHERE = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, slots=True)
class Rules:
    """What to take.

    every        of the frames, each how manyth is written; all are looked at
    score        mean score of a track that is believed
    ignore_from  score from which on a detection is worth ignoring; less is background
    still        the camera stands still: what moves and is no label is ignored too
    classes      what there can be in the clips; a car, bus or truck is the one of these that there can be
    """

    every: int = 1
    score: float = 0.5
    ignore_from: float = 0.2
    still: bool = True
    classes: tuple[str, ...] = TRAFFIC_CLASSES


def labels(
    clips: Sequence[Path],
    out: Path,
    detector: DetectorConfig,
    rules: Rules = Rules(),
    *,
    device: str = "auto",
    threads: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write a labelled sequence of every clip; a sequence appears when it is done.

    Returned: out, detector, `sequences` (name, clip, frames, pictures, tracks, labels and ignored boxes in the
    pictures, by_class), and `failed`, a sentence for every clip that cannot be read. Raises UserError, before anything
    is looked at, for clips that are not there, for two of one name, and where a sequence is there already.
    """
    if rules.ignore_from > rules.score:
        raise UserError(f"--ignore-from: expected at most --score {rules.score}, got {rules.ignore_from}; lower it")
    progress, named = progress or Silence(), _named(clips, out)
    perception = _Perception(detector, rules, device, threads)
    sequences, failed = [], []
    try:
        for done, (name, clip) in enumerate(named.items()):
            progress.making("clips", done, len(named))
            try:
                sequences.append({"name": name, "clip": str(clip), **_label(clip, out / name, perception, rules)})
            except SegmentError as error:
                failed.append(str(error))
    finally:
        progress.end()
    return {"out": str(out), "detector": detector.use, "sequences": sequences, "failed": failed}


class _Perception:
    """A detector that lets everything through that is worth ignoring, and looks that help to track."""

    def __init__(self, detector: DetectorConfig, rules: Rules, device: str, threads: int) -> None:
        from pipeline.perception.perception import Perception

        self._perception = Perception(EmbedderConfig(), device=device, threads=threads)
        wanted = {"classes": TRAFFIC_CLASSES, "score_threshold": rules.ignore_from, "score_threshold_by_class": {}}
        wanted["nms_across_iou"] = 1.0  # what several classes were said of says more than the best of them
        self._classes = rules.classes
        self._detector = detector.model_copy(update=wanted)
        self._perception.load([self._detector])

    def looking(self, segment: Segment) -> views.Perceive:
        """Return what gives a batch's boxes and embeddings, frame by frame."""
        view = CameraView(segment.camera_id, segment.width_px, segment.height_px, None, segment.url, segment.fps)
        session = self._perception.session(self._detector, view, lambda n: sample_frames(segment, n))
        # `motion` compares with a background of the whole picture, and replays know no parts.
        learnt = self._detector.use.partition(":")[0] in ("onnx", "torchvision", "one-shot")
        chosen = views.thorough() if learnt else (views.WHOLE,)
        return lambda batch: views.look(
            batch, chosen, lambda part: views.narrowed(session.perceive(part), self._classes)
        )

    def moving(self, segment: Segment) -> Callable[[FrameBatch], list[np.ndarray]]:
        """Return what gives the places (M, 4) in a batch's frames where something moved, found by `motion`."""
        view = CameraView(segment.camera_id, segment.width_px, segment.height_px, None, segment.url, segment.fps)
        session = self._perception.session(DetectorConfig(), view, lambda n: sample_frames(segment, n))
        return lambda batch: [found.xyxy for found, _ in session.perceive(batch)]


def _label(clip: Path, world: Path, perception: _Perception, rules: Rules) -> dict[str, Any]:
    """Write one clip's sequence as the only one of its world, and tell what is in it. Raises SegmentError."""
    segment = _segment(clip)
    unfinished = world.with_name(f".{world.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        folder = unfinished / world.name
        (folder / "img1").mkdir(parents=True)
        seen, written, found = _watch(segment, perception, rules, folder / "img1")
        info = SequenceInfo(
            name=world.name,
            frame_rate_fps=segment.fps / rules.every,
            length_frames=len(written),
            width_px=segment.width_px,
            height_px=segment.height_px,
            started_at_us=None,
        )
        pictured = found.take(np.isin(found.frame, written))
        (folder / "gt").mkdir()
        write_mot(folder / "gt" / "gt.txt", _as_truth(pictured, written, segment))
        _write_info(folder / "seqinfo.ini", info)
        unfinished.rename(world)
    except OSError as error:
        raise UserError(f"{world}: cannot be written: {error.strerror or error}; give another --out") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    of_class = pictured.class_index[pictured.sure]
    return {
        "frames": len(seen),
        "pictures": len(written),
        "tracks": len(np.unique(pictured.label_id[pictured.sure])),
        "labels": int(pictured.sure.sum()),
        "ignored": int((~pictured.sure).sum()),
        "by_class": {name: int((of_class == i).sum()) for i, name in enumerate(TRAFFIC_CLASSES) if i in of_class},
    }


def _watch(
    segment: Segment, perception: _Perception, rules: Rules, pictures: Path
) -> tuple[list[Seen], list[int], Labels]:
    """Look at every frame and write each `every`-th; return what was seen, the frames written, and all labels."""
    tracking = CameraTracking(segment.camera_id, TrackerConfig(high_score=(rules.score + rules.ignore_from) / 2))
    looking = perception.looking(segment)
    moving = perception.moving(segment) if rules.still else lambda batch: [NOWHERE] * len(batch)
    seen: list[Seen] = []
    written: list[int] = []
    with SegmentReader(segment, batch_size=BATCH_SIZE, prefetch_batches=1, target_fps=None) as reader:
        for batch in reader:
            for i, ((detections, embedding), moved) in enumerate(zip(looking(batch), moving(batch))):
                frame = int(batch.frame[i])
                tracking.step(
                    segment_id=segment.segment_id,
                    frame=frame,
                    captured_at_us=int(batch.captured_at_us[i]),
                    frame_interval_us=round(1e6 / segment.fps),
                    detections=detections,
                    embedding=embedding,
                )
                if len(seen) % rules.every == 0:
                    written.append(frame)
                    _write_picture(pictures / f"{len(written):06d}.jpg", batch.images[i])
                seen.append(Seen(frame, detections, moved))
    tracking.close()
    observations, tracklets, _ = tracking.drain()
    return seen, written, labels_of(observations, tracklets, seen, min_score=rules.score)


def _as_truth(found: Labels, written: list[int], segment: Segment) -> TrackedBoxes:
    """Number the labels' frames as the pictures are, and cut the boxes to them."""
    xyxy = boxes.clip(found.xyxy, segment.width_px, segment.height_px)
    return TrackedBoxes(
        frame=np.searchsorted(written, found.frame) + 1,
        track_id=found.label_id,
        xywh=boxes.xyxy_to_xywh(xyxy).astype(np.float64).round(2),
        conf=found.sure.astype(np.float64),
        mot_class=found.class_index + 1,
        visibility=np.ones(len(found)),
    )


def _write_info(path: Path, info: SequenceInfo) -> None:
    write_seqinfo(path, info)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"imDir=img1\nimExt=.jpg\nclassNames={','.join(TRAFFIC_CLASSES)}\n")


def _write_picture(path: Path, image: np.ndarray) -> None:
    """Write an RGB picture. Raises OSError."""
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(jpeg.tobytes())


def _segment(clip: Path) -> Segment:
    """Return a clip as a segment of a camera of its own. Raises SegmentError where it cannot be read."""
    raw = {"id": "clip", "footage": str(clip.resolve()), "started_at": NO_CLOCK}
    found = discover(CameraConfig.model_validate(raw))
    if not found.segments:
        raise SegmentError(found.unusable[0].reason)
    return found.segments[0]


def _named(clips: Sequence[Path], out: Path) -> dict[str, Path]:
    """Return the clips by the name of the world each is to become."""
    named: dict[str, Path] = {}
    for clip in clips:
        if not clip.is_file():
            raise UserError(f"{clip}: no such clip; expected a video file or an animated GIF")
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", clip.stem).lstrip(".") or "clip"
        if name in named:
            raise UserError(f"{clip}: {named[name]} is called {name} too; rename one, or label it with another --out")
        if (out / name).exists():
            raise UserError(f"{out / name}: is there already; remove it to label {clip} again, or give another --out")
        named[name] = clip
    return named
