"""What a viewer page carries: spans of footage, and numbers and names that arrive as they were. See tests/pages too."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.reports import camera_span
from pipeline.reports.viewer import packed, script_json
from tests.lake.making import NOON_US, entry, fleet, no_rows

MINUTE_US = 60_000_000


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
@pytest.mark.parametrize("values", [[], [7], [0, 1, 0], [-300, 30_000, -32_768, 32_767]])
def test_numbers_arrive_as_they_were(values, dtype):
    steps = np.frombuffer(zlib.decompress(base64.b64decode(packed(np.array(values), dtype))), dtype)
    assert np.cumsum(steps, dtype=dtype).tolist() == np.array(values, np.int64).astype(dtype).tolist()


def test_text_cannot_end_its_script():
    value = {"class": "</script><!--&\u2028"}
    text = script_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


@pytest.fixture
def connection(tmp_path):
    """Gate's files: two minutes that overlap by a second, then one after a gap of an hour."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "time_zone": "Europe/Berlin"}, {"id": "dark"}))
    starts_us = [0, MINUTE_US - 10**6, 62 * MINUTE_US]
    for k, start_us in enumerate(starts_us):
        when = {"started_at_us": NOON_US + start_us, "ended_at_us": NOON_US + start_us + MINUTE_US}
        lake.write_unit(entry(f"gate-{k}", **when), "2026-03-01", *no_rows(), None)
    with catalog.connect(lake.url) as connection:
        yield connection


EVER = (-(2**62), 2**62)


def parts(span: camera_span.Span) -> list[tuple[str, float, float]]:
    return [
        (one.recorded.segment_id, (one.first_us - NOON_US) / MINUTE_US, (one.last_us - NOON_US) / MINUTE_US)
        for one in span.pieces
    ]


def test_a_span_is_its_footage_without_overlaps(connection):
    span = camera_span.choose(connection, "gate", EVER)
    overlap_end = 2 - 1 / 60
    assert parts(span) == [("gate-0", 0, 1), ("gate-1", 1, pytest.approx(overlap_end)), ("gate-2", 62, 63)]
    assert not span.is_part
    short = camera_span.choose(connection, "gate", EVER, longest_us=90_000_000)
    assert parts(short) == [("gate-0", 0, 1), ("gate-1", 1, 1.5)]
    assert short.is_part
    late = camera_span.choose(connection, "gate", (NOON_US + 30 * MINUTE_US, 2**62), longest_us=MINUTE_US)
    assert parts(late) == [("gate-2", 62, 63)]  # an hour from the first frame there is, not from where nothing is


@pytest.mark.parametrize(
    ("camera", "bounds_us", "message"),
    [
        ("gaet", EVER, "the lake has no camera 'gaet'; it has dark, gate"),
        ("dark", EVER, "camera dark: no footage of it has been processed"),
        (
            "gate",
            (NOON_US + 10 * MINUTE_US, NOON_US + 20 * MINUTE_US),
            "there is 2026-03-01 13:00:00 to 2026-03-01 14:03",
        ),
    ],
)
def test_what_is_not_there_is_told(connection, camera, bounds_us, message):
    with pytest.raises(UserError, match=message):
        camera_span.choose(connection, camera, bounds_us)
