"""Tiny ONNX networks for tests, written as protocol buffers by hand (field numbers of onnx.proto3), opset 11."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_FLOAT, _INT64 = 1, 7


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, _FLOAT) + _field(8, name) + _field(9, array.astype("<f4").tobytes())


def _value(name: str, shape: tuple) -> bytes:
    dims = b"".join(_field(1, _field(1, size) if isinstance(size, int) else _field(2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, _FLOAT) + _field(2, dims)))


def _node(op: str, inputs: list[str], output: str, **ints: list[int] | int) -> bytes:
    data = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, op)
    for name, value in ints.items():
        if isinstance(value, int):
            attribute = _field(1, name) + _field(3, value) + _field(20, 2)
        else:
            attribute = _field(1, name) + b"".join(_field(8, number) for number in value) + _field(20, 7)
        data += _field(5, attribute)
    return data


def _write(path: Path, nodes: list[bytes], constants: dict[str, np.ndarray], source: tuple, result: tuple) -> Path:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "toy")
    graph += b"".join(_field(5, _tensor(name, array)) for name, array in constants.items())
    graph += _field(11, _value("images", source)) + _field(12, _value("output", result))
    path.write_bytes(_field(1, 7) + _field(7, graph) + _field(8, _field(2, 11)))
    return path


def write_detector(path: Path, base: np.ndarray, slope: np.ndarray, size: int, batch: int | str) -> Path:
    """A network whose output is base + slope * mean level of the picture: base, slope (A, 5 + classes)."""
    nodes = [
        _node("ReduceMean", ["images"], "mean", axes=[1, 2, 3], keepdims=1),
        _node("Squeeze", ["mean"], "level", axes=[3]),
        _node("Mul", ["level", "slope"], "part"),
        _node("Add", ["part", "base"], "output"),
    ]
    constants = {"base": base[None], "slope": slope[None]}
    return _write(path, nodes, constants, (batch, 3, size, size), (batch, *base.shape))


def write_embedder(path: Path, matrix: np.ndarray, hw: tuple[int, int] = (32, 16), batch: int | str = "batch") -> Path:
    """A network whose output is the crop's mean colour (3,) times a matrix (3, D)."""
    nodes = [
        _node("GlobalAveragePool", ["images"], "pooled"),
        _node("Flatten", ["pooled"], "flat", axis=1),
        _node("MatMul", ["flat", "matrix"], "output"),
    ]
    return _write(path, nodes, {"matrix": matrix}, (batch, 3, *hw), (batch, matrix.shape[1]))
