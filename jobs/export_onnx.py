"""Writing a trained one-shot network as ONNX."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import UserError
from pipeline.perception.networks import one_shot_file
from pipeline.perception.networks.one_shot import Exported
from pipeline.perception.networks.onnx_graph import onnx_bytes
from pipeline.types import EMBEDDING_DIM


def export_onnx(weights: Path, out: Path, *, force: bool) -> dict:
    """Write the network of a weights file to `out`; returns where it is and what it takes and gives.

    Input `images` (B, 3, H, W) float32 RGB in [0, 255], H and W multiples of 32; outputs as `networks.one_shot.Maps`,
    the heatmap in [0, 1]. Raises WeightsError where the file is no such network, UserError where `out` is there.
    """
    if out.exists() and not force:
        raise UserError(f"{out}: is there already; add --force to replace it, or give another file")
    file = one_shot_file.read(weights)
    layers = {"heatmap": len(file.class_names), "box": 4, "identity": EMBEDDING_DIM}
    outputs = {name: ["n", channels, "rows", "columns"] for name, channels in layers.items()}
    about = {"names": str(dict(enumerate(file.class_names)))}
    content = onnx_bytes(Exported(file.network), size_hw=("height", "width"), outputs=outputs, about=about)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, out)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror or error}; give another place") from None
    finally:
        temporary.unlink(missing_ok=True)
    return {"out": str(out), "input": "images (n x 3 x height x width)", "outputs": list(outputs)}
