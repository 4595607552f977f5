"""Files of footage wherever they lie: a local path, or any URL fsspec can open (s3, gs, memory, ...)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipeline.config import is_url

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
"""What makes a file one picture of an image folder."""


def expand(pattern: str) -> list[str]:
    """Return what a path, glob or URL matches, in natural order of the whole path; hidden files are left out.

    A name that exists as it is written is taken literally, even if it contains `[` or `*`. Raises OSError, ValueError
    or ImportError where the place cannot be listed.
    """
    fs, path = fsspec.core.url_to_fs(pattern)
    found = [path] if fs.exists(path) else fs.glob(path)
    found = [each for each in found if not base_name(each).startswith(".")]
    return natural_order(fs.unstrip_protocol(each) if is_url(pattern) else each for each in found)


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names so that numbers in them count as numbers: part2 comes before part10. Ties by the plain text."""
    return sorted(names, key=lambda name: (natural_key(name), name))


def natural_key(name: str) -> tuple:
    """Return the sort key of `natural_order`: text and numbers in turn, text without regard to case."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(int(part) if place % 2 else part.casefold() for place, part in enumerate(parts))


def base_name(url: str) -> str:
    """Return the last part of a path or URL."""
    return url.rstrip("/").rsplit("/", 1)[-1]


def parent(url: str) -> str:
    """Return everything before the last part of a path or URL."""
    return url.rstrip("/").rpartition("/")[0]


def is_picture(url: str) -> bool:
    """Tell by its ending whether a file is one picture."""
    return url.lower().endswith(PICTURE_ENDINGS)


def is_folder(url: str) -> bool:
    """Tell whether a path or URL is a folder."""
    fs, path = fsspec.core.url_to_fs(url)
    return fs.isdir(path)


def exists(url: str) -> bool:
    """Tell whether a path or URL exists."""
    fs, path = fsspec.core.url_to_fs(url)
    return fs.exists(path)


def pictures_in(folder: str) -> list[str]:
    """Return the jpg and png files that lie directly in a folder, in natural order of their names."""
    fs, path = fsspec.core.url_to_fs(folder)
    found = [each for each in fs.ls(path, detail=False) if is_picture(each) and not base_name(each).startswith(".")]
    return natural_order(fs.unstrip_protocol(each) if is_url(folder) else each for each in found)


def size_bytes(url: str) -> int:
    """Return the size of a file."""
    fs, path = fsspec.core.url_to_fs(url)
    return int(fs.size(path) or 0)


def modified_at(url: str) -> datetime | None:
    """Return when a file was last changed, in UTC, or None where the storage does not say."""
    fs, path = fsspec.core.url_to_fs(url)
    try:
        changed = fs.modified(path)
    except (NotImplementedError, KeyError, OSError):
        return None
    return changed if changed.tzinfo else changed.replace(tzinfo=UTC)


def open_binary(url: str) -> BinaryIO:
    """Open a file for reading bytes."""
    fs, path = fsspec.core.url_to_fs(url)
    return fs.open(path, "rb")


def read_bytes(url: str) -> bytes:
    """Return all of a file; meant for small ones: sidecars and pictures."""
    with open_binary(url) as file:
        return file.read()


def local_path(url: str) -> str | None:
    """Return the path of a file on this machine, or None where it lies elsewhere."""
    fs, path = fsspec.core.url_to_fs(url)
    return path if isinstance(fs, LocalFileSystem) else None
