"""Whole files in a folder: local, or any fsspec URL. A reader sees a file as it was or as it is, never half of it.

Locally a file is written under a temporary name in its own folder, flushed to the disk and renamed; the name does not
end in `.parquet` and begins with `.tmp-`, so that nobody's glob takes it for data. Object stores show an object only
once it is complete, so it is written under its own name; other remote file systems get the temporary name and a move.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
import uuid
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import fsspec

from pipeline.config import is_url
from pipeline.errors import LakeError

TEMPORARY = ".tmp-"
_FOREIGN_TEMPORARY_AGE_S = 86_400
"""Another machine's temporary file is taken for abandoned after a day: no single file takes that long to write."""

_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"})
"""Protocols whose uploads appear whole or not at all."""

_WRITTEN = ("ETag", "etag", "generation", "mtime", "LastModified", "last_modified", "updated", "created")
"""Names under which stores say which version of a file is there, the most exact first."""


class LocalStorage:
    """Files below a local folder. Paths are relative, with forward slashes."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.url = str(self.root)

    def location(self, path: str) -> str:
        """Return a file's full path, as DuckDB and pyarrow take it."""
        return str(self.root / path)

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or None where there is no such file."""
        try:
            return (self.root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def opened(self, path: str) -> BinaryIO | None:
        """Open a file to read parts of it, or return None where there is no such file."""
        try:
            return (self.root / path).open("rb")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, path: str, content: bytes) -> None:
        """Put a whole file in place, durably, making its folders."""
        final = self.root / path
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.parent / temporary_name()
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(final.parent)

    def remove(self, path: str) -> None:
        """Remove a file, durably; nothing happens where there is none."""
        file = self.root / path
        try:
            file.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        _flush_folder(file.parent)

    def names(self, folder: str = "") -> list[str]:
        """Return the sorted names in a folder, hidden ones left out; empty where there is no such folder."""
        try:
            return sorted(name for name in os.listdir(self.root / folder) if not name.startswith("."))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, folder: str, ending: str) -> list[str]:
        """Return the sorted paths below a folder that end in `ending`, hidden names left out."""
        found = []
        for parent, folders, names in os.walk(self.root / folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            relative = Path(parent).relative_to(self.root).as_posix()
            found += [f"{relative}/{name}" for name in names if name.endswith(ending) and not name.startswith(".")]
        return sorted(found)

    def stamps(self, folder: str, ending: str) -> dict[str, str]:
        """Return the paths that `files` returns, each with a text that is another once the file is replaced."""
        stamps = {}
        for path in self.files(folder, ending):
            try:
                of = os.stat(f"{self.url}/{path}")
            except FileNotFoundError:
                continue
            stamps[path] = f"{of.st_ino}-{of.st_mtime_ns}-{of.st_size}"
        return stamps

    def clean(self) -> None:
        """Remove temporary files and folders of processes that no longer live."""
        host = socket.gethostname()
        for file in list(self.root.rglob(f"{TEMPORARY}*")):
            owner, _, process_id = file.name.removeprefix(TEMPORARY).rpartition("-")[0].rpartition("-")
            if owner == host:
                abandoned = not _is_alive(process_id)
            else:
                abandoned = _age_s(file) > _FOREIGN_TEMPORARY_AGE_S
            if abandoned and file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            elif abandoned:
                file.unlink(missing_ok=True)


class RemoteStorage:
    """Files below an fsspec URL. Paths are relative, with forward slashes."""

    def __init__(self, url: str) -> None:
        try:
            self.filesystem, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise LakeError(f"{url}: this location cannot be opened: {error}") from None
        self.protocol = url.partition("://")[0]
        self.root = PurePosixPath(root)
        self.url = url.rstrip("/")

    def location(self, path: str) -> str:
        """Return a file's full URL, as DuckDB takes it with this file system registered."""
        return f"{self.protocol}://{self.root / path}"

    def read(self, path: str) -> bytes | None:
        """Return a file's content, or None where there is no such file."""
        try:
            return self.filesystem.cat_file(str(self.root / path))
        except FileNotFoundError:
            return None

    def opened(self, path: str) -> BinaryIO | None:
        """Open a file to read parts of it, or return None where there is no such file."""
        try:
            return self.filesystem.open(str(self.root / path), "rb")
        except FileNotFoundError:
            return None

    def write(self, path: str, content: bytes) -> None:
        """Put a whole file in place."""
        target = str(self.root / path)
        self.filesystem.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        if self.protocol in _OBJECT_STORES:
            self.filesystem.pipe_file(target, content)
            return
        temporary = f"{PurePosixPath(target).parent}/{temporary_name()}"
        self.filesystem.pipe_file(temporary, content)
        self.filesystem.mv(temporary, target)

    def remove(self, path: str) -> None:
        """Remove a file; nothing happens where there is none."""
        try:
            self.filesystem.rm_file(str(self.root / path))
        except FileNotFoundError:
            return

    def names(self, folder: str = "") -> list[str]:
        """Return the sorted names in a folder, hidden ones left out; empty where there is no such folder."""
        self.filesystem.invalidate_cache()
        try:
            listed = self.filesystem.ls(str(self.root / folder), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = (PurePosixPath(path).name for path in listed)
        return sorted(name for name in names if not name.startswith("."))

    def files(self, folder: str, ending: str) -> list[str]:
        """Return the sorted paths below a folder that end in `ending`, hidden names left out."""
        self.filesystem.invalidate_cache()
        found = (PurePosixPath(path) for path in self.filesystem.find(str(self.root / folder)))
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in found
            if path.name.endswith(ending) and not path.name.startswith(".")
        )

    def stamps(self, folder: str, ending: str) -> dict[str, str]:
        """Return the paths that `files` returns, each with a text that is another once the file is replaced; empty
        where the store does not say when a file was written."""
        self.filesystem.invalidate_cache()
        found = self.filesystem.find(str(self.root / folder), detail=True).items()
        stamps = {}
        for place, about in sorted(found):
            path = PurePosixPath(place)
            if path.name.endswith(ending) and not path.name.startswith("."):
                said = [f"{about[key]}" for key in _WRITTEN if about.get(key) is not None]
                stamps[path.relative_to(self.root).as_posix()] = f"{said[0]}-{about.get('size')}" if said else ""
        return stamps

    def clean(self) -> None:
        """Remove temporary files older than a day: whose they are cannot be told from here."""
        for path in self.filesystem.find(str(self.root)):
            if PurePosixPath(path).name.startswith(TEMPORARY):
                age_s = time.time() - self.filesystem.modified(path).timestamp()
                if age_s > _FOREIGN_TEMPORARY_AGE_S:
                    self.filesystem.rm_file(path)


Storage = LocalStorage | RemoteStorage


def open_storage(url: str) -> Storage:
    """Return the storage behind a folder or URL. Raises LakeError where nothing here can read such a URL."""
    if url.startswith(("file://", "local://")):
        return LocalStorage(Path(url.partition("://")[2]))
    return RemoteStorage(url) if is_url(url) else LocalStorage(Path(url).expanduser())


def temporary_name() -> str:
    """Return a name nobody else writes to, which says on which machine its process runs."""
    return f"{TEMPORARY}{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex}"


def _age_s(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _is_alive(process_id: str) -> bool:
    """Tell whether a process of this machine lives; in doubt, that it does."""
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True


def _flush_folder(folder: Path) -> None:
    """Make a rename or a removal in a folder survive a power cut."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
