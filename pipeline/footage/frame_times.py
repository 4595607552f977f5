"""When each frame of a video is shown, without looking at it: somebody else's tracks have but the frame's number."""

from __future__ import annotations

import av
import numpy as np

from pipeline.footage import container as containers
from pipeline.footage import files
from pipeline.footage.video import VideoSource
from pipeline.types import Segment


def frame_times(segment: Segment) -> np.ndarray:
    """Return the times (N,) int64 of a segment's frames, microseconds from its start, as decoding places them.

    They are read from the packets, at the speed of the disk; where those leave doubts, the video is decoded. The
    pictures of a folder come at its rate. Raises SegmentError for footage that cannot be read.
    """
    if files.is_folder(segment.url):
        return np.rint(np.arange(len(files.pictures_in(segment.url))) / segment.fps * 1e6).astype(np.int64)
    told = _of_packets(segment.url)
    if told is None:
        told = [picture.time_us for picture in VideoSource(segment).pictures()]
    return np.array(told, np.int64)


def _of_packets(url: str) -> list[int] | None:
    """Return the times by the packets' timestamps; None where one lacks, is damaged, or time steps back."""
    times: list[int] = []
    with containers.open_video(url) as (source, stream):
        last_dts = None
        try:
            for packet in source.demux(stream):
                if not packet.size:
                    continue
                dts = packet.pts if packet.dts is None else packet.dts
                if packet.pts is None or packet.is_corrupt or packet.is_discard:
                    return None
                if (not times and not packet.is_keyframe) or (last_dts is not None and dts <= last_dts):
                    return None
                last_dts = dts
                times.append(packet.pts)
        except av.error.FFmpegError:
            return None
        times.sort()
        if not times or len(set(times)) < len(times):
            return None
        return [round((pts - times[0]) * stream.time_base * 1_000_000) for pts in times]
