"""A webcam or a network stream, recorded for a bounded time into a file that is footage like any other.

So whatever is seen live can be looked at again: the night resumes, and gives the same rows for the same file.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.config import LiveConfig, with_environment
from pipeline.errors import SegmentError
from pipeline.footage import clock
from pipeline.footage.h264 import H264File

PATIENCE_S = 10.0
"""How long a source may be silent, while it is opened and later, before it counts as gone."""

ASSUMED_FPS = 25.0
"""Nominal rate of a source that tells none. Each picture keeps its own time in any case."""

MOST_FPS = 240.0

Picture = tuple[int, np.ndarray]
"""Microseconds since the first picture, and the picture (H, W, 3) uint8 RGB."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What came of a source.

    path           the file; its start lies beside it in <file>.json
    started_at_us  instant of the first picture by this computer's clock, microseconds since 1970 UTC
    recorded_s     from the first picture to the end of the last
    note           a sentence where that is less than was asked for, else ""
    """

    path: Path
    started_at_us: int
    recorded_s: float
    note: str


def record(camera_id: str, live: LiveConfig, *, now_s: Callable[[], float] = time.time) -> Recording:
    """Record `live.seconds` of a source into `live.folder`, as `<camera_id>-<start in UTC>.mp4`, H.264 without sound.

    The file appears when it is whole. A source that ends early, sends pictures of another size, is silent for
    PATIENCE_S, or takes PATIENCE_S longer than was asked for, has given what it gave.
    Raises SegmentError, one sentence, where it cannot be opened or gives no picture, and where nothing can be written.
    """
    shown, limit_us = describe(live), round(live.seconds * 1e6)
    try:
        with closing(_open(camera_id, live)) as source:
            fps = next(source)
            first = next(source, None)
            if first is None:
                raise SegmentError(f"camera {camera_id}: {shown} gave not one picture; is anything sent there?")
            started_at_us = round(now_s() * 1e3) * 1000  # what a file name can tell
            path = Path(live.folder) / f"{camera_id}-{clock.stamp(started_at_us)}.mp4"
            last_us, interval_us, cause = 0, round(1e6 / fps), ""
            began_s = time.monotonic()
            with H264File(path, fps=fps) as file:
                file.write(first[1], 0)
                for time_us, image in source:
                    if time_us >= limit_us:
                        break
                    if image.shape != first[1].shape:
                        cause = f", as its pictures changed from {_size(first[1])} to {_size(image)}"
                        break
                    if time.monotonic() - began_s > live.seconds + PATIENCE_S:
                        cause = ", as it came slower than its own times say"
                        break
                    file.write(image, time_us)
                    last_us, interval_us = time_us, time_us - last_us
                _write_clock(path, started_at_us)
    except OSError as error:
        raise SegmentError(f"{live.folder}: {shown} cannot be recorded there: {error.strerror or error}") from None
    recorded_s = min(last_us + interval_us, limit_us) / 1e6
    early = recorded_s < live.seconds - max(1.0, 2 * interval_us / 1e6)
    ended = f"ended after {recorded_s:.1f} of {live.seconds:g} s{cause}"
    said = f"camera {camera_id}: {shown} {ended}; {path} holds what came"
    return Recording(path, started_at_us, recorded_s, said if early or cause else "")


def look(camera_id: str, live: LiveConfig) -> None:
    """Open a source and take one picture of it. Raises SegmentError, one sentence, where that cannot be."""
    with closing(_open(camera_id, live)) as source:
        next(source)
        if next(source, None) is None:
            raise SegmentError(f"camera {camera_id}: {describe(live)} gave not one picture; is anything sent there?")


def describe(live: LiveConfig) -> str:
    """Name a source without its password: without what is before the last @, and without its query."""
    if live.url is None:
        return f"device {live.device}"
    scheme, _, rest = live.url.partition("://")
    secret, _, place = rest.rpartition("@")
    if "?" in secret:  # of a password or of a query: where the host stands is not known
        return f"{scheme}://..."
    return f"{scheme}://{re.split('[?#]', place)[0]}"


def _open(camera_id: str, live: LiveConfig) -> Iterator:
    """Yield the nominal frame rate, then pictures. Raises SegmentError where the source cannot be opened."""
    if live.url is not None:
        return _stream(with_environment(live.url), f"camera {camera_id}: {describe(live)}")
    if isinstance(live.device, str) and Path(live.device).is_file():  # a file in the place of a device
        return _stream(live.device, f"camera {camera_id}: {describe(live)}")
    return _webcam(live.device, f"camera {camera_id}: {describe(live)}")


def _stream(url: str, who: str) -> Iterator:
    """Read a network stream, or a file. Times are the stream's own; pictures that go back in them are left out.

    Ends after PATIENCE_S without a picture, whatever else is sent.
    """
    options = {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    try:
        container = av.open(url, "r", options=options, timeout=PATIENCE_S)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SegmentError(f"{who} cannot be opened: {_why(error)}; check the address, and that it is on") from None
    with container:
        if not container.streams.video:
            raise SegmentError(f"{who} has no video in it; give the address of a stream with pictures")
        stream = container.streams.video[0]
        yield _nominal(float(stream.average_rate or stream.guessed_rate or 0))
        first_us = last_us = None
        heard_s = time.monotonic()
        try:
            for packet in container.demux():  # of all kinds: sound alone is silence too
                for frame in packet.decode() if packet.stream_index == stream.index else ():
                    if frame.pts is None:
                        continue
                    at_us = round(frame.pts * stream.time_base * 1_000_000)
                    if last_us is not None and at_us <= last_us:
                        continue
                    first_us, last_us = at_us if first_us is None else first_us, at_us
                    yield at_us - first_us, frame.to_ndarray(format="rgb24")
                    heard_s = time.monotonic()
                if time.monotonic() - heard_s > PATIENCE_S:
                    return
        except (av.error.FFmpegError, OSError):
            return  # it broke off, or was silent too long: what came is kept


def _webcam(device: int | str, who: str) -> Iterator:
    """Read a webcam by OpenCV, which knows the devices of each system. Times are those of arrival."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # we say ourselves what is wrong
    try:
        capture = cv2.VideoCapture(device)
    finally:
        cv2.utils.logging.setLogLevel(level)
    try:
        if not capture.isOpened():
            raise SegmentError(
                f"{who} is not there or is in use; give the number of another, from 0, or its path such as /dev/video0"
            )
        yield _nominal(capture.get(cv2.CAP_PROP_FPS))
        began_s, last_us = None, -1
        while True:
            there, image = capture.read()
            if not there:
                return
            began_s = time.monotonic() if began_s is None else began_s
            time_us = max(round((time.monotonic() - began_s) * 1e6), last_us + 1)
            last_us = time_us
            yield time_us, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _nominal(fps: float) -> float:
    return fps if 0 < fps <= MOST_FPS else ASSUMED_FPS


def _why(error: Exception) -> str:
    """Say in FFmpeg's or the system's words what went wrong, without the address, which may hold a password."""
    if isinstance(error, av.error.ExitError):  # how FFmpeg tells of the timeout we set
        return f"no answer in {PATIENCE_S:g} s"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _write_clock(path: Path, started_at_us: int) -> None:
    """Write the sidecar that says when the file starts; it is there before the file is."""
    sidecar = path.with_name(f"{path.name}.json")
    temporary = sidecar.with_name(f".{sidecar.name}.{os.getpid()}")
    temporary.write_text(json.dumps({"started_at": clock.local_time(started_at_us, "UTC")}), encoding="utf-8")
    os.replace(temporary, sidecar)
