from __future__ import annotations

import threading
import time
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from pipeline.config import CameraConfig
from pipeline.errors import SegmentError
from pipeline.footage.decode import SegmentReader, sample_frames
from pipeline.footage.segments import discover
from pipeline.types import Segment
from tests.footage.clips import HEIGHT_PX, WIDTH_PX, cut, numbered_frame, read_index, write_clip, write_pictures
from tests.realdata import data_path

START_US = 1_772_350_200_000_000


def segment(path, *, image_fps: float | None = None) -> Segment:
    """The one segment of a file, its clock given by a sidecar."""
    path.with_name(path.name + ".json").write_text('{"started_at": "2026-03-01T07:30:00Z"}')
    footage = discover(CameraConfig(id="gate", footage=str(path), image_fps=image_fps))
    assert not footage.unusable, footage.unusable[0].reason
    assert footage.segments[0].started_at_us == START_US
    return footage.segments[0]


def read(seg: Segment, **options) -> tuple[SegmentReader, list]:
    """Read everything; returns the used reader and its batches."""
    defaults = {"batch_size": 8, "prefetch_batches": 2, "target_fps": None}
    with SegmentReader(seg, **(defaults | options)) as reader:
        return reader, list(reader)


def columns(batches: list) -> tuple[list[int], list[int], list[int]]:
    """Return what the pictures show, the frame indices, and the milliseconds since the start."""
    shown = [read_index(image) for batch in batches for image in batch.images]
    frames = [int(each) for batch in batches for each in batch.frame]
    return shown, frames, [(int(t) - START_US) / 1000 for batch in batches for t in batch.captured_at_us]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("b_frames.mp4", {"b_frames": 2}),
        ("fragmented.mp4", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mkv", {"b_frames": 2}),
        ("live.mkv", {"options": {"live": "1"}}),
        ("a.ts", {"format": "mpegts", "b_frames": 2}),
        ("a.avi", {"codec": "mpeg4"}),
        ("b_frames.avi", {"codec": "mpeg4", "b_frames": 2}),
    ],
)
def test_every_frame_arrives_in_order_and_in_time(tmp_path, name, options):
    reader, batches = read(segment(write_clip(tmp_path / name, 30, **options)))
    shown, frames, times_ms = columns(batches)
    assert shown == frames == list(range(30))
    assert times_ms == [100 * i for i in range(30)]
    assert [len(batch) for batch in batches] == [8, 8, 8, 6]
    assert batches[0].images.shape == (8, HEIGHT_PX, WIDTH_PX, 3)
    assert reader.bad_packets == 0
    assert reader.decode_s > 0
    assert reader.frame_rate_fps == pytest.approx(10)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_variable_rate_keeps_its_times(tmp_path, name):
    times_ms = (700 + np.cumsum(np.random.default_rng(0).integers(20, 300, 40))).tolist()
    seg = segment(write_clip(tmp_path / name, times_ms=times_ms))
    shown, _, got_ms = columns(read(seg)[1])
    assert shown == list(range(40))
    assert got_ms == pytest.approx([t - times_ms[0] for t in times_ms])


def test_sampling_goes_by_time_and_keeps_indices(tmp_path):
    times_ms = [0, 40, 80, 120, 900, 920, 1000, 1499, 1500, 4000, 4010]
    seg = segment(write_clip(tmp_path / "vfr.mp4", times_ms=times_ms))
    reader, batches = read(seg, target_fps=2)
    shown, frames, got_ms = columns(batches)
    assert shown == frames == [0, 4, 6, 7, 9]  # 1499 ms reaches the slot at 1500 within the clock's tick of 1 ms
    assert got_ms == pytest.approx([times_ms[i] for i in frames])
    assert reader.frame_rate_fps == 2


def test_sampling_never_invents_frames(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 12))
    reader, batches = read(seg, target_fps=60)
    assert columns(batches)[1] == list(range(12))
    assert reader.frame_rate_fps == pytest.approx(10)


def test_skipped_frames_are_not_converted(tmp_path, monkeypatch):
    from pipeline.footage.video import VideoSource

    converted, convert = [], VideoSource._rgb
    monkeypatch.setattr(VideoSource, "_rgb", lambda self, frame: converted.append(1) or convert(self, frame))
    seg = segment(write_clip(tmp_path / "a.mp4", 40))
    read(seg, target_fps=1, not_before_us=START_US)
    assert len(converted) == 3  # slots at 1, 2 and 3 s; the one at 0 s belongs to the segment before


def test_frames_the_segment_before_has_are_dropped(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 12))
    assert columns(read(seg, not_before_us=START_US + 300_000)[1])[1] == list(range(4, 12))
    assert read(seg, not_before_us=START_US + 5_000_000)[1] == []


def test_batches_wait_within_their_bound(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 60))
    with SegmentReader(seg, batch_size=4, prefetch_batches=3, target_fps=None) as reader:
        for _ in reader:
            time.sleep(0.01)
    assert reader.most_waiting == 3


def test_leaving_early_leaves_no_thread(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 60))
    before = threading.active_count()
    with SegmentReader(seg, batch_size=2, prefetch_batches=1, target_fps=None) as reader:
        next(iter(reader))
    assert threading.active_count() == before
    with (
        pytest.raises(KeyError),
        SegmentReader(seg, batch_size=2, prefetch_batches=1, target_fps=None) as reader,
    ):
        next(reader)
        raise KeyError
    assert threading.active_count() == before


def test_reader_is_used_once_and_with_with(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 3))
    reader = SegmentReader(seg, batch_size=2, prefetch_batches=1, target_fps=None)
    with pytest.raises(RuntimeError, match="with SegmentReader"):
        next(reader)
    with reader:
        list(reader)
    with pytest.raises(RuntimeError, match="once"):
        reader.__enter__()


def test_same_file_same_pixels(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 12))
    once, again = read(seg)[1], read(seg, batch_size=12, prefetch_batches=1)[1]
    assert np.array_equal(np.concatenate([b.images for b in once]), again[0].images)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fast.mp4", {"options": {"movflags": "faststart"}}),
        ("a.mkv", {}),
        ("a.avi", {"codec": "mpeg4"}),
    ],
)
def test_cut_file_says_what_was_promised_and_what_came(tmp_path, name, options):
    seg = segment(cut(write_clip(tmp_path / name, 100, **options), 0.6))
    assert seg.duration_us == pytest.approx(10_000_000, abs=1000)
    seen = 0
    with (
        pytest.raises(SegmentError, match=r"ends after [4-7]\.\d s though its header promises 10\.0 s") as error,
        SegmentReader(seg, batch_size=4, prefetch_batches=2, target_fps=None) as reader,
    ):
        for batch in reader:
            assert [read_index(image) for image in batch.images] == batch.frame.tolist()
            seen += len(batch)
    assert seg.url in str(error.value)
    assert 40 <= seen <= 70


def test_slight_shortness_is_forgiven(tmp_path):
    path = write_clip(tmp_path / "fast.mp4", 100, options={"movflags": "faststart"})
    reader, batches = read(segment(cut(path, 0.97)))
    assert 90 <= sum(len(b) for b in batches) < 100
    assert reader.bad_packets <= 1


def test_cut_ts_promises_nothing(tmp_path):
    seg = segment(cut(write_clip(tmp_path / "a.ts", 100, format="mpegts"), 0.6))
    reader, batches = read(seg)
    shown, frames, _ = columns(batches)
    assert shown[:40] == frames[:40] == list(range(40))
    assert 40 <= len(frames) <= 70
    assert reader.bad_packets <= 1


def test_ts_that_begins_amid_a_group_keeps_its_clock(tmp_path):
    path = write_clip(tmp_path / "a.ts", 60, format="mpegts", gop=10)
    content, packet = path.read_bytes(), 188
    with av.open(str(path)) as container:
        places = [p.pos for p in container.demux(video=0) if p.size]
    path.write_bytes(content[places[5] // packet * packet :])  # frames 5 to 9 cannot be decoded
    reader, batches = read(segment(path))
    shown, frames, times_ms = columns(batches)
    assert (shown[0], frames[0]) == (10, 0)
    assert times_ms[0] == pytest.approx(500)
    assert reader.bad_packets == 0


def damaged_avi(path, bad_frames: set[int], n_frames: int = 60):
    """Overwrite the payload of some packets; every frame is a key frame, so nothing else suffers."""
    write_clip(path, n_frames, codec="mpeg4", gop=1)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
        for i in bad_frames:
            start = packets[i].pos
            content[start : start + packets[i].size] = b"\xff" * packets[i].size
    path.write_bytes(content)
    return path


def test_damaged_packets_are_passed_over_and_counted(tmp_path):
    reader, batches = read(segment(damaged_avi(tmp_path / "a.avi", {20, 40})))
    shown, frames, times_ms = columns(batches)
    assert reader.bad_packets == 2
    kept = [i for i in range(60) if i not in (20, 40)]
    assert shown == kept
    assert frames == list(range(58))  # counted among the frames that can be decoded
    assert times_ms == [100 * i for i in kept]


def test_too_much_damage_is_refused(tmp_path):
    with pytest.raises(SegmentError, match="5 of 60 packets are damaged, more than 5%"):
        read(segment(damaged_avi(tmp_path / "a.avi", {10, 20, 30, 40, 50})))


def test_nothing_but_damage_is_refused(tmp_path):
    path = write_clip(tmp_path / "a.avi", 60, codec="mpeg4", gop=1)
    seg = segment(path)
    damaged_avi(path, set(range(60)))
    with pytest.raises(SegmentError, match="not one frame of it can be decoded"):
        read(seg)


def test_picture_that_changes_size_is_refused(tmp_path):
    first = write_clip(tmp_path / "a.ts", 30, format="mpegts")
    second = write_clip(tmp_path / "b.ts", 30, format="mpegts", scale=2)
    first.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(SegmentError, match=r"frame \d+: the picture is 320x192 pixels but the segment is 160x96"):
        read(segment(first))


def test_joined_recordings_go_on_in_time(tmp_path):
    path = write_clip(tmp_path / "a.ts", 30, format="mpegts")
    second = write_clip(tmp_path / "b.ts", 30, format="mpegts", first_index=30)
    path.write_bytes(path.read_bytes() + second.read_bytes())
    shown, _, times_ms = columns(read(segment(path))[1])
    assert shown == list(range(60))
    assert times_ms == [100 * i for i in range(60)]


def test_file_that_vanished_is_a_segment_error(tmp_path):
    seg = segment(write_clip(tmp_path / "a.mp4", 3))
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(SegmentError, match="cannot be read: No such file"):
        read(seg)


def test_image_folder_in_natural_order(tmp_path):
    seg = segment(write_pictures(tmp_path / "frames", 12), image_fps=4)
    reader, batches = read(seg, image_fps=4.0, batch_size=5)
    shown, frames, times_ms = columns(batches)
    assert shown == frames == list(range(12))
    assert times_ms == [250 * i for i in range(12)]
    assert reader.frame_rate_fps == 4
    assert [read_index(image) for image in sample_frames(seg, 4, 4.0)] == [1, 4, 7, 10]
    assert columns(read(seg, image_fps=4.0, target_fps=2)[1])[1] == [0, 2, 4, 6, 8, 10]


def test_jpg_folder(tmp_path):
    seg = segment(write_pictures(tmp_path / "frames", 3, "jpg"), image_fps=4)
    assert columns(read(seg, image_fps=4.0)[1])[0] == [0, 1, 2]


def test_image_folder_with_damage(tmp_path):
    folder = write_pictures(tmp_path / "frames", 30)
    (folder / "frame_7.png").write_bytes(b"")
    seg = segment(folder, image_fps=4)
    reader, batches = read(seg, image_fps=4.0)
    assert columns(batches)[1] == [i for i in range(30) if i != 7]
    assert reader.bad_packets == 1
    (folder / "frame_8.png").write_bytes(b"no picture")
    with pytest.raises(SegmentError, match="2 of 30"):
        read(segment(folder, image_fps=4), image_fps=4.0)
    cv2.imwrite(str(folder / "frame_7.png"), numbered_frame(0, scale=2))
    with pytest.raises(SegmentError, match="frame 7: the picture is 320x192"):
        read(segment(folder, image_fps=4), image_fps=4.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_sample_frames_spread_over_a_short_file(tmp_path, name):
    options = {"codec": "mpeg4"} if name.endswith("avi") else {}
    seg = segment(write_clip(tmp_path / name, 40, **options))
    assert [read_index(image) for image in sample_frames(seg, 4)] == [5, 15, 25, 35]
    assert sample_frames(seg, 0).shape == (0, HEIGHT_PX, WIDTH_PX, 3)
    assert [read_index(image) for image in sample_frames(seg, 200)] == list(range(40))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
@pytest.mark.parametrize("gop", [10, 400])
def test_sample_frames_by_seeking(tmp_path, name, gop):
    """100 s at 4 frames a second: samples lie 20 s apart. With one key frame only, they are decoded up to."""
    options = {"codec": "mpeg4"} if name.endswith("avi") else {}
    seg = segment(write_clip(tmp_path / name, 400, fps=4, gop=gop, **options))
    shown = np.array([read_index(image) for image in sample_frames(seg, 5)])
    wanted = np.array([40, 120, 200, 280, 360])
    assert len(shown) == 5
    assert (np.diff(shown) > 0).all()
    assert (np.abs(shown - wanted)[1:] <= 10).all()
    assert abs(shown[0] - wanted[0]) <= min(gop, 40)


def test_sample_frames_of_a_late_start(tmp_path):
    seg = segment(write_clip(tmp_path / "late.mkv", times_ms=[3000 + 100 * i for i in range(40)]))
    assert [read_index(image) for image in sample_frames(seg, 2)] == [10, 30]


def test_missing_timestamps_are_filled_by_the_rate(tmp_path):
    """A bare H.264 stream has none at all."""
    path = write_clip(tmp_path / "a.h264", 12, format="h264")
    seg = segment(path)
    _, frames, times_ms = columns(read(seg)[1])
    assert frames == list(range(12))
    assert times_ms == pytest.approx([i * 1000 / seg.fps for i in range(12)], abs=0.001)


def test_remote_footage_reads_like_local(tmp_path):
    import fsspec

    path = write_clip(tmp_path / "gate_20260301_073000.mp4", 12)
    memory = fsspec.filesystem("memory")
    memory.pipe("/footage/gate_20260301_073000.mp4", path.read_bytes())
    pattern = "gate_%Y%m%d_%H%M%S.mp4"
    here = discover(CameraConfig(id="g", footage=str(tmp_path / "*.mp4"), time_pattern=pattern)).segments[0]
    there = discover(CameraConfig(id="g", footage="memory://footage/*.mp4", time_pattern=pattern)).segments[0]
    assert there.url.startswith("memory://")
    assert (there.fingerprint, there.started_at_us) == (here.fingerprint, START_US)
    assert columns(read(there)[1]) == columns(read(here)[1])
    assert np.array_equal(sample_frames(there, 3), sample_frames(here, 3))
    memory.rm("/footage", recursive=True)


@pytest.mark.realdata
def test_real_clip_frame_for_frame(tmp_path):
    """vtest: 795 frames at 10 fps, as its data set says; pixels as OpenCV's own decoder gives them."""
    path = tmp_path / "vtest.mp4"
    path.symlink_to(data_path("video/vtest_480x360.mp4"))
    seg = segment(path)
    assert (seg.width_px, seg.height_px, seg.fps) == (480, 360, 10)
    capture, index = cv2.VideoCapture(str(path)), 0
    with SegmentReader(seg, batch_size=16, prefetch_batches=2, target_fps=None) as reader:
        for batch in reader:
            for image, frame in zip(batch.images, batch.frame):
                assert frame == index
                _, bgr = capture.read()
                if index % 100 == 0:
                    assert np.abs(image[..., ::-1].astype(int) - bgr).mean() < 2
                index += 1
    assert index == 795
    assert seg.duration_us == Fraction(795, 10) * 1_000_000
