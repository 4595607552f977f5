"""Crops out of labelled sequences: which boxes are taken, and whom they show."""

import cv2
import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.training import sequence_crops


def sequence(folder, rows: list[str], *, level: int = 255) -> None:
    """Write three noisy pictures of 160 x 120, as bright as `level`, and their boxes."""
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        picture = rng.integers(0, level, (120, 160, 3)).astype(np.uint8)
        assert cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), picture)
    (folder / "gt" / "gt.txt").write_text("\n".join(rows) + "\n")


GOOD = [f"{frame},{name},{10 + 50 * name},20,30,80,1,{cls},1" for frame in (1, 2, 3) for name, cls in ((1, 1), (2, 3))]
BAD = [
    "1,5,10,10,30,60,1,1,0.1",  # hidden
    "1,6,10,10,6,12,1,1,1",  # small
    "1,7,10,10,30,60,0,1,1",  # to be ignored
    "1,8,10,10,30,60,1,12,1",  # of no class
]


def test_boxes_large_and_visible_enough_are_taken(tmp_path):
    sequence(tmp_path / "world" / "a", GOOD + BAD)
    sequence(tmp_path / "world" / "b", GOOD)
    sequence(tmp_path / "alone", GOOD)
    crops = sequence_crops.read([tmp_path], (64, 32), most=2, seed=0)
    assert crops.images.shape == (12, 3, 64, 32)
    assert crops.groups == ("person", "vehicle")
    assert len(np.unique(crops.identity)) == 4  # two shared by the world's cameras, two of the other
    assert len(np.unique(crops.world)) == 2
    assert len(np.unique(crops.camera)) == 3
    assert set(np.bincount(crops.identity)) == {2, 4}


def test_what_is_dark_is_left_out(tmp_path):
    sequence(tmp_path / "night", GOOD, level=6)
    with pytest.raises(TruthError, match="no people"):
        sequence_crops.read([tmp_path], (64, 32), most=2, seed=0)


def test_the_seed_alone_moves_edges(tmp_path):
    sequence(tmp_path / "a", GOOD)
    one, again, other = (sequence_crops.read([tmp_path], (64, 32), most=3, seed=seed).images for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
