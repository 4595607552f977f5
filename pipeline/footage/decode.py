"""Frame batches of a segment, decoded ahead of whoever uses them; and single frames spread over it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from types import TracebackType

import numpy as np

from pipeline.errors import SegmentError
from pipeline.footage import files
from pipeline.footage.pictures import PictureSource
from pipeline.footage.prefetch import Prefetch
from pipeline.footage.source import PictureStream
from pipeline.footage.timeline import FrameSampler
from pipeline.footage.video import VideoSource
from pipeline.types import FrameBatch, Segment

FRAMES_AHEAD = 8
"""Pictures that wait for whoever writes or draws them one by one: 50 MB of 1080p."""


class SegmentReader:
    """Iterator of FrameBatch over one segment; a context manager, so that its thread ends whatever happens.

    A thread decodes, samples and converts to RGB, at most `prefetch_batches` batches ahead. With the batch being filled
    or handed over and the one in use, memory is bounded by (prefetch_batches + 2) * batch_size pictures. Frames that
    sampling skips are never converted. The last batch may be shorter; there is no empty one.

    batch_size        frames in a batch
    prefetch_batches  batches that may wait
    target_fps        process at most so many frames a second (see FrameSampler), None for all
    image_fps         frame rate of an image folder
    not_before_us     frames captured at or before this instant are dropped: the segment before has them
    threads           threads of the decoder; 1 because workers are counted per core

    decode_s          seconds spent in reading, decoding and converting, by the thread's wall clock
    bad_packets       damaged packets (or pictures of a folder) passed over so far
    frame_rate_fps    mean rate of the frames that come out

    Iterating raises SegmentError, after all whole batches before it, when the file ends well before what it promised,
    when too much of it is damaged, or when the picture changes size.
    """

    def __init__(
        self,
        segment: Segment,
        *,
        batch_size: int,
        prefetch_batches: int,
        target_fps: float | None,
        image_fps: float | None = None,
        not_before_us: int | None = None,
        threads: int = 1,
    ) -> None:
        self.decode_s = 0.0
        self.frame_rate_fps = segment.fps if target_fps is None else min(segment.fps, target_fps)
        self._segment = segment
        self._batch_size = batch_size
        self._prefetch_batches = prefetch_batches
        self._target_fps = target_fps
        self._not_before_us = not_before_us
        self._source = _source(segment, image_fps, threads)
        self._prefetch: Prefetch[FrameBatch] | None = None

    @property
    def bad_packets(self) -> int:
        """Damaged packets passed over so far; final when the iteration has ended."""
        return self._source.bad_packets

    @property
    def most_waiting(self) -> int:
        """The most batches that ever waited to be taken."""
        return self._prefetch.most_waiting if self._prefetch else 0

    def __enter__(self) -> SegmentReader:
        if self._prefetch is not None:
            raise RuntimeError("a SegmentReader reads its segment once; make another one")
        name = f"decode {self._segment.segment_id}"
        self._prefetch = Prefetch(self._batches(), self._prefetch_batches, name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._prefetch.close()

    def __iter__(self) -> SegmentReader:
        return self

    def __next__(self) -> FrameBatch:
        if self._prefetch is None:
            raise RuntimeError("a SegmentReader is used as `with SegmentReader(...) as reader: for batch in reader:`")
        return next(self._prefetch)

    def _batches(self) -> Generator[FrameBatch, None, None]:
        """Fill batches; runs in the thread."""
        began = time.perf_counter()
        size = (self._batch_size, self._segment.height_px, self._segment.width_px, 3)
        images, frames, instants = None, [], []
        for frame, captured_at_us, image in self._taken():
            images = np.empty(size, np.uint8) if images is None else images
            images[len(frames)] = image
            frames.append(frame)
            instants.append(captured_at_us)
            if len(frames) == self._batch_size:
                batch = _batch(images, frames, instants)
                images, frames, instants = None, [], []
                self.decode_s += time.perf_counter() - began
                yield batch
                del batch  # the consumer alone decides how long it lives
                began = time.perf_counter()
        self.decode_s += time.perf_counter() - began
        if frames:
            yield _batch(images, frames, instants)

    def _taken(self) -> Generator[tuple[int, int, np.ndarray], None, None]:
        """Yield index, instant and RGB picture of the frames to be processed."""
        sampler = FrameSampler(self._target_fps)
        expected = (self._segment.height_px, self._segment.width_px, 3)
        for picture in self._source.pictures():
            captured_at_us = self._segment.started_at_us + picture.time_us
            if not sampler.take(picture.time_us):
                continue
            if self._not_before_us is not None and captured_at_us <= self._not_before_us:
                continue
            image = picture.rgb()
            if image is None:
                continue
            if image.shape != expected:
                raise SegmentError(
                    f"{self._segment.url}, frame {picture.frame}: the picture is {image.shape[1]}x{image.shape[0]} "
                    f"pixels but the segment is {expected[1]}x{expected[0]}; split the footage where its size changes"
                )
            yield picture.frame, captured_at_us, image


def sample_frames(segment: Segment, n: int, image_fps: float | None = None) -> np.ndarray:
    """Return up to n different frames spread evenly over the segment, (<=n, H, W, 3) uint8 RGB, in order of time.

    Finds them by seeking where that is cheaper than decoding everything between. Damaged frames are left out.
    Raises SegmentError where the file cannot be opened or yields nothing.
    """
    shape = (segment.height_px, segment.width_px, 3)
    if n < 1:
        return np.zeros((0, *shape), np.uint8)
    images = [image for image in _source(segment, image_fps, threads=1).spread(n) if image.shape == shape]
    if not images:
        raise SegmentError(f"{segment.url}: not one of {n} frames spread over it can be decoded; copy the file again")
    return np.stack(images)


def frames_at(
    segment: Segment, captured_at_us: Sequence[int], image_fps: float | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield instant and picture (H, W, 3) uint8 RGB of the frames captured at just these instants, in no order.

    They are those that a SegmentReader gives, pixel by pixel, found by seeking where that is cheaper than decoding all
    before them. A frame that is not there or is damaged is left out. Raises SegmentError, after all frames that can be
    had, where the file cannot be read or breaks off.
    """
    wanted = [at_us - segment.started_at_us for at_us in captured_at_us]
    for time_us, image in _source(segment, image_fps, threads=1).at(wanted) if wanted else ():
        if image.shape == (segment.height_px, segment.width_px, 3):
            yield segment.started_at_us + time_us, image


def frames_between(
    segment: Segment, first_us: int, last_us: int, *, image_fps: float | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield instant and picture (H, W, 3) uint8 RGB of every frame captured in [first_us, last_us), in order.

    Decoded a few frames ahead in a thread, which ends with the generator. Raises SegmentError as a SegmentReader does.
    """
    ahead = Prefetch(_between(segment, first_us, last_us, image_fps), FRAMES_AHEAD, f"decode {segment.segment_id}")
    with contextlib.closing(ahead):
        yield from ahead


def _between(
    segment: Segment, first_us: int, last_us: int, image_fps: float | None
) -> Generator[tuple[int, np.ndarray], None, None]:
    expected = (segment.height_px, segment.width_px, 3)
    for picture in _source(segment, image_fps, threads=1).pictures_from(first_us - segment.started_at_us):
        captured_at_us = segment.started_at_us + picture.time_us
        if captured_at_us >= last_us:
            return
        image = picture.rgb()
        if image is None:
            continue
        if image.shape != expected:
            raise SegmentError(
                f"{segment.url}: a picture is {image.shape[1]}x{image.shape[0]} pixels but the segment is "
                f"{expected[1]}x{expected[0]}; split the footage where its size changes"
            )
        yield captured_at_us, image


def _source(segment: Segment, image_fps: float | None, threads: int) -> PictureStream:
    """Return the reader for this kind of footage."""
    if files.is_folder(segment.url):
        return PictureSource(segment, image_fps or segment.fps)
    return VideoSource(segment, threads=threads)


def _batch(images: np.ndarray, frames: list[int], instants: list[int]) -> FrameBatch:
    return FrameBatch(images[: len(frames)], np.array(frames, np.int32), np.array(instants, np.int64))
