"""What a header tells: picture size, rate, duration and creation time of a video or a folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import SegmentError
from pipeline.footage import clock, container, files, fingerprint, pictures
from pipeline.footage.damage import check_length
from pipeline.types import Segment


@dataclass(frozen=True, slots=True)
class Probe:
    """One video or image folder as its header describes it.

    width_px, height_px   of the picture as stored; a display rotation noted beside it is not applied
    fps                   average frames a second
    duration_us           from the first frame's start to the last frame's end, microseconds
    created_at_us         creation time stated by the container, microseconds since 1970 UTC, or None
    fingerprint           see fingerprint.py
    """

    width_px: int
    height_px: int
    fps: float
    duration_us: int
    created_at_us: int | None
    fingerprint: str


def probe_video(url: str) -> Probe:
    """Read the header of a video file; no frame is decoded beyond what FFmpeg needs to open it.

    Only where the header does not say how long the video is (a recorder that was cut off) are all packets read, still
    without decoding. Raises SegmentError, one sentence, for whatever is no usable video.
    """
    with container.open_video(url) as (opened, stream):
        width_px, height_px = stream.width, stream.height
        interval_s = container.frame_interval_s(stream)
        duration_s = container.promised_duration_s(opened, stream) or container.measured_duration_s(opened, stream)
        created_at_us = clock.container_instant_us({**stream.metadata, **opened.metadata})
        if duration_s is None or interval_s is None:
            extent = container.walk(opened, stream)
            if not extent.packets:
                raise SegmentError(f"{url}: its video stream holds no frame; the recording broke off at its start")
            duration_s = extent.duration_s if duration_s is None else duration_s
            fps = float(1 / interval_s) if interval_s else (extent.packets / duration_s if duration_s else 0.0)
        else:
            fps = float(1 / interval_s)
    if width_px <= 0 or height_px <= 0:
        raise SegmentError(f"{url}: the picture size cannot be read from its header; the file is damaged")
    if fps <= 0 or duration_s <= 0:
        raise SegmentError(f"{url}: neither frame rate nor timestamps are in it; convert it to mp4 or mkv")
    return Probe(width_px, height_px, fps, round(duration_s * 1e6), created_at_us, fingerprint.of_file(url))


def check_whole(segment: Segment) -> None:
    """Read every packet of a segment without decoding it: is all there that the header promises?

    Disk speed, so fit for a look before the night. Raises SegmentError where the file is shorter than it says.
    """
    if files.is_folder(segment.url):
        return
    with container.open_video(segment.url) as (opened, stream):
        promised_s = container.promised_duration_s(opened, stream)
        check_length(segment.url, promised_s, container.walk(opened, stream).duration_s)


def probe_folder(url: str, image_fps: float | None) -> Probe:
    """Look at a folder of jpg or png pictures, which together are one segment. Raises SegmentError, one sentence."""
    names = files.pictures_in(url)
    if not names:
        raise SegmentError(f"{url}: the folder holds no jpg or png; for videos in it write {url.rstrip('/')}/*.mp4")
    if image_fps is None:
        raise SegmentError(f"{url}: a folder of pictures has no frame rate; set `image_fps` of the camera")
    height_px, width_px = pictures.first_readable(names).shape[:2]
    duration_us = round(len(names) / image_fps * 1e6)
    return Probe(width_px, height_px, image_fps, duration_us, None, fingerprint.of_folder(names))
