"""ONNX models by onnxruntime: opening with clear errors, running in batches on the CPU or on CUDA."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch  # before onnxruntime, which then finds PyTorch's CUDA and cuDNN libraries already loaded

# isort: split
import onnxruntime

from pipeline.errors import WeightsError
from pipeline.perception.file_kinds import kind_of_file
from pipeline.perception.weights import require_file

_LOG = logging.getLogger(__name__)

_NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
}
Sides = Callable[[int], Mapping[str, np.ndarray]]

_IMAGE_TYPES = ("tensor(float)", "tensor(float16)")


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network.

    type   onnxruntime's name, such as "tensor(float)"
    shape  one size a dimension, None where the file leaves it open
    """

    name: str
    type: str
    shape: tuple[int | None, ...]

    @property
    def dtype(self) -> type[np.generic]:
        """Type of its values in NumPy; float32 where onnxruntime's has no like."""
        return _NUMPY_TYPES.get(self.type, np.float32)

    def __str__(self) -> str:
        sizes = " x ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({sizes or 'one value'}, {self.type.removeprefix('tensor(').removesuffix(')')})"


class OnnxSession:
    """One network, with any inputs and outputs.

    inputs, outputs  as the file declares them
    metadata         texts that the exporter left in the file
    device           "cuda" or "cpu": where it really runs
    """

    def __init__(self, path: Path | str, *, what: str, device: str, threads: int) -> None:
        self.path = require_file(path, what)
        self.what = what
        self._session = _open(self.path, what, device, threads)
        self.device = "cuda" if self._session.get_providers()[0] == "CUDAExecutionProvider" else "cpu"
        self.inputs = tuple(_port(each) for each in self._session.get_inputs())
        self.outputs = tuple(_port(each) for each in self._session.get_outputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def image(self) -> Port | None:
        """The input that takes images (N, C, H, W), or None where there is not exactly one such."""
        images = [port for port in self.inputs if len(port.shape) == 4 and port.type in _IMAGE_TYPES]
        return images[0] if len(images) == 1 else None

    def wrong(self, found: str, to_do: str = "give the weights the model was made for") -> WeightsError:
        """Return the error that says this file holds another model, and what to do."""
        return WeightsError(f"{self.path}: not {self.what}: {found}; {to_do}")

    def described(self) -> str:
        """Return the inputs and outputs in words."""
        return f"inputs {', '.join(map(str, self.inputs))}, outputs {', '.join(map(str, self.outputs))}"

    def run(self, images: torch.Tensor, sides: Sides, wanted: Sequence[str], max_batch: int) -> list[np.ndarray]:
        """Run N images (N, C, H, W) float32; return the outputs named in `wanted`, on the host, batches put together.

        sides  number of images in a batch -> the other inputs, by name

        A model of fixed batch B runs B rows at a time, the last ones filled up with zeros; any other `max_batch`.
        Half-precision models get half-precision images; what they return is float32.
        """
        fixed = self.image.shape[0]
        batch = fixed or max_batch
        parts = []
        for start in range(0, len(images), batch):
            rows = images[start : start + batch]
            n_rows = len(rows)
            if fixed and n_rows < batch:
                rows = torch.cat([rows, rows.new_zeros((batch - n_rows, *rows.shape[1:]))])
            found = self._run_once(rows.contiguous(), sides(len(rows)), wanted)
            parts.append([each[:n_rows] for each in found] if fixed and n_rows < batch else found)
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(each) for each in zip(*parts)]

    def _run_once(self, rows: torch.Tensor, sides: Mapping[str, np.ndarray], wanted: Sequence[str]) -> list[np.ndarray]:
        if self.image.type == "tensor(float16)":
            rows = rows.half()
        try:
            if self.device == "cuda":
                found = self._run_bound(rows, sides, wanted)
            else:
                found = self._session.run(list(wanted), {self.image.name: rows.cpu().numpy(), **sides})
        except Exception as error:  # onnxruntime raises its own classes, which share no base but Exception
            raise self.wrong(f"it refuses images of shape {tuple(rows.shape)}: {_first_line(error)}") from None
        return [each.astype(np.float32) if each.dtype == np.float16 else each for each in found]

    def _run_bound(
        self, rows: torch.Tensor, sides: Mapping[str, np.ndarray], wanted: Sequence[str]
    ) -> list[np.ndarray]:
        """Run on CUDA memory that PyTorch owns, without a copy of the images."""
        binding = self._session.io_binding()
        torch.cuda.synchronize()  # onnxruntime works on a stream of its own
        place = rows.device.index or 0
        binding.bind_input(self.image.name, "cuda", place, self.image.dtype, tuple(rows.shape), rows.data_ptr())
        for name, value in sides.items():
            binding.bind_cpu_input(name, value)
        for name in wanted:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()


class OnnxModel:
    """One network with one image input and one used output, its first.

    input_shape  (batch, channels, height, width); None where the model leaves a size open
    device       "cuda" or "cpu": where it really runs
    """

    def __init__(self, path: Path | str, *, what: str, device: str, threads: int) -> None:
        self._session = OnnxSession(path, what=what, device=device, threads=threads)
        self.path, self.what, self.device = self._session.path, what, self._session.device
        if len(self._session.inputs) != 1 or self._session.image is None:
            raise self.wrong(f"it has {self._session.described()}")
        self.input_shape: tuple[int | None, ...] = self._session.image.shape

    def wrong(self, found: str) -> WeightsError:
        """Return the error that says this file holds another model."""
        return self._session.wrong(found)

    def run(self, images: torch.Tensor, max_batch: int) -> np.ndarray:
        """Run N images (N, C, H, W) float32, N at least 1; return (N, ...) float32 on the host."""
        return self._session.run(images, lambda n: {}, [self._session.outputs[0].name], max_batch)[0]


def _port(argument: onnxruntime.NodeArg) -> Port:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in argument.shape)
    return Port(argument.name, argument.type, shape)


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
        kind = kind_of_file(path)
        reason = f"it is {kind}" if kind else _first_line(error)
        raise WeightsError(f"{path}: not an ONNX model that can be opened ({reason}); expected {what}") from None
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        _LOG.warning("%s runs on the CPU: this onnxruntime cannot use its CUDA provider here", path)
    return session


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
