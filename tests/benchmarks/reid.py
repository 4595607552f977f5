"""How well every embedder knows people again at 128 numbers, on real crops.

    python -m tests.benchmarks.reid [--data DIR] [--weights NAME=FILE ...]

Market-1501's protocol over `reid/market1501_eval`, each crop a query against all others (see pipeline.evaluation.reid).
Nothing was trained on these people. What was fitted on what:

stripes            nothing: colours at their heights
trained            rendered people and vehicles; pipeline/perception/shipped/embedder.md
OSNet, random      weights trained on MSMT17; a fixed random projection, what nightfleet takes where none was fitted
OSNet, others      the same; PCA of `nightfleet fit projection`, fitted without labels to Market-1501's 631 other people
OSNet, own         the same, fitted without labels to the very crops that are scored, as on footage of one's own
torchvision:NAME   ImageNet's classes, no people to know again; a random projection. Not available without its weights:
                   --weights resnet18=resnet18.pth, or torchvision's own download
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jobs.evaluate_reid import evaluate_reid, fit_projection
from pipeline.config import EmbedderConfig
from pipeline.errors import UserError
from pipeline.evaluation.market import read_folder
from pipeline.perception.projection import WHITENING, fit_pca, save
from pipeline.perception.weights import embedder_model_digest
from tests.realdata import ROOT

CROPS = "reid/market1501_eval"
FEATURES = "reid/market1501_osnet_features.npz"
OSNET = "weights/osnet_x0_25_msmt17.onnx"
BACKBONES = ("resnet18", "mobilenet_v2")
WAYS = {(False, False): "cosine", (True, False): "camera means out", (False, True): "re-ranked", (True, True): "both"}


def embedders(data: Path, weights: dict[str, Path], folder: Path) -> Iterator[tuple[str, EmbedderConfig]]:
    """Yield the embedders by name; fitted projections are written into `folder`."""
    yield "stripes", EmbedderConfig(use="stripes")
    yield "trained, as it ships", EmbedderConfig(use="trained")
    osnet = EmbedderConfig(use=f"onnx:{data / OSNET}")
    yield "OSNet x0.25, random", osnet
    save(fitted_to_others(data, osnet), folder / "others.npz")
    yield "OSNet x0.25, others", osnet.model_copy(update={"projection": folder / "others.npz"})
    fit_projection(osnet, data=data / CROPS, out=folder / "own.npz", device="cpu")
    yield "OSNet x0.25, own", osnet.model_copy(update={"projection": folder / "own.npz"})
    for name in BACKBONES:
        yield f"torchvision:{name}", EmbedderConfig(use=f"torchvision:{name}", weights=weights.get(name))


def fitted_to_others(data: Path, osnet: EmbedderConfig):
    """Fit the projection to the people of Market-1501 who are in none of the crops."""
    scored = np.unique(read_folder(data / CROPS)[1].person)
    with np.load(data / FEATURES) as file:
        features = file["embedding"][~np.isin(file["person_id"], scored)].astype(np.float32)
    return fit_pca(features, embedder_model_digest(osnet), whitening=WHITENING)


def row(name: str, result: dict[str, Any]) -> str:
    """Lay out one embedder's scores: rank-1 and mAP, percent, of each way of comparing."""
    by_way = {(one["camera_means_removed"], one["reranked"]): one for one in result["scores"]}
    cells = (f"{100 * by_way[way]['rank1']:9.1f} / {100 * by_way[way]['mAP']:4.1f}" for way in WAYS)
    return f"{name:28}" + "".join(f"{cell:>18}" for cell in cells) + f"{result['crops'] / result['embed_s']:10.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("NIGHTFLEET_TEST_DATA", ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the test data")
    parser.add_argument(
        "--weights", nargs="*", default=[], metavar="NAME=FILE", help="state dicts of torchvision's models"
    )
    asked = parser.parse_args()
    weights = {name: Path(path) for name, _, path in (one.partition("=") for one in asked.weights)}
    print(f"{'rank-1 / mAP, percent':28}" + "".join(f"{way:>18}" for way in WAYS.values()) + f"{'crops/s':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for name, embedder in embedders(asked.data, weights, Path(folder)):
            try:
                print(
                    row(name, evaluate_reid(embedder, data=asked.data / CROPS, rerank=True, device="cpu")), flush=True
                )
            except UserError as error:
                print(f"{name:28}not available: {error}", flush=True)


if __name__ == "__main__":
    main()
