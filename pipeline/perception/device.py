"""The device the models run on, and the settings that make them repeat themselves."""

from __future__ import annotations

import cv2
import torch

from pipeline.errors import ConfigError


def resolve_device(device: str, option: str = "execution.device") -> str:
    """Turn "auto", "cpu" or "cuda" into the device to use; "auto" is CUDA where there is one.

    `option` is where it was said. Raises ConfigError where CUDA is asked for and absent, or the name is none of the
    three.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"{option}: expected auto, cpu or cuda, got {device!r}")
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError(
            f"{option} is cuda but PyTorch sees no CUDA device here; say auto, or give this process a GPU "
            "(driver, CUDA_VISIBLE_DEVICES, gpus_per_worker)"
        )
    return "cuda" if device == "cuda" or (device == "auto" and available) else "cpu"


def settle(threads: int) -> None:
    """Bound this process's threads and choose repeatable, full-precision CUDA kernels.

    The process belongs to one worker, so its global settings are the worker's own. TF32 would round the CUDA results
    to 10 bits of mantissa and part them from the CPU's; cuDNN's benchmark mode may choose other kernels in every run.
    """
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
