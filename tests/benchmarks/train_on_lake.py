"""What training on a fleet's own footage gains without labels: python -m tests.benchmarks.train_on_lake --duration 120.

Renders the demo town, runs its night, trains an embedder on the lake (`nightfleet train embedder --data LAKE`) from the
weights of --init, and asks the truth: crops of the town's people and vehicles in the held-out last part of the footage,
each a query against those of other cameras. Prints the scores of `stripes`, of the weights it began with and of the
trained ones. The truth is used for nothing else. Several minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from jobs import embedder_data, nightly, train_embedder
from jobs.embedder_data import HELD_OUT
from pipeline import config
from pipeline.config import EmbedderConfig
from pipeline.demo import town
from pipeline.evaluation import reid
from pipeline.evaluation.formats import read_mot
from pipeline.evaluation.reid import Pictured
from pipeline.execution.progress import Silence
from pipeline.footage.decode import frames_at
from pipeline.footage.segments import discover
from pipeline.perception.perception import Perception
from pipeline.training import starting
from pipeline.training.sequence_crops import LEAST_SIDE_PX, LEAST_VISIBILITY
from pipeline.training.starting import Start

EVERY = 5
"""Frames between two that are looked at."""


def true_crops(folder: Path, fleet: config.FleetConfig, since_us: int) -> tuple[list[np.ndarray], Pictured]:
    """Cut the truth's visible boxes out of the frames from an instant on: pictures, and whom they show where."""
    images, person, camera = [], [], []
    started_us = round(town.STARTED_AT.timestamp() * 1e6)
    for number, one in enumerate(fleet.cameras):
        boxes = read_mot(folder / "truth" / one.id / "gt.txt")
        shown = (boxes.visibility >= LEAST_VISIBILITY) & (boxes.xywh[:, 3] >= LEAST_SIDE_PX[0])
        for segment in discover(one).segments:
            instants = {started_us + round((frame - 1) * 1e6 / town.FPS): frame for frame in np.unique(boxes.frame)}
            end_us = segment.started_at_us + segment.duration_us
            wanted = [at for at in instants if max(since_us, segment.started_at_us) <= at < end_us][::EVERY]
            for at_us, image in frames_at(segment, wanted):
                for row in np.flatnonzero(shown & (boxes.frame == instants[at_us])):
                    x, y, width, height = boxes.xywh[row].round().astype(int)
                    if width >= LEAST_SIDE_PX[1]:
                        images.append(image[y : y + height, x : x + width])
                        person.append(int(boxes.track_id[row]))
                        camera.append(number)
    return images, Pictured(np.array(person), np.array(camera))


def scores(use: str, images: list[np.ndarray], shown: Pictured) -> dict[str, float]:
    """Score an embedder on true crops."""
    vectors = Perception(EmbedderConfig(use=use), device="cpu", threads=1).embed_pictures(images)
    blocks = ((rows, vectors[rows] @ vectors.T) for rows in np.array_split(np.arange(len(vectors)), 16))
    found = reid.evaluate(blocks, shown, shown)
    return {name: found[name] for name in ("mAP", "rank1", "queries", "people")}


def main() -> None:
    """Render, process, train and print a line an embedder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--duration", type=float, default=120.0, help="seconds of footage")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--init", help="weights to begin with; without it the trained backbone of ImageNet")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "nightfleet-benchmark-lake")
    given = parser.parse_args()
    folder = given.out / f"{given.seed}-{given.duration:g}s"
    if not (folder / "fleet.yaml").exists():
        town.render(folder, seed=given.seed, duration_s=given.duration)
    fleet = config.load(folder / "fleet.yaml")
    nightly.run(fleet, progress=Silence())
    start = Start(init=given.init or starting.IMAGENET)
    crop_hw = starting.network(start, 0).design.crop_hw
    since_us = int(np.quantile(embedder_data.seen_in(fleet.lake, crop_hw).first_us, 1 - HELD_OUT, method="higher"))
    with tempfile.TemporaryDirectory() as out:
        result = train_embedder.train_embedder(
            [fleet.lake],
            Path(out) / "trained",
            start=start,
            epochs=given.epochs,
            rounds=given.rounds,
            threads=1,
            told=lambda row: print(
                f"  round {row['round']} epoch {row['epoch']:.0f}: mAP {row['mAP']:.4f}", flush=True
            ),
        )
        print(f"{result['crops']} crops of {result['identities']} tracklets; " + "; ".join(result["notes"]))
        began = Path(out) / "began.safetensors"
        starting.save(start, began)
        images, shown = true_crops(folder, fleet, since_us)
        for name, use in (
            ("stripes", "stripes"),
            ("at the start", f"trained:{began}"),
            ("trained", f"trained:{result['weights']}"),
        ):
            found = scores(use, images, shown)
            print(
                f"{name:14} mAP {100 * found['mAP']:5.1f} %  rank-1 {100 * found['rank1']:5.1f} %  "
                f"({found['queries']} queries of {found['people']})",
                flush=True,
            )


if __name__ == "__main__":
    main()
