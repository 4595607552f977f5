"""Video containers as PyAV opens them: the stream that matters, and what its header promises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from pipeline.errors import SegmentError
from pipeline.footage import files

AVI_PLACEHOLDER_FRAMES = 1 << 30
"""FFmpeg writes this count into an AVI header before it knows the true one; a killed recording keeps it."""

_DRAWN_TEXT = "tty"
"""FFmpeg's name for the format as which it takes any file called .txt, .ans or so: it draws the text as pictures."""

HEAD_BYTES = 512
"""Enough of a file's beginning to tell what it is."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a walk over all packets of a stream found: their number, and seconds from the first to the last's end."""

    packets: int
    duration_s: float


@contextmanager
def open_video(url: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video and its first real video stream (a cover picture is none). Raises SegmentError, one sentence."""
    path = files.local_path(url)
    try:
        if files.size_bytes(url) == 0:
            raise SegmentError(f"{url}: the file is empty (0 bytes); copy it again from the recorder")
        source = path if path is not None else files.open_binary(url)
    except OSError as error:
        raise SegmentError(f"{url}: cannot be read: {error.strerror or error}") from None
    try:
        try:
            container = av.open(source, "r")
        except av.error.FFmpegError as error:
            raise SegmentError(_unopened(url, error)) from None
        with container:
            if container.format.name == _DRAWN_TEXT:
                raise SegmentError(_no_video(url, "text"))
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
                raise SegmentError(f"{url}: has no video stream (streams in it: {kinds}); give footage with pictures")
            if streams[0].codec_context is None:
                raise SegmentError(f"{url}: no decoder for its video; convert it to H.264 in mp4 or mkv")
            yield container, streams[0]
    finally:
        if path is None:
            source.close()


def frame_interval_s(stream: VideoStream) -> Fraction | None:
    """Return the nominal seconds between two frames, or None where the stream states no rate."""
    rate = stream.average_rate or stream.guessed_rate
    return 1 / rate if rate else None


def promised_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Return how long the header says the video is, or None where the header makes no such promise.

    MPEG-TS has no such header: FFmpeg reads the first and last timestamps instead, which shrink with the file. A
    fragmented mp4 promises what its index or the fragments found at opening say. AVI: FFmpeg's duration follows the
    size of a cut file, so the header's frame count is taken. Matroska counts to the end of the last frame from time
    zero, not from the first frame.
    """
    names = container.format.name.split(",")
    if "mpegts" in names:
        return None
    if "avi" in names:
        interval_s = frame_interval_s(stream)
        counted = 0 < stream.frames < AVI_PLACEHOLDER_FRAMES and interval_s is not None
        return float(stream.frames * interval_s) if counted else None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tagged_s = _clock_text_s(stream.metadata.get("DURATION", ""))
    duration_s = tagged_s or (container.duration / av.time_base if container.duration else 0.0)
    first_s = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    if "matroska" in names and 0 < first_s < duration_s:
        duration_s -= first_s
    return duration_s if duration_s > 0 else None


def measured_duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    """Return the duration FFmpeg found by looking at both ends of an MPEG-TS file, or None for other containers."""
    if "mpegts" in container.format.name.split(",") and stream.duration and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    return None


def walk(container: InputContainer, stream: VideoStream) -> Extent:
    """Read every packet of the stream without decoding it: for files whose header does not say how long they are."""
    packets, first_pts, end_pts = 0, None, None
    interval_s = frame_interval_s(stream) or Fraction(0)
    nominal = interval_s / stream.time_base
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            packets += 1
            if packet.pts is not None:
                first_pts = packet.pts if first_pts is None else min(first_pts, packet.pts)
                end = packet.pts + (packet.duration or nominal)
                end_pts = end if end_pts is None else max(end_pts, end)
    except av.error.InvalidDataError:
        pass  # what is behind the damage does not count; decoding reports it
    if end_pts is None:
        return Extent(packets, float(packets * interval_s))
    return Extent(packets, float((end_pts - first_pts) * stream.time_base))


def _unopened(url: str, error: av.error.FFmpegError) -> str:
    """Say why FFmpeg did not open a file, better than it does itself."""
    if not isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
        return f"{url}: cannot be opened: {error.strerror or error}"
    with files.open_binary(url) as file:
        head = file.read(HEAD_BYTES)
    if head[4:8] in (b"ftyp", b"mdat", b"free", b"wide"):
        return f"{url}: the mp4 was cut short, its index (moov) at the end is missing; copy it again or repair it"
    if head[:4] in (b"\x1aE\xdf\xa3", b"RIFF"):
        return f"{url}: the header of the video is damaged or cut short; copy it again or repair it"
    return _no_video(url, "text" if _is_text(head) else "nothing known")


def _no_video(url: str, content: str) -> str:
    return f"{url}: is not a video: expected mp4, mkv, avi or ts, found {content} in it; check the footage glob"


def _is_text(head: bytes) -> bool:
    """Tell whether bytes read as text; a character cut at the end does not matter."""
    text = head.decode("utf-8", errors="ignore")
    return len(text.encode()) >= len(head) - 3 and all(c.isprintable() or c.isspace() for c in text)


def _clock_text_s(text: str) -> float:
    """Read Matroska's DURATION tag, 00:00:10.000000000, as seconds; 0 where it is not of that form."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
