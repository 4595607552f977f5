"""The macro similar_tracklets: in SQL what `nightfleet search --tracklet` answers."""

from __future__ import annotations

import numpy as np
import pytest

from jobs.search import search
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, class_group
from tests.identity.nights import CAR, TRUCK, Seen, look, town
from tests.jobs.seen_lakes import seen_lake

FLOAT16 = 1e-3
"""More than rounding numbers of unit vectors to float16 moves a similarity."""


@pytest.fixture(scope="module", params=[True, False], ids=["linked", "without camera looks"])
def lake(tmp_path_factory, request):
    cars = [Seen(f"cam{n}-car", f"cam{n}", n, n + 5, look(n % 3, n=4, noise=0.5), CAR) for n in range(4)]
    seen = [
        *town(seed=6, n_objects=12, noise=0.5, tint=0.4)[0],
        *cars,
        Seen("cam0-van", "cam0", 50, 55, look(1), TRUCK),
    ]
    return seen_lake(tmp_path_factory.mktemp("seen") / "lake", seen, linked=request.param)


def similar(lake, name, k):
    return catalog.query(lake.url, "FROM similar_tracklets($id, $k)", {"id": name, "k": k})


@pytest.mark.parametrize("name", ["cam0-van", "cam2-car", "cam0-0000", "cam1-0005"])
def test_equals_the_search(lake, name):
    if name.count("-0"):
        name = catalog.query(lake.url, "SELECT min(tracklet_id) AS n FROM tracklets WHERE class = 'person'")["n"][
            0
        ].as_py()
    table = similar(lake, name, 1000)
    want = search(lake.url, tracklet_id=name, top=1000)["hits"]
    got = dict(zip(table["tracklet_id"].to_pylist(), table["similarity"].to_pylist()))
    assert got.keys() == {hit["tracklet_id"] for hit in want} and name not in got
    np.testing.assert_allclose([got[hit["tracklet_id"]] for hit in want], [h["similarity"] for h in want], atol=FLOAT16)
    assert table["similarity"].to_pylist() == sorted(got.values(), reverse=True)
    assert table.column_names == ["tracklet_id", "camera_id", "class", "started_at", "similarity"]


def test_as_many_as_asked_for(lake):
    assert [similar(lake, "cam0-van", k).num_rows for k in (0, 1, 3, 100)] == [0, 1, 3, 4]
    assert similar(lake, "nobody", 5).num_rows == 0


def test_can_be_joined_with_other_tables(lake):
    sql = "SELECT t.camera_id, similarity FROM similar_tracklets('cam0-van', 2) JOIN tracklets AS t USING (tracklet_id)"
    assert catalog.query(lake.url, sql).num_rows == 2


def test_an_empty_lake(tmp_path):
    made = Lake.open_or_create(str(tmp_path / "lake"))
    assert similar(made, "a", 5).num_rows == 0


def test_class_groups_are_those_of_the_program(tmp_path):
    made = Lake.open_or_create(str(tmp_path / "lake"))
    sql = "SELECT list_transform($names, lambda x: class_group(x)) AS groups"
    groups = catalog.query(made.url, sql, {"names": list(COCO_CLASSES)})["groups"][0].as_py()
    assert groups == [class_group(n) for n in range(len(COCO_CLASSES))]
