"""Checkpoints of a training: whole or not there at all, and taken up only by the training that wrote them."""

from __future__ import annotations

import contextlib
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import UserError

NAME = "checkpoint.pt"


def save(folder: Path, signature: str, state: dict[str, Any]) -> None:
    """Write the state (tensors and plain values) of a training, under a temporary name first.

    signature  digest of settings and data: what must be equal for the training to go on. Raises UserError.
    """
    temporary = folder / f".{NAME}.{os.getpid()}"
    try:
        torch.save({"signature": signature, "state": state}, temporary)
        os.replace(temporary, folder / NAME)
    except (OSError, RuntimeError) as error:  # a full disk is a RuntimeError to torch.save
        raise UserError(f"{folder / NAME}: cannot be written: {error}; make room, or give another --out") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def load(folder: Path, signature: str) -> dict[str, Any] | None:
    """Return the state that was saved last, or None where there is none; no code in the file is executed.

    Raises UserError where it is another training's, or cannot be read.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(found, dict):
            raise TypeError
        same, state = found["signature"] == signature, found["state"]
    except (
        OSError,
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
    ):
        raise UserError(f"{path}: not a checkpoint of nightfleet; remove it, or give another --out") from None
    if not same:
        raise UserError(
            f"{path}: belongs to a training with other settings or other data; repeat them to go on with it, or give "
            "another --out"
        )
    return state
