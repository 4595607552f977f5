"""The annotated video: every frame at its time, drawn on where things were seen, and whole or not there."""

from __future__ import annotations

import av
import numpy as np
import pytest

from jobs.annotate import annotate
from pipeline.lake import catalog
from pipeline.reports import annotated
from pipeline.reports.scene import colour_of
from tests.conftest import json_of, nightfleet
from tests.pages import filmed


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return filmed.make(tmp_path_factory.mktemp("filmed"))


def decoded(path) -> tuple[str, list[tuple[float, np.ndarray]]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert len(container.streams) == 1
        frames = [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="rgb24")) for frame in container.decode(0)
        ]
        return f"{stream.codec_context.name} {stream.codec_context.pix_fmt}", frames


def has_colour(part: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Whether a colour is in a part of a picture; coding blurs it."""
    return bool((np.abs(part.astype(int) - np.array(colour)).max(axis=2) < 60).any())


def test_every_frame_is_written_at_its_time(lake, tmp_path):
    out = tmp_path / "gate.mp4"
    done = nightfleet("annotate", lake, "--camera", "gate", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    kind, frames = decoded(out)
    assert kind == "h264 yuv420p"
    # The gap of two seconds between its files is left out, but for one frame's time.
    joint = 2.9 + 1 / 10
    later = [joint + ms / 1000 for ms in filmed.LATER_MS]
    wanted = [k / 10 for k in range(filmed.GATE_FRAMES)] + later
    assert [time for time, _ in frames] == pytest.approx(wanted, abs=1e-3)
    assert json_of(done)["frames"] == len(wanted)
    content = out.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_it_shows_what_was_seen_and_only_that(lake, tmp_path):
    _, frames = made(lake, tmp_path / "all.mp4")
    colour = colour_of(filmed.IDENTITY)
    x, y = (round(value) for value in filmed.walker(25))
    around = np.s_[y - 42 : y + 2, x - 12 : x + 12]
    assert has_colour(frames[25][1][around], colour)
    assert not has_colour(frames[35][1][around], colour)
    for classes in ("vehicle", "car,truck"):
        _, vans = made(lake, tmp_path / "vans.mp4", "--classes", classes)
        assert not has_colour(vans[25][1][around], colour)
        assert has_colour(vans[35][1][146:190, 288:312], colour_of(filmed.VAN))


def test_the_rates_are_those_of_the_footage_and_of_the_ledger(lake, tmp_path, monkeypatch):
    said = set()
    monkeypatch.setattr(annotated, "write_label", lambda image, text, *_: said.add(text))
    annotate(str(lake), "gate", tmp_path / "gate.mp4", fps_overlay=True)
    with catalog.connect(str(lake)) as connection:
        entries = connection.execute(
            "SELECT frames / wall_s FROM ledger WHERE camera_id = 'gate' AND wall_s > 0"
        ).fetchall()
    clocks = [text for text in said if " frames/s" in text]
    assert clocks and entries
    rates = {text.partition("  ")[2] for text in clocks}
    assert all(any(rate.endswith(f"processed at {fps:.0f}") for (fps,) in entries) for rate in rates)
    assert "10 frames/s" in {rate.partition(",")[0] for rate in rates}


def test_a_part_is_only_that_part(lake, tmp_path):
    _, frames = made(lake, tmp_path / "part.mp4", "--from", "2026-03-01T13:00:01", "--to", "2026-03-01T13:00:02")
    assert len(frames) == 10


def test_missing_footage_is_left_out_and_said(lake, tmp_path):
    """What there is is written, with exit code 3; where there is nothing, no file."""
    first, later = (lake.parent / "footage" / name for name in ("first.mp4", "later.mp4"))
    out = tmp_path / "out" / "gate.mp4"
    words = ["annotate", lake, "--camera", "gate", "--out", out]
    later.rename(tmp_path / "later.mp4")
    try:
        done = nightfleet(*words)
        assert done.returncode == 3, done.stderr
        assert "1 of 2 video files could not be read" in done.stdout
        assert "later.mp4: the footage is no longer there" in done.stdout
        assert len(decoded(out)[1]) == filmed.GATE_FRAMES
        out.unlink()
        first.rename(tmp_path / "first.mp4")
        done = nightfleet(*words)
    finally:
        for video in (first, later):
            if (tmp_path / video.name).exists():
                (tmp_path / video.name).rename(video)
    assert done.returncode == 2
    assert "first.mp4: the footage is no longer there" in done.stderr
    assert not out.exists()


def made(lake, out, *options: str):
    done = nightfleet("annotate", lake, "--camera", "gate", "--out", out, "--fps-overlay", *options)
    assert done.returncode == 0, done.stderr
    return decoded(out)
