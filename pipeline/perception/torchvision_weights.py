"""State dicts for torchvision's models: from a file, or by torchvision's own download."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import pickle
import re
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import HTTPError, URLError

import safetensors
import safetensors.torch
import torch
from torchvision import models

from pipeline.errors import ConfigError, WeightsError
from pipeline.perception.file_kinds import is_safetensors, kind_of_file
from pipeline.perception.weights import require_file

_FOREIGN = re.compile(r"GLOBAL ([\w.]+)")
"""What a pickle asks for beyond tensors, in the words of PyTorch's refusal."""

_DIGEST_IN_NAME = re.compile(r"-([a-f0-9]{8,})\.")
"""First digits of the SHA-256 in the names of torchvision's files."""

DOWNLOAD_TIMEOUT_S = 30.0
"""Longest silence of the server before a download is given up."""


def known_model(name: str, module: ModuleType, what: str) -> str:
    """Return `name` if `module` of torchvision.models has such a model. Raises ConfigError with a suggestion."""
    known = models.list_models(module=module)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" (did you mean `{close[0]}`?)" if close else f"; it has {', '.join(known)}"
        raise ConfigError(f"torchvision:{name}: torchvision has no {what} of this name{hint}")
    return name


def state_dict(name: str, path: Path | None) -> dict[str, torch.Tensor]:
    """Return the weights of torchvision's model `name`: from a file, or its default download where `path` is None.

    A file is safetensors, or what `torch.save` wrote of a state dict, read without running anything in it. A checkpoint
    that keeps the state dict under "model" (as torchvision's training scripts do) or "state_dict" is accepted.
    Raises WeightsError, one sentence, where the file is not a state dict or the download fails.
    """
    if path is None:
        return _downloaded(name)
    return read_state_dict(path, f"weights of torchvision's {name}")


def read_state_dict(path: Path | str, what: str) -> dict[str, torch.Tensor]:
    """Return the state dict in a file, as `state_dict` does. Raises WeightsError: `what` was expected."""
    path = require_file(path, what)
    content = _read_safetensors(path, what) if is_safetensors(path) else _read_pickle(path, what)
    for key in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise WeightsError(f"{path}: holds no state dict; expected named tensors, {what}")
    return content


def _read_safetensors(path: Path, what: str) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path, device="cpu")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: safetensors that cannot be read ({error}); fetch it again: expected {what}"
        ) from None


def _read_pickle(path: Path, what: str) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _FOREIGN.search(str(error))
        if wanted:
            raise WeightsError(
                f"{path}: holds more than tensors ({wanted[1]}), and loading that would run its code; save the "
                f"model's state_dict() alone, or convert it to safetensors: expected {what}"
            ) from None
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile):
        pass
    kind = kind_of_file(path)
    told = f" (it is {kind})" if kind else ""
    raise WeightsError(f"{path}: not a PyTorch state dict{told}; expected {what}")


def fill(model: torch.nn.Module, weights: dict[str, torch.Tensor], *, name: str, origin: Path | None) -> None:
    """Load weights into a model, every name and shape must fit. Raises WeightsError where they are another model's."""
    own = model.state_dict()
    missing, unexpected = sorted(set(own) - set(weights)), sorted(set(weights) - set(own))
    reshaped = sorted(key for key in set(own) & set(weights) if own[key].shape != weights[key].shape)
    if missing:
        found = f"lacks {missing[0]!r}"
    elif unexpected:
        found = f"has {unexpected[0]!r}, which the model lacks"
    elif reshaped:
        key = reshaped[0]
        found = f"has {key!r} of shape {tuple(weights[key].shape)}, expected {tuple(own[key].shape)}"
    else:
        model.load_state_dict(weights)
        return
    raise WeightsError(f"{origin or 'download'}: not weights of torchvision's {name}: it {found}")


def _downloaded(name: str) -> dict[str, torch.Tensor]:
    """Return torchvision's default weights, downloaded once into TORCH_HOME and checked against the hash in their URL.

    Not by torchvision's own `get_state_dict`, which would run what a pickle says.
    """
    weights = models.get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir(), "checkpoints", weights.url.rpartition("/")[2])
    digest = _DIGEST_IN_NAME.search(path.name)
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _socket_timeout(DOWNLOAD_TIMEOUT_S):
                torch.hub.download_url_to_file(weights.url, str(path), digest and digest[1], progress=False)
        except (URLError, OSError, RuntimeError) as error:
            reason = error if isinstance(error, HTTPError) else getattr(error, "reason", None) or error
            raise WeightsError(
                f"torchvision:{name}: its weights could not be downloaded from {weights.url} ({reason}); "
                "download them elsewhere and give the file as `weights`"
            ) from None
    if digest and not _sha256(path).startswith(digest[1]):
        raise WeightsError(f"{path}: not what {weights.url} holds, by its hash; delete the file, to fetch it again")
    return read_state_dict(path, f"weights of torchvision's {name}")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Give new sockets a timeout: torch.hub sets none, and would wait for ever on a network that drops packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
