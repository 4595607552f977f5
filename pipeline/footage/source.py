"""What a video and an image folder have in common for whoever reads frames from them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np


class TimedPicture(NamedTuple):
    """One frame that has a place in time but is not yet turned into RGB.

    frame     0-based index among the frames of its file
    time_us   microseconds from the segment's start
    rgb       makes the picture, (H, W, 3) uint8; None where it turns out damaged
    """

    frame: int
    time_us: int
    rgb: Callable[[], np.ndarray | None]


class PictureStream(Protocol):
    """A segment opened for reading."""

    bad_packets: int

    def pictures(self) -> Generator[TimedPicture, None, None]:
        """Yield every frame in presentation order; times strictly increase. Raises SegmentError."""
        ...

    def pictures_from(self, from_us: int) -> Generator[TimedPicture, None, None]:
        """Yield the frames from a time on, as `pictures` does; their indices may be unknown (-1)."""
        ...

    def spread(self, n: int) -> list[np.ndarray]:
        """Return up to n different frames, RGB, spread evenly over the segment, n >= 1."""
        ...

    def at(self, times_us: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield time and RGB picture of the frames at just these times (as in `TimedPicture`), in no order.

        Frames that are not there, or are damaged, are left out. Raises SegmentError where the footage cannot be read.
        """
        ...
