"""The empty scene: who moves is gone, who stays is not, and footage that is gone says so."""

from __future__ import annotations

import av
import numpy as np
import pytest

from pipeline.errors import SegmentError
from pipeline.footage.backdrop import backdrop, median_picture, pooled_backdrop

GROUND, WALKER = 90, 240
WIDE, HIGH = 160, 96


def clip(path, boxes, n=30, size=(WIDE, HIGH)):
    """Write a grey video in which a bright box (x, width) is where `boxes` says, frame by frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for k in range(n):
            picture = np.full((size[1], size[0], 3), GROUND, np.uint8)
            x, width = boxes(k)
            picture[20:60, x : x + width] = WALKER
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


def test_the_median_is_the_middle_of_each_pixel_by_itself():
    images = np.random.default_rng(0).integers(0, 256, (7, 130, 5, 3), np.uint8)
    assert np.array_equal(median_picture(images), np.median(images, axis=0))
    assert np.array_equal(median_picture(images[:4]), np.sort(images[:4], axis=0)[1])


def test_who_walks_through_is_gone_and_who_stands_is_not(tmp_path):
    walked = backdrop(clip(tmp_path / "walked.mp4", lambda k: (4 * k, 16)))
    assert walked.shape == (HIGH, WIDE, 3)
    assert abs(walked.astype(int) - GROUND).max() < 12
    stood = backdrop(clip(tmp_path / "stood.mp4", lambda k: (40, 32)))
    assert stood[30:50, 45:65].min() > WALKER - 15


def test_several_files_hide_who_stands_still_in_one(tmp_path):
    files = [clip(tmp_path / f"{k}.mp4", lambda _, k=k: (48 * k, 32)) for k in range(3)]
    small = clip(tmp_path / "small.mp4", lambda _: (0, 32), size=(64, 64))
    pooled = pooled_backdrop([str(tmp_path / "gone.mp4"), *files, small])
    assert abs(pooled.astype(int) - GROUND).max() < 12
    assert pooled_backdrop([str(tmp_path / "gone.mp4")]) is None
    assert pooled_backdrop(files, longest_px=80).shape == (48, 80, 3)


def test_footage_that_is_gone_is_one_sentence(tmp_path):
    with pytest.raises(SegmentError, match=r"gone\.mp4: cannot be read"):
        backdrop(str(tmp_path / "gone.mp4"))
