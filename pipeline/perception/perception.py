"""From frame batches to detections and embeddings: models loaded once per process, one session per segment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import torch

from pipeline.config import DetectorConfig, EmbedderConfig
from pipeline.errors import ConfigError
from pipeline.perception import device as devices
from pipeline.perception import replay
from pipeline.perception.crops import crop
from pipeline.perception.detector import Detector, Embedder
from pipeline.perception.device import resolve_device
from pipeline.perception.filtering import score_thresholds, select
from pipeline.perception.frames import upload
from pipeline.perception.motion import MotionDetector
from pipeline.perception.one_shot import OneShotDetector, OneShotEmbedder, OneShotModel
from pipeline.perception.onnx_detector import OnnxDetector
from pipeline.perception.projected import OnnxEmbedder, TorchvisionEmbedder
from pipeline.perception.projection import WHITENING, Projection, fit_pca
from pipeline.perception.stripes import StripesEmbedder
from pipeline.perception.tiles import TiledDetector
from pipeline.perception.torchvision_detector import TorchvisionDetector
from pipeline.perception.trained import TrainedEmbedder
from pipeline.perception.weights import embedder_model_digest, models_digest, network_file, replay_path
from pipeline.types import EMBEDDING_DIM, CameraView, Detections, FrameBatch

__all__ = ["Perception", "PerceptionSession", "models_digest", "resolve_device"]

MAX_CROPS = 64
"""Crops taken and embedded at a time: bounds memory in crowded scenes."""


class Perception:
    """The models of one worker process."""

    def __init__(self, embedder: EmbedderConfig, *, device: str, threads: int) -> None:
        """device "auto", "cpu" or "cuda"; threads of this process's models. Raises ConfigError, WeightsError."""
        self.device = resolve_device(device)
        self._threads = threads
        devices.settle(threads)
        self._config = embedder
        self._one_shot: dict[Path, OneShotModel] = {}
        self._embedder = self._load_embedder(embedder)
        self._detectors: dict[str, Detector] = {}

    def load(self, detectors: Iterable[DetectorConfig]) -> list[str]:
        """Load these detectors now rather than at the first segment that wants them; say what their files are.

        Those that begin anew with every segment (motion, replays) have nothing to load. Raises WeightsError.
        """
        about = []
        for config in detectors:
            if config.use.partition(":")[0] in ("one-shot", "onnx", "torchvision"):
                about.append(getattr(self._loaded(config), "about", None))
        return list(dict.fromkeys(filter(None, about)))

    def session(
        self, detector: DetectorConfig, view: CameraView, sample: Callable[[int], np.ndarray]
    ) -> PerceptionSession:
        """Begin a segment.

        view    the camera
        sample  n -> at most n frames (n, H, W, 3) uint8 RGB spread evenly over the segment, called where a background
                is wanted
        """
        return PerceptionSession(self._detector(detector, view, sample), detector, self._embedder, self.device)

    def embed_picture(self, image: np.ndarray, xyxy: np.ndarray | None = None) -> np.ndarray:
        """Embed one picture (H, W, 3) uint8 RGB, or the part of it in `xyxy` (4,) pixels: (1, 128)."""
        height, width = image.shape[:2]
        box = np.array([0, 0, width, height] if xyxy is None else xyxy, np.float32).reshape(1, 4)
        batch = FrameBatch(image[None], np.zeros(1, np.int32), np.zeros(1, np.int64))
        return _embed(self._embedder, upload(batch, self.device).images, box, np.zeros(1, np.int64))

    def embed_pictures(self, images: Iterable[np.ndarray]) -> np.ndarray:
        """Embed whole pictures, each (H, W, 3) uint8 RGB of any size: (N, 128) float32, in their order."""
        if isinstance(self._embedder, OneShotEmbedder):
            parts = [self.embed_picture(image) for image in images]
        else:
            parts = [self._embedder.embed(crops) for crops in self._whole(images)]
        return np.concatenate([np.zeros((0, EMBEDDING_DIM), np.float32), *parts])

    def fit_projection(self, images: Iterable[np.ndarray]) -> Projection:
        """Fit the projection of this embedder's network to whole pictures, each (H, W, 3) uint8 RGB.

        Raises ConfigError where the embedder has no projection, or the pictures are too few to fit one.
        """
        if not isinstance(self._embedder, OnnxEmbedder | TorchvisionEmbedder):
            raise ConfigError(f"{self._config.use}: gives {EMBEDDING_DIM} numbers as it is; nothing is to be projected")
        parts = [self._embedder.features(crops) for crops in self._whole(images)]
        features = np.concatenate(parts) if parts else np.zeros((0, EMBEDDING_DIM), np.float32)
        if min(features.shape) < EMBEDDING_DIM:
            n_rows, dim = features.shape
            raise ConfigError(
                f"{self._config.use}: expected at least {EMBEDDING_DIM} pictures of a network with at least "
                f"{EMBEDDING_DIM} features, got {n_rows} with {dim}; without a projection a fixed random one is used"
            )
        return fit_pca(features, embedder_model_digest(self._config), whitening=WHITENING)

    def _whole(self, images: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield crops (N, 3, h, w) of whole pictures, MAX_CROPS at a time at most; those of one size go together."""
        for _, group in groupby(images, key=lambda image: image.shape):
            while some := list(islice(group, MAX_CROPS)):
                batch = FrameBatch(np.stack(some), np.arange(len(some), dtype=np.int32), np.zeros(len(some), np.int64))
                height, width = some[0].shape[:2]
                boxes = np.tile(np.array([0, 0, width, height], np.float32), (len(some), 1))
                yield crop(upload(batch, self.device).images, boxes, np.arange(len(some)), self._embedder.crop_hw)

    def _load_embedder(self, config: EmbedderConfig) -> Embedder | OneShotEmbedder:
        kind = config.use.partition(":")[0]
        if kind == "one-shot":
            return OneShotEmbedder(self._one_shot_model(config.use))
        if kind == "stripes":
            return StripesEmbedder()
        if kind == "onnx":
            return OnnxEmbedder(config, device=self.device, threads=self._threads)
        if kind == "trained":
            return TrainedEmbedder(config, device=self.device)
        return TorchvisionEmbedder(config, device=self.device)

    def _detector(self, config: DetectorConfig, view: CameraView, sample: Callable[[int], np.ndarray]) -> Detector:
        kind, _, name = config.use.partition(":")
        if kind == "motion":
            return MotionDetector(config.motion, view, sample(config.motion.background_frames))
        if kind == "detections":
            return replay.read(replay_path(name, view.camera_id, view.segment_url))
        return self._loaded(config)

    def _loaded(self, config: DetectorConfig) -> Detector:
        """Return a detector that is loaded once and serves every segment."""
        key = config.model_dump_json()
        if key not in self._detectors:
            self._detectors[key] = self._load_detector(config)
        return self._detectors[key]

    def _load_detector(self, config: DetectorConfig) -> Detector:
        kind, _, name = config.use.partition(":")
        min_score = float(score_thresholds(config).min())
        if kind == "one-shot":
            found = OneShotDetector(self._one_shot_model(config.use), min_score=min_score)
        elif kind == "onnx":
            found = OnnxDetector(config, min_score=min_score, device=self.device, threads=self._threads)
        else:
            found = TorchvisionDetector(name, config.weights, min_score=min_score, device=self.device)
        return found if config.tiles is None else TiledDetector(found, config)

    def _one_shot_model(self, use: str) -> OneShotModel:
        """Return the network of a weights file, one for detector and embedder: a pass serves both."""
        path = network_file(use)
        if path not in self._one_shot:
            self._one_shot[path] = OneShotModel(path, device=self.device, threads=self._threads)
        return self._one_shot[path]


class PerceptionSession:
    """One segment: batches go in, in order.

    detect_s, embed_s  seconds spent so far, upload counted with the detector
    """

    def __init__(self, detector: Detector, config: DetectorConfig, embedder: Embedder, device: str) -> None:
        self._detector = detector
        self._config = config
        self._embedder = embedder
        self._device = device
        self.detect_s = 0.0
        self.embed_s = 0.0

    def perceive(self, batch: FrameBatch) -> list[tuple[Detections, np.ndarray]]:
        """Return each frame's detections, as `filtering.select` leaves them, and their embeddings (N, 128) float32."""
        started_s = time.perf_counter()
        frames = upload(batch, self._device)
        how = {"doubles": getattr(self._detector, "doubles", "any")}
        how |= {"width_px": frames.width_px, "height_px": frames.height_px}
        found = [select(candidates, self._config, **how) for candidates in self._detector.detect(frames)]
        detected_s = time.perf_counter()
        counts = [len(detections) for detections in found]
        xyxy = np.concatenate([np.zeros((0, 4), np.float32), *(detections.xyxy for detections in found)])
        vectors = _embed(self._embedder, frames.images, xyxy, np.repeat(np.arange(len(found)), counts))
        self.detect_s += detected_s - started_s
        self.embed_s += time.perf_counter() - detected_s
        return list(zip(found, np.split(vectors, np.cumsum(counts)[:-1]))) if found else []


def _embed(
    embedder: Embedder | OneShotEmbedder, images: torch.Tensor, xyxy: np.ndarray, frame_row: np.ndarray
) -> np.ndarray:
    """Embed boxes (N, 4) of frames `frame_row` (N,), ascending: (N, 128) float32."""
    if isinstance(embedder, OneShotEmbedder):
        return embedder.embed_boxes(images, xyxy, frame_row)
    parts = [np.zeros((0, EMBEDDING_DIM), np.float32)]
    for start in range(0, len(xyxy), MAX_CROPS):
        rows = slice(start, start + MAX_CROPS)
        parts.append(embedder.embed(crop(images, xyxy[rows], frame_row[rows], embedder.crop_hw)))
    return np.concatenate(parts)
