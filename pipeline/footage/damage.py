"""How much damage a segment may have and still count as footage."""

from __future__ import annotations

from pipeline.errors import SegmentError

BAD_SHARE = 0.05
"""Decoders conceal a lost packet until the next key frame, so with one in twenty lost hardly a second is whole at usual
key-frame distances: such footage would count wrongly and must be seen by somebody."""

SHORT_S = 1.0
"""Headers may count the sound's tail, the last frame's duration and rounding: together under a second."""

SHORT_SHARE = 0.005
"""Recorders take a header's duration from their own clock, which differs from the stream's by parts per thousand."""


def check_damage(url: str, bad: int, total: int) -> None:
    """Raise SegmentError where more than BAD_SHARE of the packets are damaged; one alone (a cut end) may be."""
    if bad > 1 and bad > BAD_SHARE * total:
        raise SegmentError(
            f"{url}: {bad} of {total} packets are damaged, more than {BAD_SHARE:.0%}; copy the file "
            "again from the recorder"
        )


def check_length(url: str, promised_s: float | None, got_s: float) -> None:
    """Raise SegmentError where the frames end well before what the header promised; None promises nothing."""
    if promised_s is not None and promised_s - got_s > max(SHORT_S, SHORT_SHARE * promised_s):
        raise SegmentError(
            f"{url}: ends after {got_s:.1f} s though its header promises {promised_s:.1f} s; the file was cut short, "
            "copy it again from the recorder"
        )
