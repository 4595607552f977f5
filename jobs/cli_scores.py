"""`nightfleet evaluate`, `nightfleet fit` and `nightfleet bench`: parse, call a job and print."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobs import printing, printing_scores
from jobs.cli_options import Json, example
from pipeline import config
from pipeline.errors import UserError


class CountClasses(StrEnum):
    """What classes are compared."""

    class_ = "class"
    group = "group"
    any = "any"


evaluate_app = typer.Typer(help="Compare with truth, by the field's own tools.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure speed beside its bound, in one run.", no_args_is_help=True)
fit_app = typer.Typer(help="Fit what the models leave open, on pictures of your own.", no_args_is_help=True)


@fit_app.callback()
def _fit() -> None:
    """Hold the group: with one command alone Typer would drop its name."""


@evaluate_app.command("mot", epilog=example("nightfleet evaluate mot sequences --beside"))
def evaluate_mot(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Sequences to track: SEQUENCE/det/det.txt beside gt/gt.txt.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="gt.txt, or a folder of SEQUENCE/gt.txt (MOTChallenge), for tracks there are.")
    ] = None,
    predicted: Annotated[
        str | None, typer.Option(help="Those tracks: MOTChallenge text, a folder of SEQUENCE.txt, or a lake.")
    ] = None,
    tracker: Annotated[str | None, typer.Option(help="Preset of the tracker, by name or file; for FOLDER.")] = None,
    no_hindsight: Annotated[
        bool, typer.Option("--no-hindsight", help="Score the rows as the tracker left them; for FOLDER.")
    ] = False,
    beside: Annotated[bool, typer.Option("--beside", help="Score the field's trackers too; for FOLDER.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the tracks as MOTChallenge text; for FOLDER.")] = None,
    min_visibility: Annotated[
        float, typer.Option(min=0, max=1, help="Truth less visible than this share is ignored.")
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """HOTA, MOTA, IDF1 and their parts, by TrackEval: of trackers run on detections, or of tracks there are already.

    Confidences in a det.txt are scores of 0 to 1, or are brought to such, a file at a time: 0 to 100 is divided by 100,
    any other scale (DPM and SVM margins, KITTI) is read as log odds, and -1 throughout as 1. Which it was is said.
    """
    from jobs import evaluate, track_sequences

    if folder is None and (truth is None or predicted is None):
        raise UserError("give a FOLDER of sequences to track, or --truth and --predicted for tracks there are already")
    if folder is None:
        if tracker is not None or no_hindsight or beside or out is not None:
            raise UserError("--tracker, --no-hindsight, --beside and --out are for a FOLDER of sequences to track")
        result = evaluate.evaluate_mot(truth, predicted, min_visibility=min_visibility)
        printing.emit(result, as_json, printing_scores.scores)
        return
    if truth is not None or predicted is not None:
        raise UserError("give a FOLDER of sequences to track or --truth and --predicted, not both")
    tracker_config = config.TrackerConfig() if tracker is None else config.tracker_preset(tracker)
    result = track_sequences.evaluate_trackers(
        folder,
        tracker_config.model_copy(update={"hindsight": None}) if no_hindsight else tracker_config,
        beside=track_sequences.BESIDE if beside else (),
        out=out,
        min_visibility=min_visibility,
    )
    printing_scores.score_scales(result["score_scale"])
    printing.emit(result, as_json, printing_scores.tracker_scores)


@evaluate_app.command("mtmc", epilog=example("nightfleet evaluate mtmc --truth truth/mtmc.txt --predicted lake --json"))
def evaluate_mtmc(
    truth: Annotated[Path, typer.Option(help="AI City text: camera id frame x y w h xworld yworld.")],
    predicted: Annotated[str, typer.Option(help="The same text, or a lake.")],
    regions: Annotated[
        Path | None,
        typer.Option(help="Folder of c001/roi.jpg (AI City): boxes that reach out of the white are left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Multi-camera IDF1 by AI City's definition."""
    from jobs import evaluate

    printing.emit(evaluate.evaluate_mtmc(truth, predicted, regions=regions), as_json, printing_scores.scores)


@evaluate_app.command(
    "reid", epilog=example("nightfleet evaluate reid --data crops --embedder onnx:osnet.onnx --rerank")
)
def evaluate_reid(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of crops named PID_cXsY_FRAME_NN.jpg: each is a query against the others."),
    ] = None,
    query: Annotated[Path | None, typer.Option(help="Folder of queries, with --gallery, in place of --data.")] = None,
    gallery: Annotated[Path | None, typer.Option(help="Folder of crops among which they are looked for.")] = None,
    embedder: Annotated[
        str | None, typer.Option(help="stripes, trained:FILE, onnx:FILE, torchvision:NAME, or a fleet.yaml.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict for torchvision:NAME.")] = None,
    projection: Annotated[Path | None, typer.Option(help="Projection fitted by `nightfleet fit projection`.")] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Score k-reciprocal re-ranking too.")] = False,
    as_json: Json = False,
) -> None:
    """Mean average precision and CMC of an embedder at 128 numbers, by Market-1501's definition.

    Scored with and without each camera's mean, which linking takes out; and how far apart pictures of one person and
    of two are.
    """
    from jobs import evaluate_reid as job

    section = job.embedder_config(embedder, weights=weights, projection=projection)
    result = job.evaluate_reid(section, data=data, query=query, gallery=gallery, rerank=rerank)
    printing.emit(result, as_json, printing_scores.reid)


@fit_app.command(
    "projection",
    epilog=example("nightfleet fit projection --data crops --embedder onnx:osnet.onnx --out osnet-128.npz"),
)
def fit_projection(
    data: Annotated[Path, typer.Option(help="Folder with pictures of single people or vehicles, folders in it too.")],
    embedder: Annotated[str, typer.Option(help="onnx:FILE, torchvision:NAME, or the fleet.yaml that says which.")],
    out: Annotated[Path, typer.Option(help="File to write, for models.embedder.projection.")],
    weights: Annotated[Path | None, typer.Option(help="State dict for torchvision:NAME.")] = None,
    as_json: Json = False,
) -> None:
    """Fit the projection of a network's features to 128 numbers; without one, a fixed random one is used.

    Needs no labels: the directions in which the pictures differ most are kept (PCA).
    """
    from jobs import evaluate_reid as job

    result = job.fit_projection(job.embedder_config(embedder, weights=weights), data=data, out=out)
    printing.emit(result, as_json, printing_scores.fitted)


@evaluate_app.command(
    "counts", epilog=example("nightfleet evaluate counts --truth counted-by-hand.csv --predicted lake --by 15min")
)
def evaluate_counts(
    truth: Annotated[Path, typer.Option(help="A manual count, or crossings.csv with one row a crossing.")],
    predicted: Annotated[str, typer.Option(help="A lake, or crossings.csv.")],
    by: Annotated[
        str | None, typer.Option(help="Length of a bin; in a manual count, of those without one. 15min without it.")
    ] = None,
    classes: Annotated[
        CountClasses | None,
        typer.Option(help="Tell classes apart, or groups (person, vehicle), or none; without it as the truth does."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Seconds between a true and a measured crossing that may still be one.")
    ] = 2.0,
    out: Annotated[Path | None, typer.Option(help="CSV file for the errors, one row each, with tracklet ids.")] = None,
    as_json: Json = False,
) -> None:
    """Compare counts with a count by hand or with true crossings: error and GEH, and where the errors come from.

    A manual count is a CSV with the columns camera, line, direction, class, start, count and, if bins differ, length:

    `gate,bridge,northbound,car,2026-03-01T07:30,17`

    start is local time of the camera, or has an offset; class is a COCO name, person, vehicle or any; length is such as
    15min. Write a row for every bin that was counted: within it, what has no row counts as 0. Crossings are a CSV with
    camera_id, line_id, direction, class, object_id, crossed_at; with them every error is listed. See docs/accuracy.md.
    """
    from jobs import evaluate_counts as job

    chosen = None if classes is None else classes.value
    result = job.evaluate_counts(truth, predicted, by=by, classes=chosen, tolerance_s=tolerance)
    if out is not None:
        result["written"] = str(job.write_errors(result, out))
    printing.emit(result, as_json, printing_scores.counts)


@bench_app.command("pipeline", epilog=example("nightfleet bench pipeline --clip clip.mp4 --json"))
def bench_pipeline(
    clip: Annotated[Path | None, typer.Option(help="Video to use; a rendered one without it.")] = None,
    fleet: Annotated[
        Path | None, typer.Option(help="fleet.yaml whose models are used; the embedded ones without.")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Workers of the whole run; one per CPU without it.")] = None,
    as_json: Json = False,
) -> None:
    """Measure bare decode, detector and embedder and the whole run on one clip, and the bound they imply."""
    from jobs.bench import bench_pipeline as job

    models = config.load(fleet).models if fleet else config.ModelsConfig()
    printing.emit(job(clip, models=models, workers=workers), as_json, printing_scores.scores)


@bench_app.command("search", epilog=example("nightfleet bench search --tracklets 1000000"))
def bench_search(
    tracklets: Annotated[int, typer.Option(min=100, help="Tracklets of the synthetic night, 8 exemplars each.")] = (
        1_000_000
    ),
    folder: Annotated[
        Path | None, typer.Option(help="Where to build the index; a folder for temporary files without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure a search over a synthetic night: building, size, cold, warm and recall, beside brute force."""
    from jobs.bench_search import bench_search as job

    printing.emit(job(tracklets, folder=folder, progress=printing.complain), as_json, printing_scores.scores)


@bench_app.command("identity", epilog=example("nightfleet bench identity --tracklets 10000,100000"))
def bench_identity(
    tracklets: Annotated[
        str, typer.Option(help="Sizes of the made-up nights, in tracklets of 8 exemplars: 10000,100000.")
    ] = "10000,100000",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Json = False,
) -> None:
    """Measure how tracklets of a made-up night become identities: time beside FAISS's alone, peak memory, F1."""
    from jobs import bench_identity as job

    rows = job.bench_identity(job.sizes(tracklets), device=job.known_device(device))
    printing.emit(rows, as_json, printing_scores.identity_speeds)


@bench_app.command("tracker", epilog=example("nightfleet bench tracker"))
def bench_tracker(
    data: Annotated[
        Path | None, typer.Option(help="Folder of real sequences, SEQUENCE/det/det.txt beside gt/gt.txt.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the tracker's update, appearance included, beside the field's own: ms a frame, all in one run."""
    from jobs.bench_tracker import bench_tracker as job

    printing.emit(job(data, complain=printing.complain), as_json, printing_scores.speeds)


@bench_app.command("reports", epilog=example("nightfleet bench reports --rows 10M"))
def bench_reports(
    rows: Annotated[
        str | None, typer.Option(help="Observations to make: 100M, 10M, 500k; 100M without it, 10M on a short disk.")
    ] = None,
    lake: Annotated[
        Path | None, typer.Option(help="Folder for the lake, used again if it is the same; a temporary one without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the reports over a lake of made-up traffic, each beside the bare scan of the columns it needs."""
    from jobs import bench_reports as job

    n_rows = None if rows is None else job.number_of(rows)
    printing.emit(
        job.bench_reports(n_rows, lake=lake, progress=printing.complain), as_json, printing_scores.report_speeds
    )
