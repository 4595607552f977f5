"""How well an embedder knows people again: `nightfleet evaluate reid`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import config
from pipeline.config import EmbedderConfig
from pipeline.errors import UserError
from pipeline.evaluation import distances, market, reid
from pipeline.evaluation.reid import Pictured
from pipeline.identity import reranking

QUERY_BLOCK = 256
"""Queries ranked at once; bounds the (queries, gallery) table."""

EACH_AGAINST_ALL = "each crop is a query against all others"
QUERY_AGAINST_GALLERY = "the query crops against the gallery crops"


def embedder_config(name: str | None, *, weights: Path | None = None, projection: Path | None = None) -> EmbedderConfig:
    """Return an embedder section by the name of an embedder (`stripes`, `onnx:FILE`, ...) or from a fleet.yaml.

    weights and projection, where given, take the place of its own. Raises ConfigError.
    """
    if name is not None and name.endswith((".yaml", ".yml")):
        section = config.load(Path(name)).models.embedder.model_dump()
    else:
        section = {"use": name or EmbedderConfig().use}
    section |= {key: value for key, value in (("weights", weights), ("projection", projection)) if value is not None}
    made = config.embedder(section)
    kind = made.use.partition(":")[0]
    if kind in ("stripes", "trained") and made.projection is not None:
        raise UserError(f"{made.projection}: {kind} gives 128 numbers as it is, a projection has nothing to project")
    return made


def evaluate_reid(
    embedder: EmbedderConfig,
    *,
    data: Path | None = None,
    query: Path | None = None,
    gallery: Path | None = None,
    rerank: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Embed folders of crops and score how well each person is found in other cameras; see pipeline.evaluation.reid.

    data             one folder: each crop is a query against all others
    query, gallery   two folders in its place
    rerank           score k-reciprocal re-ranking too, which takes crops of both folders for neighbours

    Returned: embedder, protocol, crops, embed_s, what the folders hold (queries, unanswerable, gallery, people,
    cameras), `scores`, a list of {camera_means_removed, reranked, rank1, rank5, rank10, mAP}, and `distances`, how far
    apart one person and two are (pipeline.evaluation.distances), a list of {camera_means_removed, ...}.
    Raises UserError, one sentence, for what cannot be read.
    """
    if (data is None) == (query is None and gallery is None) or (query is None) != (gallery is None):
        raise UserError("give either --data DIR, or both --query DIR and --gallery DIR")
    folders = [Path(folder) for folder in (data, query, gallery) if folder is not None]
    read = [market.read_folder(folder) for folder in folders]
    paths = [path for of_folder, _ in read for path in of_folder]
    crops = Pictured(*(np.concatenate([getattr(c, n) for _, c in read]) for n in ("person", "camera")))
    market.require_people(crops, folders[-1])
    began = time.perf_counter()
    vectors = embed(paths, embedder, device=device)
    embed_s = time.perf_counter() - began
    n_queries = len(read[0][0])
    asked, among = np.arange(n_queries), np.arange(0 if data is not None else n_queries, len(paths))
    scores, apart, about = [], [], {}
    for removed, these in ((False, vectors), (True, without_camera_means(vectors, crops.camera))):
        for reranked in (False, True) if rerank else (False,):
            similar = _reranked(these, asked, among) if reranked else _cosines(these, asked, among)
            found = reid.evaluate(similar, crops.take(asked), crops.take(among))
            names = [*(f"rank{k}" for k in reid.RANKS), "mAP"]
            scores.append({"camera_means_removed": removed, "reranked": reranked, **{n: found.pop(n) for n in names}})
            about = found
        measured = distances.measure(_cosines(these, asked, among), crops.take(asked), crops.take(among))
        apart.append({"camera_means_removed": removed, **distances.summary(measured)})
    return {
        "embedder": embedder.use,
        "projection": None if embedder.projection is None else str(embedder.projection),
        "protocol": EACH_AGAINST_ALL if data is not None else QUERY_AGAINST_GALLERY,
        "crops": len(paths),
        "embed_s": embed_s,
        **about,
        "scores": scores,
        "distances": apart,
    }


def fit_projection(embedder: EmbedderConfig, *, data: Path, out: Path, device: str = "auto") -> dict[str, Any]:
    """Fit the projection of an embedder's network to the pictures of a folder, and write it as .npz.

    Returned: written, embedder, pictures. Raises UserError where the folder is not there or holds too few, or
    `out` cannot be written.
    """
    from pipeline.perception.perception import Perception
    from pipeline.perception.projection import require_place, save

    if not Path(data).is_dir():
        raise UserError(f"{data}: no such folder; expected pictures of single people or vehicles")
    if out.suffix != ".npz" or not out.parent.is_dir():
        raise UserError(f"{out}: expected a file ending in .npz in a folder that is there")
    require_place(out)
    paths = sorted(path for path in Path(data).rglob("*") if path.suffix.lower() in market.PICTURES)
    bare = embedder.model_copy(update={"projection": None})
    perception = Perception(bare, device=device, threads=os.cpu_count() or 1)
    save(perception.fit_projection(_stills(paths)), out)
    return {"written": str(out), "embedder": embedder.use, "pictures": len(paths)}


def embed(paths: Iterable[Path], embedder: EmbedderConfig, *, device: str) -> np.ndarray:
    """Embed pictures as the pipeline embeds the boxes of a frame, the box being the whole picture: (N, 128) float32."""
    from pipeline.perception.perception import Perception

    return Perception(embedder, device=device, threads=os.cpu_count() or 1).embed_pictures(_stills(paths))


def without_camera_means(vectors: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Take from unit vectors (N, D) the mean of all their camera (N,) saw, and make the rest unit length again.

    Linking does the same, but trusts the mean of a camera that saw little less (pipeline.identity.evidence.bias).
    """
    rest = vectors.astype(np.float64)
    for name in np.unique(camera):
        rest[camera == name] -= rest[camera == name].mean(axis=0)
    length = np.linalg.norm(rest, axis=1, keepdims=True)
    return np.divide(rest, length, out=vectors.astype(np.float64), where=length > 1e-6).astype(np.float32)


def _stills(paths: Iterable[Path]) -> Iterator[np.ndarray]:
    from pipeline.footage.stills import read_still

    return (read_still(path) for path in paths)


def _cosines(vectors: np.ndarray, asked: np.ndarray, among: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(asked), QUERY_BLOCK):
        rows = np.arange(start, min(start + QUERY_BLOCK, len(asked)))
        yield rows, vectors[asked[rows]] @ vectors[among].T


def _reranked(vectors: np.ndarray, asked: np.ndarray, among: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    kept = reranking.company(vectors)
    for start in range(0, len(asked), QUERY_BLOCK):
        rows = np.arange(start, min(start + QUERY_BLOCK, len(asked)))
        yield rows, reranking.similarity_to_all(vectors, kept, asked[rows])[:, among]
