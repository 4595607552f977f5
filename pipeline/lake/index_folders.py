"""Where a lake's saved search indexes lie: `index/date=D/` of the lake, or a copy on this machine.

A search maps them into memory, so it needs them on a disk of its own machine. A local lake holds them; of a remote one,
or of one that nobody here may write to, a copy lies in a folder of this user's below the system's folder for temporary
files. A folder is made under a temporary name and renamed, so that it is whole or not there, and says in `index.json`
which run of the identities it was made from and by which embedder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import LakeError
from pipeline.lake.storage import LocalStorage, RemoteStorage, Storage, temporary_name

INDEX = "index"
"""Folder of the lake that holds them."""

HEAD = "index.json"
"""The file that makes a folder an index, written and copied last."""

_ATTEMPTS = 5


def find(storage: Storage, local_date: str, run_id: str) -> tuple[Path, dict[str, Any]] | None:
    """Return the folder on this machine of a date's index of one run and what its head says, or None.

    A remote lake's is fetched first. An index of another run, or one that is not whole, counts for none.
    """
    for folder in _folders(storage, local_date):
        found = _head(folder)
        if found is not None and found.get("run_id") == run_id:
            return folder, found
    return _fetched(storage, local_date, run_id) if isinstance(storage, RemoteStorage) else None


def head(storage: Storage, local_date: str) -> dict[str, Any]:
    """Return what a date's last index on this machine says of itself, of whatever run; nothing where there is none."""
    return next((found for folder in _folders(storage, local_date) if (found := _head(folder))), {})


@contextmanager
def made(storage: Storage, local_date: str, about: dict[str, Any], *, upload: bool) -> Iterator[Path]:
    """Give a new folder to fill, and put it in place of a date's index once it is filled.

    about   what `find` shall return of it, its `run_id` among it
    upload  put it into a remote lake too
    """
    final, temporary = _writable(storage, local_date)
    try:
        yield temporary
        files = {
            path.relative_to(temporary).as_posix(): path.stat().st_size
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        (temporary / HEAD).write_text(json.dumps({**about, "files": files}, indent=1) + "\n", encoding="utf-8")
        _put_in_place(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if upload and isinstance(storage, RemoteStorage):
        _upload(storage, local_date, final)


def forget(storage: Storage, local_date: str) -> None:
    """Remove a date's index from the lake and from this machine; nothing happens where there is none."""
    if isinstance(storage, RemoteStorage):
        remote = f"{INDEX}/date={local_date}"
        storage.remove(f"{remote}/{HEAD}")
        for path in storage.files(remote, ""):
            storage.remove(path)
    for folder in _folders(storage, local_date):
        gone = folder.with_name(temporary_name())
        with suppress(FileNotFoundError):
            os.replace(folder, gone)
            shutil.rmtree(gone)


def _folders(storage: Storage, local_date: str) -> list[Path]:
    """Where an index may lie on this machine."""
    name = f"date={local_date}"
    copies = [_cache(storage) / name] if _is_own(_cache_root()) else []
    return [storage.root / INDEX / name, *copies] if isinstance(storage, LocalStorage) else copies


def _head(folder: Path) -> dict[str, Any] | None:
    """Return what a whole index says of itself, or None."""
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == size for name, size in head["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return head if whole else None


def _writable(storage: Storage, local_date: str) -> tuple[Path, Path]:
    """Return where an index shall lie, and a new folder beside it; on this machine where the lake cannot be written."""
    refused: object = f"{_cache_root()} is not this user's own"
    for final in _folders(storage, local_date):
        temporary = final.with_name(temporary_name())
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
        except OSError as error:
            refused = error
            continue
        return final, temporary
    raise LakeError(f"{storage.url}: no place for its search index: {refused}; free some, or set TMPDIR")


def _put_in_place(temporary: Path, final: Path) -> None:
    """Rename a filled folder to its name, the one there before removed. Whoever reads the old one keeps its files."""
    for attempt in range(_ATTEMPTS):
        gone = final.with_name(temporary_name())
        with suppress(FileNotFoundError):
            os.replace(final, gone)
        try:
            os.replace(temporary, final)
        except OSError:  # another process put its own there in between
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            shutil.rmtree(gone, ignore_errors=True)
            return
        shutil.rmtree(gone, ignore_errors=True)


def _upload(storage: RemoteStorage, local_date: str, folder: Path) -> None:
    """Copy an index into a remote lake: its head goes first and comes last, so nobody takes half of it for whole."""
    remote = f"{INDEX}/date={local_date}"
    storage.remove(f"{remote}/{HEAD}")
    about = json.loads((folder / HEAD).read_text(encoding="utf-8"))
    for name in [*about["files"], HEAD]:
        target = str(storage.root / remote / name)
        storage.filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
        storage.filesystem.put_file(str(folder / name), target)


def _fetched(storage: RemoteStorage, local_date: str, run_id: str) -> tuple[Path, dict[str, Any]] | None:
    """Copy a remote lake's index to this machine, if it has one of this run."""
    remote = f"{INDEX}/date={local_date}"
    try:
        about = json.loads(storage.read(f"{remote}/{HEAD}") or b"null")
        if about is None or about["run_id"] != run_id:
            return None
        names = list(about.pop("files"))
        with made(storage, local_date, about, upload=False) as folder:
            for name in names:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                storage.filesystem.get_file(str(storage.root / remote / name), str(folder / name))
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # replaced or removed meanwhile, or damaged
        return None
    return find(storage, local_date, run_id)


def _cache(storage: Storage) -> Path:
    return _cache_root() / hashlib.blake2b(storage.url.encode(), digest_size=10).hexdigest()


def _cache_root() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"nightfleet-index-{user}"


def _is_own(folder: Path) -> bool:
    """Make a folder that nobody else may look into; tells whether it is one: a stranger may have made it before."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(about.st_mode)
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and about.st_mode & 0o077 == 0
