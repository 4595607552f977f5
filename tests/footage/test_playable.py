"""Videos for browsers: copied where that will do, coded anew otherwise, and every frame at the instant the lake has."""

from __future__ import annotations

import av
import pytest

from pipeline.errors import SegmentError
from pipeline.footage.decode import frames_between
from pipeline.footage.playable import make_playable
from pipeline.footage.recorded import Recorded, find, has_changed
from tests.footage.clips import read_index, write_clip, write_pictures

START_US = 1_700_000_000_000_000
TIMES_MS = [0, 100, 140, 300, 301, 1000, 1500]


def recorded(path, lasts_us: int = 4_000_000) -> Recorded:
    return Recorded("gate-1", "gate", str(path), START_US, START_US + lasts_us, "", damaged=False)


def frames_of(playable) -> list[tuple[int, int]]:
    """Instant and number of every frame of a written file."""
    with av.open(str(playable.path)) as container:
        return [
            (playable.starts_at_us + round(frame.time * 1e6), read_index(frame.to_ndarray(format="rgb24")))
            for frame in container.decode(video=0)
        ]


@pytest.mark.parametrize(
    ("name", "options", "ending", "copied"),
    [
        ("plain.mp4", {}, ".mp4", True),
        ("reordered.mp4", {"b_frames": 2}, ".mp4", True),
        ("stream.ts", {"b_frames": 2}, ".mp4", True),
        ("uneven.mkv", {"times_ms": TIMES_MS}, ".mp4", True),
        ("other.webm", {"codec": "libvpx-vp9"}, ".webm", True),
        ("old.avi", {"codec": "mpeg4"}, ".mp4", False),
        ("pictures", None, ".mp4", False),
    ],
)
def test_all_frames_are_there_at_their_times(tmp_path, name, options, ending, copied):
    path = tmp_path / name
    if options is None:
        write_pictures(path, 40)
        times_ms = range(0, 4000, 100)
    else:
        write_clip(path, **options)
        times_ms = options.get("times_ms", range(0, 4000, 100))
    video = make_playable(find(recorded(path)), tmp_path / "out", first_us=START_US, last_us=START_US + 10**7)
    assert (video.path.suffix, video.copied) == (ending, copied)
    wanted = [(START_US + ms * 1000, k) for k, ms in enumerate(times_ms)]
    assert frames_of(video) == wanted
    assert video.frames_us.tolist() == [at_us for at_us, _ in wanted]
    assert [each.name for each in (tmp_path / "out").iterdir()] == [video.path.name]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_part_holds_just_its_frames_and_those_it_needs(tmp_path, damaged):
    segment = find(recorded(write_clip(tmp_path / "a.mp4", b_frames=2)))
    first_us, last_us = START_US + 2_550_000, START_US + 3_000_000
    video = make_playable(segment, tmp_path / "out", first_us=first_us, last_us=last_us, damaged=damaged)
    numbers = [number for at_us, number in frames_of(video) if first_us <= at_us < last_us]
    assert numbers == [26, 27, 28, 29]
    assert frames_of(video)[0] == ((START_US + 2_600_000, 26) if damaged else (START_US + 2_000_000, 20))


@pytest.mark.parametrize("name", ["a.mp4", "b.ts"])  # one is sought in, the other read through
def test_frames_between_are_those_of_reading_it_all(tmp_path, name):
    segment = find(recorded(write_clip(tmp_path / name, b_frames=2)))
    found = [
        ((at_us - START_US) // 1000, read_index(image))
        for at_us, image in frames_between(segment, START_US + 2_350_000, START_US + 2_700_000)
    ]
    assert found == [(2400, 24), (2500, 25), (2600, 26)]


def test_what_is_gone_or_another_file_is_told(tmp_path):
    with pytest.raises(SegmentError, match=r"gone.mp4: the footage is no longer there"):
        find(recorded(tmp_path / "gone.mp4"))
    unit = recorded(write_clip(tmp_path / "a.mp4"))
    assert has_changed(unit, find(unit))
