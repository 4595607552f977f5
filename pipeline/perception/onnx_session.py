"""ONNX models by onnxruntime: opening with clear errors, running in batches on the CPU or on CUDA."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch  # before onnxruntime, which then finds PyTorch's CUDA and cuDNN libraries already loaded

# isort: split
import onnxruntime

from pipeline.errors import WeightsError
from pipeline.perception.weights import require_file

_LOG = logging.getLogger(__name__)


class OnnxModel:
    """One network with one image input and one used output.

    input_shape  (batch, channels, height, width); None where the model leaves a size open
    device       "cuda" or "cpu": where it really runs
    """

    def __init__(self, path: Path | str, *, what: str, device: str, threads: int) -> None:
        self.path = require_file(path, what)
        self.what = what
        self._session = _open(self.path, what, device, threads)
        self.device = "cuda" if self._session.get_providers()[0] == "CUDAExecutionProvider" else "cpu"
        source = self._session.get_inputs()[0]
        self._input, self._output = source.name, self._session.get_outputs()[0].name
        shape = [size if isinstance(size, int) and size > 0 else None for size in source.shape]
        if len(self._session.get_inputs()) != 1 or len(shape) != 4 or source.type != "tensor(float)":
            raise self.wrong(f"its input is {source.type} of shape {source.shape}")
        self.input_shape: tuple[int | None, ...] = tuple(shape)

    def wrong(self, found: str) -> WeightsError:
        """Return the error that says this file holds another model."""
        return WeightsError(f"{self.path}: not {self.what}: {found}; give the weights the model was made for")

    def run(self, images: torch.Tensor, max_batch: int) -> np.ndarray:
        """Run N images (N, C, H, W) float32; returns (N, ...) float32 on the host.

        A model of fixed batch B runs B rows at a time, the last ones filled up with zeros; any other `max_batch`.
        """
        batch = self.input_shape[0] or max_batch
        parts = []
        for start in range(0, len(images), batch):
            rows = images[start : start + batch]
            n_rows = len(rows)
            if self.input_shape[0] and n_rows < batch:
                rows = torch.cat([rows, rows.new_zeros((batch - n_rows, *rows.shape[1:]))])
            parts.append(self._run_once(rows.contiguous())[:n_rows])
        return np.concatenate(parts)

    def _run_once(self, rows: torch.Tensor) -> np.ndarray:
        try:
            if self.device == "cuda":
                return self._run_bound(rows)
            return self._session.run([self._output], {self._input: rows.cpu().numpy()})[0]
        except Exception as error:  # onnxruntime raises its own classes, which share no base but Exception
            raise self.wrong(f"it refuses images of shape {tuple(rows.shape)}: {_first_line(error)}") from None

    def _run_bound(self, rows: torch.Tensor) -> np.ndarray:
        """Run on CUDA memory that PyTorch owns, without a copy of the input."""
        binding = self._session.io_binding()
        torch.cuda.synchronize()  # onnxruntime works on a stream of its own
        binding.bind_input(self._input, "cuda", rows.device.index or 0, np.float32, tuple(rows.shape), rows.data_ptr())
        binding.bind_output(self._output, "cpu")
        self._session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]


def _open(path: Path, what: str, device: str, threads: int) -> onnxruntime.InferenceSession:
    """Open a model with the CUDA provider where it is asked for and works, with the CPU provider otherwise."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # errors only: warnings about the graph are no business of the user
    # A waiting pool that spins takes the cores from the decoder beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list = ["CPUExecutionProvider"]
    if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        onnxruntime.preload_dlls()
        # Exhaustive search (the default) times kernels and may choose others in every run; TF32 parts from the CPU.
        cuda = {"device_id": 0, "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        providers.insert(0, ("CUDAExecutionProvider", cuda))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise WeightsError(
            f"{path}: not an ONNX model that can be opened ({_first_line(error)}); expected {what}"
        ) from None
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        _LOG.warning("%s runs on the CPU: this onnxruntime cannot use its CUDA provider here", path)
    return session


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
