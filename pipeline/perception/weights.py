"""Weights files and the digest of everything that shapes what the models say. Imports no model library."""

from __future__ import annotations

import functools
import glob
import hashlib
import importlib.metadata
from pathlib import Path

from pipeline.config import DetectorConfig, EmbedderConfig, digest, is_url
from pipeline.errors import WeightsError

ALGORITHM_VERSION = {
    "motion": 3,
    "onnx detector": 1,
    "torchvision detector": 1,
    "detections": 1,
    "stripes": 1,
    "onnx embedder": 1,
    "torchvision embedder": 1,
    "trained embedder": 1,
    "one-shot": 1,
    "crops": 1,
    "filtering": 2,
    "tiles": 1,
}
"""Raised by one with every change of the code that changes what the model says, so that finished work is redone."""

RANDOM_PROJECTION_SEED = 128
"""Seed of the projection used where none was fitted; part of the digest."""

SHIPPED = Path(__file__).parent / "shipped"
"""Weights that come with nightfleet, each beside its model card."""
SHIPPED_FILES = {"trained": "embedder.safetensors", "one-shot": "one_shot.safetensors"}

_BLOCK = 1 << 20


def require_file(path: Path | str, what: str) -> Path:
    """Return `path` if it is a file of this machine. Raises WeightsError naming `what` otherwise."""
    if is_url(str(path)):
        raise WeightsError(f"{path}: {what} must be a local file, not a URL; download it and give its path")
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; expected {what}, correct the path in the configuration")
    return path


def network_file(use: str) -> Path:
    """Return the weights of a network of ours as a model section names it: `kind:file`, or those that ship."""
    kind, _, name = use.partition(":")
    return Path(name) if name else SHIPPED / SHIPPED_FILES[kind]


def file_digest(path: Path | str, what: str) -> str:
    """Return the digest of a file's content, read once per (path, size, time of change). Raises WeightsError."""
    path = require_file(path, what)
    try:
        stat = path.stat()
        return _content_digest(str(path), stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise WeightsError(f"{path}: {what} cannot be read: {error.strerror or error}") from None


@functools.lru_cache(maxsize=256)
def _content_digest(path: str, size: int, mtime_ns: int) -> str:
    content = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.hexdigest()


def models_digest(
    detector: DetectorConfig, embedder: EmbedderConfig, *, camera_id: str | None = None, segment_url: str | None = None
) -> str:
    """Return one digest of all that shapes detections and embeddings: sections, files' content, code version.

    No model is loaded, no network touched. Where a `detections:` path has placeholders, `camera_id` and `segment_url`
    say whose file counts; without them every file that fits the pattern does.

    Raises WeightsError where a file is missing.
    """
    return digest(_detector_facts(detector, camera_id, segment_url), _embedder_facts(embedder))


def embedder_model_digest(embedder: EmbedderConfig) -> str:
    """Return the digest of an embedder's own network, without its projection: what a projection is fitted for."""
    kind, _, name = embedder.use.partition(":")
    facts = {"kind": kind, "version": ALGORITHM_VERSION.get(f"{kind} embedder", 0)}
    if kind == "onnx":
        facts["weights"] = file_digest(name, "an ONNX embedder")
    elif kind == "trained":
        facts["weights"] = file_digest(network_file(embedder.use), "an embedder saved by `nightfleet train embedder`")
    elif kind == "one-shot":
        what = "a network saved by `nightfleet train one-shot`"
        facts |= {"version": ALGORITHM_VERSION["one-shot"], "weights": file_digest(network_file(embedder.use), what)}
    elif kind == "torchvision":
        facts |= {"name": name, "weights": _torchvision_weights(embedder.weights, f"weights of {name}")}
    return digest(facts)


def embedder_digest(embedder: EmbedderConfig) -> str:
    """Return the digest of all that shapes embeddings: two vectors can be compared only where this is the same.

    Raises WeightsError where a file is missing.
    """
    return digest(_embedder_facts(embedder))


def replay_path(template: str, camera_id: str, segment_url: str) -> Path:
    """Fill `{camera}` and `{segment}` (the footage's file name without its ending) into a `detections:` path."""
    name = segment_url.rstrip("/").rpartition("/")[2]
    stem = name.rpartition(".")[0] or name
    return Path(template.replace("{camera}", camera_id).replace("{segment}", stem))


def _detector_facts(config: DetectorConfig, camera_id: str | None, segment_url: str | None) -> dict:
    kind, _, name = config.use.partition(":")
    section = config.model_dump(mode="json", exclude={"weights", "use", "motion"})
    if isinstance(config.class_names, Path):
        section["class_names"] = file_digest(config.class_names, "a list of class names")
    facts = {"kind": kind, "section": section, "filtering": ALGORITHM_VERSION["filtering"]}
    if kind == "motion":
        facts |= {"motion": config.motion.model_dump(mode="json"), "version": ALGORITHM_VERSION["motion"]}
    elif kind == "detections":
        facts |= {"files": _replay_digests(name, camera_id, segment_url), "version": ALGORITHM_VERSION["detections"]}
    elif kind == "one-shot":
        weights = file_digest(network_file(config.use), "a network saved by `nightfleet train one-shot`")
        facts |= {"weights": weights, "version": ALGORITHM_VERSION["one-shot"]}
    elif kind == "onnx":
        weights = file_digest(name, "a detector in ONNX")
        facts |= {"weights": weights, "version": ALGORITHM_VERSION["onnx detector"]}
        facts |= {"beside": [file_digest(path, "weights beside an ONNX file") for path in _beside(name)]}
    else:
        weights = _torchvision_weights(config.weights, f"weights of {name}")
        facts |= {"name": name, "weights": weights, "version": ALGORITHM_VERSION["torchvision detector"]}
    if config.tiles is not None:
        facts["tiles"] = ALGORITHM_VERSION["tiles"]
    return facts


def _beside(onnx_file: str) -> list[str]:
    """Files beside an ONNX file in which PyTorch's and Hugging Face's exporters put large weights."""
    return [path for path in (f"{onnx_file}.data", f"{onnx_file}_data") if Path(path).is_file()]


def _embedder_facts(config: EmbedderConfig) -> dict:
    facts = {"crops": ALGORITHM_VERSION["crops"]}
    if config.use == "stripes":
        return facts | {"kind": "stripes", "version": ALGORITHM_VERSION["stripes"]}
    if config.use.partition(":")[0] in ("trained", "one-shot"):
        return facts | {"model": embedder_model_digest(config)}
    if config.projection is None:
        projection = f"random {RANDOM_PROJECTION_SEED}"
    else:
        projection = file_digest(config.projection, "a fitted projection (.npz)")
    return facts | {"model": embedder_model_digest(config), "projection": projection}


def _torchvision_weights(path: Path | None, what: str) -> str:
    """Digest of a state dict; for torchvision's own download its version, whose URLs carry the files' hashes."""
    if path is not None:
        return file_digest(path, what)
    return f"torchvision {importlib.metadata.version('torchvision')} default"


def _replay_digests(template: str, camera_id: str | None, segment_url: str | None) -> list[str]:
    what = "detections to replay"
    if camera_id is not None and segment_url is not None:
        return [file_digest(replay_path(template, camera_id, segment_url), what)]
    pattern = glob.escape(template).replace("{camera}", "*").replace("{segment}", "*")
    files = sorted(glob.glob(pattern)) or [template]
    return [file_digest(path, what) for path in files]
