"""The compiled functions that are called from Python, and kept on disk between processes.

numba looks whether this file has changed, but not at those whose loops go into the machine code; it does look at the
values a function closes over. So `sources`, a digest of them all, is one.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import njit, typeof

from pipeline.tracking.kernels import smoothing
from pipeline.tracking.kernels.frame import Options, advance


def compiled_for(arguments: tuple, sources: int, *, on_disk: bool) -> Callable:
    """Return kernels.frame.advance compiled for arguments of these types only, from the disk where it is there.

    It takes its options as an array (14,) float64: a tuple would cost a microsecond at each call.
    """

    def core(
        track_id, mean, cov, hits, time_since_update, confirmed, group, class_score, slot, end, count, features,
        slots_used, may_write, size, next_id, xyxy, score, class_id, embedding, elapsed, once, twice,
        speed_noise, numbers,
    ):  # fmt: skip
        sources  # noqa: B018
        options = Options(
            numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7], numbers[8],
            numbers[9], numbers[10], numbers[11], numbers[12], numbers[13],
        )  # fmt: skip
        return advance(
            track_id, mean, cov, hits, time_since_update, confirmed, group, class_score, slot, end, count, features,
            slots_used, may_write, size, next_id, xyxy, score, class_id, embedding, elapsed, once, twice,
            speed_noise, options,
        )  # fmt: skip

    return njit(tuple(typeof(argument) for argument in arguments), cache=on_disk)(core)


def smoother_for(arguments: tuple, sources: int, *, on_disk: bool) -> tuple[Callable, Callable]:
    """Return kernels.smoothing.smooth and forwards, compiled likewise."""

    def smooth(measurement, elapsed, seen, speed_noise, share):
        sources  # noqa: B018
        return smoothing.smooth(measurement, elapsed, seen, speed_noise, share)

    def forwards(measurement, elapsed, seen, speed_noise, share):
        sources  # noqa: B018
        return smoothing.forwards(measurement, elapsed, seen, speed_noise, share)

    compiled = njit(tuple(typeof(argument) for argument in arguments), cache=on_disk)
    return compiled(smooth), compiled(forwards)
