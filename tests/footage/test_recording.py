"""Webcams and streams become files: what came is kept, what did not is said in one sentence."""

from __future__ import annotations

import json
import re
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
