"""Check on a machine with a GPU that it gives what the CPU gives, and how fast: `python infra/gpu_check.py`.

Runs the tests marked `gpu`, then looks at a short rendered clip once on the CPU and once on the GPU, with the embedded
models and with torchvision networks (seeded random weights: nothing is downloaded), and compares box by box. Prints one
JSON value; exits with 1 where the two disagree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TOLERANCE_PX = 0.5
"""Boxes of the same object may differ by rounding in another order of summation, not by more."""

MIN_COSINE = 0.999


def main() -> int:
    """Run everything; return the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--duration-s", type=float, default=20.0, help="length of the rendered footage")
    arguments = options.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("no CUDA device here: nothing to check")
        return 1
    report = {"gpu": torch.cuda.get_device_name(0), "torch": torch.__version__, "tests": _gpu_tests()}
    with tempfile.TemporaryDirectory() as folder:
        town = _town(Path(folder), arguments.duration_s)
        for name, models in _models(Path(folder)).items():
            report[name] = _compare(town, Path(folder) / name, models)
    print(json.dumps(report, indent=1))
    agree = all(report[name]["agree"] for name in _MODEL_NAMES)
    return 0 if agree and report["tests"] == 0 else 1


_MODEL_NAMES = ("motion+stripes", "torchvision")


def _gpu_tests() -> int:
    """Run the tests marked `gpu`; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/perception"]
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
    return done.returncode


def _town(folder: Path, duration_s: float) -> Path:
    from pipeline.demo import town

    return town.render(folder / "town", seed=4, duration_s=duration_s, cameras=("crossing",), processes=1)


def _models(folder: Path) -> dict[str, dict]:
    """Return the model sections to compare, writing seeded weights for the networks."""
    import torch
    import torchvision

    from pipeline.types import COCO_CLASSES

    torch.manual_seed(0)
    detector = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    torch.save(detector.state_dict(), folder / "detector.pt")
    backbone = torchvision.models.mobilenet_v2(weights=None)
    torch.save(backbone.state_dict(), folder / "backbone.pt")
    networks = {
        # Random weights believe in all of the 91 classes alike, so next to nothing is asked of a score.
        "detector": {
            "use": "torchvision:ssdlite320_mobilenet_v3_large",
            "weights": str(folder / "detector.pt"),
            "score_threshold": 0.005,
            "classes": list(COCO_CLASSES),
        },
        "embedder": {"use": "torchvision:mobilenet_v2", "weights": str(folder / "backbone.pt")},
    }
    ours = {
        "motion": {"detector": {"use": "motion"}, "embedder": {"use": "stripes"}},
        "one-shot": {"detector": {"use": "one-shot"}, "embedder": {"use": "one-shot"}},
    }
    return {**ours, "torchvision": networks}


def _compare(fleet_file: Path, folder: Path, models: dict) -> dict:
    """Perceive the footage on either device; compare detections and embeddings frame by frame."""
    import numpy as np

    from pipeline import config

    fleet = config.load(fleet_file)
    sections = config.ModelsConfig.model_validate(models)
    cpu, cpu_s = _perceive(fleet, sections, "cpu")
    gpu, gpu_s = _perceive(fleet, sections, "cuda")
    same_count = sum(len(a) == len(b) for (a, _), (b, _) in zip(cpu, gpu))
    worst_px, least_cosine, n_boxes = 0.0, 1.0, 0
    for (a, a_vector), (b, b_vector) in zip(cpu, gpu):
        if len(a) and len(a) == len(b):
            n_boxes += len(a)
            worst_px = max(worst_px, float(np.abs(a.xyxy - b.xyxy).max()))
            least_cosine = min(least_cosine, float((a_vector * b_vector).sum(axis=1).min()))
    agree = same_count >= 0.99 * len(cpu) and worst_px <= TOLERANCE_PX and least_cosine >= MIN_COSINE
    return {
        "agree": bool(agree),
        "frames": len(cpu),
        "frames_with_equal_count": same_count,
        "boxes": n_boxes,
        "worst_px": worst_px,
        "least_cosine": least_cosine,
        "cpu_fps": len(cpu) / cpu_s,
        "gpu_fps": len(gpu) / gpu_s,
    }


def _perceive(fleet, models, device: str) -> tuple[list, float]:
    """Return every frame's detections and embeddings, and the seconds they took after warming up."""
    from pipeline.footage.decode import SegmentReader, sample_frames
    from pipeline.footage.segments import discover
    from pipeline.perception.perception import Perception
    from pipeline.types import CameraView

    camera = fleet.cameras[0]
    segment = discover(camera).segments[0]
    perception = Perception(models.embedder, device=device, threads=4)
    view = CameraView(camera.id, segment.width_px, segment.height_px, camera.homography, segment.url, segment.fps)
    session = perception.session(models.detector, view, lambda n: sample_frames(segment, n))
    with SegmentReader(segment, batch_size=16, prefetch_batches=2, target_fps=None) as reader:
        batches = list(reader)
    perception.session(models.detector, view, lambda n: sample_frames(segment, n)).perceive(batches[0])
    began = time.perf_counter()
    frames = [frame for batch in batches for frame in session.perceive(batch)]
    return frames, time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
