"""Frames of a video file, by PyAV."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from pipeline.errors import SegmentError
from pipeline.footage import container as containers
from pipeline.footage.damage import check_damage, check_length
from pipeline.footage.source import TimedPicture
from pipeline.footage.timeline import FrameTimes
from pipeline.types import Segment

SEEK_WORTH_S = 2.0
"""Cameras set a key frame every second or two; up to that distance decoding on costs no more than seeking."""


class _Clock(NamedTuple):
    """Timestamps of a stream as times on its segment's own line, as FrameTimes places them while they only ascend."""

    zero_pts: int
    time_base: Fraction

    def time_us(self, pts: int) -> int:
        """Return the microseconds from the segment's start to a timestamp."""
        return round((pts - self.zero_pts) * self.time_base * 1_000_000)

    def pts(self, time_us: int) -> int:
        """Return the timestamp of a time."""
        return self.zero_pts + round(Fraction(time_us, 1_000_000) / self.time_base)


class VideoSource:
    """The frames of one video file.

    A packet that cannot be decoded, or that the container marks as damaged, is counted; pictures that the decoder could
    conceal are kept. `threads` is the decoder's: 1, because there is one worker per core.
    """

    def __init__(self, segment: Segment, *, threads: int = 1) -> None:
        self.bad_packets = 0
        self._segment = segment
        self._url = segment.url
        self._threads = threads
        self._packets = 0
        self._aborted = False
        self._reformatter = VideoReformatter()  # one for all frames: it keeps its conversion tables

    def pictures(self) -> Generator[TimedPicture, None, None]:
        """Yield every frame in presentation order. Raises SegmentError for a file that is cut short or too damaged."""
        with containers.open_video(self._url) as (container, stream):
            self._set_threads(stream)
            promised_s = containers.promised_duration_s(container, stream)
            interval_s = containers.frame_interval_s(stream)
            times: FrameTimes | None = None
            early_pts: list[int] = []  # of packets before the first frame: the recording starts there, seen or not
            index, end_us = -1, 0
            for packet, frames in self._decode(container, stream):
                if times is None and packet.pts is not None and not packet.is_discard:
                    early_pts.append(packet.pts)
                for frame in frames:
                    index += 1
                    if times is None:
                        known = early_pts if frame.pts is None else [*early_pts, frame.pts]
                        times = FrameTimes(min(known, default=None), stream.time_base, interval_s)
                    time_us = self._place(times, frame, index)
                    if time_us is not None:
                        end_us = time_us + _duration_us(frame, stream, interval_s)
                        yield TimedPicture(index, time_us, lambda frame=frame: self._rgb(frame))
        if index < 0:
            raise SegmentError(
                f"{self._url}: not one frame of it can be decoded; copy the file again from the recorder"
            )
        check_damage(self._url, self.bad_packets, self._packets)
        if promised_s is None and self._aborted:  # the container's own word on its length, where reading broke off
            promised_s = self._segment.duration_us / 1e6
        check_length(self._url, promised_s, end_us / 1e6)

    def spread(self, n: int) -> list[np.ndarray]:
        """Return up to n different frames spread evenly over the file; damaged ones are passed over."""
        if self._segment.duration_us / 1e6 / n > SEEK_WORTH_S:
            found = self._spread(n, self._by_seeking)
            if 2 * len(found) >= n:
                return found
        # Short footage, or hardly a key frame to seek to: one pass from the start finds whatever is there.
        return self._spread(n, self._by_passing)

    def at(self, times_us: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield time and picture of the frames at just these times; those that are not there are left out.

        Each is reached from the key frame before it; what is not found so (timestamps that begin anew, frames without
        any) is looked for in one pass over the file, and comes after the others. Raises SegmentError where that pass
        ends in damage, after all that can be had.
        """
        left = set(times_us)
        for time_us, image in self._sought(sorted(left)):
            left.remove(time_us)
            yield time_us, image
        for picture in self.pictures() if left else ():
            if picture.time_us in left:
                left.remove(picture.time_us)
                yield picture.time_us, picture.rgb()
            if not left:
                return

    def pictures_from(self, from_us: int) -> Generator[TimedPicture, None, None]:
        """Yield the frames from a time on, in presentation order; the index of one that was sought is -1.

        The first is reached from the key frame before it where that spares decoding and is beyond doubt. Raises
        SegmentError as `pictures` does; of sought footage what is cut off at its end is not missed.
        """
        if from_us > SEEK_WORTH_S * 1e6:
            with containers.open_video(self._url) as (container, stream):
                frames = self._frames_from(container, stream, from_us)
                if frames is not None:
                    yield from frames
                    return
        for picture in self.pictures():
            if picture.time_us >= from_us:
                yield picture

    def _frames_from(
        self, container: InputContainer, stream: VideoStream, from_us: int
    ) -> Iterator[TimedPicture] | None:
        """Seek, and return the frames from a time on; None where seeking does not lead to before it."""
        self._set_threads(stream)
        jumps = av.format.Flags.ts_discont in av.format.Flags(container.format.flags)
        clock = None if jumps else self._clock(container, stream)
        if clock is None:
            return None
        try:
            container.seek(clock.pts(from_us), stream=stream)
        except av.error.FFmpegError:
            return None
        frames = self._frames(container, stream)
        first = next(frames, None)
        if first is None or first.pts is None or clock.time_us(first.pts) > from_us:
            return None
        return self._ascending([first], frames, clock, from_us)

    def _ascending(
        self, first: list[VideoFrame], rest: Iterator[VideoFrame], clock: _Clock, from_us: int
    ) -> Iterator[TimedPicture]:
        """Yield frames that lie at or after a time, each later than the one before."""
        last_us = from_us - 1
        for frame in itertools.chain(first, rest):
            time_us = last_us if frame.pts is None else clock.time_us(frame.pts)
            if time_us > last_us:
                last_us = time_us
                yield TimedPicture(-1, time_us, lambda frame=frame: self._rgb(frame))

    def _sought(self, times_us: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield those of the frames at these times, ascending, that seeking finds beyond doubt."""
        with containers.open_video(self._url) as (container, stream):
            if av.format.Flags.ts_discont in av.format.Flags(container.format.flags):
                return  # its clock may jump, and seeking in it goes by guesses
            self._set_threads(stream)
            clock = self._clock(container, stream)
            if clock is None:
                return
            frames, frame, now_us = iter(()), None, 0
            for time_us in times_us:
                if frame is None or time_us > now_us + SEEK_WORTH_S * 1e6:
                    try:
                        container.seek(clock.pts(time_us), stream=stream)
                    except av.error.FFmpegError:
                        return
                    frames, now_us = self._frames(container, stream), -1
                while now_us < time_us:
                    frame = next(frames, None)
                    if frame is None or frame.pts is None:
                        return
                    now_us = clock.time_us(frame.pts)
                if now_us == time_us and not frame.is_corrupt:
                    yield time_us, self._rgb(frame)

    def _clock(self, container: InputContainer, stream: VideoStream) -> _Clock | None:
        """Return the clock of a file whose frames have timestamps, from its beginning to its first frame."""
        early_pts: list[int] = []
        for packet, frames in self._decode(container, stream):
            if packet.pts is not None and not packet.is_discard:
                early_pts.append(packet.pts)
            if frames:
                return None if frames[0].pts is None else _Clock(min([*early_pts, frames[0].pts]), stream.time_base)
        return None

    def _spread(self, n: int, choose: Callable[..., Iterator[VideoFrame]]) -> list[np.ndarray]:
        """Open the file anew, and convert the frames chosen for the middles of n equal parts of it."""
        with containers.open_video(self._url) as (container, stream):
            self._set_threads(stream)
            part = Fraction(self._segment.duration_us, 1_000_000 * n) / stream.time_base
            first_pts = stream.start_time or 0
            targets = [first_pts + round((i + Fraction(1, 2)) * part) for i in range(n)]
            return [self._rgb(frame) for frame in choose(container, stream, targets)]

    def _by_passing(self, container: InputContainer, stream: VideoStream, targets: list[int]) -> Iterator[VideoFrame]:
        """Yield the frame shown at each target in one pass over the file, none twice."""
        place, shown = 0, None
        for frame in self._frames(container, stream):
            due = place
            while place < len(targets) and frame.pts is not None and targets[place] < frame.pts:
                place += 1
            if shown is not None and place > due:
                yield shown
            if place == len(targets):
                return
            shown = frame
        if shown is not None:
            yield shown

    def _by_seeking(self, container: InputContainer, stream: VideoStream, targets: list[int]) -> Iterator[VideoFrame]:
        """Yield the key frame before each target; where that is not after the last taken, the frame at the target."""
        last_pts: int | None = None
        for target in targets:
            try:
                container.seek(target, stream=stream)
            except av.error.FFmpegError:
                continue  # damage or a missing index there; the others still show the scene
            behind: bool | None = None
            for frame in self._frames(container, stream):
                if frame.pts is None:
                    continue
                if behind is None:
                    behind = last_pts is not None and frame.pts <= last_pts
                if not behind or frame.pts >= max(target, last_pts + 1):
                    last_pts = frame.pts
                    yield frame
                    break

    def _frames(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for _, frames in self._decode(container, stream):
            yield from frames

    def _decode(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[Packet, list[VideoFrame]]]:
        """Yield every packet with the frames it released; damaged ones release none and are counted."""
        seen_key = False
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.InvalidDataError:  # the container itself is damaged here: nothing behind it can be found
                self.bad_packets += 1
                self._packets += 1
                self._aborted = True
                return
            except av.error.FFmpegError as error:
                raise SegmentError(f"{self._url}: reading failed: {error.strerror or error}") from None
            self._packets += bool(packet.size)
            seen_key |= packet.is_keyframe
            try:
                frames = packet.decode()
                self.bad_packets += packet.is_corrupt
            except av.error.InvalidDataError:
                # A recording cut out of a stream starts amid a group of pictures: of no use, but not damaged.
                self.bad_packets += seen_key
                frames = []
            except av.error.FFmpegError as error:
                raise SegmentError(f"{self._url}: decoding failed: {error.strerror or error}") from None
            yield packet, frames

    def _place(self, times: FrameTimes, frame: VideoFrame, index: int) -> int | None:
        try:
            return times.place(frame.pts)
        except SegmentError as error:
            raise SegmentError(f"{self._url}, frame {index}: {error}") from None

    def _rgb(self, frame: VideoFrame) -> np.ndarray:
        return self._reformatter.reformat(frame, format="rgb24", threads=self._threads).to_ndarray()

    def _set_threads(self, stream: VideoStream) -> None:
        stream.thread_count = self._threads


def _duration_us(frame: VideoFrame, stream: VideoStream, interval_s: Fraction | None) -> int:
    """Return how long a frame is shown, by its own word or else by the nominal rate."""
    shown_s = frame.duration * stream.time_base if frame.duration else interval_s or 0
    return round(shown_s * 1_000_000)
