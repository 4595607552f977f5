"""Webcams and streams become files: what came is kept, what did not is said in one sentence."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import nullcontext
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.config import CameraConfig, LiveConfig
from pipeline.errors import SegmentError
from pipeline.footage import recording
from pipeline.footage.decode import SegmentReader
from pipeline.footage.segments import discover
from tests.footage.clips import read_index, write_clip

STARTED_AT_S = 1_772_350_200.25


class _Sender(BaseHTTPRequestHandler):
    """Sends the first `share` of a video, and then is silent for `silence_s` if that is not all of it."""

    def __init__(self, content: bytes, share: float, silence_s: float, *arguments) -> None:
        self._content, self._share, self._silence_s = content, share, silence_s
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        try:
            self.wfile.write(self._content[: int(len(self._content) * self._share)])
            self.wfile.flush()
            time.sleep(self._silence_s)
        except OSError:
            pass  # who listened has heard enough

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def sending(tmp_path):
    """Start servers of a video of 40 numbered frames at 10 a second; returns the address of each."""
    content = write_clip(tmp_path / "sent.ts", 40, format="mpegts").read_bytes()
    servers = []

    def send(share: float = 1.0, silence_s: float = 0.0) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Sender, content, share, silence_s))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://viewer:secret@127.0.0.1:{server.server_port}/live.ts"

    yield send
    for server in servers:
        server.shutdown()
        server.server_close()


def live(tmp_path, **source) -> LiveConfig:
    return LiveConfig(**{"seconds": 2, "folder": str(tmp_path / "kept"), **source})


def record(live: LiveConfig) -> recording.Recording:
    return recording.record("gate", live, now_s=lambda: STARTED_AT_S)


def test_a_stream_is_recorded_for_as_long_as_asked(tmp_path, sending):
    made = record(live(tmp_path, url=sending()))
    assert (made.recorded_s, made.note) == (2.0, "")
    assert made.path.name == "gate-20260301T073000.250Z.mp4"
    camera = CameraConfig(id="gate", footage=live(tmp_path, device=0))
    (segment,) = discover(camera).segments
    assert (segment.started_at_us, segment.clock_source) == (round(STARTED_AT_S * 1e6), "sidecar")
    assert segment.segment_id == made.path.stem
    with SegmentReader(segment, batch_size=64, prefetch_batches=1, target_fps=None) as reader:
        (batch,) = list(reader)
    assert [read_index(image) for image in batch.images] == list(range(20))
    assert ((batch.captured_at_us - segment.started_at_us) // 1000).tolist() == list(range(0, 2000, 100))
    assert not [path for path in made.path.parent.iterdir() if path.name.startswith(".")]


def test_a_file_stands_in_for_a_device(tmp_path):
    clip = write_clip(tmp_path / "device.mp4", 30)
    made = record(live(tmp_path, device=str(clip), seconds=3))
    assert (made.recorded_s, made.note) == (3.0, "")
    assert json.loads((tmp_path / "kept" / f"{made.path.name}.json").read_text())["started_at"].endswith("+00:00")


@pytest.mark.parametrize("silence_s", [0.0, 5.0], ids=["closed", "silent"])
def test_what_came_before_a_stream_ended_is_kept(tmp_path, sending, monkeypatch, silence_s):
    monkeypatch.setattr(recording, "PATIENCE_S", 1.0)
    made = record(live(tmp_path, url=sending(0.6, silence_s), seconds=60))
    assert 1.0 < made.recorded_s < 3.0
    assert re.fullmatch(
        r"camera gate: http://127.0.0.1:\d+/live.ts ended after \d.\d of 60 s; .*mp4 holds what came", made.note
    )
    assert len(discover(CameraConfig(id="gate", footage=live(tmp_path, device=0))).segments) == 1


def test_one_sentence_for_a_source_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(SegmentError, match=r"^camera gate: device 97 is not there or is in use; give the number"):
        record(live(tmp_path, device=97))
    with pytest.raises(SegmentError, match=r"^camera gate: device /dev/no-such is not there or is in use"):
        record(live(tmp_path, device="/dev/no-such"))
    with pytest.raises(SegmentError) as caught:
        record(live(tmp_path, url="http://viewer:secret@127.0.0.1:9/live.ts"))
    assert str(caught.value).startswith("camera gate: http://127.0.0.1:9/live.ts cannot be opened: ")
    assert "secret" not in str(caught.value)
    (tmp_path / "text.txt").write_text("no video\n")
    with pytest.raises(SegmentError, match="cannot be opened"):
        recording.look("gate", live(tmp_path, device=str(tmp_path / "text.txt")))
    assert not (tmp_path / "kept").exists()


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "kept").write_text("in the way")
    clip = write_clip(tmp_path / "device.mp4", 5)
    with pytest.raises(SegmentError, match=r"kept: device .*device.mp4 cannot be recorded there"):
        record(live(tmp_path, device=str(clip)))


def test_a_look_takes_one_picture_and_writes_nothing(tmp_path, sending):
    recording.look("gate", live(tmp_path, url=sending()))
    assert not (tmp_path / "kept").exists()


def test_the_name_of_a_password_is_all_that_is_kept_of_it(tmp_path, sending, monkeypatch):
    address = sending().replace("secret", "${GATE_PASSWORD}")
    monkeypatch.setenv("GATE_PASSWORD", "secret")
    wanted = live(tmp_path, url=address)
    assert record(wanted).recorded_s == 2.0
    assert "secret" not in wanted.model_dump_json()


@pytest.mark.parametrize("scale", [2, 1], ids=["larger", "smaller"])
def test_a_recording_ends_where_the_size_of_pictures_changes(tmp_path, scale):
    first = write_clip(tmp_path / "a.ts", 20, format="mpegts", scale=3 - scale)
    second = write_clip(tmp_path / "b.ts", 60, format="mpegts", scale=scale, times_ms=range(2000, 8000, 100))
    (tmp_path / "both.ts").write_bytes(first.read_bytes() + second.read_bytes())
    made = record(live(tmp_path, device=str(tmp_path / "both.ts"), seconds=60))
    assert made.recorded_s == pytest.approx(2.0, abs=0.3)
    sizes = ["160x96", "320x192"][:: 1 if scale == 2 else -1]
    assert f" of 60 s, as its pictures changed from {sizes[0]} to {sizes[1]}; " in made.note
    (segment,) = discover(CameraConfig(id="gate", footage=live(tmp_path, device=0))).segments
    with SegmentReader(segment, batch_size=64, prefetch_batches=1, target_fps=None) as reader:
        images = [image[:: 3 - scale, :: 3 - scale] for batch in reader for image in batch.images]
    assert [read_index(image) for image in images[:3]] == [0, 1, 2]


def fake(monkeypatch, times_ms) -> None:
    """Let every address be a stream whose pictures say these times, one each 20 ms."""
    stream = SimpleNamespace(index=0, average_rate=25, guessed_rate=25, time_base=Fraction(1, 1000))

    def demux():
        for pts in times_ms:
            time.sleep(0.02)
            frame = SimpleNamespace(
                pts=pts, time_base=stream.time_base, to_ndarray=lambda format: np.zeros((96, 160, 3), np.uint8)
            )
            yield SimpleNamespace(stream_index=0, decode=lambda frame=frame: [frame])

    container = SimpleNamespace(streams=SimpleNamespace(video=[stream]), demux=demux)
    monkeypatch.setattr(recording.av, "open", opener(container, recording.av.open))


def opener(container, real):
    def open(file, mode="r", **options):
        if mode == "w":
            return real(file, mode, **options)
        opened = nullcontext()
        opened.__dict__.update(vars(container))
        return opened

    return open


@pytest.mark.parametrize(
    "times_ms, recorded_s, cause",
    [([0, 40, 80] + [80] * 3000, 0.12, ""), (range(3000), 0.06, ", as it came slower than its own times say")],
    ids=["still", "slow"],
)
def test_a_recording_ends_whatever_times_a_stream_tells(tmp_path, monkeypatch, times_ms, recorded_s, cause):
    monkeypatch.setattr(recording, "PATIENCE_S", 0.3)
    fake(monkeypatch, times_ms)
    began_s = time.monotonic()
    made = record(live(tmp_path, url="rtsp://10.0.0.7/s", seconds=1.2))
    assert time.monotonic() - began_s < 10
    assert made.recorded_s == pytest.approx(recorded_s, abs=0.05)
    assert f" of 1.2 s{cause}; " in made.note


@pytest.mark.parametrize(
    "url, shown",
    [
        ("rtsp://10.0.0.7:554/s", "rtsp://10.0.0.7:554/s"),
        ("rtsp://viewer:p@ss@10.0.0.7/s", "rtsp://10.0.0.7/s"),
        ("http://viewer:p/ss@10.0.0.7/s?token=abc", "http://10.0.0.7/s"),
        ("http://10.0.0.7/s?token=abc#part", "http://10.0.0.7/s"),
        ("http://viewer:p?ss@10.0.0.7/s", "http://..."),
        ("http://10.0.0.7/s?user=a@b&token=abc", "http://..."),
    ],
)
def test_a_source_is_named_without_what_may_be_secret(tmp_path, url, shown):
    assert recording.describe(live(tmp_path, url=url)) == shown
