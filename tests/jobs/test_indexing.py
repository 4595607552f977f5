"""A night's saved index is of one state of the night; no copy made before an erasure is ever used again."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from jobs import erase, indexing
from jobs.identify import identify
from jobs.search import search
from pipeline.errors import UserError
from pipeline.lake import index_folders
from pipeline.lake.writer import Lake
from tests.jobs.night_lakes import FIRST, SECOND, People, fleet, identities, of_person, write_seen


@pytest.fixture
def lake(tmp_path, monkeypatch):
    """Ten people in one night and ten others in the next; copies of indexes lie in a folder of this test's own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    lake, people = Lake.open_or_create(str(tmp_path / "lake")), People()
    for local_date, who in ((FIRST, range(10)), (SECOND, range(10, 20))):
        write_seen(lake, local_date, people.crowd(local_date, who))
    identify(fleet(lake), lake, device="cpu")
    return lake


def cache(lake: Lake) -> Path:
    assert index_folders._is_own(index_folders._cache_root())
    return index_folders._cache(lake.storage) / f"date={FIRST}"


@pytest.mark.parametrize("made", ["before", "in between"])
def test_a_copy_elsewhere_of_an_index_with_somebody_erased_is_never_used_again(lake, tmp_path, monkeypatch, made):
    (victim,) = of_person(identities(lake), 3)
    other = next(name for name in sorted(identities(lake)) if "-t04-" in name)
    copy, index = tmp_path / "copy", Path(lake.url, "index", f"date={FIRST}")
    other_night = indexing._found(lake, SECOND)
    seen = erase.look(lake.url, identity=victim)
    if made == "before":
        shutil.copytree(index, copy)
    else:
        remove = erase.erasing.remove

        def searched(*args):
            indexing.night(lake, FIRST)
            shutil.copytree(index, copy, dirs_exist_ok=True)
            remove(*args)

        monkeypatch.setattr(erase.erasing, "remove", searched)
    assert erase.erase(seen).clean
    cache(lake).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(copy, cache(lake))
    assert indexing._found(lake, FIRST) is None
    with pytest.raises(UserError):
        search(lake.url, identity_id=victim)
    hits = search(lake.url, tracklet_id=other, top=1000)["hits"]
    assert hits and not [hit for hit in hits if "-t03-" in hit["tracklet_id"]]
    assert indexing._found(lake, FIRST) is not None, "the new index is one to use"
    assert indexing._found(lake, SECOND) == other_night, "and other nights' stay"
    again = erase.erase(erase.look(lake.url, identity=victim))
    assert again.clean and again.earlier == "done"
