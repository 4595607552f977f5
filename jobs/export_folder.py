"""A folder of exported files: whole or not at all, and replaced only where it is an export itself."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import is_url
from pipeline.errors import UserError
from pipeline.lake.storage import temporary_name

MANIFEST = "export.json"
"""The file that makes a folder an export; it is the last written."""

_FORMAT = "nightfleet-export"


@contextmanager
def made(out: str | Path, *, force: bool) -> Iterator[Path]:
    """Give a folder to write into, which takes its place as `out` when all is written and is gone where anything fails.

    Raises UserError where `out` is there already and is not empty: with `force` it is replaced if it is an export, and
    anything else never.
    """
    if is_url(str(out)):
        raise UserError(f"{out}: an export is written to a folder of this machine; give one, and copy it from there")
    final = Path(out).expanduser().absolute()
    _refuse_to_overwrite(final, force)
    temporary = final.parent / temporary_name()
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}") from None
    try:
        yield temporary
        _put_in_place(temporary, final)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_manifest(folder: Path, about: dict) -> None:
    """Write what an export is: `about`, and the files in it."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    text = json.dumps({"kind": _FORMAT, **about, "files": files}, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _refuse_to_overwrite(final: Path, force: bool) -> None:
    if not final.exists():
        return
    if not final.is_dir():
        raise UserError(f"{final}: is a file; give a folder for the export")
    if not any(final.iterdir()):
        return
    if not _is_export(final):
        raise UserError(f"{final}: this folder is not empty and holds no export; give an empty or a new folder")
    if not force:
        raise UserError(f"{final}: holds an export already; say --force to replace it, or give another folder")


def _is_export(folder: Path) -> bool:
    try:
        about = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("kind") == _FORMAT


def _put_in_place(temporary: Path, final: Path) -> None:
    """Rename the folder; one that stands there is moved aside first, and removed once the new one is in place."""
    aside = final.parent / temporary_name()
    if final.exists():
        os.replace(final, aside)
    try:
        os.replace(temporary, final)
    except OSError:
        if aside.exists():
            os.replace(aside, final)
        raise
    shutil.rmtree(aside, ignore_errors=True)
