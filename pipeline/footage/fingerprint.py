"""A cheap digest of footage: changes when the file does, without reading all of it.

A file's fingerprint covers its size and its first, middle and last MiB. That sees every new recording, every cut and
every container written anew; it does not see a change of single bytes elsewhere that leaves the size as it is. A folder
of pictures is fingerprinted by the name and size of every picture and by the first, middle and last of them.
Neither depends on where the footage lies or when it was copied there.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pipeline.footage import files

SAMPLE_BYTES = 1 << 20
"""Read at each of three places: enough to hold container headers and indexes, little enough for a probe."""

DIGEST_BYTES = 16
"""128 bits: an accidental clash among all footage there will ever be is out of the question."""


def of_file(url: str) -> str:
    """Return the fingerprint of one file. Raises OSError where it cannot be read."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    _add(digest, url, files.size_bytes(url))
    return digest.hexdigest()


def of_folder(pictures: list[str]) -> str:
    """Return the fingerprint of a folder's pictures, given in order. Raises OSError where one cannot be read."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for url in pictures:
        digest.update(f"{files.base_name(url)}/{files.size_bytes(url)}\n".encode())
    for place in sorted({0, len(pictures) // 2, len(pictures) - 1} if pictures else ()):
        _add(digest, pictures[place], files.size_bytes(pictures[place]))
    return digest.hexdigest()


def _add(digest: Any, url: str, size: int) -> None:
    digest.update(f"{size}\n".encode())
    with files.open_binary(url) as file:
        for start in (0, (size - SAMPLE_BYTES) // 2, size - SAMPLE_BYTES):
            file.seek(max(0, start))
            digest.update(file.read(SAMPLE_BYTES))
