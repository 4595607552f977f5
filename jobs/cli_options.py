"""Arguments and options that many commands have, and the form of their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
FleetFile = Annotated[Path, typer.Argument(metavar="FLEET.YAML", help="The fleet's configuration.")]
LakeUrl = Annotated[str, typer.Argument(metavar="LAKE", help="Folder or URL of the lake.")]


def example(line: str) -> str:
    """Return the epilog every command ends its help with."""
    return f"Example: `{line}`"
