"""What a weights file that cannot be read really is, by its first bytes."""

from __future__ import annotations

import struct
from pathlib import Path

_HEAD_BYTES = 512

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes; export the model first"),
    (b"\x1f\x8b", "gzip; unpack it first"),
    (b"ftrt", "a TensorRT engine; give the model it was built from"),
    (b"\x80\x02", "a PyTorch file of the old kind, or another pickle"),
    (b"PK\x03\x04", "a zip archive, as PyTorch writes its state dicts"),
    (b"[net]", "a Darknet .cfg; docs/detectors.md says how to export it with its weights"),
)

_DARKNET_VERSIONS = ((0, 1), (0, 2))


def kind_of_file(path: Path) -> str | None:
    """Return what the file at `path` is, in words that can follow "it is"; None where its beginning does not tell."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if not head:
        return "empty"
    if is_safetensors(path):
        return "safetensors, a state dict"
    for beginning, kind in _BEGINNINGS:
        if head.startswith(beginning):
            return kind
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "a web page, as a failed download leaves behind"
    if text.startswith(b"<?xml"):
        return "XML, such as OpenVINO's; give the ONNX file it was made from"
    if len(head) >= 12 and struct.unpack("<iii", head[:12])[:2] in _DARKNET_VERSIONS:
        return "Darknet weights; docs/detectors.md says how to export them to ONNX"
    return None


def is_safetensors(path: Path) -> bool:
    """Tell whether a file begins as safetensors does: the length of its JSON header, 8 bytes, and the header."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
        return len(head) == 9 and head[8:] == b"{" and 2 <= struct.unpack("<Q", head[:8])[0] <= path.stat().st_size - 8
    except OSError:
        return False
