"""A network of ours as an ONNX graph, written layer by layer.

onnxruntime runs convolutions on a processor two to three times as fast as PyTorch does, so that is what runs there; the
same graph is what `nightfleet export onnx` writes. Batch norm is folded into the convolution before it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

OPSET = 17
"""Operators as of ONNX 1.12 (2022): old enough for every runtime in use."""
IR_VERSION = 8


def onnx_bytes(
    network: nn.Module,
    *,
    size_hw: Sequence[int | str],
    outputs: Mapping[str, Sequence[int | str]],
    about: Mapping[str, str] | None = None,
) -> bytes:
    """Return a network with one image input as a serialised ONNX model.

    network  in evaluation mode; made of the layers this module knows
    size_hw  height and width of its input `images` (N, 3, h, w) float32: numbers, or names where they are open
    outputs  what it returns, in order: the name and shape of each, open sizes by name
    about    texts kept in the file's metadata

    Raises NotImplementedError for a layer that has no line in this module.
    """
    graph = _Graph(network.eval())
    made = graph.write(tuple(outputs))
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, *size_hw])]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    whole = helper.make_graph(made, "nightfleet", inputs, results, list(graph.constants.values()))
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="nightfleet")
    model.ir_version = IR_VERSION
    helper.set_model_props(model, dict(about or {}))
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Graph:
    """The nodes and constants written so far."""

    def __init__(self, network: nn.Module) -> None:
        self.traced = fx.symbolic_trace(network)
        self.layers = dict(self.traced.named_modules())
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.name: dict[fx.Node, str] = {}
        """What a traced node's value is called in the graph."""

    def write(self, outputs: Sequence[str]) -> list[onnx.NodeProto]:
        """Write every node, in order."""
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self.name[node] = "images"
            elif node.op == "output":
                results = node.args[0] if isinstance(node.args[0], tuple) else (node.args[0],)
                for result, name in zip(results, outputs, strict=True):
                    self._add("Identity", [self.name[result]], name)
            else:
                self.name[node] = self._written(node)
        return self.nodes

    def _written(self, node: fx.Node) -> str:
        """Write one traced node; returns its value's name."""
        if node.op == "get_attr":
            value = self.traced
            for part in node.target.split("."):
                value = getattr(value, part)
            return self._constant(_label(node), value)
        if node.op == "call_module":
            return self._layer(node, self.layers[node.target])
        writer = _FUNCTIONS.get(node.target)
        if writer is None:
            raise NotImplementedError(f"{node.op} {node.target}: has no ONNX form here")
        return writer(self, node)

    def _layer(self, node: fx.Node, layer: nn.Module) -> str:
        source = self.name[node.args[0]]
        if isinstance(layer, nn.Conv2d):
            after = _only_user(node)
            norm = self.layers.get(after.target) if after is not None and after.op == "call_module" else None
            return self._convolution(_label(node), source, layer, norm if isinstance(norm, nn.BatchNorm2d) else None)
        if isinstance(layer, nn.BatchNorm2d) and node.args[0].op == "call_module":
            before = self.layers[node.args[0].target]
            if isinstance(before, nn.Conv2d) and _only_user(node.args[0]) is node:
                return source  # folded into it
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            values = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            values = [torch.ones_like(layer.running_var) if v is None and i == 0 else v for i, v in enumerate(values)]
            values = [torch.zeros_like(layer.running_var) if v is None else v for v in values]
            names = [self._constant(f"{_label(node)}_{i}", value) for i, value in enumerate(values)]
            return self._add("BatchNormalization", [source, *names], _label(node), epsilon=layer.eps)
        if isinstance(layer, nn.ReLU6):
            return self._add("Clip", [source, self._number("zero", 0.0), self._number("six", 6.0)], _label(node))
        if isinstance(layer, nn.Linear):
            bias = [] if layer.bias is None else [self._constant(f"{_label(node)}_bias", layer.bias)]
            return self._add(
                "Gemm", [source, self._constant(f"{_label(node)}_w", layer.weight), *bias], _label(node), transB=1
            )
        if isinstance(layer, nn.Dropout | nn.Identity):
            return source
        simple = {nn.ReLU: "Relu", nn.Sigmoid: "Sigmoid", nn.AdaptiveAvgPool2d: "GlobalAveragePool"}.get(type(layer))
        if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size not in (1, (1, 1)):
            simple = None
        if isinstance(layer, nn.MaxPool2d):
            kernel, stride, padding = (_pair(v) for v in (layer.kernel_size, layer.stride, layer.padding))
            return self._add("MaxPool", [source], _label(node), kernel_shape=kernel, strides=stride, pads=padding * 2)
        if simple is None:
            raise NotImplementedError(f"{type(layer).__name__}: has no ONNX form here")
        return self._add(simple, [source], _label(node))

    def _convolution(self, name: str, source: str, layer: nn.Conv2d, norm: nn.BatchNorm2d | None) -> str:
        weight, bias = layer.weight, layer.bias
        if norm is not None:
            values = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
            weight, bias = fuse_conv_bn_weights(weight, bias, *values)
        inputs = [source, self._constant(f"{name}_weight", weight)]
        if bias is not None:
            inputs.append(self._constant(f"{name}_bias", bias))
        how = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "dilations": layer.dilation}
        return self._add("Conv", inputs, name, group=layer.groups, pads=[*layer.padding, *layer.padding], **how)

    def _add(self, kind: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, name: str, value: torch.Tensor) -> str:
        array = value.detach().cpu().numpy().astype(np.float32 if value.is_floating_point() else np.int64)
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def _number(self, name: str, value: float) -> str:
        return self._constant(name, torch.tensor(value))

    def _of(self, value: fx.Node | float) -> str:
        """Return the name of an operand: a node's value, or a number as a constant."""
        return self.name[value] if isinstance(value, fx.Node) else self._number(f"number_{value}", float(value))


def _label(node: fx.Node) -> str:
    """Name a traced node's value so that no input or output has the same name."""
    return f"node.{node.name}"


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _pair(value: int | tuple[int, int]) -> list[int]:
    return list(value) if isinstance(value, tuple) else [value, value]


def _pairwise(kind: str) -> Callable[[_Graph, fx.Node], str]:
    """Write an operator of two values."""
    return lambda graph, node: graph._add(kind, [graph._of(node.args[0]), graph._of(node.args[1])], _label(node))


def _raised(graph: _Graph, node: fx.Node) -> str:
    """Write a nearest enlargement by a whole factor."""
    if node.kwargs.get("mode", "nearest") != "nearest" or not float(node.kwargs["scale_factor"]).is_integer():
        raise NotImplementedError("interpolate: only mode nearest by a whole factor has an ONNX form here")
    factor = float(node.kwargs["scale_factor"])
    scales = graph._constant(f"{_label(node)}_scales", torch.tensor([1.0, 1.0, factor, factor]))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph._add("Resize", [graph.name[node.args[0]], "", scales], _label(node), **how)


def _flat(graph: _Graph, node: fx.Node) -> str:
    return graph._add("Flatten", [graph.name[node.args[0]]], _label(node), axis=1)


def _share(graph: _Graph, node: fx.Node) -> str:
    return graph._add("Sigmoid", [graph.name[node.args[0]]], _label(node))


_FUNCTIONS: dict[object, Callable[[_Graph, fx.Node], str]] = {
    operator.add: _pairwise("Add"),
    operator.iadd: _pairwise("Add"),
    torch.add: _pairwise("Add"),
    operator.sub: _pairwise("Sub"),
    operator.mul: _pairwise("Mul"),
    operator.truediv: _pairwise("Div"),
    functional.interpolate: _raised,
    torch.flatten: _flat,
    torch.sigmoid: _share,
    "sigmoid": _share,
    "flatten": _flat,
}
