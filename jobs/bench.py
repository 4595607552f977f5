"""How fast is the pipeline, beside what its parts could do alone? `bench_pipeline` is what `nightfleet bench` calls."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import psutil

from jobs import nightly
from pipeline.config import CameraConfig, FleetConfig, ModelsConfig, parse
from pipeline.errors import ConfigError
from pipeline.execution.progress import Silence
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.footage.segments import discover
from pipeline.types import CameraView, FrameBatch, Segment

BENCH_FRAMES = 240
"""Frames kept in memory for the bare detector and embedder; decoding and the whole run take the clip entire."""

RENDERED_S = 60.0
"""Length of the rendered clip, where none is given."""

MEMORY_EVERY_S = 0.2


def bench_pipeline(clip: Path | None, *, models: ModelsConfig, workers: int | None, device: str = "auto") -> dict:
    """Measure decode, detector and embedder alone, then the whole run, on the same clip in one go.

    Speeds are frames a second at the clip's own density of objects. The bound is, on a CPU, the cores used divided by
    the sum of the stages' core-seconds a frame (each measured on one thread); with a GPU, the slowest stage alone.
    The whole run is a fleet of as many cameras as workers, each with the clip; its time runs from the first segment
    taken to the last one finished, so it has no start-up in it, which is reported beside it.
    """
    with tempfile.TemporaryDirectory(prefix="nightfleet-bench-") as folder:
        clip = _rendered(Path(folder)) if clip is None else clip.resolve()
        if not clip.is_file():
            raise ConfigError(f"{clip}: no such clip; give --clip a video file")
        fleet = _fleet(clip, Path(folder), models, workers or psutil.cpu_count(logical=True) or 1, device)
        bare = _bare(fleet)
        whole = _whole(fleet)
    cores = whole["workers"]
    stages = (bare["decode_fps"], bare["detector_fps"], bare["embedder_fps"])
    on_cpu = bare["device"] == "cpu"
    bound_fps = cores / sum(1 / fps for fps in stages) if on_cpu else min(stages)
    return {
        **bare,
        **whole,
        "bound_fps": bound_fps,
        "ratio": whole["end_to_end_fps"] / bound_fps,
    }


def _fleet(clip: Path, folder: Path, models: ModelsConfig, workers: int, device: str) -> FleetConfig:
    """Return a fleet of `workers` cameras which all recorded the clip."""
    sidecar = '{"started_at": "2026-01-01T00:00:00Z"}'
    cameras = []
    for number in range(workers):
        link = folder / f"camera-{number}" / clip.name
        link.parent.mkdir()
        link.symlink_to(clip)
        link.with_name(link.name + ".json").write_text(sidecar, encoding="utf-8")
        cameras.append({"id": f"camera-{number}", "footage": str(link)})
    raw = {"lake": str(folder / "lake"), "cameras": cameras, "execution": {"workers": workers, "device": device}}
    config = parse(raw, origin="bench", folder=folder)
    return config.model_copy(update={"models": models})


def _bare(config: FleetConfig) -> dict:
    """Measure each stage alone, on one thread."""
    from pipeline.perception.perception import Perception

    camera = config.cameras[0]
    segment = discover(camera).segments[0]
    began = time.perf_counter()
    with _reader(segment, config) as reader:
        n_frames = sum(len(batch) for batch in reader)
    decode_s = time.perf_counter() - began
    perception = Perception(config.models.embedder, device=config.execution.device, threads=1)
    session = _session(perception, config, camera, segment)
    kept = _first_batches(segment, config)
    session.perceive(kept[0])  # warms up
    session.detect_s = session.embed_s = 0.0
    n_objects = sum(len(detections) for batch in kept for detections, _ in session.perceive(batch))
    n_kept = sum(len(batch) for batch in kept)
    return {
        "clip": Path(segment.url).name,
        "picture": f"{segment.width_px}x{segment.height_px}",
        "frames": n_frames,
        "objects_per_frame": n_objects / n_kept,
        "detector": config.models.detector.use.partition(":")[0],
        "embedder": config.models.embedder.use.partition(":")[0],
        "decode_fps": n_frames / decode_s,
        "detector_fps": n_kept / session.detect_s,
        "embedder_fps": n_kept / session.embed_s,
        "device": perception.device,
    }


def _whole(config: FleetConfig) -> dict:
    """Run the fleet and measure it: frames a second, start-up, peak memory of this process and its children."""
    watch = _Stopwatch()
    began = time.perf_counter()
    with _PeakMemory() as memory:
        summary = nightly.run(config, progress=watch)
    working_s = watch.last_s - watch.first_s
    return {
        "end_to_end_fps": summary.frames / working_s,
        "startup_s": watch.first_s - began,
        "peak_mib": memory.peak_mib,
        "workers": summary.workers,
    }


def _reader(segment: Segment, config: FleetConfig) -> SegmentReader:
    execution = config.execution
    return SegmentReader(
        segment, batch_size=execution.batch_size, prefetch_batches=execution.prefetch_batches, target_fps=None
    )


def _first_batches(segment: Segment, config: FleetConfig) -> list[FrameBatch]:
    """Return the first BENCH_FRAMES frames as batches."""
    kept, n_kept = [], 0
    with _reader(segment, config) as reader:
        for batch in reader:
            kept.append(batch)
            n_kept += len(batch)
            if n_kept >= BENCH_FRAMES:
                break
    return kept


def _session(perception, config: FleetConfig, camera: CameraConfig, segment: Segment):
    view = CameraView(camera.id, segment.width_px, segment.height_px, None, segment.url, segment.fps)
    return perception.session(config.detector_for(camera), view, lambda n: sample_frames(segment, n))


def _rendered(folder: Path) -> Path:
    """Render a clip of the demo town."""
    from pipeline.demo import town

    town.render(folder / "town", seed=1, duration_s=RENDERED_S, cameras=("square",))
    return sorted((folder / "town" / "footage").glob("*/*.mp4"))[0]


class _Stopwatch(Silence):
    """Notes when the first segment was taken and when the last one was finished."""

    def __init__(self) -> None:
        self.first_s = self.last_s = 0.0

    def unit_started(self, worker: int, segment: Segment) -> None:
        self.first_s = self.first_s or time.perf_counter()

    def unit_finished(self, entry) -> None:
        self.last_s = time.perf_counter()


class _PeakMemory:
    """Samples the memory of this process and all its descendants, shared pages counted once (PSS), while it is open."""

    def __enter__(self) -> _PeakMemory:
        self.peak_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(MEMORY_EVERY_S):
            me = psutil.Process()
            self.peak_mib = max(self.peak_mib, sum(_memory(p) for p in [me, *me.children(recursive=True)]) / 2**20)


def _memory(process: psutil.Process) -> int:
    """Bytes of a process: its share of shared pages where the system tells, resident size otherwise."""
    try:
        full = process.memory_full_info()
        return getattr(full, "pss", None) or full.rss
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
