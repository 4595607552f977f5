from __future__ import annotations

import numpy as np
import pytest

from pipeline.identity.motion import PERSON
from pipeline.identity.paths import lay_paths
from pipeline.identity.traffic import NEARBY_US, observe
from tests.identity.nights import US
from tests.identity.walks import tracks, walk

NOBODY = -np.ones(1, np.int64)


def traffic_of(*walks):
    names = np.array(sorted(name for name, _, _ in walks), dtype=object)
    return observe(lay_paths(names, tracks(*walks)), PERSON)


def density(traffic, at_s, xy_m, v_mps=None, but=NOBODY):
    v = None if v_mps is None else np.array([v_mps], float)
    return float(
        np.exp(traffic.log_density((but, NOBODY), np.array([round(at_s * US)]), np.array([xy_m], float), v)[0])
    )


def crowd():
    """Ten people one after another along y = 0 eastward, one along y = 20."""
    return [walk(f"a{k}", k, k + 10, (0, 0), (1.3, 0)) for k in range(10)] + [walk("b", 0, 10, (0, 20), (1.3, 0))]


def test_nobody():
    assert traffic_of() is None


def test_where_more_go_there_is_more_traffic():
    traffic = traffic_of(*crowd())
    assert density(traffic, 5, (6, 0)) > 2 * density(traffic, 5, (6, 20)) > density(traffic, 5, (60, 60)) > 0
    assert density(traffic, 5, (6, 0), (1.3, 0)) > 2 * density(traffic, 5, (6, 0), (-1.3, 0))


def test_the_density_sums_to_those_present():
    traffic = traffic_of(*crowd())
    side = np.arange(-60, 80, 1.0)
    xy = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    nobody = np.full(len(xy), -1)
    total = np.exp(traffic.log_density((nobody, nobody), np.full(len(xy), 5 * US), xy)).sum()
    assert total == pytest.approx(11 * 10 / 19, rel=0.03)  # eleven for ten seconds each, within nineteen


def test_ones_own_path_is_not_traffic():
    traffic = traffic_of(*crowd())
    assert density(traffic, 5, (6, 20), but=np.array([10])) < 0.5 * density(traffic, 5, (6, 20))


def test_the_rush_hour_is_as_busy_as_the_hour_was():
    rush = [walk(f"r{k:02d}", k, k + 20, (0, 0), (1, 0)) for k in range(30)]
    late_s = 3 * NEARBY_US / US
    traffic = traffic_of(*rush, walk("z", late_s, late_s + 20, (0, 0), (1, 0)))
    # 30 people for 20 s each within 5 minutes against 1 who was there all of the 20 s that the footage lasts then.
    assert density(traffic, 10, (5, 0)) == pytest.approx(2 * density(traffic, late_s + 10, (5, 0)), rel=0.05)
