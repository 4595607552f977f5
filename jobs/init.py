"""Write a commented fleet.yaml to start from. `init` is what `nightfleet init` calls."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pipeline.errors import UserError

EXAMPLE = "fleet.example.yaml"


def init(folder: Path) -> Path:
    """Write `fleet.yaml` into a folder, making it if need be. Raises UserError rather than overwrite one."""
    target = folder / "fleet.yaml"
    if target.exists():
        raise UserError(f"{target}: exists already and is left as it is; give another folder, or move it away")
    text = (resources.files("configs") / EXAMPLE).read_text(encoding="utf-8")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{target}: cannot be written: {error.strerror}") from None
    return target
