"""The pictures: drawn from real tables, in the right place and colour, and on a copy."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.lake import tables
from pipeline.lake.catalog import connect, query
from pipeline.lake.writer import Lake
from pipeline.reports.overview import draw_counts
from pipeline.reports.scene import colour_of, draw_scene
from pipeline.reports.traffic import traffic
from tests.lake.making import NOON_US, entry, fleet, line, rows

ZONE = {"name": "bay", "polygon": [(200, 20), (300, 20), (300, 120), (200, 120)]}
CROSSING = {"gate-a": [(80, 100), (120, 100)]}


@pytest.fixture
def lake(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    lake.write_fleet(fleet({"id": "gate", "lines": [line()], "zones": [ZONE]}))
    lake.write_unit(entry(), "2026-03-01", *rows(CROSSING), None)
    return lake


def test_a_night_is_drawn(lake, tmp_path):
    with connect(lake.url) as connection:
        counts = traffic(connection, by="30s").counts
    ids = np.array(["gate-a"], dtype=object)
    lake.write_identities("2026-03-01", ids, ids, np.ones(1, np.float32), "r")
    journeys = query(lake.url, "FROM origin_destination")
    flows = cv2.imread(str(draw_counts(counts, tmp_path / "pictures" / "flows.png")))
    both = cv2.imread(str(draw_counts(counts, tmp_path / "both.png", journeys)))
    assert both.shape[0] == flows.shape[0]
    assert both.shape[1] > flows.shape[1]
    upward_bgr = np.array([0x97, 0x6F, 0x2A])
    assert (np.abs(flows.astype(int) - upward_bgr).max(axis=2) < 3).sum() > 2000  # the one crossing's bar


def test_the_same_night_gives_the_same_picture(lake, tmp_path):
    with connect(lake.url) as connection:
        counts = traffic(connection).counts
    one, two = (draw_counts(counts, tmp_path / f"{name}.png").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_night_without_a_line_is_drawn_too(tmp_path):
    lake = Lake.open_or_create(str(tmp_path / "empty"))
    with connect(lake.url) as connection:
        counts = traffic(connection).counts
    journeys = query(lake.url, "FROM origin_destination")
    assert draw_counts(counts, tmp_path / "empty.png", journeys).stat().st_size > 0


def scene(lake, tracks, *, frame: int, **options) -> np.ndarray:
    observations = tables.observations_table("gate", rows(tracks)[0])
    lines, zones = query(lake.url, "FROM lines"), query(lake.url, "FROM zones")
    image = np.zeros((160, 320, 3), np.uint8)
    drawn = draw_scene(image, observations, lines, zones, at_us=NOON_US + frame * 100_000, **options)
    assert not image.any()
    return drawn


def has_colour(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(image.astype(int) - np.array(colour)).max(axis=2) < 12).any()


def test_a_scene_without_anybody_shows_lines_and_zones(lake):
    drawn = scene(lake, {}, frame=0)
    assert drawn[100, 100].tolist() == [255, 196, 61]
    assert 0 < drawn[80, 250].max() < 128  # the zone is seen through
    assert not drawn[150, 20].any()


def test_the_arrow_of_a_line_points_forward(lake):
    """This line runs down the picture, so forward is leftward."""
    drawn = scene(lake, {}, frame=0)
    assert drawn[100, 85].any()
    assert not drawn[100, 115].any()


def test_boxes_tails_and_identities_are_drawn_in_the_identitys_colour(lake):
    tracks = {"gate-a": [(30, 60), (40, 60), (50, 60)]}
    drawn = scene(lake, tracks, frame=2, identity_of={"gate-a": "P7"})
    assert has_colour(drawn[55:65, 30:40], colour_of("P7"))  # the way it came
    assert has_colour(drawn[30:55, 58:62], colour_of("P7"))  # its right edge
    assert colour_of("P7") != colour_of("gate-a")


def test_an_object_not_in_the_frame_leaves_its_tail_and_then_nothing(lake):
    tracks = {"gate-a": [(30, 60), (40, 60), (50, 60)]}
    tail = scene(lake, tracks, frame=10)
    assert tail[55:65, 30:50].any()
    assert not tail[25:40, 40:62].any()
    assert np.array_equal(scene(lake, tracks, frame=40), scene(lake, {}, frame=40))
