"""Frames of an image folder: every jpg and png in it, in natural order of the names, at a fixed rate."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import cv2
import numpy as np

from pipeline.errors import SegmentError
from pipeline.footage import files
from pipeline.footage.damage import check_damage
from pipeline.footage.source import TimedPicture
from pipeline.types import Segment


class PictureSource:
    """The pictures of one folder as frames; frame k is the k-th file, captured k / image_fps after the start."""

    def __init__(self, segment: Segment, image_fps: float) -> None:
        self.bad_packets = 0
        self._segment = segment
        self._image_fps = image_fps

    def pictures(self) -> Generator[TimedPicture, None, None]:
        """Yield every picture in order; an unreadable one is passed over and counted. Raises SegmentError."""
        names = files.pictures_in(self._segment.url)
        if not names:
            raise SegmentError(f"{self._segment.url}: the folder holds no jpg or png any more")
        for index, name in enumerate(names):
            yield TimedPicture(index, self._time_us(index), lambda name=name: self._read(name))
        if self.bad_packets == len(names):
            raise SegmentError(f"{self._segment.url}: none of its {len(names)} pictures can be read")
        check_damage(self._segment.url, self.bad_packets, len(names))

    def pictures_from(self, from_us: int) -> Generator[TimedPicture, None, None]:
        """Yield the pictures from a time on; one that was not looked at cannot be damaged."""
        for picture in self.pictures():
            if picture.time_us >= from_us:
                yield picture

    def spread(self, n: int) -> list[np.ndarray]:
        """Return up to n pictures spread evenly over the folder."""
        names = files.pictures_in(self._segment.url)
        places = sorted({(2 * i + 1) * len(names) // (2 * n) for i in range(n)})
        read = (self._read(names[place]) for place in places if names)
        return [picture for picture in read if picture is not None]

    def at(self, times_us: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield time and picture of the frames at just these times; what is damaged or missing is left out."""
        names = files.pictures_in(self._segment.url)
        for time_us in sorted(set(times_us)):
            index = round(time_us / 1e6 * self._image_fps)
            if 0 <= index < len(names) and self._time_us(index) == time_us:
                picture = self._read(names[index])
                if picture is not None:
                    yield time_us, picture

    def _time_us(self, index: int) -> int:
        return round(index / self._image_fps * 1e6)

    def _read(self, name: str) -> np.ndarray | None:
        """Return one picture, or None and count it where it is damaged."""
        picture = read_picture(name)
        self.bad_packets += picture is None
        return picture


def read_picture(url: str) -> np.ndarray | None:
    """Return one picture (H, W, 3) uint8 RGB, turned as its EXIF says, or None where it cannot be decoded."""
    try:
        content = np.frombuffer(files.read_bytes(url), np.uint8)
        bgr = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    except (OSError, cv2.error):
        return None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def first_readable(names: list[str]) -> np.ndarray:
    """Return the first picture that can be decoded. Raises SegmentError where none can."""
    for name in names:
        picture = read_picture(name)
        if picture is not None:
            return picture
    raise SegmentError(f"{files.parent(names[0])}: none of its {len(names)} pictures can be read")
