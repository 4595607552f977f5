"""The vtest clip by our own detector and embedder, kept in the system's temporary folder: real looks, real scene."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np

from pipeline.config import CameraConfig, DetectorConfig, EmbedderConfig
from pipeline.evaluation.formats import read_mot
from pipeline.evaluation.sequences import DetectedSequence
from pipeline.footage.decode import SegmentReader
from pipeline.footage.segments import discover
from pipeline.types import CameraView

MIN_SCORE = 0.1  # ByteTrack's low boxes begin here
RATE_FPS = 10.0
SCALE = np.tile([480 / 768, 360 / 576], 2)  # of the picture the truth was drawn on


def read(data: Path, min_score: float) -> tuple[DetectedSequence, np.ndarray]:
    """Return the people found with a score of at least `min_score` (0.1 or more), and their embeddings (N, 128)."""
    kept = Path(tempfile.gettempdir()) / "nightfleet-benchmark-vtest.npz"
    if not kept.is_file():
        _perceive(data, kept)
    with np.load(kept) as file:
        frame, xyxy, score, embedding = (file[name] for name in ("frame", "xyxy", "score", "embedding"))
    sure = score >= min_score
    truth = read_mot(data / "mot15/PETS09-S2L1/gt/gt.txt")
    truth = dataclasses.replace(truth, xywh=truth.xywh * SCALE)
    n_frames = int(truth.frame.max())
    return DetectedSequence("vtest", n_frames, RATE_FPS, frame[sure], xyxy[sure], score[sure], truth), embedding[sure]


def _perceive(data: Path, kept: Path) -> None:
    """Run YOLOX-Nano and OSNet over the clip, about a minute."""
    from pipeline.perception.perception import Perception

    camera = CameraConfig(
        id="vtest", footage=str(data / "video/vtest_480x360.mp4"), started_at="2009-06-02T12:00:00", time_zone="UTC"
    )
    detector = DetectorConfig(
        use=f"onnx:{data / 'weights/yolox_nano.onnx'}", classes=("person",), score_threshold=MIN_SCORE
    )
    embedder = EmbedderConfig(use=f"onnx:{data / 'weights/osnet_x0_25_msmt17.onnx'}")
    segment = discover(camera).segments[0]
    view = CameraView("vtest", segment.width_px, segment.height_px, None, segment.url, segment.fps)
    session = Perception(embedder, device="cpu", threads=2).session(detector, view, lambda n: np.zeros((0,)))
    frames, found = [], []
    with SegmentReader(segment, batch_size=16, prefetch_batches=1, target_fps=None) as reader:
        for batch in reader:
            frames.extend(batch.frame.tolist())
            found.extend(session.perceive(batch))
    columns = {
        "frame": np.repeat(np.array(frames, np.int64) + 1, [len(detections) for detections, _ in found]),
        "xyxy": np.concatenate([detections.xyxy for detections, _ in found]),
        "score": np.concatenate([detections.score for detections, _ in found]),
        "embedding": np.concatenate([embedding for _, embedding in found]),
    }
    partial = kept.with_name(f"partial-{os.getpid()}-{kept.name}")
    np.savez(partial, **columns)
    os.replace(partial, kept)
