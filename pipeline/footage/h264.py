"""Writing pictures as an H.264 file that every browser and player takes: mp4, yuv420p, its index in front."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np

TICKS_A_SECOND = 90_000
"""MPEG's own clock: 24, 25, 30 and 30000/1001 frames a second, and milliseconds, fall on whole ticks."""

KEY_FRAME_EVERY_S = 2.0
"""What a player decodes at most to reach a frame."""

_BT601, _LIMITED_RANGE = 6, 1
"""How swscale makes YUV of RGB (ISO/IEC 23091-2, MatrixCoefficients), said in the file so that players turn it back."""


class H264File:
    """A video being written: whole when the `with` block ends well, nothing otherwise.

    Pictures (H, W, 3) uint8 RGB are all of the first one's size; odd sides are made even by repeating the last row or
    column. There are no B-frames, so a file's first picture is at time 0 in every player.

    width_px, height_px   of the pictures as stored, once there is one
    """

    def __init__(self, path: Path, *, fps: float, crf: int = 21, preset: str = "veryfast") -> None:
        self.width_px = self.height_px = 0
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}")
        self._fps = fps
        self._options = {"crf": str(crf), "preset": preset}
        self._stream = None

    def __enter__(self) -> H264File:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._temporary), "w", format="mp4", options={"movflags": "+faststart"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None and self._stream is not None:
                os.replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def write(self, image: np.ndarray, time_us: int) -> None:
        """Append a picture, shown from `time_us` on; times ascend."""
        if self._stream is None:
            self._begin(image)
        below, right = self.height_px - image.shape[0], self.width_px - image.shape[1]
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = round(time_us * TICKS_A_SECOND / 1_000_000), Fraction(1, TICKS_A_SECOND)
        self._container.mux(self._stream.encode(frame))

    def _begin(self, image: np.ndarray) -> None:
        self.height_px, self.width_px = (side + side % 2 for side in image.shape[:2])
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._container.add_stream("libx264", rate=rate, options=self._options)
        stream.width, stream.height, stream.pix_fmt = self.width_px, self.height_px, "yuv420p"
        stream.gop_size, stream.max_b_frames = max(1, round(KEY_FRAME_EVERY_S * self._fps)), 0
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS_A_SECOND)
        context.colorspace, context.color_range = _BT601, _LIMITED_RANGE
        self._stream = stream
