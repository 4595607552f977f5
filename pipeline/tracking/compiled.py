"""The tracker's compiled core: the same as deep_sort.advance_numpy, in one call a frame. Its absence costs speed only.

Compiling takes seconds, once a machine and version: the machine code is kept beside the package, or where that cannot
be written in the user's cache folder, or in $NUMBA_CACHE_DIR. Where none can be written each process compiles for
itself. Several processes may do so at the same time. numba is not imported before the first frame, or `warm_up`.
NIGHTFLEET_COMPILED=0 in the environment switches the core off.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import TrackerConfig
from pipeline.tracking import deep_sort, kalman
from pipeline.tracking.deep_sort import TrackerState
from pipeline.tracking.gallery import Gallery
from pipeline.types import EMBEDDING_DIM, Detections, Tracks

SWITCH = "NIGHTFLEET_COMPILED"


def available() -> bool:
    """Tell whether there is a compiled core: numba is there and works, and $NIGHTFLEET_COMPILED is not 0."""
    return os.environ.get(SWITCH, "1") != "0" and _core() is not None


def warm_up() -> None:
    """Compile the core, or load what was compiled before, so that the first frame need not wait for it."""
    if available():
        _smoother()


def advance(
    state: TrackerState,
    detections: Detections,
    embedding: np.ndarray,
    elapsed_frames: float,
    config: TrackerConfig,
    *,
    camera_warp: np.ndarray | None = None,
    speed_noise: float = 1.0,
) -> tuple[TrackerState, Tracks]:
    """Advance the tracks by a frame: deep_sort.advance, and always compiled."""
    state = deep_sort.checked(state, detections, embedding, elapsed_frames, config)
    mean, cov = state.mean, state.cov
    if camera_warp is not None:
        mean, cov = kalman.warp(mean, cov, camera_warp)
    arrays = (*_columns(state, mean, cov), detections.xyxy, detections.score, detections.class_id, embedding)
    elapsed = float(elapsed_frames)
    rest = (elapsed, *kalman.sums_of_steps(elapsed), float(speed_noise), _options(config))
    try:
        found = _core()(*arrays, *rest)
    except TypeError:  # the core takes only arrays that are contiguous and may be written into, and float32 embeddings
        found = _core()(*(_plain(array) for array in arrays[:-1]), _plain(embedding.astype(np.float32)), *rest)
    return _following(state, found)


def smoother() -> tuple[Callable, Callable] | None:
    """Return hindsight.smoothing.smooth_numpy and forwards_numpy compiled, or None: see `available`.

    They take measurement, elapsed, seen, speed_noise and share as those do, of one place at least.
    """
    quick = _smoother() if available() else None
    return quick and tuple(partial(_call, function) for function in quick)


def _call(function: Callable, *arguments: Any) -> Any:
    """Call a compiled function that takes only arrays that are contiguous and may be written into."""
    return function(*(_plain(argument) for argument in arguments))


def _columns(state: TrackerState, mean: np.ndarray, cov: np.ndarray) -> tuple:
    """Lay a state out as the core takes it."""
    gallery = state.gallery
    buffer = gallery._buffer
    return (
        state.track_id,
        mean,
        cov,
        state.hits,
        state.time_since_update,
        state.confirmed,
        state.group,
        state.class_score,
        gallery.slot,
        gallery.end,
        gallery.count,
        buffer.features,
        buffer.slots_used,
        gallery.turn == buffer.turn,
        gallery.size,
        state.next_id,
    )


def _following(state: TrackerState, found: tuple) -> tuple[TrackerState, Tracks]:
    """Make the next state and its tracks of what the core returns."""
    (
        track_id, mean, cov, hits, time_since_update, confirmed, group, class_score, slot, end, count, features,
        slots_used, written, xyxy, class_id, detection_index, next_id,
    ) = found  # fmt: skip
    gallery = state.gallery.after(slot, end, count, features, slots_used, written)
    following = TrackerState(
        next_id, track_id, mean, cov, hits, time_since_update, confirmed, group, class_score, gallery
    )
    return following, Tracks(track_id, xyxy, class_id, confirmed, detection_index)


def _plain(value: Any) -> Any:
    """Return an array in the memory layout that the core takes; other values as they are."""
    return np.require(value, requirements="CAW") if isinstance(value, np.ndarray) else value


_latest: tuple[TrackerConfig | None, np.ndarray | None] = (None, None)


def _options(config: TrackerConfig) -> np.ndarray:
    """Return a configuration as numbers, in the order of kernels.frame.Options.

    That of the last frame is remembered: it is nearly always the same.
    """
    global _latest
    known, numbers = _latest
    if known is not config or numbers is None:
        from pipeline.tracking.kernels.frame import Options

        values = {name: getattr(config, name) for name in Options._fields}
        numbers = np.array([-1.0 if value is None else value for value in values.values()])
        _latest = (config, numbers)
    return numbers


@cache
def _core() -> Callable | None:
    """Return the compiled core, or None where numba is missing or does not work here."""

    def compile_on(on_disk: bool) -> Callable:
        from pipeline.tracking.kernels.core import compiled_for

        state = replace(deep_sort.initial_state(), gallery=Gallery.empty(1))
        frame = Detections.empty()
        arguments = (
            *_columns(state, state.mean, state.cov),
            *(frame.xyxy, frame.score, frame.class_id, np.zeros((0, EMBEDDING_DIM), np.float32)),
            *(1.0, 0.0, 0.0, 1.0, _options(TrackerConfig())),
        )
        return compiled_for(arguments, _digest(), on_disk=on_disk)

    return _compiled(compile_on)


@cache
def _smoother() -> tuple[Callable, Callable] | None:
    """Return the compiled smoother and its way forwards, or None likewise."""

    def compile_on(on_disk: bool) -> tuple[Callable, Callable]:
        from pipeline.tracking.kernels.core import smoother_for

        arguments = (np.zeros((0, 0, 4)), np.zeros((0, 0)), np.zeros((0, 0), bool), 1.0, np.zeros(0))
        return smoother_for(arguments, _digest(), on_disk=on_disk)

    return _compiled(compile_on)


def _compiled(compile_on: Callable[[bool], Any]) -> Any:
    """Return what is compiled with the disk to keep it on, or without, or None and a warning."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        try:
            return compile_on(True)
        except Exception:  # no folder to keep it in, a full disk, a damaged file: the next line needs none of them
            return compile_on(False)
    except Exception as error:
        warnings.warn(f"the tracker runs without its compiled core, slower: {error}", RuntimeWarning, stacklevel=2)
        return None


def _digest() -> int:
    """Return a number that changes whenever a source of the compiled loops does."""
    folder = Path(__file__).parent
    beside = ("association", "deep_sort", "gallery", "kalman")  # their constants are compiled in
    sources = [*sorted((folder / "kernels").glob("*.py")), *(folder / f"{name}.py" for name in beside)]
    sources += [folder / "hindsight" / "smoothing.py", folder.parent / "types.py"]
    told = hashlib.sha256(b"".join(path.read_bytes() for path in sources if path.is_file()))
    return int.from_bytes(told.digest()[:6], "big")
