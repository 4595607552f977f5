"""Small real videos whose every frame says which one it is, readable after lossy coding."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

BLOCK_PX = 32
COLUMNS = 5
HEIGHT_PX, WIDTH_PX = 3 * BLOCK_PX, COLUMNS * BLOCK_PX
"""Two rows of five blocks hold ten bits, white for one; the third row is red, to catch swapped channels."""


def numbered_frame(index: int, scale: int = 1) -> np.ndarray:
    """Return the RGB picture that carries `index` (below 1024)."""
    bits = (index >> np.arange(2 * COLUMNS)) & 1
    blocks = (bits.reshape(2, COLUMNS) * 255).astype(np.uint8)
    top = np.kron(blocks, np.ones((BLOCK_PX * scale, BLOCK_PX * scale), np.uint8))
    red = np.zeros((BLOCK_PX * scale, WIDTH_PX * scale, 3), np.uint8)
    red[..., 0] = 220
    return np.concatenate([np.repeat(top[..., None], 3, axis=2), red])


def read_index(image: np.ndarray) -> int:
    """Return the number a decoded picture carries; the red row has to be red."""
    red, green, blue = image[2 * BLOCK_PX + 4 :, 4:-4].reshape(-1, 3).mean(axis=0)
    assert red > 150 and green < 80 and blue < 80, f"channels are not RGB: {red:.0f} {green:.0f} {blue:.0f}"
    grey = image[: 2 * BLOCK_PX].mean(axis=2).reshape(2, BLOCK_PX, COLUMNS, BLOCK_PX).mean(axis=(1, 3)).ravel()
    return int(((grey > 128).astype(int) << np.arange(2 * COLUMNS)).sum())


def write_clip(
    path: Path | str,
    n_frames: int = 40,
    *,
    fps: int = 10,
    times_ms: Sequence[int] | None = None,
    codec: str = "libx264",
    gop: int = 10,
    b_frames: int = 0,
    scale: int = 1,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    format: str | None = None,
    first_index: int = 0,
) -> Path:
    """Write a video of numbered frames at a constant rate, or at the given times."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=format, options=options or {}) as container:
        container.metadata.update(metadata or {})
        # Key frames where `gop` puts them and nowhere else: no scene cuts.
        stream = container.add_stream(codec, rate=fps, options={"sc_threshold": "0"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX * scale, HEIGHT_PX * scale, "yuv420p"
        stream.gop_size, stream.max_b_frames = gop, b_frames
        time_base = Fraction(1, 1000 if times_ms is not None else fps)
        stream.codec_context.time_base = time_base
        for i in range(n_frames if times_ms is None else len(times_ms)):
            frame = av.VideoFrame.from_ndarray(numbered_frame(first_index + i, scale), format="rgb24")
            frame.pts, frame.time_base = (i if times_ms is None else times_ms[i]), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Path(path)


def write_pictures(folder: Path, n_pictures: int, ending: str = "png") -> Path:
    """Write a folder of numbered pictures: frame_0.png, frame_1.png, ... (frame_10 sorts before frame_2 as text)."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n_pictures):
        cv2.imwrite(str(folder / f"frame_{i}.{ending}"), cv2.cvtColor(numbered_frame(i), cv2.COLOR_RGB2BGR))
    return folder


def cut(path: Path, share: float) -> Path:
    """Keep only the first part of a file, as a broken copy does."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
