"""Tracklets as plain JSON: what is written is read again, holes are filled, and other files are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation.tracklet_json import FrameBoxes, lines, read_tracklets, without_holes


@pytest.mark.parametrize("n", [0, 1, 3])
def test_what_is_written_is_read_again(tmp_path, n):
    made = [FrameBoxes(7 * k, np.array([[k + 0.1, 2, 30.25, 41], [k + 0.2, 2, 31, 41]])) for k in range(n)]
    path = tmp_path / "a.json"
    path.write_text("".join(lines(29.97, made)))
    assert list(json.loads(path.read_text())) == ["fps", "tracklets"]
    fps, read = read_tracklets(path)
    assert fps == 29.97
    assert [one.start for one in read] == [one.start for one in made]
    for one, other in zip(read, made):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)


def test_holes_are_filled_on_straight_lines():
    xyxy = np.array([[0, 0, 10, 10], [3, 6, 13, 16], [4, 6, 14, 16]], np.float32)
    one, filled = without_holes(np.array([5, 8, 9]), xyxy)
    assert (one.start, filled) == (5, 2)
    np.testing.assert_allclose(one.xyxy[:, 0], [0, 1, 2, 3, 4])
    np.testing.assert_allclose(one.xyxy[:, 3], [10, 12, 14, 16, 16])
    alone, filled = without_holes(np.array([4]), xyxy[:1])
    assert (alone.start, len(alone.xyxy), filled) == (4, 1, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"fps": 20, "tracklets": [{"start": 0, "bo', "expected JSON"),
        ("[]", "got no list under `tracklets`"),
        ('{"fps": 0, "tracklets": []}', "fps: expected a number above 0, got 0"),
        ('{"fps": 20, "tracklets": [{"boxes": [[0, 0, 1, 1]]}]}', "tracklet 0: expected a whole `start`"),
        ('{"fps": 20, "tracklets": [{"start": 0, "boxes": []}]}', "tracklet 0: expected `boxes` of four"),
        ('{"fps": 20, "tracklets": [{"start": 0, "boxes": [[0, 0, 1]]}]}', "tracklet 0: expected `boxes` of four"),
        ('{"fps": 20, "tracklets": [{"start": 0, "boxes": [[5, 0, 1, 1]]}]}', "box 0: expected x1 <= x2"),
    ],
)
def test_other_files_are_refused(tmp_path, text, sentence):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(TruthError) as refused:
        read_tracklets(path)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
