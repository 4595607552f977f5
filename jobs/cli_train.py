"""`nightfleet train`: makes training data and trains the networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from jobs import printing, printing_training
from jobs.cli_options import Json, example
from jobs.printing_training import TrainingProgress
from pipeline import config
from pipeline.errors import UserError
from pipeline.types import TRAFFIC_CLASSES

INCOMPLETE = 3

Data = Annotated[list[Path], typer.Option(help="Folder of labelled sequences (MOTChallenge); may be repeated.")]
Out = Annotated[Path, typer.Option(help="Folder for weights, log and checkpoint.")]
Steps = Annotated[int, typer.Option(min=1, help="Batches shown.")]
Pictures = Annotated[int, typer.Option(min=1, help="Pictures in a batch.")]
Side = Annotated[int, typer.Option(min=32, help="Pixels of each, a multiple of 32.")]
Rate = Annotated[float, typer.Option(min=0, help="Highest learning rate.")]
Precision = Annotated[str, typer.Option(help="float32, or bfloat16 where the processor has it.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Threads = Annotated[int, typer.Option(min=1, help="Processor threads.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a killed training stopped.")]

app = typer.Typer(help="Make training data, and train detectors and embedders on it.", no_args_is_help=True)


@app.callback()
def train() -> None:
    """Make training data, and train detectors and embedders on it."""


@app.command(epilog=example("nightfleet train labels clips/*.mp4 --detector onnx:yolox_nano.onnx --out data --every 5"))
def labels(
    clips: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Video files and animated GIFs.")],
    detector: Annotated[
        str, typer.Option(help="Detector to learn from, as in `models.detector.use`: onnx:FILE, torchvision:MODEL.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of training data; each clip becomes a folder in it.")],
    every: Annotated[int, typer.Option(min=1, help="Write each how manyth frame; all are looked at.")] = 1,
    score: Annotated[float, typer.Option(min=0, max=1, help="Mean score of a track that is believed.")] = 0.5,
    ignore_from: Annotated[
        float, typer.Option(min=0, max=1, help="Doubtful boxes from this score on are marked to be ignored.")
    ] = 0.2,
    classes: Annotated[
        str, typer.Option(help="What there can be in these clips; with one of car, bus, truck, all three become it.")
    ] = ",".join(TRAFFIC_CLASSES),
    moving: Annotated[
        bool, typer.Option("--moving", help="The camera moves: do not ignore what moves and was not recognised.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the detector.")] = 1,
    as_json: Json = False,
) -> None:
    """Make training data from footage nobody labelled: what a detector is sure of, tracked, and the rest ignored.

    The detector sees every frame whole and in four enlarged parts. Ends with 3 where a clip could not be read.
    """
    from jobs import train_labels as job

    rules = job.Rules(every, score, ignore_from, still=not moving, classes=_traffic_classes(classes))
    chosen = config.detector({"use": detector})
    shown = printing.progress(quiet=as_json)
    result = job.labels(clips, out, chosen, rules, device=device, threads=threads, progress=shown)
    printing.emit(result, as_json, _labelled)
    raise typer.Exit(INCOMPLETE if result["failed"] else 0)


def _traffic_classes(text: str) -> tuple[str, ...]:
    """Split A,B. Raises UserError for what is no class that is learnt."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names or (text,):
        if name not in TRAFFIC_CLASSES:
            raise UserError(f"--classes: expected some of {', '.join(TRAFFIC_CLASSES)}, got {name!r}")
    return names


def _labelled(result: dict) -> None:
    for one in result["sequences"]:
        of_class = ", ".join(f"{count} {name}" for name, count in one["by_class"].items()) or "no label"
        typer.echo(
            f"{one['name']}: {one['pictures']} pictures of {one['frames']} frames, {one['tracks']} tracks, "
            f"{of_class}, {one['ignored']} to ignore"
        )
    for sentence in result["failed"]:
        typer.echo(f"  left out: {sentence}")
    typer.echo(f"written to {result['out']}")


@app.command(epilog=example("nightfleet train scenes --out scenes --worlds 300 --seed 1000"))
def scenes(
    out: Annotated[Path, typer.Option(help="Folder of training data; each world becomes a folder in it.")],
    worlds: Annotated[int, typer.Option(help="Worlds to render; those in the folder already are kept.")] = 100,
    sequences_per_world: Annotated[int, typer.Option(help="Cameras that see each world.")] = 2,
    frames: Annotated[int, typer.Option(help="Pictures of each camera, 0.3 to 2 seconds apart.")] = 6,
    seed: Annotated[int, typer.Option(help="Another seed, other worlds.")] = 1000,
    place: Annotated[str, typer.Option(help="any, or town: the demo's own streets and cameras, other days.")] = "any",
    processes: Annotated[int, typer.Option(help="Processes that render.")] = 1,
    as_json: Json = False,
) -> None:
    """Make training data by rendering: places, people, vehicles, cameras and weather of every kind, with exact truth.

    What somebody is called is the same in all pictures of a world. Killed, it goes on where it stopped.
    """
    from jobs.train_scenes import train_scenes as job

    result = job(
        out,
        n_worlds=worlds,
        sequences_per_world=sequences_per_world,
        frames=frames,
        seed=seed,
        place=place,
        processes=processes,
        progress=printing.progress(quiet=as_json),
    )
    printing.emit(result, as_json, _rendered)


def _rendered(result: dict) -> None:
    typer.echo(
        f"{result['rendered_worlds']} of {result['worlds']} worlds rendered: {result['rendered_pictures']} pictures, "
        f"{result['rendered_boxes']} boxes, in {result['seconds']} s"
    )
    typer.echo(f"written to {result['written']}")


@app.command("one-shot", epilog=example("nightfleet train one-shot --data scenes --data labels --out trained"))
def one_shot(
    data: Data,
    out: Out,
    steps: Steps = 6000,
    pictures: Pictures = 8,
    height: Side = 288,
    width: Side = 384,
    rate: Rate = 0.001,
    classes: Annotated[str, typer.Option(help="COCO names of what it shall find.")] = ",".join(TRAFFIC_CLASSES),
    init: Annotated[str, typer.Option(help="imagenet, random, or weights to go on from.")] = "imagenet",
    frozen_stages: Annotated[
        int, typer.Option(min=0, max=4, help="Finest stages of the trunk that stay as they are.")
    ] = 1,
    identity: Annotated[
        str, typer.Option(help="pairs within a batch, or classes: FairMOT's classification.")
    ] = "pairs",
    precision: Precision = "float32",
    seed: Seed = 0,
    device: Device = "auto",
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that share each batch: one for each processor core.")
    ] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Processor threads of each.")] = 1,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train a network that finds people and vehicles and says what each looks like, in one pass (FairMOT)."""
    from jobs import train_one_shot as job

    recipe = job.recipe(
        classes=classes, steps=steps, pictures=pictures, size_hw=(height, width), rate=rate,
        frozen_stages=frozen_stages, identity=identity, seed=seed, precision=precision, init=init,
        processes=processes,
    )  # fmt: skip
    with TrainingProgress(quiet=as_json) as shown:
        result = job.train_one_shot(data, out, recipe, device=device, threads=threads, resume=resume, tell=shown)
    printing.emit(result, as_json, _trained)


@app.command(epilog=example("nightfleet train refiner trained/one_shot.safetensors --data scenes --out refined"))
def refiner(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A file that `nightfleet train one-shot` wrote.")],
    data: Data,
    out: Out,
    steps: Steps = 5000,
    pictures: Pictures = 16,
    height: Side = 288,
    width: Side = 384,
    rate: Rate = 0.002,
    precision: Precision = "float32",
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 1,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train a second, close look at each box of a one-shot network, which moves its sides to where the thing ends."""
    from jobs import train_refiner as job

    recipe = job.RefinerRecipe(steps, pictures, (height, width), rate, seed, precision)
    with TrainingProgress(quiet=as_json) as shown:
        result = job.train_refiner(
            weights, data, out, recipe, device=device, threads=threads, resume=resume, tell=shown
        )
    printing.emit(result, as_json, _trained)


@app.command(
    epilog=example("nightfleet train scores refined/one_shot.safetensors --data scenes --data street --out judged")
)
def scores(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A file that `nightfleet train refiner` wrote.")],
    data: Data,
    out: Out,
    steps: Steps = 3500,
    pictures: Pictures = 16,
    height: Side = 288,
    width: Side = 384,
    rate: Rate = 0.001,
    precision: Precision = "float32",
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = 1,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Teach the close look at each box to say how well it fits something: fewer lamp posts are taken for people.

    The pictures of every --data are shown as often.
    """
    from jobs import train_refiner as job

    recipe = job.RefinerRecipe(steps, pictures, (height, width), rate, seed, precision)
    with TrainingProgress(quiet=as_json) as shown:
        result = job.train_scores(weights, data, out, recipe, device=device, threads=threads, resume=resume, tell=shown)
    printing.emit(result, as_json, _trained)


@app.command(
    epilog=example("nightfleet train calibrate trained/one_shot.safetensors --data others --out one_shot.safetensors")
)
def calibrate(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A file that `nightfleet train one-shot` wrote.")],
    data: Annotated[
        list[Path], typer.Option(help="Folder of labelled sequences it was not trained on; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="File for the calibrated weights.")],
    device: Device = "auto",
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Make a one-shot network's scores say how often they are right: of boxes scored 0.7, seven in ten."""
    from jobs import train_calibrate as job

    shown = printing.progress(quiet=as_json)
    result = job.calibrate(weights, data, out, device=device, threads=threads, told=partial(shown.making, "pictures"))
    printing.emit(result, as_json, printing_training.calibrated)


def _trained(result: dict) -> None:
    typer.echo(
        ", ".join(f"{result[name]} {name}" for name in ("pictures", "boxes", "identities", "steps") if name in result)
    )
    typer.echo(f"weights: {result['weights']}")


@app.command(
    "embedder", epilog=example("nightfleet train embedder --data scenes --out embedder --init imagenet --epochs 20")
)
def embedder(
    data: Annotated[
        list[str],
        typer.Option(
            help="Folders, one per identity; crops named PID_cXsY_FRAME_NN.jpg; labelled sequences (MOTChallenge); or "
            "a lake, whose footage needs no labels. Folders may be repeated."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for weights, log, checkpoint and plots.")],
    backbone: Annotated[
        str | None, typer.Option(help="mobilenet (without it), osnet, resnet, or colours: no trunk, fast.")
    ] = None,
    width: Annotated[float | None, typer.Option(help="Share of the backbone's channels.")] = None,
    crop: Annotated[str | None, typer.Option(help="Height and width of its crops in pixels; 96x48 without it.")] = None,
    loss: Annotated[
        str | None,
        typer.Option(help="contrastive, triplet, pairs, identity, or several with +; triplet+pairs without it."),
    ] = None,
    mask: Annotated[bool, typer.Option("--mask", help="Fade crops to grey from their middle outwards.")] = False,
    colours: Annotated[
        bool, typer.Option("--colours", help="Begin with stripes' colours, and see them beside.")
    ] = False,
    frozen: Annotated[int, typer.Option(min=0, help="First blocks of the backbone that stay as they are.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over about as many pictures as there are crops.")] = 20,
    patience: Annotated[int, typer.Option(min=0, help="End after so many epochs that are no better; 0: never.")] = 6,
    rate: Annotated[float | None, typer.Option(min=0, help="Highest learning rate.")] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Of a lake: later ones join the identities it is confident of.")
    ] = 1,
    init: Annotated[str | None, typer.Option(help="imagenet, or an embedder to go on from, as it is built.")] = None,
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; all without it.")] = None,
    as_json: Json = False,
) -> None:
    """Train a network that tells what people and vehicles look like, 128 numbers each; shows an epoch a line.

    To use it, set `models: {embedder: {use: trained:OUT/embedder.safetensors}}`.
    """
    from jobs import train_embedder as job

    result = job.train_embedder(
        data, out, start=job.start(backbone, width=width, crop=crop, mask=mask, colours=colours, init=init),
        loss=loss, epochs=epochs, learning_rate=rate, patience=patience, frozen=frozen, rounds=rounds, resume=resume,
        seed=seed, device=device, threads=threads, told=printing_training.epoch,
    )  # fmt: skip
    printing.emit(result, as_json, printing_training.embedder)
