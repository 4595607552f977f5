"""Saved networks: what is written is read, and whatever else is refused in one sentence."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from pipeline.errors import UserError, WeightsError
from pipeline.perception.networks import saved

TENSORS = {"weight": torch.tensor([[0.5, -1.25]]), "count": torch.tensor(3)}


def test_nothing_but_whole_numbers_is_lost(tmp_path):
    path = tmp_path / "n.safetensors"
    saved.save(path, "embedder", {"design": {"width": 2}}, TENSORS, half=False)
    about, tensors = saved.load(path, "embedder")
    assert about["design"] == {"width": 2}
    assert set(tensors) == {"weight"}
    assert torch.equal(tensors["weight"], TENSORS["weight"])
    assert [one.name for one in tmp_path.iterdir()] == ["n.safetensors"]


def test_halves_are_half_the_size_and_handed_out_as_float32(tmp_path):
    numbers = {"weight": torch.rand(1000)}
    sizes = []
    for half in (True, False):
        path = tmp_path / f"{half}.safetensors"
        saved.save(path, "embedder", {}, numbers, half=half)
        sizes.append(path.stat().st_size)
        value = saved.load(path, "embedder")[1]["weight"]
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, numbers["weight"], atol=0 if not half else 3e-4, rtol=0)
    assert sizes[1] - sizes[0] == pytest.approx(2000, abs=16)


def test_equal_networks_give_equal_bytes(tmp_path):
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for file in files:
        saved.save(file, "embedder", {"b": 1, "a": 2}, dict(reversed(TENSORS.items())))
    assert files[0].read_bytes() == files[1].read_bytes()


def wrong_files(folder):
    """Files that are no embedder of ours, each with a word that its refusal must hold."""
    missing = folder / "absent.safetensors"
    yield missing, "no such file"
    text = folder / "text.safetensors"
    text.write_text("weights, honestly")
    yield text, "cannot be read as safetensors"
    cut = folder / "cut.safetensors"
    saved.save(cut, "embedder", {}, {"weight": torch.rand(500)})
    cut.write_bytes(cut.read_bytes()[:400])
    yield cut, "cannot be read as safetensors"
    pickled = folder / "pickled.safetensors"
    torch.save(TENSORS, pickled)
    yield pickled, "cannot be read as safetensors"
    foreign = folder / "foreign.safetensors"
    save_file({"weight": torch.zeros(2)}, foreign)
    yield foreign, "another program"
    damaged = folder / "damaged.safetensors"
    save_file({"weight": torch.zeros(2)}, damaged, metadata={"nightfleet": "{"})
    yield damaged, "damaged"
    other = folder / "other.safetensors"
    saved.save(other, "one-shot", {}, TENSORS)
    yield other, "'one-shot'"
    newer = folder / "newer.safetensors"
    header = json.dumps({"format": saved.FORMAT_VERSION + 1, "kind": "embedder"})
    save_file({"weight": torch.zeros(2)}, newer, metadata={"nightfleet": header})
    yield newer, "newer nightfleet"
    huge = folder / "huge.safetensors"
    huge.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    yield huge, "cannot be read as safetensors"


def test_other_files_are_refused_in_a_sentence(tmp_path):
    for path, word in wrong_files(tmp_path):
        with pytest.raises(WeightsError) as refusal:
            saved.load(path, "embedder")
        assert word in str(refusal.value)
        assert str(path) in str(refusal.value)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "tensors, word",
    [
        ({"weight": torch.zeros(2, 2)}, "lacks 'bias'"),
        ({"weight": torch.zeros(2, 2), "bias": torch.zeros(2), "more": torch.zeros(1)}, "'more'"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, "(3, 2), expected (2, 2)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tensors, word):
    with pytest.raises(WeightsError, match="do not fit") as refusal:
        saved.fill(torch.nn.Linear(2, 2), tensors, "w.safetensors")
    assert word in str(refusal.value)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        saved.save(tmp_path / "no" / "n.safetensors", "embedder", {}, TENSORS)
