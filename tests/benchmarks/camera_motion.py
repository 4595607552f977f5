"""What measuring the camera's motion is worth: how exact it is, what it costs, and what the tracker gains.

    python -m tests.benchmarks.camera_motion [--data DIR] [--frames 240]

1. Windows that pan, shake, turn and zoom over real footage, whose motion is known: the error at the picture's corners,
   and in pixels of the window; `none` is the error of taking the camera for still, `ecc` that of ECC alignment.
2. Real cameras that stand still, people and cars before them: how far the corners seem to move, and how far all frames
   together carry the picture away.
3. Time a frame, by size of the picture.
4. Trackers on the vtest clip's people through such a window: without the motion, with the measured, with the true one.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from pipeline.boxes import xyxy_to_xywh
from pipeline.config import TrackerConfig, tracker_preset
from pipeline.evaluation import mot
from pipeline.evaluation.sequences import DetectedSequence, read_sequences
from pipeline.evaluation.tables import TrackedBoxes
from pipeline.tracking.camera_motion import CameraMotion
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import EMBEDDING_DIM
from tests.benchmarks import vtest
from tests.benchmarks.moving_window import between, corner_error_px, look, move, window_size, windows
from tests.realdata import ROOT

CLIPS = ("vtest_480x360.mp4", "kraten_cars.mp4", "borislav_intersection.mp4", "shop_3cam/cam1.mp4")
STILL = (*CLIPS, "car-detection.mp4", "one-by-one-person-detection.mp4", "shop_3cam/cam2.mp4", "shop_3cam/cam3.mp4")
IDENTITY = np.eye(2, 3)
FIELDS = ("HOTA", "AssA", "IDF1", "MOTA", "IDSW", "Frag")


def read(path: Path, n_frames: int) -> np.ndarray:
    """Decode the first frames of a clip, (T, H, W, 3) uint8 RGB."""
    capture, images = cv2.VideoCapture(str(path)), []
    while len(images) < n_frames:
        more, image = capture.read()
        if not more:
            break
        images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    return np.stack(images)


def dark(images: np.ndarray) -> np.ndarray:
    """A quarter of the light, and a sensor's noise."""
    noise = np.random.default_rng(1).normal(0, 4, images.shape[:3])
    return np.clip(images * 0.25 + noise[..., None], 0, 255).astype(np.uint8)


def burnt_in(images: np.ndarray) -> np.ndarray:
    """The dark scene under a recorder's clock and logo, which do not move."""
    marked = dark(images)
    for image in marked:
        cv2.putText(image, "2026-03-01 07:30:00 CAM 1", (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255))
        cv2.rectangle(image, (0, image.shape[0] - 20), (60, image.shape[0]), (255, 255, 255), -1)
        cv2.putText(image, "LOGO", (5, image.shape[0] - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0))
    return marked


def flickering(images: np.ndarray) -> np.ndarray:
    """Exposure that falls by 30 % in every second frame."""
    changed = images.copy()
    changed[1::2] = (images[1::2] * 0.7).astype(np.uint8)
    return changed


CONDITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda images: images,
    "dark, noisy": dark,
    "dark, clock burnt in": burnt_in,
    "exposure flickers": flickering,
}


def ecc(images: np.ndarray) -> np.ndarray:
    """The method not taken: Euclidean ECC alignment of grey frames half as large, (T, 2, 3)."""
    warps = np.tile(IDENTITY, (len(images), 1, 1))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    before = None
    for i, image in enumerate(images):
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(half, cv2.COLOR_RGB2GRAY)
        if before is not None:
            start = np.eye(2, 3, dtype=np.float32)
            try:
                _, found = cv2.findTransformECC(before, grey, start, cv2.MOTION_EUCLIDEAN, criteria, None, 5)
                warps[i] = found
                warps[i, :, 2] = 2 * (found[:, 2] + 0.5 - found[:, :2] @ [0.5, 0.5])
            except cv2.error:  # it did not converge
                pass
        before = grey
    return warps


def estimates(data: Path, n_frames: int) -> None:
    """Print part 1."""
    print("error at the corners, px   method   mean    p95    max  unknown  ms/frame")
    for clip in CLIPS:
        images = read(data / "video" / clip, n_frames)
        to_window = windows(len(images), images.shape[2], images.shape[1])
        truth, shown = between(to_window), look(images, to_window)
        for condition, change in CONDITIONS.items():
            seen, motion = change(shown), CameraMotion()
            for method, estimate in (("none", None), ("ecc", ecc), ("flow", motion.warps)):
                began = time.perf_counter()
                warps = np.tile(IDENTITY, (len(seen), 1, 1)) if estimate is None else estimate(seen)
                each_ms = (time.perf_counter() - began) / len(seen) * 1e3
                error = corner_error_px(warps, truth, seen.shape[2], seen.shape[1])[1:]
                unknown = sum(motion.unknown.values()) if method == "flow" else 0
                print(
                    f"{f'{Path(clip).stem[:12]} {condition}':34}{method:6}{error.mean():7.3f}"
                    f"{np.percentile(error, 95):7.3f}{error.max():7.2f}{unknown:6}{each_ms:9.1f}",
                    flush=True,
                )


def still_cameras(data: Path, n_frames: int) -> None:
    """Print part 2."""
    print("\nstill cameras: corners' motion, px a frame   mean    p95    max  all frames together  unknown")
    for clip in STILL:
        images, motion = read(data / "video" / clip, n_frames), CameraMotion()
        warps = motion.warps(images)
        height, width = images.shape[1:3]
        apart = corner_error_px(warps, np.broadcast_to(IDENTITY, warps.shape), width, height)[1:]
        total = np.eye(3)
        for warp in warps:
            total = np.vstack([warp, [0, 0, 1]]) @ total
        drift = corner_error_px(total[None, :2], IDENTITY[None], width, height).max()
        print(
            f"  {clip:40}{apart.mean():8.3f}{np.percentile(apart, 95):7.3f}{apart.max():7.2f}{drift:12.2f}"
            f"{sum(motion.unknown.values()):12}",
            flush=True,
        )


def costs(data: Path) -> None:
    """Print part 3."""
    images = read(data / "video" / CLIPS[0], 60)
    print("\nms a frame, one thread")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    for width, height in ((480, 360), (1280, 720), (1920, 1080), (3840, 2160)):
        large = np.stack([cv2.resize(image, (width, height)) for image in images[: 12 if width > 2000 else 60]])
        began = time.perf_counter()
        CameraMotion().warps(large)
        print(f"  {width}x{height:<6}{(time.perf_counter() - began) / len(large) * 1e3:6.1f}")
    cv2.setNumThreads(threads)


def follow(
    sequence: DetectedSequence, embedding: np.ndarray, config: TrackerConfig, warps: np.ndarray | None
) -> TrackedBoxes:
    """Track a sequence, the camera moving by `warps` (T, 2, 3) or not at all."""
    tracking, interval_us = CameraTracking("moved", config), round(1e6 / vtest.RATE_FPS)
    for index, (rows, detections) in enumerate(sequence.frames()):
        tracking.step(
            segment_id="moved",
            frame=index,
            captured_at_us=index * interval_us,
            frame_interval_us=interval_us,
            detections=detections,
            embedding=embedding[rows],
            camera_warp=None if warps is None else warps[index],
        )
    tracking.close()
    found, _, _ = tracking.drain()
    _, number = np.unique(found.tracklet_id.astype(np.str_), return_inverse=True)
    order = np.lexsort((number, found.frame))
    return TrackedBoxes(
        frame=found.frame[order].astype(np.int64) + 1,
        track_id=number[order].astype(np.int64) + 1,
        xywh=xyxy_to_xywh(found.xyxy[order].astype(np.float64)),
        conf=np.ones(len(order)),
        mot_class=np.ones(len(order), np.int64),
        visibility=np.ones(len(order)),
    )


def trackers(data: Path) -> None:
    """Print part 4, without hindsight: what the tracker itself makes of it."""
    images = read(data / "video" / CLIPS[0], 10**6)
    height, width = images.shape[1:3]
    (pets,) = read_sequences(data / "mot15/PETS09-S2L1")
    live, embedding = vtest.read(data, 0.5)
    given = DetectedSequence(
        "det.txt",
        pets.n_frames,
        vtest.RATE_FPS,
        pets.frame,
        (pets.xyxy * vtest.SCALE).astype(np.float32),
        pets.score,
        live.truth,
    )
    unknown = np.zeros((len(given), EMBEDDING_DIM), np.float32)
    to_window = windows(len(images), width, height)
    size = window_size(width, height)
    truth = between(to_window)
    for name, sequence, looks in (("det.txt, no looks", given, unknown), ("yolox + osnet", live, embedding)):
        seen, rows = move(sequence, to_window, size)
        shown, foreground = look(images, to_window), [found.xyxy for _, found in seen.frames()]
        measured = CameraMotion().warps(shown, foreground[: len(shown)])
        still = CameraMotion().warps(images, [found.xyxy for _, found in sequence.frames()][: len(images)])
        print(f"\n{name:46}" + "".join(f"{field:>8}" for field in FIELDS))
        for preset in ("reference", "sort", "bytetrack"):
            config = tracker_preset(preset).model_copy(update={"hindsight": None})
            cases = {
                "still camera": (sequence, looks, None),
                "still camera, motion measured": (sequence, looks, still),
                "moving, not told": (seen, looks[rows], None),
                "moving, motion measured": (seen, looks[rows], measured),
                "moving, true motion": (seen, looks[rows], truth),
            }
            for case, (tracked, shown_looks, warps) in cases.items():
                result = mot.evaluate(
                    [mot.TrackedSequence("s", tracked.truth, follow(tracked, shown_looks, config, warps))]
                )
                cells = (f"{result[f]:8d}" if isinstance(result[f], int) else f"{result[f]:8.3f}" for f in FIELDS)
                print(f"  {preset:11}{case:33}" + "".join(cells), flush=True)


def main() -> None:
    """Run all four parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("NIGHTFLEET_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the test data")
    parser.add_argument("--frames", type=int, default=240, help="frames of each clip in parts 1 and 2")
    asked = parser.parse_args()
    estimates(asked.data, asked.frames)
    still_cameras(asked.data, asked.frames)
    costs(asked.data)
    trackers(asked.data)


if __name__ == "__main__":
    main()
