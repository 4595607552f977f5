"""Running a network of ours: by onnxruntime on a processor, where it is faster, and by PyTorch on CUDA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch  # before onnxruntime, which then finds PyTorch's CUDA libraries already loaded
from torch import nn

# isort: split
import onnxruntime


class Running:
    """A network in evaluation mode, ready to run. Both ways give the same values but for rounding."""

    def __init__(
        self, network: nn.Module, outputs: Mapping[str, Sequence[int | str]], *, device: str, threads: int
    ) -> None:
        """`outputs` as `onnx_bytes` takes them; device "cuda" or "cpu"; threads of the processor."""
        self._device = device
        self._network = network.eval()
        if device == "cuda":
            self._network = network.to(device, memory_format=torch.channels_last)
            return
        from pipeline.perception.networks.onnx_graph import onnx_bytes  # its package serves nothing else here

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        # A waiting pool that spins takes the cores from the decoder beside it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = onnx_bytes(network, size_hw=("height", "width"), outputs=outputs)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Turn images (N, 3, H, W) float32 into what the network returns, on the device."""
        if self._device == "cuda":
            with torch.inference_mode():
                results = self._network(images.contiguous(memory_format=torch.channels_last))
            return results if isinstance(results, tuple) else (results,)
        found = self._session.run(None, {"images": np.ascontiguousarray(images.numpy())})
        return tuple(torch.from_numpy(values) for values in found)
