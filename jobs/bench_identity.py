"""How fast do tracklets become identities? `nightfleet bench identity` calls it, on made-up nights of known truth.

Timed is the whole of `link`, from arrays to identities, beside the time that its FAISS calls take alone. Every night
has a process of its own. Before the clock runs, that process has linked a small night, so that libraries are loaded and
loops compiled. peak_mib is by how much its resident memory grew at most from then on: the night itself (vectors, ids,
times) and all that linking it took. The peak is that of the kernel (VmHWM), which misses nothing between samples.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from pipeline.demo.crowd import crowd_night, pairwise_scores
from pipeline.errors import UserError
from pipeline.identity.linking import link
from pipeline.identity.neighbours import SearchLog, nearest, uses_gpu

SIZES = (10_000, 100_000)
DEVICES = ("auto", "cpu", "cuda")
WARM_UP_TRACKLETS = 600
MIB = 1 << 20

RATE_QUERIES, RATE_REFERENCES = 8192, 65_536
"""Size of the search by which the time of all-pairs k-NN is estimated: long enough for FAISS to reach its speed."""


def bench_identity(sizes: Sequence[int] = SIZES, *, device: str = "auto") -> list[dict]:
    """Link a made-up night of each size; return a row for each, see `_measured`.

    Raises ConfigError where device "cuda" is asked for and there is none.
    """
    uses_gpu(device)
    rows = []
    for size in sizes:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            rows.append(alone.submit(_measured, size, device).result())
    return rows


def sizes(text: str) -> list[int]:
    """Read `10000,100000`. Raises UserError."""
    words = [word.strip().replace("_", "") for word in text.split(",")]
    if not all(word.isdigit() for word in words):
        raise UserError(f"--tracklets: expected whole numbers separated by commas, such as 10000,100000, got {text!r}")
    if not all(int(word) > 0 for word in words):
        raise UserError(f"--tracklets: expected whole numbers from 1 on, got {text!r}")
    return [int(word) for word in words]


def known_device(device: str) -> str:
    """Return a device's name. Raises UserError for one that is none."""
    if device not in DEVICES:
        raise UserError(f"--device: expected one of {', '.join(DEVICES)}, got {device!r}")
    return device


def _measured(n_tracklets: int, device: str) -> dict:
    """Link one night.

    seconds, faiss_seconds, times_faiss (one by the other); cpu_seconds of all threads; peak_mib, vectors_mib (the
    exemplars alone) and times_vectors; precision, recall, f1 over pairs of tracklets; identities, and people in truth;
    cameras, exemplars; pairs compared, and compared_share of all pairs there are; all_pairs_seconds, an estimate: what
    FAISS would take for the k-NN of all exemplars with all at the speed it reached in this run; search, how neighbours
    were found; device.
    """
    warm = crowd_night(WARM_UP_TRACKLETS)
    link(warm.tracklets, warm.camera_id, warm.exemplars, warm.config, device=device)
    del warm
    gc.collect()
    _give_back_freed()
    before_mib = _resident_mib()
    _forget_peak()
    night = crowd_night(n_tracklets)
    log = SearchLog()
    wall, cpu = time.perf_counter(), time.process_time()
    linked = link(night.tracklets, night.camera_id, night.exemplars, night.config, device=device, log=log)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    peak_mib = _peak_mib() - before_mib
    vectors_mib = night.exemplars.embedding.nbytes / MIB
    order = np.argsort(night.tracklets.tracklet_id)
    scores = pairwise_scores(night.object_id[order], linked.identities.identity_id.astype(str))
    pairs = sum(group.n_pairs for group in linked.groups)
    return {
        "tracklets": n_tracklets,
        "seconds": seconds,
        "faiss_seconds": log.seconds,
        "times_faiss": seconds / log.seconds if log.seconds else None,
        "cpu_seconds": cpu_seconds,
        "all_pairs_seconds": _all_pairs_seconds(night.exemplars.embedding, night.config.neighbours, device),
        "peak_mib": peak_mib,
        "vectors_mib": vectors_mib,
        "times_vectors": peak_mib / vectors_mib,
        **scores,
        "people": len(np.unique(night.object_id)),
        "identities": len(set(linked.identities.identity_id)),
        "cameras": len(set(night.camera_id)),
        "exemplars": len(night.exemplars.embedding),
        "pairs": pairs,
        "compared_share": pairs / max(1, n_tracklets * (n_tracklets - 1) // 2),
        "search": "; ".join(sorted({group.search for group in linked.groups})),
        "device": "cuda" if uses_gpu(device) else "cpu",
    }


def _all_pairs_seconds(vector: np.ndarray, k: int, device: str) -> float:
    """Estimate what exact k-NN of all vectors with all would take, from a search of some of them."""
    log = SearchLog()
    query, reference = vector[:RATE_QUERIES], vector[-RATE_REFERENCES:]
    nearest(query, reference, min(k, len(reference)), device=device, log=log)
    return log.seconds * len(vector) ** 2 / (len(query) * len(reference))


def _give_back_freed() -> None:
    """Give what the warm-up freed back to the system, where glibc can: else the night would grow into it unseen."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _resident_mib() -> float:
    """Return the resident memory of this process."""
    return _status_mib("VmRSS") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _maxrss_unit() / MIB


def _peak_mib() -> float:
    """Return the highest it has been, since `_forget_peak` where the system can forget."""
    return _status_mib("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _maxrss_unit() / MIB


def _forget_peak() -> None:
    """Let the kernel count the peak anew from here (proc(5), clear_refs)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # no Linux, or not allowed: then the peak includes the warm-up, which is far below a night's


def _status_mib(name: str) -> float | None:
    """Return a line of /proc/self/status, None where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)


def _maxrss_unit() -> int:
    """Return the bytes that getrusage counts in: 1 on macOS, 1024 elsewhere."""
    return 1 if sys.platform == "darwin" else 1024
