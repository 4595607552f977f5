"""Pictures side by side."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.reports.mosaic import GAP_PX, mosaic, write_picture


def test_no_picture_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        mosaic([])


def test_every_picture_stands_in_its_cell():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    sheet = mosaic([(f"cam{i}", np.full((60, 80, 3), colour, np.uint8)) for i, colour in enumerate(colours)])
    assert sheet.shape == (2 * 60 + 3 * GAP_PX, 2 * 80 + 3 * GAP_PX, 3)
    for colour, (y, x) in zip(colours, [(50, 70), (50, 80 + GAP_PX + 70), (60 + GAP_PX + 50, 70)]):
        assert tuple(sheet[y, x]) == colour


def test_a_picture_survives_its_file(tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :15] = (250, 10, 90)
    path = write_picture(image, tmp_path / "new" / "picture.png")
    np.testing.assert_array_equal(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), image)
