"""`nightfleet evaluate reid` and `nightfleet fit projection`, on painted crops and on real ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from jobs import evaluate_reid as job
from pipeline.config import EmbedderConfig
from pipeline.errors import ConfigError, UserError
from pipeline.perception.projection import WHITENING, fit_pca, save
from pipeline.perception.weights import embedder_model_digest
from tests.conftest import json_of, nightfleet
from tests.realdata import data_path


def crops(folder, n_people=6, n_cameras=3, size=(64, 32)):
    """People of two colours each, every camera with a tint of its own."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    tint = rng.integers(-25, 25, (n_cameras, 3))
    for person in range(1, n_people + 1):
        colours = np.random.default_rng(person).integers(40, 216, (2, 3))
        for camera in range(1, n_cameras + 1):
            picture = np.repeat(colours, size[0] // 2, axis=0)[:, None, :] + tint[camera - 1]
            picture = np.clip(picture + rng.normal(0, 6, (size[0], size[1], 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{person:04d}_c{camera}s1_000001_00.png"), picture)
    return folder


def test_each_crop_against_the_others(tmp_path):
    found = job.evaluate_reid(EmbedderConfig(), data=crops(tmp_path / "crops"), rerank=True, device="cpu")
    assert (found["queries"], found["people"], found["cameras"], found["unanswerable"]) == (18, 6, 3, 0)
    assert found["protocol"] == job.EACH_AGAINST_ALL
    ways = [(row["camera_means_removed"], row["reranked"]) for row in found["scores"]]
    assert ways == [(False, False), (False, True), (True, False), (True, True)]
    left_in, _, taken_out, _ = found["scores"]
    assert taken_out["mAP"] >= left_in["mAP"] and taken_out["mAP"] > 0.9


def test_queries_against_a_gallery(tmp_path):
    whole = crops(tmp_path / "gallery")
    asked = tmp_path / "query"
    asked.mkdir()
    for path in whole.glob("*_c1s1_*"):
        path.rename(asked / path.name)
    found = job.evaluate_reid(EmbedderConfig(), query=asked, gallery=whole, rerank=True, device="cpu")
    assert (found["queries"], found["gallery"], found["protocol"]) == (6, 12, job.QUERY_AGAINST_GALLERY)
    with pytest.raises(UserError, match="give either --data DIR, or both"):
        job.evaluate_reid(EmbedderConfig(), query=asked)
    with pytest.raises(UserError, match="give either --data DIR, or both"):
        job.evaluate_reid(EmbedderConfig(), data=whole, gallery=whole)


def test_pictures_of_many_sizes_keep_their_order(tmp_path):
    small, large = crops(tmp_path / "small", n_people=3), crops(tmp_path / "large", n_people=3, size=(96, 48))
    paths = sorted([*small.iterdir(), *large.iterdir()], key=lambda path: path.name)
    together = job.embed(paths, EmbedderConfig(), device="cpu")
    apart = np.concatenate([job.embed([path], EmbedderConfig(), device="cpu") for path in paths])
    np.testing.assert_allclose(together, apart, atol=1e-6)
    assert job.embed([], EmbedderConfig(), device="cpu").shape == (0, 128)


def test_the_command_prints_a_table_and_json(tmp_path):
    folder = crops(tmp_path / "crops")
    shown = nightfleet("evaluate", "reid", "--data", folder, "--rerank")
    assert shown.returncode == 0 and "k-reciprocal" in shown.stdout and "mAP %" in shown.stdout
    told = nightfleet("evaluate", "reid", "--data", folder, "--json")
    assert [row["reranked"] for row in json_of(told)["scores"]] == [False, False]


def test_broken_folders_get_a_sentence(tmp_path):
    folder = crops(tmp_path / "crops")
    (folder / "0001_c2s1_000001_09.jpg").write_bytes(b"not a picture")
    broken = nightfleet("evaluate", "reid", "--data", folder, "--json")
    assert broken.returncode == 2
    assert "is not a picture that can be decoded" in json_of(broken)["error"]
    assert "Traceback" not in broken.stderr
    with pytest.raises(UserError, match="no such folder"):
        job.evaluate_reid(EmbedderConfig(), data=tmp_path / "nowhere")


def test_embedders_by_name_and_by_fleet(tmp_path):
    assert job.embedder_config(None).use == "trained"
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("lake: lake\nmodels: {embedder: {use: 'onnx:a.onnx'}}\ncameras: [{id: gate, footage: '*.mp4'}]\n")
    assert job.embedder_config(str(fleet)).use.endswith("a.onnx")
    with pytest.raises(ConfigError, match="embedder: `use`"):
        job.embedder_config("osnet")
    with pytest.raises(UserError, match="a projection has nothing to project"):
        job.embedder_config("stripes", projection=tmp_path / "p.npz")


def test_a_projection_needs_a_network_pictures_and_a_place(tmp_path):
    folder = crops(tmp_path / "crops")
    with pytest.raises(ConfigError, match="trained: gives 128 numbers as it is"):
        job.fit_projection(EmbedderConfig(), data=folder, out=tmp_path / "p.npz", device="cpu")
    with pytest.raises(UserError, match="in a folder that is there"):
        job.fit_projection(EmbedderConfig(), data=folder, out=tmp_path / "nowhere" / "p.npz")
    with pytest.raises(UserError, match="no such folder"):
        job.fit_projection(EmbedderConfig(), data=tmp_path / "nowhere", out=tmp_path / "p.npz")


@pytest.fixture(scope="module")
def osnet():
    return EmbedderConfig(use=f"onnx:{data_path('weights/osnet_x0_25_msmt17.onnx')}")


@pytest.mark.realdata
def test_too_few_pictures_fit_no_projection(tmp_path, osnet):
    with pytest.raises(ConfigError, match="expected at least 128 pictures"):
        job.fit_projection(osnet, data=crops(tmp_path / "crops"), out=tmp_path / "p.npz", device="cpu")
    assert not list(tmp_path.glob("p.npz*"))


@pytest.mark.realdata
def test_osnet_knows_people_again_at_128_numbers(tmp_path, osnet):
    """Fitted on 631 other people; the floors are what 512 numbers reach with camera means removed."""
    folder = data_path("reid/market1501_eval")
    scored = {int(path.name.partition("_")[0]) for path in folder.glob("*.jpg")}
    with np.load(data_path("reid/market1501_osnet_features.npz")) as data:
        others = ~np.isin(data["person_id"], list(scored))
        features = data["embedding"][others].astype(np.float32)
    fitted = fit_pca(features, embedder_model_digest(osnet), whitening=WHITENING)
    save(fitted, tmp_path / "p.npz")
    with_projection = osnet.model_copy(update={"projection": tmp_path / "p.npz"})
    _, _, plain, reranked = job.evaluate_reid(with_projection, data=folder, rerank=True, device="cpu")["scores"]
    assert plain["rank1"] >= 0.847 and plain["mAP"] >= 0.656
    assert reranked["rank1"] >= 0.87 and reranked["mAP"] >= 0.79
