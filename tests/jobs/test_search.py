"""`nightfleet search`: what it finds, leaves out and refuses, and that its index keeps up with the lake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs import indexing
from jobs.identify import identify
from jobs.search import search
from pipeline.errors import LakeError, UserError
from pipeline.identity.calibration import Calibration
from pipeline.identity.evidence import ExemplarSets, without_bias
from pipeline.lake import catalog, index_folders
from pipeline.lake.writer import Lake
from tests.conftest import json_of, nightfleet
from tests.identity.nights import CAR, TRUCK, Seen, look, town
from tests.identity.slow_comparing import similarity
from tests.jobs.seen_lakes import DATE, configured, identify_only, seen_lake, write_seen
from tests.lake.making import NOON_US

HOUR_US = 3_600_000_000


@pytest.fixture(autouse=True)
def own_copies(tmp_path, monkeypatch):
    """Keep copies of indexes out of the machine's folder for temporary files."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(index_folders.tempfile, "gettempdir", lambda: str(folder))
    return folder


@pytest.fixture(scope="module")
def known():
    seen, who = town(seed=1, noise=0.5, tint=0.3)
    cars = [Seen(f"cam0-car{n}", "cam0", 20.0 * n, 20.0 * n + 5, look(100 + n, n=3, noise=0.3), CAR) for n in range(3)]
    cars.append(Seen("cam1-truck", "cam1", 90, 95, look(100, n=3, noise=0.3), TRUCK))
    return [*seen, *cars], {one.name: w for one, w in zip(seen, who)}


@pytest.fixture(scope="module")
def lake(known, tmp_path_factory):
    """Read it, do not write to it."""
    made = seen_lake(tmp_path_factory.mktemp("seen") / "lake", known[0])
    assert indexing.index(made) == 1
    return made


def names(result):
    return [hit["tracklet_id"] for hit in result["hits"]]


# -- what is found ------------------------------------------------------------------------------------------------


def test_other_sightings_of_the_same_object_come_first(lake, known):
    who = known[1]
    for name in list(who)[::13]:
        others = {other for other, w in who.items() if w == who[name]} - {name}
        assert set(names(search(lake.url, tracklet_id=name, top=len(others)))) == others


def test_similarity_is_that_of_the_identities(lake):
    """By hand from the tables: exemplars, freed of what `camera_looks` says, compared set with set."""
    rows = catalog.query(lake.url, "SELECT tracklet_id, camera_id FROM tracklets WHERE class = 'person' ORDER BY 1")
    tints = catalog.query(lake.url, "SELECT camera_id, tint FROM camera_looks WHERE class_group = 'person'").to_pylist()
    tint_of = {row["camera_id"]: np.array(row["tint"], float) for row in tints}
    cameras = sorted(tint_of)
    exemplars = lake.read_exemplars(DATE)
    ids, camera_of = rows["tracklet_id"].to_pylist(), rows["camera_id"].to_pylist()
    vectors = [exemplars.embedding[exemplars.tracklet_id == name] for name in ids]
    first = np.concatenate([[0], np.cumsum([len(v) for v in vectors])]).astype(np.int64)
    camera = np.array([cameras.index(name) for name in camera_of])
    sets = without_bias(ExemplarSets(np.concatenate(vectors), first), camera, np.stack([tint_of[c] for c in cameras]))
    want = similarity(sets, np.full(len(sets), 4), np.arange(len(sets)))
    found = search(lake.url, tracklet_id=ids[4], top=1000)
    got = {hit["tracklet_id"]: hit["similarity"] for hit in found["hits"]}
    assert got.keys() == set(ids) - {ids[4]}
    np.testing.assert_allclose([got[n] for n in ids if n in got], np.delete(want, 4), atol=1e-3)


def test_probability_is_what_the_nights_calibration_makes_of_it(lake, known):
    row = catalog.query(lake.url, "FROM calibrations WHERE class_group = 'person'").to_pylist()[0]
    calibration = Calibration(
        row["min_similarity"],
        row["stranger_mean"],
        row["stranger_sd"],
        row["match_mean"],
        row["match_sd"],
        row["prior_log_odds"],
        row["rule"],
    )
    hits = search(lake.url, tracklet_id=next(iter(known[1])), top=50)["hits"]
    want = calibration.probability(np.array([hit["similarity"] for hit in hits]))
    np.testing.assert_allclose([hit["probability"] for hit in hits], want, rtol=1e-6)
    assert hits[0]["probability"] > 0.5 > hits[-1]["probability"]


def test_an_identity_is_looked_for_by_all_its_tracklets_and_never_finds_them(lake):
    members = catalog.query(
        lake.url,
        "SELECT identity_id, list(tracklet_id) AS names FROM identities GROUP BY 1 HAVING count(*) > 2 LIMIT 1",
    ).to_pylist()[0]
    found = search(lake.url, identity_id=members["identity_id"], top=1000)
    assert found["query_tracklets"] == sorted(members["names"])
    assert not set(names(found)) & set(members["names"]) and names(found)
    one = search(lake.url, tracklet_id=members["names"][0], top=1000)
    assert set(members["names"][1:]) <= set(names(one))


def test_hits_say_what_is_known_of_them(lake, known):
    hit = search(lake.url, tracklet_id=next(iter(known[1])), top=1)["hits"][0]
    table = catalog.query(
        lake.url, "FROM tracklets JOIN identities USING (tracklet_id) WHERE tracklet_id = $1", [hit["tracklet_id"]]
    )
    row = table.to_pylist()[0]
    for key in ("camera_id", "class", "started_at", "ended_at", "identity_id"):
        assert hit[key] == row[key], key
    assert hit["started_local"].endswith("+00:00")


def test_only_the_querys_class_group_is_compared(lake):
    assert names(search(lake.url, tracklet_id="cam0-car0")) == ["cam1-truck", "cam0-car1", "cam0-car2"]


# -- filters ------------------------------------------------------------------------------------------------------


def test_classes(lake):
    assert names(search(lake.url, tracklet_id="cam0-car0", class_name="truck")) == ["cam1-truck"]
    assert len(names(search(lake.url, tracklet_id="cam0-car0", class_name="vehicle"))) == 3
    assert names(search(lake.url, tracklet_id="cam0-car0", class_name="bus")) == []
    with pytest.raises(UserError, match="--class person: cam0-car0 is a vehicle"):
        search(lake.url, tracklet_id="cam0-car0", class_name="person")


def test_cameras(lake, known):
    name = next(iter(known[1]))
    found = search(lake.url, tracklet_id=name, cameras=["cam2", "cam3"], top=1000)
    assert {hit["camera_id"] for hit in found["hits"]} == {"cam2", "cam3"}
    everywhere = search(lake.url, tracklet_id=name, top=1000)
    assert names(found) == [h["tracklet_id"] for h in everywhere["hits"] if h["camera_id"] in ("cam2", "cam3")]
    assert found["searched"] == len(found["hits"])


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        ("2026-03-01", None, {0, 1, 2}),
        (None, "2026-03-01", {0, 1, 2}),
        ("2026-03-02", None, set()),
        (None, "2026-02-28", set()),
        ("2026-03-01T12:00:24", None, {1, 2}),  # the second lasts from 20 to 25 s
        (None, "2026-03-01T12:00:20", {0}),
        ("2026-03-01T13:00:24+01:00", "2026-03-01T13:00:40+01:00", {1}),
    ],
)
def test_times(lake, first, last, wanted):
    found = search(lake.url, tracklet_id="cam1-truck", class_name="car", first=first, last=last)
    assert set(names(found)) == {f"cam0-car{n}" for n in wanted}


def test_a_local_time_is_each_cameras_own(tmp_path):
    seen = [Seen(f"{c}-{n}", c, n * 3600, n * 3600 + 5, look(n)) for c in ("kyiv", "york") for n in range(4)]
    config = configured(seen, kyiv="Europe/Kyiv", york="America/New_York")  # noon UTC is 14:00 there, 7:00 here
    made = seen_lake(tmp_path / "lake", seen, config)
    found = search(made.url, tracklet_id="york-0", first="2026-03-01T08:30", last="2026-03-01T15:30", top=100)
    assert set(names(found)) == {"york-2", "york-3", "kyiv-0", "kyiv-1"}
    hit = next(hit for hit in found["hits"] if hit["tracklet_id"] == "kyiv-0")
    assert hit["started_local"] == "2026-03-01T14:00:00+02:00"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"cameras": ["cam9"]}, "has no camera 'cam9' .did you mean 'cam.'"),
        ({"class_name": "trukc"}, "'trukc' is no class .did you mean 'truck'"),
        ({"class_name": "lorry"}, "write one of COCO"),
        ({"first": "1.3.2026"}, "--from: expected a date or an instant"),
        ({"last": "2026-13-01"}, "--to: expected a date or an instant"),
        ({"first": "2026-03-02", "last": "2026-03-01"}, "nothing lies between them"),
        ({"tracklet_id": "nobody"}, "no tracklet 'nobody'"),
        ({"tracklet_id": None, "identity_id": "id-0"}, "no identity 'id-0'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(lake, wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        search(lake.url, **{"tracklet_id": "cam0-car0", **wrong})


# -- pictures -----------------------------------------------------------------------------------------------------


@pytest.fixture
def crop(tmp_path):
    import cv2

    path = tmp_path / "crop.png"
    picture = np.zeros((64, 32, 3), np.uint8)
    picture[:32], picture[32:] = (30, 60, 200), (120, 40, 30)
    cv2.imwrite(str(path), picture)
    return path


def test_a_picture_is_freed_of_the_mean_of_the_cameras(lake, crop):
    from pipeline.footage.stills import read_still
    from pipeline.identity.index import without_tint
    from pipeline.perception.perception import Perception

    config = lake.read_config()
    vector = Perception(config.models.embedder, device="cpu", threads=1).embed_picture(read_still(crop))
    tints = catalog.query(lake.url, "SELECT tint FROM camera_looks WHERE class_group = 'person'")["tint"].to_pylist()
    freed = without_tint(vector, np.mean(np.array(tints, float), axis=0))
    found = search(lake.url, image=crop, class_name="person", top=3)
    night = indexing.night(lake, DATE)
    from pipeline.identity.index import Partition
    from pipeline.identity.search import search as ranked

    hits = ranked(freed, Partition.open(night.partition("person")), 3)
    np.testing.assert_allclose([hit["similarity"] for hit in found["hits"]], hits.similarity, atol=1e-6)
    assert found["picture"]["box"] is None and "detector finds nothing in it" in found["picture"]["taken"]
    assert {hit["class"] for hit in search(lake.url, image=crop, top=1000)["hits"]} == {"person", "car", "truck"}


def test_a_broken_picture(lake, tmp_path):
    (tmp_path / "words.jpg").write_text("words")
    for name in ("words.jpg", "none.jpg"):
        with pytest.raises(UserError, match=name):
            search(lake.url, image=tmp_path / name)


# -- the index keeps up -------------------------------------------------------------------------------------------


def test_an_index_is_made_once_and_anew_with_the_identities(tmp_path, known):
    seen = known[0]
    config = configured(seen)
    made = seen_lake(tmp_path / "lake", seen, config)
    assert [indexing.index(made), indexing.index(made)] == [1, 0]
    write_seen(made, [*seen, Seen("cam0-new", "cam0", 0, 5, look(0))], config)
    identify_only(config, made)
    assert "cam0-new" in names(search(made.url, tracklet_id=seen[0].name, top=1000))
    assert indexing.index(made) == 0  # the search made it


def test_a_lake_without_identities_can_be_searched(tmp_path, known):
    made = seen_lake(tmp_path / "lake", known[0], linked=False)
    found = search(made.url, tracklet_id=known[0][0].name, top=5)
    assert len(found["hits"]) == 5
    assert all(hit["probability"] is None and hit["identity_id"] is None for hit in found["hits"])
    assert any("nothing is known there of what each camera adds" in note for note in found["notes"])


def test_a_forgotten_night_is_gone_and_made_anew(tmp_path, known):
    made = seen_lake(tmp_path / "lake", known[0])
    indexing.index(made)
    assert (Path(made.url) / "index" / f"date={DATE}").is_dir()
    indexing.forget(made, DATE)
    indexing.forget(made, DATE)
    assert not (Path(made.url) / "index" / f"date={DATE}").exists()
    assert indexing.index(made) == 1


def test_nights_are_searched_together_and_gone_ones_dropped(tmp_path, known):
    seen = known[0]
    config = configured(seen)
    made = seen_lake(tmp_path / "lake", seen, config)
    later = [Seen(f"later-{one.name}", one.camera, one.start_s, one.end_s, one.looks, one.class_id) for one in seen]
    write_seen(made, later, config, date="2026-03-02", at_us=NOON_US + 24 * HOUR_US)
    identify_only(config, made)
    assert indexing.index(made) == 2
    best = search(made.url, tracklet_id=seen[0].name, top=1)["hits"][0]
    assert (best["tracklet_id"], best["date"]) == (f"later-{seen[0].name}", "2026-03-02")
    only = search(made.url, tracklet_id=seen[0].name, top=1000, last="2026-03-01")
    assert {hit["date"] for hit in only["hits"]} == {DATE}
    for table in ("ledger", "identities"):
        shutil.rmtree(Path(made.url) / table / "date=2026-03-02")
    indexing.index(made)
    assert index_folders.find(made.storage, "2026-03-02", "any") is None
    assert [path.name for path in (Path(made.url) / "index").iterdir()] == [f"date={DATE}"]


def test_half_an_index_is_no_index(tmp_path, known):
    made = seen_lake(tmp_path / "lake", known[0])
    indexing.index(made)
    (Path(made.url) / "index" / f"date={DATE}" / "group=person" / "vectors.f16").write_bytes(b"half")
    assert len(search(made.url, tracklet_id=known[0][0].name, top=5)["hits"]) == 5


def test_an_index_that_fails_half_way_leaves_nothing(tmp_path, known, monkeypatch):
    made = seen_lake(tmp_path / "lake", known[0])
    monkeypatch.setattr(indexing, "save", lambda *args, **kwargs: (_ for _ in ()).throw(RuntimeError("killed")))
    with pytest.raises(RuntimeError):
        indexing.index(made)
    assert list((Path(made.url) / "index").iterdir()) == []


def test_a_lake_nobody_may_write_to_is_indexed_beside_it(tmp_path, known, own_copies, monkeypatch):
    made = seen_lake(tmp_path / "lake", known[0])
    (Path(made.url) / "index").write_text("in the way of a folder")
    assert len(search(made.url, tracklet_id=known[0][0].name, top=5)["hits"]) == 5
    (copy,) = own_copies.glob("nightfleet-index-*")
    assert copy.stat().st_mode & 0o077 == 0
    assert list(copy.rglob("index.json"))


def test_a_remote_lake_is_indexed_there_and_fetched(known, tmp_path, own_copies):
    import fsspec

    url = f"memory://seen-{tmp_path.name}"
    made = seen_lake(url, known[0])
    assert indexing.index(made) == 1
    assert made.storage.read(f"index/date={DATE}/index.json")
    want = search(url, tracklet_id=known[0][0].name, top=5)
    for copy in own_copies.iterdir():
        shutil.rmtree(copy)
    fetched = search(url, tracklet_id=known[0][0].name, top=5)
    assert fetched["hits"] == want["hits"]
    indexing.forget(made, DATE)
    assert made.storage.files("index", "") == [] and not list(own_copies.rglob("index.json"))
    fsspec.filesystem("memory").rm(f"/seen-{tmp_path.name}", recursive=True)


def test_large_nights_use_lists_and_find_the_same(tmp_path, known):
    seen = known[0]
    config = configured(seen)
    made = seen_lake(tmp_path / "lake", seen, config)
    want = names(search(made.url, tracklet_id=seen[0].name, top=5))
    indexing.forget(made, DATE)
    few = config.identity.model_copy(update={"exact_vectors": 1})
    made.write_fleet(config.model_copy(update={"identity": few}))
    assert indexing.index(made) == 1 and list(Path(made.url).rglob("lists.faiss"))
    assert names(search(made.url, tracklet_id=seen[0].name, top=5)) == want


# -- another model's vectors --------------------------------------------------------------------------------------


def test_an_index_of_another_embedder_is_refused(tmp_path, known, crop):
    made = seen_lake(tmp_path / "lake", known[0])
    indexing.index(made)
    head = Path(made.url) / "index" / f"date={DATE}" / "index.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "embedder": "another"}))
    done = nightfleet("search", made.url, "--image", crop)
    assert done.returncode == 2
    assert "made by another model than the embedder that its configuration names (trained)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_vectors_of_models_that_are_not_configured_are_refused_for_pictures(tmp_path, known, crop):
    config = configured(known[0])
    made = Lake.open_or_create(str(tmp_path / "lake"))
    other = config.models.model_copy(
        update={"detector": config.models.detector.model_copy(update={"score_threshold": 0.1})}
    )
    write_seen(made, known[0], config.model_copy(update={"models": other}))
    made.write_fleet(config)
    with pytest.raises(UserError, match="another model"):
        search(made.url, image=crop)
    assert search(made.url, tracklet_id=known[0][0].name, top=1)["hits"]


def test_nights_of_different_embedders_are_not_compared(tmp_path, known):
    seen = known[0]
    config = configured(seen)
    made = seen_lake(tmp_path / "lake", seen, config)
    later = [Seen(f"later-{one.name}", one.camera, one.start_s, one.end_s, one.looks, one.class_id) for one in seen]
    write_seen(made, later, config, date="2026-03-02", at_us=NOON_US + 24 * HOUR_US)
    indexing.index(made)
    head = Path(made.url) / "index" / f"date={DATE}" / "index.json"
    head.write_text(json.dumps({**json.loads(head.read_text()), "embedder": "another"}))
    with pytest.raises(UserError, match=f"index of {DATE} was made by another model than 2026-03-02"):
        search(made.url, tracklet_id=f"later-{seen[0].name}")
    assert search(made.url, tracklet_id=f"later-{seen[0].name}", first="2026-03-02", top=1)["hits"]


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_and_its_contact_sheet(lake, tmp_path):
    out = tmp_path / "deep" / "found.html"
    done = nightfleet("search", lake.url, "--tracklet", "cam0-car0", "--camera", "cam1", "--html", out, "--json")
    assert done.returncode == 0, done.stderr
    result = json_of(done)
    assert names(result) == ["cam1-truck"] and result["html"] == str(out)
    page = out.read_text(encoding="utf-8")
    assert "cam1-truck" in page and "thumbnails were not kept" in page
    shown = nightfleet("search", lake.url, "--tracklet", "cam0-car0")
    assert "cam1-truck" in shown.stdout and shown.stderr == ""


@pytest.mark.parametrize("words", [(), ("--tracklet", "a", "--identity", "b"), ("--image", "a", "--tracklet", "b")])
def test_exactly_one_query(lake, words):
    done = nightfleet("search", lake.url, *words)
    assert done.returncode == 2 and "exactly one of --tracklet ID, --identity ID and --image FILE" in done.stderr


def test_an_empty_lake(tmp_path):
    made = Lake.open_or_create(str(tmp_path / "lake"))
    with pytest.raises(LakeError, match="holds no tracklets yet"):
        search(made.url, tracklet_id="a")


@pytest.mark.parametrize("filters", [(), ("--camera", "cam1", "--from", "2026-03-01")])
def test_a_search_by_tracklet_loads_nothing_heavy(lake, filters):
    heavy = ("torch", "ray", "pandas", "cv2", "av")
    code = (
        "import sys; from jobs import cli; sys.argv = ['nightfleet', 'search', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, lake.url, "--tracklet", "cam0-car0", "--json", *filters],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert done.returncode == 0 and done.stderr.strip() == "[]", done.stderr


def test_whoever_makes_identities_makes_their_index(tmp_path, known):
    seen = known[0]
    config = configured(seen)
    made = seen_lake(tmp_path / "lake", seen, config, linked=False)
    identify(config, made, device="cpu")
    assert indexing.index(made) == 0
    assert (Path(made.url) / "index" / f"date={DATE}").is_dir()
