"""Rows of some tracklets go out of every table; what is looked for afterwards is found wherever it may be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.lake import catalog, erasing, erasures, keeping, proving, thumbnails, unseeing
from pipeline.lake.erasing import Targets
from pipeline.lake.erasures import Erasure
from pipeline.lake.kept import Recorder, to_half
from pipeline.lake.pictured import About, Thumbnails
from pipeline.lake.writer import Lake
from pipeline.tracking import snapshot
from pipeline.types import Detections
from tests.lake.making import HEIGHT_PX, NOON_US, WIDTH_PX, entry, rows, unit_vectors
from tests.lake.test_keeping import ABOUT

STILL = {"a": [(50.0, 100.0)] * 5, "b": [(200.0, 100.0)] * 5, "ab": [(300.0, 100.0)] * 5}
A_AND_OTHERS = np.array([[40, 60, 60, 100], [190, 60, 210, 100], [290, 60, 310, 100]], np.float32)


def record(*names: str, vectors=(), **changes) -> Erasure:
    plain = Erasure(
        erasure_id=erasures.name_digest(names[0] if names else "nobody"),
        kind="tracklet",
        names=tuple(erasures.name_digest(name) for name in names),
        vectors=tuple(erasures.vector_digest(vector) for vector in vectors),
        cameras=("gate",),
        dates=("2026-03-01",),
        begun_at="2026-03-02T00:00:00+00:00",
    )
    return replace(plain, **changes)


def erase(lake: Lake, *names: str) -> tuple[Erasure, erasing.Findings]:
    found = erasing.find(lake, Targets(erasures.name_digest(name) for name in names))
    erasure = record(*names, vectors=found.vectors)
    erasures.write(lake, erasure)
    erasing.remove(lake, erasure, found)
    return erasure, found


def detected(boxes: np.ndarray, vectors: np.ndarray) -> keeping.KeptDetections:
    """Five frames with the same boxes in each, their looks a half float's."""
    recorder, n = Recorder(), len(boxes)
    for k in range(5):
        found = Detections(boxes, np.full(n, 0.9, np.float32), np.full(n, 2, np.int16))
        recorder.add(k, NOON_US + k * 100_000, found, to_half(vectors), None)
    return recorder.kept(ABOUT)


@pytest.fixture(params=["local", "memory"])
def lake(request, tmp_path) -> Lake:
    """One unit of three cars that stand still, with kept detections and thumbnails."""
    url = str(tmp_path / "lake") if request.param == "local" else f"memory://erasing{tmp_path}/lake"
    lake = Lake.open_or_create(url)
    keeping.write(lake, detected(A_AND_OTHERS, np.roll(unit_vectors(6)[3:], 1, axis=1)))
    made = lake.write_unit(entry(detections=15, frames=5), "2026-03-01", *rows(STILL), None)
    pictures = [(name, NOON_US, 0, np.zeros(4, np.float32), (8, 8), False, name.encode()) for name in STILL]
    thumbnails.write(lake, ("gate", "2026-03-01", "gate-1"), Thumbnails.of(pictures), About(made.key, made=3))
    return lake


def counts(lake: Lake) -> dict[str, int]:
    names = ("observations", "tracklets", "embeddings", "detections", "thumbnails")
    return {name: catalog.query(lake.url, f"SELECT count(*) FROM {name}")[0][0].as_py() for name in names}


def test_of_nobody_nothing_is_found_or_changed(lake):
    paths = lake.storage.files("", ".parquet")
    before = {path: lake.storage.read(path) for path in paths}
    found = erasing.find(lake, Targets(()))
    assert found.counts.total() == 0 and found.dates == () and not found.vectors
    erasing.remove(lake, record(), found)
    assert {path: lake.storage.read(path) for path in paths} == before
    assert proving.found(lake, proving.Search(record())).total() == 0


def test_one_goes_from_every_table_and_one_of_like_name_stays(lake):
    erasure, found = erase(lake, "a")
    assert found.dates == ("2026-03-01",) and found.cameras == {"gate"}
    assert dict(+found.counts) == {"observations": 5, "tracklets": 1, "embeddings": 1, "thumbnails": 1, "detections": 5}
    assert counts(lake) == {"observations": 10, "tracklets": 2, "embeddings": 2, "thumbnails": 2, "detections": 10}
    for table in ("observations", "tracklets", "embeddings", "thumbnails"):
        left = set(catalog.query(lake.url, f"SELECT tracklet_id FROM {table}")[0].to_pylist())
        assert left == {"ab", "b"}, table
    now = lake.ledger()[0]
    assert (now.observations, now.tracklets, now.embeddings, now.detections, now.key) == (10, 2, 2, 10, "k")
    assert proving.found(lake, proving.Search(erasure, found.vectors, found.boxes)).total() == 0
    held, about = thumbnails.read(lake, ("gate", "2026-03-01", "gate-1"))
    assert len(held) == 2 and about.key == "k"


def test_all_go_and_the_unit_stays(lake):
    erase(lake, *STILL)
    assert set(counts(lake).values()) == {0}
    assert [entry.tracklets for entry in lake.ledger()] == [0]


def test_what_is_put_back_is_found_wherever_it_is(lake):
    erasure, found = erase(lake, "a")
    search = proving.Search(erasure, found.vectors, found.boxes)
    vector = next(vector for vector in found.vectors if len(vector) == 512)
    arrays = {"names": np.array(["b", "a"]), "look": np.frombuffer(vector, np.float32).reshape(1, 128)}
    lake.storage.write("_state/camera=gate/gate-1.state", b"some head\n" + snapshot.to_bytes(arrays))
    lake.storage.write("index/date=2026-03-01/vectors", b"head" + vector)
    lake.storage.write("a.txt", b"somebody and a-2 but not the one")
    assert dict(+proving.found(lake, search)) == {"states": 2, "index": 1}
    lake.write_unit(entry(), "2026-03-01", *rows({"a": STILL["a"]}), None)
    left = proving.found(lake, proving.Search(erasure, found.vectors, found.boxes))
    assert {name: left[name] for name in ("observations", "tracklets", "embeddings")} == {
        "observations": 5,
        "tracklets": 1,
        "embeddings": 1,
    }


def test_an_equal_look_of_somebody_else_is_none_of_theirs(lake):
    """The same vectors stand in another unit, of other tracklets."""
    other = {f"other-{name}": places for name, places in STILL.items()}
    made = rows(other, segment_id="gate-2", started_at_us=NOON_US + 10**9)
    lake.write_unit(entry("gate-2"), "2026-03-01", *made, None)
    arrays = {"look": unit_vectors(3)}
    lake.storage.write("_state/camera=gate/gate-2.state", snapshot.to_bytes(arrays))
    erasure, found = erase(lake, "a")
    assert proving.found(lake, proving.Search(erasure, found.vectors, found.boxes)).total() == 0


@pytest.mark.parametrize(
    ("moved_px", "other", "gone"),
    [
        (0, None, True),
        (5, None, True),  # overlap 15/25
        (8, None, False),  # 12/28
        (5, 6, False),  # another tracklet's box lies on it more
        (5, 12, True),
    ],
)
def test_a_detection_is_theirs_by_its_overlap(tmp_path, moved_px, other, gone):
    lake = Lake.open_or_create(str(tmp_path))
    box = np.array([[40 + moved_px, 60, 60 + moved_px, 100]], np.float32)
    keeping.write(lake, detected(box, unit_vectors(1)))
    mine, theirs = rows({"a": STILL["a"]})[0], rows({"o": [(50.0 + (other or 500), 100.0)] * 5})[0]
    assert (WIDTH_PX, HEIGHT_PX) == (20, 40)
    found = unseeing.detections_of(lake, "gate", mine, lambda: theirs)
    assert sum(int(unseen.rows.sum()) for unseen in found) == 5 * gone


def test_records_hold_no_id_and_say_when_they_are_damaged(lake):
    erasure, _ = erase(lake, "a")
    path = f"erasures/{erasure.erasure_id}.json"
    assert erasures.read(lake) == [erasure] and erasures.erased(lake) == {erasures.name_digest("a")}
    assert not erasures.is_erased([], erasures.erased(lake)).size
    assert erasures.is_erased(["ab", "a"], erasures.erased(lake)).tolist() == [False, True]
    erasures.write(lake, erasure.done())
    assert erasures.find(lake, erasure.erasure_id).state == erasures.DONE
    assert erasures.find(lake, "nobody") is None
    lake.storage.write(path, lake.storage.read(path)[:40])
    with pytest.raises(LakeError, match="not a record of an erasure; restore it"):
        erasures.read(lake)


@pytest.mark.parametrize(
    ("camera", "date", "concerned"),
    [
        ("gate", "2026-03-01", True),
        ("gate", "2026-03-02", True),
        ("gate", "2026-03-03", False),
        ("quay", "2026-03-01", False),
    ],
)
def test_units_of_the_camera_that_day_and_the_next_are_concerned(camera, date, concerned):
    assert record("a").concerns(entry(camera_id=camera, local_date=date)) == concerned


def test_a_damaged_file_is_named_before_anything_is_changed(tmp_path):
    lake = Lake.open_or_create(str(tmp_path))
    lake.write_unit(entry(), "2026-03-01", *rows(STILL), None)
    victim = Path(tmp_path, "embeddings/date=2026-03-01/camera=gate/gate-1.parquet")
    victim.write_bytes(victim.read_bytes()[:100])
    with pytest.raises(LakeError, match=r"embeddings.*not a whole Parquet file"):
        erasing.find(lake, Targets([erasures.name_digest("a")]))


@pytest.mark.parametrize("covered", [True, False])
def test_vectors_are_found_among_many_by_their_bytes_or_by_their_digests_alone(covered, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(500, 128)).astype(np.float32)
    rows[7] = 0
    rows[8, :2] = rows[3, :2]  # begins like the one
    wanted = [rows[3].tobytes(), rows[4].astype(np.float16).tobytes()]
    hashed, digest = [], erasures.vector_digest
    search = proving.Search(record("a", vectors=wanted), wanted if covered else wanted[:1])
    monkeypatch.setattr(erasures, "vector_digest", lambda vector: hashed.append(vector) or digest(vector))
    assert [row for row, hit in enumerate(search.vectors(rows)) if hit] == [3]
    assert len(hashed) == (2 if covered else 499)
    assert [row for row, hit in enumerate(search.vectors(rows.astype(np.float16))) if hit] == [4]
    assert search.vectors(rows.astype(np.float64)) == [None] * 500
    assert search.vectors(rows[:0]) == []
    nobody = proving.Search(record())
    assert nobody.vectors(rows) == [None] * 500


def test_indexes_of_other_nights_are_not_searched_for_vectors(lake):
    erasure, found = erase(lake, "a")
    vector = next(vector for vector in found.vectors if len(vector) == 256)
    lake.storage.write("index/date=2026-03-09/group=vehicle/vectors.f16", vector)
    assert proving.found(lake, proving.Search(erasure, found.vectors, found.boxes)).total() == 0
    lake.storage.write("index/date=2026-03-01/group=vehicle/vectors.f16", vector)
    assert proving.found(lake, proving.Search(erasure, found.vectors, found.boxes))["index"] == 1


def test_each_erasure_outdates_its_nights_anew_and_no_others(lake):
    erasure = record("a", dates=("2026-03-01", "2026-03-02"))
    assert erasures.marks(lake, "2026-03-01") == []
    erasures.write(lake, erasure)
    erasures.outdate(lake, erasure)
    first = erasures.marks(lake, "2026-03-01")
    erasures.outdate(lake, erasure)
    assert len(first) == 1 and set(first) < set(erasures.marks(lake, "2026-03-01"))
    assert len(erasures.marks(lake, "2026-03-02")) == 2 and erasures.marks(lake, "2026-03-03") == []
    assert erasures.read(lake) == [erasure]
