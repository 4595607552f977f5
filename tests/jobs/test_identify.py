"""The job that links a lake's nights, on lakes written by the real writer."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.identify import identify
from pipeline.config import FleetConfig
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from tests.lake.making import entry, rows

TENTH = ((0.1, 0.0, 0.0), (0.0, 0.1, 0.0), (0.0, 0.0, 1.0))
"""Ten pixels a metre."""


def fleet(*, homography=TENTH, **identity) -> FleetConfig:
    """Two cameras that see one yard."""
    links = [{"between": ["gate", "quay"], "min_travel_s": -60, "max_travel_s": 60, "overlapping": True}]
    cameras = [{"id": name, "footage": "x.mp4", "homography": homography} for name in ("gate", "quay")]
    return FleetConfig.model_validate({"cameras": cameras, "identity": {"links": links, **identity}})


@pytest.fixture
def yard(tmp_path):
    """Two cars in both views; of equal look are those that stand 30 m apart."""
    lake = Lake.open_or_create(str(tmp_path / "lake"))
    near, far = ([(x + k, 200.0) for k in range(40)] for x in (100.0, 400.0))
    for camera, tracks in (("gate", {"g1": near, "g2": far}), ("quay", {"q1": far, "q2": near})):
        unit = entry(f"{camera}-1", camera)
        lake.write_unit(unit, "2026-03-01", *rows(tracks, segment_id=f"{camera}-1"), None)
    return lake


def identities(lake):
    table = catalog.query(lake.url, "SELECT tracklet_id, identity_id FROM identities")
    return dict(zip(table["tracklet_id"].to_pylist(), table["identity_id"].to_pylist()))


def test_places_outweigh_equal_looks(yard):
    identify(fleet(), yard)
    found = identities(yard)
    assert found["g1"] != found["q1"] and found["g2"] != found["q2"]


@pytest.mark.parametrize("config", [fleet(ground_plane="per camera"), fleet(homography=None)])
def test_without_a_common_ground_only_looks_count(yard, config):
    identify(config, yard)
    found = identities(yard)
    assert found["g1"] == found["q1"] != found["g2"] == found["q2"]


def test_a_night_is_linked_again_when_a_homography_changes(yard):
    assert identify(fleet(), yard) > 0
    assert identify(fleet(), yard) == 0
    assert identify(fleet(homography=tuple(map(tuple, np.diag([0.2, 0.2, 1.0]).tolist()))), yard) > 0
