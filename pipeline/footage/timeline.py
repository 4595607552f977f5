"""Presentation times of frames, and which of the frames to take. Pure: knows no file."""

from __future__ import annotations

from fractions import Fraction

from pipeline.errors import SegmentError

RESTART_S = 1.0
"""A timestamp this far behind the one before is a clock that began anew (recordings joined into one file); less is a
repeated or misplaced frame."""

COARSEST_TICK_US = 1000
"""Matroska keeps times in milliseconds unless told otherwise, so a frame may seem to come up to one tick early."""


class FrameTimes:
    """Places frames on the segment's own time line.

    zero_pts    timestamp of the segment's start, in units of time_base; None where the stream has no timestamps
    interval_s  nominal time between frames, for those without timestamp; None where unknown
    """

    def __init__(self, zero_pts: int | None, time_base: Fraction, interval_s: Fraction | None) -> None:
        self._zero_pts = zero_pts
        self._time_base = time_base
        self._interval_us = None if interval_s is None else interval_s * 1_000_000
        self._shift_us = Fraction(0)
        self._last_us: Fraction | None = None

    def place(self, pts: int | None) -> int | None:
        """Return the microseconds from the start of the segment to this frame, strictly increasing from call to call.

        Frames come in presentation order. One without timestamp follows its predecessor by the nominal interval. One
        that is not later than its predecessor has no place on the clock: None. Where timestamps step back by more than
        RESTART_S, time goes on from there by the nominal interval. Raises SegmentError where an interval is needed and
        unknown.
        """
        if pts is None or self._zero_pts is None:
            time_us = Fraction(0) if self._last_us is None else self._last_us + self._interval()
        else:
            time_us = (pts - self._zero_pts) * self._time_base * 1_000_000 + self._shift_us
            if self._last_us is not None and time_us < self._last_us - Fraction(RESTART_S) * 1_000_000:
                self._shift_us += self._last_us + self._interval() - time_us
                time_us = self._last_us + self._interval()
        if self._last_us is not None and round(time_us) <= round(self._last_us):
            return None
        self._last_us = time_us
        return round(time_us)

    def _interval(self) -> Fraction:
        if self._interval_us is None:
            raise SegmentError(
                "frames carry no timestamps and the stream states no frame rate; convert it to mp4 or mkv"
            )
        return self._interval_us


class FrameSampler:
    """Chooses frames so that at most `target_fps` a second are taken, by presentation time alone.

    Time is divided into slots of 1/target_fps from the segment's start; the first frame at or after a slot's start is
    taken, unless a later slot has begun by then. Nothing is repeated, so slower footage passes whole. A frame counts as
    having reached its slot one tick of the coarsest container clock early, or 1/30 s written as 33 ms would be skipped.
    """

    def __init__(self, target_fps: float | None) -> None:
        self._rate = None if target_fps is None else Fraction(target_fps)  # exact, or slots would begin by rounding
        # A quarter slot at most, so that above 250 fps the tolerance does not merge slots.
        self._early_us = 0 if target_fps is None else min(COARSEST_TICK_US, int(250_000 / target_fps))
        self._last_slot = -1

    def take(self, time_us: int) -> bool:
        """Tell whether the frame at `time_us` from the segment's start is to be taken; call once a frame, in order."""
        if self._rate is None:
            return True
        slot = (time_us + self._early_us) * self._rate.numerator // (self._rate.denominator * 1_000_000)
        if slot <= self._last_slot:
            return False
        self._last_slot = slot
        return True
