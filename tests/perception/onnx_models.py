"""Tiny ONNX networks for tests, and a real one with its outputs laid out anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from pipeline.perception.layouts.yolox import anchors

OPSET = 13


def _save(path: Path, nodes: list, constants: dict[str, np.ndarray], inputs: list, outputs: list, **metadata) -> Path:
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "toy", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def write_outputs(
    path: Path,
    outputs: dict[str, np.ndarray],
    *,
    hw: tuple[int | str, int | str] = (64, 64),
    batch: int | str = "batch",
    image: str = "images",
    sides: dict[str, tuple[int, tuple]] | None = None,
    scaled: dict[str, str] | None = None,
    image_type: int = TensorProto.FLOAT,
    open_shapes: bool = False,
    **metadata: str,
) -> Path:
    """A network that returns these arrays for every picture, whatever it shows.

    outputs  by name, without the batch: float32 or int64
    sides    other inputs: name -> type and shape
    scaled   output -> side input (B, 2) by which its last four columns are multiplied, twice one after the other
    """
    nodes = [
        helper.make_node("Cast", [image], ["image float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["image float"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
    ]
    constants = {"zero": np.zeros(1, np.float32)}
    infos = []
    for name, array in outputs.items():
        whole = array.dtype == np.int64
        constants[f"{name} value"] = array[None].astype(np.float32)
        constants[f"{name} shape"] = np.array([-1, *[1] * array.ndim], np.int64)
        nodes.append(helper.make_node("Reshape", ["nothing", f"{name} shape"], [f"{name} nothing"]))
        last = f"{name} sum"
        nodes.append(helper.make_node("Add", [f"{name} value", f"{name} nothing"], [last]))
        if scaled and name in scaled:
            side = scaled[name]
            constants["axis 1"] = np.array([1], np.int64)
            nodes += [
                helper.make_node("Cast", [side], ["size"], to=TensorProto.FLOAT),
                helper.make_node("Concat", ["size", "size"], ["sizes"], axis=1),
                helper.make_node("Unsqueeze", ["sizes", "axis 1"], ["factor"]),
                helper.make_node("Mul", [last, "factor"], [f"{name} scaled"]),
            ]
            last = f"{name} scaled"
        kind = TensorProto.INT64 if whole else TensorProto.FLOAT
        nodes.append(helper.make_node("Cast", [last], [name], to=kind))
        sizes = [f"{name}_{axis}" for axis in range(array.ndim)] if open_shapes else array.shape
        infos.append(helper.make_tensor_value_info(name, kind, [batch, *sizes]))
    inputs = [helper.make_tensor_value_info(image, image_type, [batch, 3, *hw])]
    for name, (kind, shape) in (sides or {}).items():
        inputs.append(helper.make_tensor_value_info(name, kind, shape))
        if name not in (scaled or {}).values():  # an input that no node takes would be left out of the session
            nodes.append(helper.make_node("Cast", [name], [f"{name} unused"], to=TensorProto.FLOAT))
    return _save(path, nodes, constants, inputs, infos, **metadata)


def write_detector(path: Path, base: np.ndarray, slope: np.ndarray, size: int, batch: int | str) -> Path:
    """A network whose output is base + slope * mean level of the picture: base, slope (A, 5 + classes)."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["mean", "last"], ["level"]),
        helper.make_node("Mul", ["level", "slope"], ["part"]),
        helper.make_node("Add", ["part", "base"], ["output"]),
    ]
    constants = {
        "base": base[None].astype(np.float32),
        "slope": slope[None].astype(np.float32),
        "last": np.array([3], np.int64),
    }
    source = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, size, size])
    result = helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, *base.shape])
    return _save(path, nodes, constants, [source], [result])


def write_embedder(path: Path, matrix: np.ndarray, hw: tuple[int, int] = (32, 16), batch: int | str = "batch") -> Path:
    """A network whose output is the crop's mean colour (3,) times a matrix (3, D)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "matrix"], ["output"]),
    ]
    source = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, *hw])
    result = helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, matrix.shape[1]])
    return _save(path, nodes, {"matrix": matrix.astype(np.float32)}, [source], [result])


def relaid(yolox: Path, path: Path, layout: str) -> Path:
    """Rewrite a YOLOX export of fixed batch 1 so that it has the inputs and outputs of another layout.

    The network and what it sees stay the same, so the boxes must too.
    """
    model = onnx.load(str(yolox))
    graph = model.graph
    raw = graph.output[0].name
    size = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    grid, stride = anchors(size, size)
    constants = {"grid": grid[None], "stride": stride[None], "whole": np.float32(size), "half": np.float32(0.5)}
    constants |= {"one": np.float32(1)}

    def add(op: str, inputs: list[str], output: str, **how) -> str:
        graph.node.append(helper.make_node(op, inputs, [output], **how))
        return output

    def columns(start: int, end: int, output: str) -> str:
        for name, value in (("start", start), ("end", end), ("axis", 2)):
            constants[f"{output} {name}"] = np.array([value], np.int64)
        return add("Slice", [raw, *(f"{output} {name}" for name in ("start", "end", "axis"))], output)

    centre = add("Mul", [add("Add", [columns(0, 2, "offset"), "grid"], "moved"), "stride"], "centre")
    sizes = add("Mul", [add("Exp", [columns(2, 4, "log size")], "strides"), "stride"], "sizes")
    score = add("Mul", [columns(4, 5, "objectness"), columns(5, 85, "class")], "score")
    half = add("Mul", [sizes, "half"], "half size")
    corners = add("Concat", [add("Sub", [centre, half], "low"), add("Add", [centre, half], "high")], "corners", axis=2)
    both = add("Concat", [centre, sizes], "both", axis=2)
    wanted: dict[str, int] = {}
    if layout == "yolox-decoded":
        add("Concat", [both, "objectness", "class"], "rows", axis=2)
        wanted = {"rows": TensorProto.FLOAT}
    elif layout == "yolov8":
        add("Transpose", [add("Concat", [both, score], "rows", axis=2)], "output0", perm=[0, 2, 1])
        wanted = {"output0": TensorProto.FLOAT}
    elif layout == "rt-detr":
        odds = add("Div", [score, add("Sub", ["one", score], "rest")], "odds")
        add("Log", [odds], "logits")
        add("Div", [both, "whole"], "pred_boxes")
        wanted = {"logits": TensorProto.FLOAT, "pred_boxes": TensorProto.FLOAT}
    elif layout == "darknet":
        constants["shape"] = np.array([1, len(grid), 1, 4], np.int64)
        add("Reshape", [add("Div", [corners, "whole"], "shares"), "shape"], "boxes")
        add("Identity", [score], "confs")
        wanted = {"boxes": TensorProto.FLOAT, "confs": TensorProto.FLOAT}
    else:
        best = add("ReduceMax", [score], "best", axes=[2], keepdims=1)
        label = add("ArgMax", [score], "label", axis=2, keepdims=1)
        if layout == "yolov10":
            add("Cast", [label], "label float", to=TensorProto.FLOAT)
            add("Concat", [corners, best, "label float"], "output0", axis=2)
            wanted = {"output0": TensorProto.FLOAT}
        elif layout == "rt-detr-boxes":
            graph.input.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [1, 2]))
            add("Cast", ["orig_target_sizes"], "size float", to=TensorProto.FLOAT)
            add("Concat", ["size float", "size float"], "factor", axis=1)
            add("Mul", [add("Div", [corners, "whole"], "shares"), "factor"], "boxes")
            add("Squeeze", [label], "labels", axes=[2])
            add("Squeeze", [best], "scores", axes=[2])
            wanted = {"labels": TensorProto.INT64, "boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT}
        elif layout == "yolov3-zoo":
            graph.input.append(helper.make_tensor_value_info("image_shape", TensorProto.FLOAT, [1, 2]))
            constants |= {"order": np.array([1, 0, 3, 2], np.int64), "most": np.array([200], np.int64)}
            constants |= {"iou": np.array([0.45], np.float32), "least": np.array([0.3], np.float32)}
            add("Concat", ["image_shape", "image_shape"], "factor", axis=1)
            shares = add("Div", [add("Gather", [corners, "order"], "turned", axis=2), "whole"], "shares")
            add("Mul", [shares, "factor"], "boxes")
            add("Transpose", [score], "scores", perm=[0, 2, 1])
            add("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], "indices")
            wanted = {"boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT, "indices": TensorProto.INT64}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items())
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, kind, None) for name, kind in wanted.items())
    onnx.save(model, str(path))
    return path
