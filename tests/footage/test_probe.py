from __future__ import annotations

import io

import av
import numpy as np
import pytest

from pipeline.errors import SegmentError
from pipeline.footage import fingerprint
from pipeline.footage.probe import probe_folder, probe_video
from tests.footage.clips import HEIGHT_PX, WIDTH_PX, cut, write_clip, write_pictures

VARIANTS = {
    "a.mp4": {},
    "fast.mp4": {"options": {"movflags": "faststart"}},
    "fragmented.mp4": {"options": {"movflags": "frag_keyframe+empty_moov"}},
    "a.mkv": {},
    "live.mkv": {"options": {"live": "1"}},  # a recorder that never wrote the duration
    "a.ts": {"format": "mpegts"},
    "a.avi": {"codec": "mpeg4"},
    "b.avi": {"codec": "mpeg4", "b_frames": 2},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_header_is_read(tmp_path, name):
    probe = probe_video(str(write_clip(tmp_path / name, 40, fps=10, **VARIANTS[name])))
    assert (probe.width_px, probe.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert probe.fps == pytest.approx(10)
    assert probe.duration_us == pytest.approx(4_000_000, abs=1000)
    assert probe.created_at_us is None


def test_duration_leaves_out_what_lies_before_the_first_frame(tmp_path):
    times_ms = [2000 + 100 * i for i in range(20)]
    for name in ("late.mkv", "late.mp4", "late.ts"):
        path = write_clip(tmp_path / name, times_ms=times_ms, options={} if name != "late.ts" else None)
        assert probe_video(str(path)).duration_us == pytest.approx(2_000_000, abs=101_000), name


def test_creation_time_is_read(tmp_path):
    path = write_clip(tmp_path / "a.mp4", 5, metadata={"creation_time": "2026-03-01T07:30:00Z"})
    assert probe_video(str(path)).created_at_us == 1772350200_000_000


def test_interrupted_avi_is_measured(tmp_path):
    """FFmpeg writes a frame count of 2**30 at first; where the recorder dies, it stays."""
    pipe = io.BytesIO()

    class Unseekable:
        write = staticmethod(pipe.write)

    with av.open(Unseekable(), "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    (tmp_path / "a.avi").write_bytes(pipe.getvalue())
    assert probe_video(str(tmp_path / "a.avi")).duration_us == 3_000_000


def audio_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


MAKERS = {
    "zero bytes": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "text": (lambda path: path.write_text("Hello,\nthis is ünot a video.\n" * 50), "is not a video"),
    "noise": (lambda path: path.write_bytes(bytes(range(128, 256)) * 40), "found nothing known in it"),
    "mp4 without its end": (lambda path: cut(write_clip(path), 0.5), "cut short, its index (moov)"),
    "sound only": (audio_only, "has no video stream (streams in it: audio)"),
    "missing": (lambda path: None, "cannot be read: No such file"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_no_video_says_so(tmp_path, kind):
    make, says = MAKERS[kind]
    path = tmp_path / "a.mp4"
    make(path)
    with pytest.raises(SegmentError) as error:
        probe_video(str(path))
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_text_that_ffmpeg_would_draw_is_no_video(tmp_path):
    path = tmp_path / "tracks.txt"
    path.write_text("1,1,10,20,30,40,1,1,1\n" * 50)
    with pytest.raises(SegmentError, match=r"is not a video: .*found text in it"):
        probe_video(str(path))


def test_cut_mkv_header_says_so(tmp_path):
    path = write_clip(tmp_path / "a.mkv")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SegmentError, match="header of the video is damaged or cut short"):
        probe_video(str(path))


def test_folder_of_pictures(tmp_path):
    probe = probe_folder(str(write_pictures(tmp_path / "pictures", 12)), 4.0)
    assert (probe.width_px, probe.height_px, probe.fps) == (WIDTH_PX, HEIGHT_PX, 4.0)
    assert probe.duration_us == 3_000_000


def test_folder_needs_pictures_and_a_rate(tmp_path):
    with pytest.raises(SegmentError, match="holds no jpg or png"):
        probe_folder(str(tmp_path), 4.0)
    with pytest.raises(SegmentError, match="set `image_fps`"):
        probe_folder(str(write_pictures(tmp_path / "p", 1)), None)
    (tmp_path / "p" / "frame_0.png").write_bytes(b"no picture")
    with pytest.raises(SegmentError, match="none of its 1 pictures can be read"):
        probe_folder(str(tmp_path / "p"), 4.0)


def test_fingerprint_follows_content_and_not_place(tmp_path):
    content = np.random.default_rng(0).integers(0, 256, 5 << 20, dtype=np.uint8).tobytes()
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "b").write_bytes(content)
    digest = fingerprint.of_file(str(tmp_path / "a"))
    assert fingerprint.of_file(str(tmp_path / "b")) == digest
    for place in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / "b").write_bytes(changed)
        assert fingerprint.of_file(str(tmp_path / "b")) != digest
    (tmp_path / "b").write_bytes(content[:-1])
    assert fingerprint.of_file(str(tmp_path / "b")) != digest


def test_fingerprint_of_small_and_empty_files(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "small").write_bytes(b"x")
    digests = {fingerprint.of_file(str(tmp_path / name)) for name in ("empty", "small")}
    assert len(digests) == 2


def test_fingerprint_of_a_folder_sees_every_name_and_size(tmp_path):
    pictures = [tmp_path / f"{i}.png" for i in range(5)]
    for picture in pictures:
        picture.write_bytes(b"abc")
    names = [str(p) for p in pictures]
    seen = {fingerprint.of_folder(names), fingerprint.of_folder(names[:-1]), fingerprint.of_folder([])}
    pictures[1].write_bytes(b"abcd")
    seen.add(fingerprint.of_folder(names))
    assert len(seen) == 4
