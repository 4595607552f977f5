"""Footage as a file that a browser plays: copied packet by packet where browsers know the coding, else coded anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import SegmentError
from pipeline.footage import container as containers
from pipeline.footage import files
from pipeline.footage.decode import frames_between
from pipeline.footage.h264 import H264File
from pipeline.types import Segment

_PLAYED = {"h264": "mp4", "vp8": "webm", "vp9": "webm", "av1": "mp4"}
"""Codings that browsers play, and the container for each."""

_PLAYED_PIXELS = ("yuv420p", "yuvj420p")

Advance = Callable[[int], None]
"""Hears how many microseconds of the footage are done."""


class _NotCopyable(Exception):
    """The packets would not play, or not at the times the lake knows."""


@dataclass(frozen=True, eq=False, slots=True)
class Playable:
    """A video file beside a page.

    starts_at_us         instant of its media time 0, microseconds since 1970 UTC
    frames_us            (N,) int64, instants of its frames, ascending
    width_px, height_px  of the picture as stored; coded anew, odd sides are one larger than the footage's
    copied               whether its packets are the footage's own
    """

    path: Path
    starts_at_us: int
    frames_us: np.ndarray
    width_px: int
    height_px: int
    copied: bool


def make_playable(
    segment: Segment,
    folder: Path,
    *,
    first_us: int,
    last_us: int,
    damaged: bool = False,
    advance: Advance = lambda done_us: None,
) -> Playable:
    """Write the part [first_us, last_us) of a segment as `<segment_id>.mp4` or `.webm` into a folder.

    A copy begins at the key frame before. Damaged footage is coded anew: a browser stops where a decoder conceals.
    Raises SegmentError where the footage cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not damaged and not files.is_folder(segment.url):
        try:
            return _copied(segment, folder, first_us, last_us, advance)
        except (_NotCopyable, av.error.FFmpegError):
            pass
    return _coded_anew(segment, folder, first_us, last_us, advance)


def _copied(segment: Segment, folder: Path, first_us: int, last_us: int, advance: Advance) -> Playable:
    zero_pts = _checked_zero(segment)
    with containers.open_video(segment.url) as (source, stream):
        ending = _PLAYED[stream.codec_context.name]
        if "mov" in source.format.name.split(","):
            ending = "mp4"  # VP9 out of an mp4 keeps its finer clock there
        path = folder / f"{segment.segment_id}.{ending}"
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        options = {"movflags": "+faststart"} if ending == "mp4" else {}
        try:
            with av.open(str(temporary), "w", format=ending, options=options) as target:
                bounds = [zero_pts + _ticks(at_us - segment.started_at_us, stream) for at_us in (first_us, last_us)]
                done = _Done(segment.started_at_us, zero_pts, stream, advance)
                pts = _copy_packets(source, stream, target, zero_pts, bounds, done)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        at_us = segment.started_at_us + np.array([round((p - zero_pts) * stream.time_base * 1_000_000) for p in pts])
        return Playable(path, int(at_us[0]), at_us, stream.width, stream.height, copied=True)


@dataclass(frozen=True, slots=True)
class _Done:
    """Tells how far a copy is."""

    started_at_us: int
    zero_pts: int
    stream: VideoStream
    advance: Advance

    def __call__(self, pts: int) -> None:
        self.advance(round((pts - self.zero_pts) * self.stream.time_base * 1_000_000))


def _copy_packets(
    source: InputContainer,
    stream: VideoStream,
    target: av.container.OutputContainer,
    zero_pts: int,
    bounds: list[int],
    done: Callable[[int], None],
) -> list[int]:
    """Copy from the key frame before the first bound to the last bound; returns the timestamps shown, ascending.

    The copy's times begin with 0 at its first frame.
    """
    if bounds[0] > zero_pts:
        source.seek(bounds[0], stream=stream)
    out = target.add_stream_from_template(stream)
    base, last_dts, pts = None, None, []
    for packet in source.demux(stream):
        if not packet.size:
            continue
        if packet.pts is None or packet.is_corrupt or packet.is_discard:
            raise _NotCopyable
        dts = packet.pts if packet.dts is None else packet.dts  # Matroska keeps no decoding times
        if last_dts is not None and dts <= last_dts:
            raise _NotCopyable  # its clock begins anew, or its frames are decoded in another order
        last_dts = dts
        if dts >= bounds[1]:
            break
        if base is None and not packet.is_keyframe:
            continue
        base = packet.pts if base is None else base
        if packet.pts < base:
            continue  # shown before the key frame, and made from frames before it
        done(packet.pts)
        pts.append(packet.pts)
        packet.pts, packet.dts = packet.pts - base, dts - base
        packet.stream = out
        target.mux(packet)
    if not pts or len(set(pts)) < len(pts):
        raise _NotCopyable
    return sorted(pts)


def _checked_zero(segment: Segment) -> int:
    """Return the timestamp of the segment's start. Raises _NotCopyable where a browser would not play its packets."""
    with containers.open_video(segment.url) as (source, stream):
        context = stream.codec_context
        if context.name not in _PLAYED or context.pix_fmt not in _PLAYED_PIXELS:
            raise _NotCopyable
        early_pts: list[int] = []
        for packet in source.demux(stream):
            if packet.pts is not None:
                early_pts.append(packet.pts)
            for frame in packet.decode():
                if frame.pts is None or frame.rotation:  # boxes are in the picture as stored, a browser would turn it
                    raise _NotCopyable
                return min([*early_pts, frame.pts])
    raise _NotCopyable


def _ticks(time_us: int, stream: VideoStream) -> int:
    return round(time_us / 1_000_000 / stream.time_base)


def _coded_anew(segment: Segment, folder: Path, first_us: int, last_us: int, advance: Advance) -> Playable:
    path = folder / f"{segment.segment_id}.mp4"
    at_us: list[int] = []
    with H264File(path, fps=segment.fps) as video:
        for captured_at_us, image in frames_between(segment, first_us, last_us, image_fps=segment.fps):
            at_us.append(captured_at_us)
            video.write(image, captured_at_us - at_us[0])
            advance(captured_at_us - segment.started_at_us)
    if not at_us:
        raise SegmentError(f"{segment.url}: no frame of it lies in the time asked for")
    return Playable(path, at_us[0], np.array(at_us), video.width_px, video.height_px, copied=False)
