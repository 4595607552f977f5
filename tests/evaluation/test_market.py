"""Names of crops, and what is said of folders that cannot be read."""

from __future__ import annotations

import pytest

from pipeline.errors import TruthError
from pipeline.evaluation import market


def folder_of(path, *names):
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_bytes(b"")
    return path


def test_names_say_who_and_where(tmp_path):
    names = ["0002_c1s1_000451_03.jpg", "-1_c3s2_000100_00.jpg", "0000_c6s4_1_1.JPG", "17_c12.png", "Thumbs.db"]
    paths, crops = market.read_folder(folder_of(tmp_path, *names))
    assert [path.name for path in paths] == sorted(names[:4])
    found = dict(zip((path.name for path in paths), zip(crops.person.tolist(), crops.camera.tolist())))
    assert found == {names[0]: (2, 1), names[1]: (-1, 3), names[2]: (0, 6), names[3]: (17, 12)}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "got no jpg or png"),
        (["notes.txt"], "got no jpg or png"),
        (["0002_c1s1_1_1.jpg", "holiday.jpg"], "holiday.jpg: expected a name such as 0002_c1s1_000451_03.jpg"),
        (["-2_c1s1_1_1.jpg"], "expected a name such as"),
    ],
)
def test_folders_without_such_crops(tmp_path, names, said):
    with pytest.raises(TruthError, match=said):
        market.read_folder(folder_of(tmp_path, *names))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(TruthError, match="no such folder"):
        market.read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("names", [["1_c1_a.jpg", "1_c1_b.jpg", "2_c2_a.jpg"], ["0_c1_a.jpg", "0_c2_a.jpg"]])
def test_people_of_one_camera_only_cannot_be_asked_for(tmp_path, names):
    _, crops = market.read_folder(folder_of(tmp_path, *names))
    with pytest.raises(TruthError, match="seen by two cameras or more, got none"):
        market.require_people(crops, tmp_path)
