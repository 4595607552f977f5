"""Arguments and options that many commands have, and the form of their help."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import UserError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
FleetFile = Annotated[Path, typer.Argument(metavar="FLEET.YAML", help="The fleet's configuration.")]
LakeUrl = Annotated[str, typer.Argument(metavar="LAKE", help="Folder or URL of the lake.")]


class Format(StrEnum):
    """How a table is written."""

    table = "table"
    csv = "csv"
    parquet = "parquet"
    xlsx = "xlsx"


_FORMAT_OF_SUFFIX = {
    ".csv": Format.csv,
    ".parquet": Format.parquet,
    ".xlsx": Format.xlsx,
    ".txt": Format.table,
}


def checked_format(asked: Format | None, out: Path | None, as_json: bool = False) -> Format | None:
    """Return how to write a table: as asked, else as the name of the file ends, else printed; None stands for JSON.

    Raises UserError where the name says something else than the option does, or nothing known.
    """
    suffix = "" if out is None else out.suffix.lower()
    said = _FORMAT_OF_SUFFIX.get(suffix)
    if as_json:
        if said not in (None, Format.table):
            raise UserError(f"--out {out}: --json writes JSON; name a file that ends in .json, or leave out --json")
        return None
    if asked is None and out is None:
        return Format.table
    if asked is None and said is None:
        raise UserError(
            f"--out {out}: expected a name that ends in {', '.join(_FORMAT_OF_SUFFIX)}; rename it, or say --format or "
            "--json"
        )
    clashes = suffix == ".json" or said not in (None, Format.table, asked)
    if asked is not None and clashes:
        raise UserError(
            f"--out {out}: --format {asked.value} is not what the name ends in; rename it, or leave out --format"
        )
    return asked or said


def checked_date(text: str | None, option: str) -> str | None:
    """Return a local date as YYYY-MM-DD. Raises UserError, naming the option, for anything else."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UserError(f"{option}: expected YYYY-MM-DD, got {text!r}") from None


def camera_names(text: str | None, option: str) -> list[str] | None:
    """Split A,B. Raises UserError where that names nothing: it is not meant to stand for everything."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UserError(f"{option}: expected names of cameras, such as A,B, got {text!r}; leave it out for all cameras")
    return names


def example(line: str) -> str:
    """Return the epilog every command ends its help with."""
    return f"Example: `{line}`"
