import hashlib
import http.server
import os
import pickle
import threading

import numpy as np
import pytest
import safetensors.torch
import torch
from torchvision import models

from pipeline.config import EmbedderConfig
from pipeline.errors import WeightsError
from pipeline.perception import torchvision_weights
from pipeline.perception.frames import upload
from pipeline.perception.projected import TorchvisionEmbedder
from pipeline.perception.torchvision_detector import TorchvisionDetector
from pipeline.types import FrameBatch

SSDLITE = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def states():
    """Random weights of a detector, as torch.save and as safetensors write them."""
    torch.manual_seed(0)
    return models.get_model(SSDLITE, weights=None, weights_backbone=None).state_dict()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder served over HTTP, its address, and the requests it had; paths that begin with /broken are cut short."""
    folder, requests = tmp_path_factory.mktemp("served"), []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            requests.append(self.path)
            if self.path.startswith("/broken"):
                self.send_error(503)
                return
            super().do_GET()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", requests
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def download_from(monkeypatch, tmp_path):
    """Let torchvision's weights of SSDLITE come from another address, into a fresh TORCH_HOME."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))

    def redirect(url):
        default = models.get_model_weights(SSDLITE).DEFAULT
        moved = type(default.value)(url=url, transforms=default.value.transforms, meta=default.value.meta)
        monkeypatch.setattr(default, "_value_", moved)
        return tmp_path / "home" / "hub" / "checkpoints"

    return redirect


def put(folder, states, name="ssdlite"):
    """Save weights as torchvision's server has them, the first digits of their hash in the name."""
    path = folder / "whole.pth"
    torch.save(states, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path.rename(folder / f"{name}-{digest[:8]}.pth")


def grey(n):
    images = np.full((n, 48, 64, 3), 90, np.uint8)
    return upload(FrameBatch(images, np.arange(n, dtype=np.int32), np.arange(n)), "cpu")


def open_ssdlite(weights=None):
    return TorchvisionDetector(SSDLITE, weights, min_score=0.01, device="cpu")


def test_own_download_is_checked_kept_and_run(served, download_from, states):
    folder, address, requests = served
    file = put(folder, states)
    kept_in = download_from(f"{address}/{file.name}")
    requests.clear()
    found = open_ssdlite().detect(grey(2))
    assert requests == [f"/{file.name}"] and (kept_in / file.name).read_bytes() == file.read_bytes()
    wanted = open_ssdlite(file).detect(grey(2))
    for mine, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(mine.xyxy, theirs.xyxy)
    open_ssdlite()
    assert len(requests) == 1  # what is there is not asked for again


def test_download_with_another_hash_is_refused_and_not_kept(served, download_from, states):
    folder, address, _ = served
    file = put(folder, states)
    false = file.rename(folder / "ssdlite-00000000.pth")
    kept_in = download_from(f"{address}/{false.name}")
    with pytest.raises(WeightsError, match=r"could not be downloaded from http.*invalid hash value") as caught:
        open_ssdlite()
    assert "\n" not in str(caught.value) and not list(kept_in.iterdir())


@pytest.mark.parametrize(("path", "reason"), [("broken/a-00000000.pth", "503"), ("absent-00000000.pth", "404")])
def test_server_that_fails_is_one_sentence(served, download_from, path, reason):
    download_from(f"{served[1]}/{path}")
    with pytest.raises(WeightsError, match=rf"could not be downloaded.*{reason}.*give the file as `weights`") as caught:
        open_ssdlite()
    assert "\n" not in str(caught.value)


def test_download_with_code_in_it_is_refused_and_does_not_run(served, download_from, tmp_path):
    folder, address, _ = served
    file = put(folder, {"weight": torch.ones(2), "more": Touch(tmp_path / "made")}, "evil")
    download_from(f"{address}/{file.name}")
    with pytest.raises(WeightsError, match="holds more than tensors"):
        open_ssdlite()
    assert not (tmp_path / "made").exists()


def test_kept_download_that_changed_is_refused(served, download_from, states):
    folder, address, _ = served
    file = put(folder, states)
    kept_in = download_from(f"{address}/{file.name}")
    kept_in.mkdir(parents=True)
    (kept_in / file.name).write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="by its hash; delete the file"):
        open_ssdlite()


def test_server_that_is_not_there_is_one_sentence(download_from):
    download_from("http://127.0.0.1:9/ssdlite-00000000.pth")
    with pytest.raises(WeightsError, match=r"could not be downloaded from http://127\.0\.0\.1:9"):
        open_ssdlite()


def test_download_of_something_else_says_what_it_is(served, download_from):
    folder, address, _ = served
    page = b"<html>Please sign in</html>"
    (folder / f"page-{hashlib.sha256(page).hexdigest()[:8]}.pth").write_bytes(page)
    name = next(folder.glob("page-*")).name
    download_from(f"{address}/{name}")
    with pytest.raises(WeightsError, match=r"not a PyTorch state dict \(it is a web page") as caught:
        open_ssdlite()
    assert "\n" not in str(caught.value)


def test_safetensors_are_read_whatever_they_are_called(tmp_path, states):
    torch.save(states, tmp_path / "a.pth")
    safetensors.torch.save_file(states, tmp_path / "a.safetensors")
    safetensors.torch.save_file(states, tmp_path / "renamed.pt")
    wanted = open_ssdlite(tmp_path / "a.pth").detect(grey(1))[0]
    for name in ("a.safetensors", "renamed.pt"):
        found = open_ssdlite(tmp_path / name).detect(grey(1))[0]
        np.testing.assert_array_equal(found.xyxy, wanted.xyxy)
        np.testing.assert_array_equal(found.score, wanted.score)


def test_embedders_take_safetensors_too(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "resnet.safetensors"
    safetensors.torch.save_file(models.resnet18(weights=None).state_dict(), path)
    embedder = TorchvisionEmbedder(EmbedderConfig(use="torchvision:resnet18", weights=path), device="cpu")
    assert embedder.embed(torch.zeros(2, 3, *embedder.crop_hw)).shape == (2, 128)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_checkpoints_hold_it_under_a_key(tmp_path, key):
    torch.save({key: {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "c.pth")
    assert torchvision_weights.read_state_dict(tmp_path / "c.pth", "weights")["a"].tolist() == [1, 1]


class Touch:
    """A pickle that makes a file when it is loaded: code that would run."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("how", ["torch.save", "torch.save of old", "pickle"])
def test_code_in_a_weights_file_is_refused_and_does_not_run(tmp_path, how):
    path, made = tmp_path / "evil.pth", tmp_path / "made"
    content = {"weight": torch.ones(2), "more": Touch(made)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content["more"], protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch.save")
    with pytest.raises(
        WeightsError, match=r"holds more than tensors \(\w+\.mkdir\).*convert it to safetensors"
    ) as caught:
        open_ssdlite(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    assert not made.exists()
    if how == "torch.save":  # it is real: what does not forbid code runs it
        torch.load(path, weights_only=False)
        assert made.exists()


def test_whole_model_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(WeightsError, match=r"holds more than tensors \(torch\.nn\.modules\.linear\.Linear"):
        open_ssdlite(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "a Git LFS pointer"),
        (b"<!DOCTYPE html><p>404", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (np.array([0, 2, 0, 1, 0], np.int32).tobytes() + bytes(99), "Darknet weights"),
        (b"PK\x03\x04" + bytes(99), "a zip archive"),
        (b"nothing in particular", "not a PyTorch state dict; expected"),
        ((20).to_bytes(8, "little") + b'{"a": 1' + bytes(20), "safetensors that cannot be read"),
    ],
)
def test_other_files_say_what_they_are(tmp_path, content, reason):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as caught:
        open_ssdlite(tmp_path / "w.pth")
    assert "\n" not in str(caught.value) and "w.pth" in str(caught.value)


def test_tensors_of_nothing_known(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds no state dict"):
        open_ssdlite(tmp_path / "list.pth")
