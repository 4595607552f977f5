"""Single frames by their instant: pixel by pixel those that reading the whole segment gives."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import SegmentError
from pipeline.footage import video
from pipeline.footage.decode import frames_at
from tests.footage.clips import cut, write_clip, write_pictures
from tests.footage.test_decode import read, segment


def all_frames(seg, **options) -> dict[int, np.ndarray]:
    _, batches = read(seg, **options)
    return {int(at): image for batch in batches for at, image in zip(batch.captured_at_us, batch.images)}


def assert_same(seg, wanted, whole, image_fps=None) -> None:
    found = dict(frames_at(seg, wanted, image_fps))
    assert found.keys() == set(wanted)
    for at_us, image in found.items():
        np.testing.assert_array_equal(image, whole[at_us])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("b_frames.mp4", {"b_frames": 2}),
        ("rare_keys.mp4", {"gop": 250, "b_frames": 3}),
        ("vfr.mp4", {"times_ms": (700 + np.cumsum(np.random.default_rng(0).integers(20, 300, 90))).tolist()}),
        ("fragmented.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mkv", {"b_frames": 2}),
        ("live.mkv", {"options": {"live": "1"}}),
        ("a.ts", {"format": "mpegts", "b_frames": 2}),
        ("a.avi", {"codec": "mpeg4"}),
        ("b_frames.avi", {"codec": "mpeg4", "b_frames": 2}),
    ],
)
def test_they_are_those_of_the_whole_stream(tmp_path, monkeypatch, name, options):
    monkeypatch.setattr(video, "SEEK_WORTH_S", 0.5)
    seg = segment(write_clip(tmp_path / name, 90, **options))
    whole = all_frames(seg)
    instants = sorted(whole)
    assert_same(seg, instants[:1], whole)
    assert_same(seg, [instants[i] for i in (88, 3, 41, 42, 43, 89, 17)], whole)
    assert_same(seg, instants, whole)
    assert dict(frames_at(seg, [])) == {}
    assert not dict(frames_at(seg, [instants[4] + 1, instants[-1] + 10**6, instants[0] - 5]))


def test_only_what_leads_up_to_them_is_decoded(tmp_path, monkeypatch):
    seg = segment(write_clip(tmp_path / "long.mp4", 600, gop=20))
    instants = sorted(all_frames(seg))
    decoded = []
    whole = video.VideoSource._frames

    def counted(self, container, stream):
        for frame in whole(self, container, stream):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(video.VideoSource, "_frames", counted)
    found = dict(frames_at(seg, [instants[125], instants[500]]))
    assert len(found) == 2
    assert len(decoded) < 40


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_pictures_of_a_folder(tmp_path, ending):
    folder = write_pictures(tmp_path / "frames", 30, ending)
    seg = segment(folder, image_fps=7)
    whole = all_frames(seg, image_fps=7)
    assert_same(seg, [sorted(whole)[i] for i in (29, 0, 12)], whole, image_fps=7)
    (folder / "frame_12.png").write_bytes(b"") if ending == "png" else (folder / "frame_12.jpg").write_bytes(b"")
    assert len(dict(frames_at(seg, [sorted(whole)[i] for i in (11, 12)], 7))) == 1
    assert not dict(frames_at(seg, [sorted(whole)[3] + 1], 7))


def test_a_file_that_was_cut_short_gives_what_is_left_of_it(tmp_path):
    path = write_clip(tmp_path / "cut.mkv", 200)
    seg = segment(path)
    instants = sorted(all_frames(seg))
    cut(path, 0.5)
    found = []
    with pytest.raises(SegmentError, match="cut short"):
        for at_us, _ in frames_at(seg, [instants[10], instants[199]]):
            found.append(at_us)
    assert found == [instants[10]]
    path.write_bytes(b"")
    with pytest.raises(SegmentError, match="empty"):
        dict(frames_at(seg, instants[:1]))
