"""Partitions on disk: what is written is read back, mapped, and refused where it is not whole."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.errors import LakeError
from pipeline.identity import index, saving
from pipeline.identity.evidence import ExemplarSets, without_bias
from pipeline.identity.index import LISTS_ROUNDING, Partition, without_tint
from tests.identity.nights import Seen, look, town, unit
from tests.identity.partitions import saved


@pytest.fixture
def seen():
    return town(seed=3, n_objects=80)[0]


def test_an_empty_partition(tmp_path):
    partition = saved(tmp_path, [])
    assert (len(partition), len(partition.vector), partition.nprobe, partition.recall) == (0, 0, None, 1.0)
    assert partition.row_of("a") is None


def test_what_is_written_is_read_back(tmp_path, seen):
    saved(tmp_path, seen, group="person")
    partition = Partition.open(tmp_path)
    ordered = sorted(seen, key=lambda one: one.name)
    assert partition.names(np.arange(len(seen))).tolist() == [one.name for one in ordered]
    assert partition.about == {"group": "person"}
    for row in (0, 5, len(seen) - 1):
        assert partition.row_of(ordered[row].name) == row
        vectors, first = partition.exemplars(np.array([row]))
        np.testing.assert_allclose(vectors, ordered[row].looks, atol=5e-4)
        assert first.tolist() == [0, len(ordered[row].looks)]


@pytest.mark.parametrize("name", ["", "nobody", "cam0-0000-and-more-than-any-name-here-is-long", "ä"])
def test_a_tracklet_that_is_not_here(tmp_path, seen, name):
    assert saved(tmp_path, seen).row_of(name) is None


def test_names_sort_as_text_does_beyond_ascii(tmp_path):
    names = ["z", "ä", "a-10", "a-2", "a"]
    partition = saved(tmp_path, [Seen(name, "c", 0, 1, look(n)) for n, name in enumerate(names)])
    assert partition.names(np.arange(5)).tolist() == sorted(names)
    assert [partition.row_of(name) for name in sorted(names)] == [0, 1, 2, 3, 4]


def test_vectors_and_lists_are_mapped_not_read(tmp_path, seen):
    partition = saved(tmp_path, seen, exact_vectors=1)
    assert isinstance(partition.vector, np.memmap) and not partition.vector.flags.writeable
    assert isinstance(partition.first, np.memmap)
    import faiss

    lists = faiss.downcast_InvertedLists(partition._lists.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists) and lists.read_only


def test_blocks_may_come_in_any_order(tmp_path, seen):
    ordered = sorted(seen, key=lambda one: one.name)
    size = np.array([len(one.looks) for one in ordered])
    first = np.concatenate([[0], np.cumsum(size)])
    vectors = np.concatenate([one.looks for one in ordered])
    shuffled = np.array_split(np.random.default_rng(0).permutation(first[-1]), 7)
    names = np.array([one.name for one in ordered])
    kwargs = {"exact_vectors": 10**9, "about": {}}
    partition = index.write(tmp_path, names, size, [(part, vectors[part]) for part in shuffled], **kwargs)
    assert np.array_equal(partition.vector, vectors.astype(np.float16))


def test_a_block_too_few_is_noticed(tmp_path):
    with pytest.raises(ValueError, match="expected 2 vectors, got 1"):
        index.write(tmp_path, np.array(["a"]), np.array([2]), [(np.array([0]), look(0))], exact_vectors=9, about={})


def test_lists_are_made_beyond_a_size_only(tmp_path, seen):
    n_vectors = sum(len(one.looks) for one in seen)
    assert saved(tmp_path / "few", seen, exact_vectors=n_vectors).nprobe is None
    assert not (tmp_path / "few" / "lists.faiss").exists()
    assert saved(tmp_path / "many", seen, exact_vectors=n_vectors - 1).nprobe >= 1
    assert (tmp_path / "many" / "lists.faiss").exists()


def test_lists_hold_what_the_vectors_say_to_within_their_rounding(tmp_path, seen):
    partition = saved(tmp_path, seen, exact_vectors=1)
    query = look(9, n=4, noise=1.0)
    similarity, place = partition.nearest_vectors(query, 50, nprobe=10**6)
    true = np.take_along_axis(query @ partition.vector.astype(np.float32).T, place, 1)
    assert np.abs(similarity - true).max() < LISTS_ROUNDING


def test_recall_is_measured_and_what_was_asked_for(tmp_path, seen):
    asked = [saved(tmp_path / str(recall), seen, exact_vectors=1, recall=recall) for recall in (0.3, 0.9, 1.0)]
    assert all(partition.recall >= recall for partition, recall in zip(asked, (0.3, 0.9, 1.0)))
    assert asked[0].nprobe <= asked[1].nprobe <= asked[2].nprobe
    assert saving.tuned(asked[2], 0.9)[1] >= 0.9
    written = json.loads((asked[1].folder / index.PARTITION).read_text())
    assert (written["nprobe"], written["recall"]) == (asked[1].nprobe, asked[1].recall)


def test_equal_tracklets_give_equal_files(tmp_path, seen):
    for name in ("a", "b"):
        saved(tmp_path / name, seen, exact_vectors=1)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


FILES = ("vectors.f16", "first.npy", "tracklets.npy", "partition.json")


# Of lists that were cut short only FAISS can tell, at the first search: index_folders compares sizes before.
@pytest.mark.parametrize(
    ("name", "damage"), [*((name, "cut") for name in FILES), *((name, "missing") for name in (*FILES, "lists.faiss"))]
)
def test_a_damaged_partition_is_refused(tmp_path, seen, name, damage):
    saved(tmp_path, seen, exact_vectors=1)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(LakeError, match="not a whole search index"):
        Partition.open(tmp_path)


def test_another_format_is_refused(tmp_path, seen):
    saved(tmp_path, seen)
    head = json.loads((tmp_path / index.PARTITION).read_text())
    (tmp_path / index.PARTITION).write_text(json.dumps({**head, "format": 99}))
    with pytest.raises(LakeError, match="format 99"):
        Partition.open(tmp_path)


def test_a_tint_is_taken_out_as_linking_does(seen):
    vectors = np.concatenate([one.looks for one in seen[:6]])
    tints = 0.4 * unit(np.random.default_rng(0).normal(size=(2, 128)))
    size = [len(one.looks) for one in seen[:6]]
    sets = ExemplarSets(vectors, np.concatenate([[0], np.cumsum(size)]).astype(np.int64))
    camera = np.array([0, 1, 1, 0, 1, 0])
    want = without_bias(sets, camera, tints).vector
    np.testing.assert_allclose(without_tint(vectors, tints[np.repeat(camera, size)]), want, atol=1e-6)


def test_what_a_tint_explains_wholly_keeps_itself():
    vector = look(1, n=2)
    assert np.array_equal(without_tint(vector, vector[0].astype(np.float64)), vector)
    assert without_tint(np.zeros((0, 128), np.float32), np.zeros(128)).shape == (0, 128)
