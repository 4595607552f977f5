"""How well the detectors find people and vehicles, on real footage and in towns nobody trained on.

    python -m tests.benchmarks.detectors [--data DIR] [--town SEED] [--every N] [DETECTOR ...]

DETECTOR is as in `models.detector.use`; without any: motion, the one-shot network that ships, and YOLOX-Nano. Scored
are recall and precision at an IoU of 0.5 with the usual threshold of 0.5, the mean IoU of what was found, and
milliseconds a frame on one thread:

vtest      PETS09-S2L1 view 1, people, against its truth scaled to the clip; nobody trained on it
street     two clips of a street, vehicles, against OpenTrafficCam's detector and tracker: a peer's word, no truth
town       four cameras of the rendered town of a seed, people and vehicles, against its exact truth: the renderer of
           the training data, other people, cars and hours
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline import boxes, config
from pipeline.config import CameraConfig, DetectorConfig, EmbedderConfig
from pipeline.demo import town
from pipeline.evaluation import ottrk
from pipeline.evaluation.formats import read_mot
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.footage.segments import discover
from pipeline.perception.perception import Perception
from pipeline.types import CameraView, FrameBatch, class_group
from tests.benchmarks.vtest import SCALE
from tests.realdata import ROOT

DATA = Path(os.environ.get("NIGHTFLEET_TEST_DATA", ROOT.parent / "shared" / "data"))
LEAST_IOU = 0.5
TOWN_S = 20.0
SEEN_FROM = 0.25
"""Truth of the town that is less visible than this is neither asked for nor called false."""

Truth = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Frame, from 0 -> boxes (N, 4) that must be found, boxes that may be."""


@dataclass
class Score:
    """Sums over frames."""

    found: int = 0
    missed: int = 0
    false: int = 0
    iou: list[float] = field(default_factory=list)
    seconds: float = 0.0
    frames: int = 0

    def add(self, found: np.ndarray, wanted: np.ndarray, allowed: np.ndarray) -> None:
        """Match one frame's boxes (N, 4) with the truth, one to one."""
        overlap = boxes.iou(found, wanted) if len(found) and len(wanted) else np.zeros((len(found), len(wanted)))
        rows, columns = linear_sum_assignment(-np.where(overlap >= LEAST_IOU, overlap + 1, 0))
        right = overlap[rows, columns] >= LEAST_IOU
        self.iou += overlap[rows, columns][right].tolist()
        left = np.setdiff1d(np.arange(len(found)), rows[right])
        excused = boxes.iou(found[left], allowed).max(axis=1, initial=0) >= LEAST_IOU
        self.found += int(right.sum())
        self.missed += len(wanted) - int(right.sum())
        self.false += int((~excused).sum())

    def row(self) -> str:
        """Return the line of the table."""
        recall = self.found / max(self.found + self.missed, 1)
        precision = self.found / max(self.found + self.false, 1)
        ms = 1000 * self.seconds / max(self.frames, 1)
        return f"{recall:7.3f} {precision:9.3f} {np.mean(self.iou) if self.iou else 0:8.3f} {ms:8.1f}"


def scored(
    detector: DetectorConfig, camera: CameraConfig, truth: Truth, groups: tuple[str, ...], every: int, score: Score
) -> None:
    """Run a detector over a camera's footage and add what it found in every `every`th frame.

    Those that remember (motion) look at every frame; others at what is scored alone.
    """
    perception = Perception(EmbedderConfig(), device="cpu", threads=1)
    begun = 0
    for segment in discover(camera).segments:
        view = CameraView(camera.id, segment.width_px, segment.height_px, camera.homography, segment.url, segment.fps)
        session = perception.session(detector, view, lambda n, of=segment: sample_frames(of, n))
        seen = 0
        with SegmentReader(segment, batch_size=8, prefetch_batches=1, target_fps=None) as reader:
            for batch in reader:
                seen += len(batch.frame)
                shown = batch if detector.use == "motion" else _part(batch, (begun + batch.frame) % every == 0)
                score.frames += len(shown.frame)
                for frame, (found, _) in zip(shown.frame.tolist(), session.perceive(shown)):
                    if (begun + frame) % every == 0:
                        mine = np.array([class_group(c) in groups for c in found.class_id], bool)
                        score.add(found.xyxy[mine], *truth(begun + frame))
        begun += seen
        score.seconds += session.detect_s


def _part(batch: FrameBatch, rows: np.ndarray) -> FrameBatch:
    return FrameBatch(batch.images[rows], batch.frame[rows], batch.captured_at_us[rows])


def _nothing() -> np.ndarray:
    return np.zeros((0, 4), np.float32)


def vtest(data: Path) -> tuple[CameraConfig, Truth]:
    """Return the clip as a camera, and its people."""
    truth = read_mot(data / "mot15/PETS09-S2L1/gt/gt.txt")
    xyxy = _corners(truth.xywh * SCALE)
    camera = _camera("vtest", data / "video/vtest_480x360.mp4")
    return camera, lambda frame: (xyxy[truth.frame == frame + 1], _nothing())


def street(data: Path) -> Iterator[tuple[CameraConfig, Truth]]:
    """Yield the two clips of a street, and the vehicles a peer sees in them."""
    for number, path in enumerate(sorted((data / "video").glob("Testvideo_Cars-*.mp4"))):
        peer = ottrk.read_ottrk(path.with_suffix(".ottrk"))
        vehicle = np.array([name not in ("pedestrian", "person") for name in peer.class_name], bool)
        xyxy = _corners(peer.boxes.xywh)
        yield (
            _camera(f"street-{number}", path),
            lambda frame, xyxy=xyxy, own=peer.boxes.frame, vehicle=vehicle: (
                xyxy[(own == frame + 1) & vehicle],
                xyxy[(own == frame + 1) & ~vehicle],
            ),
        )


def rendered(folder: Path, seed: int) -> Iterator[tuple[CameraConfig, Truth]]:
    """Render a town, unless it is there, and yield its cameras and their truth."""
    if not (folder / "fleet.yaml").exists():
        town.render(folder, seed=seed, duration_s=TOWN_S)
    for camera in config.load(folder / "fleet.yaml").cameras:
        rows = np.loadtxt(folder / "truth" / camera.id / "gt.txt", delimiter=",", ndmin=2)
        xyxy = _corners(rows[:, 2:6])
        sure = rows[:, 8] >= SEEN_FROM
        yield (
            camera,
            lambda frame, xyxy=xyxy, own=rows[:, 0], sure=sure: (
                xyxy[(own == frame + 1) & sure],
                xyxy[(own == frame + 1) & ~sure],
            ),
        )


def _camera(name: str, path: Path) -> CameraConfig:
    return CameraConfig(id=name, footage=str(path), started_at="2026-01-01T12:00:00", time_zone="UTC")


def _corners(xywh: np.ndarray) -> np.ndarray:
    return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)


def main() -> None:
    """Print a line for each detector and kind of footage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("detectors", nargs="*", metavar="DETECTOR")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of real footage and truth")
    parser.add_argument("--town", type=int, default=1, help="seed of the town")
    parser.add_argument("--every", type=int, default=5, help="score each how manyth frame")
    given = parser.parse_args()
    yolox = given.data / "weights/yolox_nano.onnx"
    detectors = given.detectors or ["motion", "one-shot", *([f"onnx:{yolox}"] if yolox.exists() else [])]
    folder = Path(tempfile.gettempdir()) / "nightfleet-benchmark-detectors" / f"town-{given.town}"
    footage: dict[str, tuple[list[tuple[CameraConfig, Truth]], tuple[str, ...]]] = {}
    if given.data.is_dir():
        footage["vtest people"] = ([vtest(given.data)], ("person",))
        footage["street vehicles"] = (list(street(given.data)), ("vehicle",))
    cameras = list(rendered(folder, given.town))
    footage[f"town {given.town} both"] = (cameras, ("person", "vehicle"))
    print(f"{'footage':18} {'detector':14}  recall precision mean IoU ms/frame")
    for name, (shown, groups) in footage.items():
        for use in detectors:
            score = Score()
            for camera, truth in shown:
                scored(DetectorConfig(use=use), camera, truth, groups, given.every, score)
            print(f"{name:18} {Path(use).name[:14]:14} {score.row()}", flush=True)


if __name__ == "__main__":
    main()
