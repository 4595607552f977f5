"""Networks of our own on disk: safetensors, with all that rebuilds the network as JSON in the file's header.

Nothing in such a file is ever executed. Tensors lie there as float16 or float32 and are handed out as float32.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from pipeline.errors import UserError, WeightsError
from pipeline.perception.weights import require_file

KEY = "nightfleet"
"""Name of the header's entry that holds our JSON."""

FORMAT_VERSION = 1
"""Raised by one whenever an older nightfleet would misread a file."""


def save(
    path: Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], *, half: bool = True
) -> None:
    """Write a network, under a temporary name first.

    kind     what it is, as `load` is asked for it: "embedder", "one-shot"
    about    JSON values that rebuild the network
    tensors  its state by name; those of whole numbers, as batch norm's counters, are left out
    half     keep float16 rather than float32: half the size, rounded to 11 bits of mantissa

    Raises UserError where it cannot be written.
    """
    path = Path(path)
    dtype = torch.float16 if half else torch.float32
    kept = {name: value.detach().cpu() for name, value in tensors.items() if value.is_floating_point()}
    kept = {name: value.to(dtype).contiguous() for name, value in kept.items()}
    header = {KEY: json.dumps({"format": FORMAT_VERSION, "kind": kind, **about}, sort_keys=True)}
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(to_bytes(kept, metadata=header))
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; give another place") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def load(path: Path | str, kind: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return what `save` was given about a network of this kind, and its tensors in float32.

    Raises WeightsError, one sentence, where the file is none of ours, of another kind, or newer than this program.
    """
    what = f"a network of the kind {kind!r} saved by `nightfleet train` (.safetensors)"
    path = require_file(path, what)
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(KEY)
            about = _about(path, header, kind, what)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{path}: expected {what}, but the file cannot be read as safetensors ({reason})") from None
    return about, {name: value.float() for name, value in tensors.items()}


def fill(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], path: Path | str) -> None:
    """Load tensors into a network that its file's header describes. Raises WeightsError where they do not fit."""
    own = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
    missing, unexpected = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    reshaped = [name for name in sorted(set(own) & set(tensors)) if own[name].shape != tensors[name].shape]
    if missing:
        found = f"it lacks {missing[0]!r}"
    elif unexpected:
        found = f"it has {unexpected[0]!r}, which the network lacks"
    elif reshaped:
        name = reshaped[0]
        found = f"{name!r} has the shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
    else:
        network.load_state_dict(dict(tensors), strict=False)
        return
    raise WeightsError(f"{path}: its tensors do not fit the network that its header describes: {found}")


def _about(path: Path, header: str | None, kind: str, what: str) -> dict[str, Any]:
    if header is None:
        raise WeightsError(
            f"{path}: expected {what}, got safetensors of another program: its header has no entry {KEY!r}"
        )
    try:
        about = json.loads(header)
    except ValueError:
        about = None
    if not isinstance(about, dict) or not isinstance(about.get("format"), int):
        raise WeightsError(f"{path}: expected {what}, but the entry {KEY!r} of its header is damaged")
    if about["format"] > FORMAT_VERSION:
        raise WeightsError(
            f"{path}: written by a newer nightfleet (format {about['format']}, this one reads {FORMAT_VERSION}); "
            "install a newer one, or train it again"
        )
    if about.get("kind") != kind:
        raise WeightsError(f"{path}: expected {what}, got a network of the kind {about.get('kind')!r}")
    return about
