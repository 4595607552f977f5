"""State dicts for torchvision's models: from a file, or by torchvision's own download."""

from __future__ import annotations

import contextlib
import difflib
import pickle
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import URLError

import torch
from torchvision import models

from pipeline.errors import ConfigError, WeightsError
from pipeline.perception.weights import require_file

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

    A checkpoint that keeps the state dict under "model" (as torchvision's training scripts do) is accepted.
    Raises WeightsError, one sentence, where the file is not a state dict or the download fails.
    """
    if path is None:
        return _downloaded(name)
    path = require_file(path, f"a state dict of torchvision's {name}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile):
        raise WeightsError(f"{path}: not a PyTorch state dict; expected weights of torchvision's {name}") from None
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise WeightsError(f"{path}: holds no state dict; expected named tensors of torchvision's {name}")
    return content


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
    weights = models.get_model_weights(name).DEFAULT
    try:
        with _socket_timeout(DOWNLOAD_TIMEOUT_S):
            return weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(
            f"torchvision:{name}: its weights could not be downloaded from {weights.url} ({reason}); "
            "download them elsewhere and give the file as `weights`"
        ) from None


@contextlib.contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Give new sockets a timeout: torch.hub sets none, and would wait for ever on a network that drops packets."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
