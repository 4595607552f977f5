"""The `nightfleet` command: parses, calls a job and prints. No work is done here."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobs import printing
from jobs.identity_cli import explain_app, identity_app, topology_app
from pipeline import __version__, config
from pipeline.errors import NightfleetError, UserError

DONE, CRASHED, USER_MISTAKE, INCOMPLETE = 0, 1, 2, 3

app = typer.Typer(
    name="nightfleet",
    help="Footage of a camera fleet in, tables you can ask questions of out.\n\n"
    "Exit codes: 0 done, 2 your mistake, 3 done but some footage could not be processed.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)
evaluate_app = typer.Typer(help="Compare with truth, by the field's own tools.", no_args_is_help=True)
report_app = typer.Typer(help="Reports over a lake.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure speed beside its bound, in one run.", no_args_is_help=True)
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(report_app, name="report")
app.add_typer(bench_app, name="bench")
app.add_typer(identity_app, name="identity")
app.add_typer(explain_app, name="explain")
app.add_typer(topology_app, name="topology")
fit_app = typer.Typer(help="Fit what the models leave open, on pictures of your own.", no_args_is_help=True)
app.add_typer(fit_app, name="fit")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout and nothing else there.")]
FleetFile = Annotated[Path, typer.Argument(metavar="FLEET.YAML", help="The fleet's configuration.")]
LakeUrl = Annotated[str, typer.Argument(metavar="LAKE", help="Folder or URL of the lake.")]


class Format(StrEnum):
    """How a table is written."""

    table = "table"
    csv = "csv"
    parquet = "parquet"


def example(line: str) -> str:
    """Return the epilog every command ends its help with."""
    return f"Example: `{line}`"


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks. May stand anywhere on the line.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    """Hold the options of the bare command."""
    if version:
        typer.echo(f"nightfleet {__version__}")
        raise typer.Exit


@app.command(epilog=example("nightfleet demo --out town --seed 3"))
def demo(
    out: Annotated[Path, typer.Option(help="Folder for footage, truth, lake and pictures.")] = Path("demo-out"),
    seed: Annotated[int, typer.Option(help="Another seed, another day in the town.")] = 1,
    duration_s: Annotated[float, typer.Option(help="Length of the footage in seconds.")] = 75.0,
    workers: Annotated[int | None, typer.Option(help="Worker processes; one per CPU without it.")] = None,
    as_json: Json = False,
) -> None:
    """Render a small town, run the night on it, print the report and the scores against its exact truth."""
    from jobs.demo import demo as job

    result = job(out, seed=seed, duration_s=duration_s, workers=workers, progress=printing.progress(quiet=as_json))
    printing.emit(result, as_json, printing.demo)


@app.command(epilog=example("nightfleet init my-fleet"))
def init(folder: Annotated[Path, typer.Argument(metavar="DIR")], as_json: Json = False) -> None:
    """Write a commented fleet.yaml to start from."""
    from jobs.init import init as job

    path = job(folder)
    printing.emit(
        {"written": str(path)},
        as_json,
        lambda r: typer.echo(f"wrote {r['written']}; edit it, then run\n  nightfleet check {r['written']}"),
    )


@app.command(epilog=example("nightfleet check fleet.yaml"))
def check(
    fleet: FleetFile,
    cameras: Annotated[str | None, typer.Option(help="Only these cameras: A,B")] = None,
    as_json: Json = False,
) -> None:
    """Open every camera's footage, load every model, check clocks, lines and the lake; say what is wrong."""
    from jobs.check import check as job

    result = job(config.load(fleet), cameras=_names(cameras))
    printing.emit(result, as_json, printing.check)
    raise typer.Exit(USER_MISTAKE if result["problems"] else DONE)


@app.command(epilog=example("nightfleet run fleet.yaml --date 2026-03-01 --cameras gate,square"))
def run(
    fleet: FleetFile,
    date: Annotated[str | None, typer.Option(help="Only footage of this local date, YYYY-MM-DD.")] = None,
    cameras: Annotated[str | None, typer.Option(help="Only these cameras: A,B")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to use (auto, or host:port).")] = None,
    keep_detections: Annotated[
        bool,
        typer.Option(
            "--keep-detections",
            help="Keep every detection with its embedding in the lake, for `nightfleet retrack`; 0.3 KB each.",
        ),
    ] = False,
    keep_thumbnails: Annotated[
        bool,
        typer.Option(
            "--keep-thumbnails",
            help="Keep a small picture of every tracklet in the lake, for `search --html`; 3 KB each.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Process what the lake lacks: decode, detect, track, embed, then join identities across cameras."""
    from jobs import nightly

    fleet_config = config.load(fleet)
    asked = {"keep_detections": keep_detections, "keep_thumbnails": keep_thumbnails}
    if any(asked.values()):
        told = {name: True for name, wanted in asked.items() if wanted}
        execution = fleet_config.execution.model_copy(update=told)
        fleet_config = fleet_config.model_copy(update={"execution": execution})
    selection = {"date": _date(date), "cameras": _names(cameras)}
    if dry_run:
        planned = nightly.dry_run(fleet_config, **selection)
        printing.emit(planned.to_json(), as_json, printing.dry_run)
        raise typer.Exit(INCOMPLETE if planned.failures else DONE)
    summary = nightly.run(fleet_config, **selection, address=address, progress=printing.progress())
    printing.emit(summary.to_json(), as_json, printing.run)
    raise typer.Exit(INCOMPLETE if summary.failures else DONE)


@app.command(epilog=example("nightfleet retrack lake --tracker bytetrack"))
def retrack(
    lake: LakeUrl,
    tracker: Annotated[
        str | None, typer.Option(help="Preset by name, or a .yaml file of tracker keys; the lake's own without it.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to use (auto, or host:port).")] = None,
    as_json: Json = False,
) -> None:
    """Rebuild tracklets, identities and counts from the detections that `run --keep-detections` kept.

    Neither footage nor models are needed. To make another tracker permanent, write it into the fleet.yaml too
    (`tracker: {preset: bytetrack}`): the next `nightfleet run` goes back to whatever stands there.
    """
    from jobs.retrack import retrack as job

    chosen = None if tracker is None else config.tracker_preset(tracker)
    summary = job(lake, tracker=chosen, address=address, progress=printing.progress())
    printing.emit(summary.to_json(), as_json, printing.retrack)


@app.command(epilog=example("nightfleet status lake"))
def status(lake: LakeUrl, as_json: Json = False) -> None:
    """Show per camera: hours seen, hours done, gaps, failures, speed."""
    from jobs.status import status as job

    printing.emit(job(lake), as_json, printing.status)


@app.command(epilog=example('nightfleet sql lake "SELECT camera_id, class, count(*) FROM tracklets GROUP BY ALL"'))
def sql(
    lake: LakeUrl,
    query: Annotated[str, typer.Argument(metavar="SELECT …")],
    format: Annotated[Format, typer.Option(help="How to print the rows.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    as_json: Json = False,
) -> None:
    """Ask the lake in DuckDB SQL, read-only, views ready."""
    from pipeline.lake import catalog

    printing.table(catalog.query(lake, query), "json" if as_json else format.value, out)


@app.command(epilog=example("nightfleet search lake --image crop.jpg --class car --from 2026-03-01 --html found.html"))
def search(
    lake: LakeUrl,
    tracklet: Annotated[str | None, typer.Option(help="Id of a tracklet of the lake.")] = None,
    identity: Annotated[str | None, typer.Option(help="Id of an identity: by all its tracklets' looks.")] = None,
    image: Annotated[Path | None, typer.Option(help="Picture of one person or vehicle, or with one in it.")] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="Only this class, or vehicle for all.")] = None,
    camera: Annotated[str | None, typer.Option(help="Only these cameras: A,B")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="Only from this date or instant of the cameras' clocks on.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="Only to this date, included, or instant.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many tracklets to return.")] = 20,
    html: Annotated[Path | None, typer.Option(help="Write a contact sheet to this file too.")] = None,
    as_json: Json = False,
) -> None:
    """Find where else a person or vehicle was, by a tracklet or an identity of the lake, or by a picture.

    An instant is written 2026-03-01 or 2026-03-01T08:00, in each camera's time zone, or with an offset of its own.
    """
    from jobs.search import search as job

    asked = {"tracklet_id": tracklet, "identity_id": identity, "image": image}
    if sum(value is not None for value in asked.values()) != 1:
        raise UserError("give exactly one of --tracklet ID, --identity ID and --image FILE")
    result = job(lake, **asked, class_name=class_name, cameras=_names(camera), first=first, last=last, top=top)
    if html is not None:
        from jobs.search_sheet import write_sheet

        result["html"] = str(write_sheet(lake, result, html))
    printing.emit(result, as_json, printing.search)


@app.command(epilog=example("nightfleet erase lake --identity id-4f2a9c1b77e0d365 --dry-run"))
def erase(
    lake: LakeUrl,
    identity: Annotated[str | None, typer.Option(help="Id of the identity to erase, with all its tracklets.")] = None,
    tracklet: Annotated[str | None, typer.Option(help="Id of a single tracklet to erase.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a person or vehicle from the whole lake for good, then read all of it again to prove it.

    The footage itself is not touched. No run may be going on meanwhile. Ends with 1 if anything is left.
    """
    from jobs import erase as job

    seen = job.look(lake, identity=identity, tracklet=tracklet)
    if dry_run:
        printing.emit(job.dry_run(seen).to_json(), as_json, printing.erased)
        return
    if not yes and not (sys.stdin.isatty() and not as_json):
        raise UserError("erasing cannot be undone; look at it with --dry-run, then say --yes")
    if not yes:
        printing.erased(job.dry_run(seen).to_json())
        if not typer.confirm("This cannot be undone. Erase it?"):
            return
    done = job.erase(seen)
    printing.emit(done.to_json(), as_json, printing.erased)
    raise typer.Exit(DONE if done.clean else CRASHED)


@report_app.command("traffic", epilog=example("nightfleet report traffic lake --by 15min --format csv"))
def report_traffic(
    lake: LakeUrl,
    by: Annotated[str, typer.Option(help="Length of a bin: 15min, 5min, 1h, 30s.")] = "15min",
    format: Annotated[Format, typer.Option(help="How to write the counts.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    cameras: Annotated[str | None, typer.Option(help="Only these cameras: A,B")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First local date, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last local date, included.")] = None,
    as_json: Json = False,
) -> None:
    """Count by camera, line, direction, class and time bin; bins nobody crossed in are there with 0."""
    from jobs.report import traffic_report

    report = traffic_report(lake, by=by, cameras=_names(cameras), first_date=first, last_date=last)
    if as_json:
        parts = {"counts": report.counts, "totals": report.totals, "dwell": report.dwell}
        printing.emit({name: rows.to_pylist() for name, rows in parts.items()}, as_json, print)
    elif format is Format.table and out is None:
        printing.traffic(report)
    else:
        printing.table(report.counts, format.value, out)


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
        printing.emit(result, as_json, printing.scores)
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
    printing.score_scales(result["score_scale"])
    printing.emit(result, as_json, printing.tracker_scores)


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

    printing.emit(evaluate.evaluate_mtmc(truth, predicted, regions=regions), as_json, printing.scores)


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
        str | None, typer.Option(help="stripes, onnx:FILE, torchvision:NAME, or the fleet.yaml that says which.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="State dict for torchvision:NAME.")] = None,
    projection: Annotated[Path | None, typer.Option(help="Projection fitted by `nightfleet fit projection`.")] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Score k-reciprocal re-ranking too.")] = False,
    as_json: Json = False,
) -> None:
    """Mean average precision and CMC of an embedder at 128 numbers, by Market-1501's definition.

    Scored with and without each camera's mean, which linking takes out.
    """
    from jobs import evaluate_reid as job

    section = job.embedder_config(embedder, weights=weights, projection=projection)
    result = job.evaluate_reid(section, data=data, query=query, gallery=gallery, rerank=rerank)
    printing.emit(result, as_json, printing.reid)


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
    printing.emit(result, as_json, printing.fitted)


@evaluate_app.command(
    "counts", epilog=example("nightfleet evaluate counts --truth crossings.csv --predicted lake --by 15min")
)
def evaluate_counts(
    truth: Annotated[Path, typer.Option(help="crossings.csv, one row a crossing.")],
    predicted: Annotated[str, typer.Option(help="A lake.")],
    by: Annotated[str, typer.Option(help="Length of a bin.")] = "15min",
    as_json: Json = False,
) -> None:
    """Count error per cell (camera, line, direction, class, bin), GEH and total error."""
    from jobs import evaluate

    printing.emit(evaluate.evaluate_counts(truth, predicted, by=by), as_json, printing.scores)


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
    printing.emit(job(clip, models=models, workers=workers), as_json, printing.scores)


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

    printing.emit(job(tracklets, folder=folder, progress=printing.complain), as_json, printing.scores)


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
    printing.emit(rows, as_json, printing.identity_speeds)


@bench_app.command("tracker", epilog=example("nightfleet bench tracker"))
def bench_tracker(
    data: Annotated[
        Path | None, typer.Option(help="Folder of real sequences, SEQUENCE/det/det.txt beside gt/gt.txt.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the tracker's update, appearance included, beside the field's own: ms a frame, all in one run."""
    from jobs.bench_tracker import bench_tracker as job

    printing.emit(job(data, complain=printing.complain), as_json, printing.speeds)


def _names(text: str | None) -> list[str] | None:
    """Split A,B."""
    return [name.strip() for name in text.split(",") if name.strip()] if text else None


def _date(text: str | None) -> str | None:
    """Check a date."""
    from datetime import date

    if text is None:
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise UserError(f"--date: expected YYYY-MM-DD, got {text!r}") from None


def main() -> None:
    """Run the command; turn what went wrong into a sentence and an exit code."""
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1 or bool(os.environ.get("NIGHTFLEET_DEBUG"))
    try:
        app(args=arguments, prog_name="nightfleet")
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)
    except NightfleetError as error:
        if debug:
            raise
        _fail(str(error), error, arguments)
    except Exception as error:
        if debug:
            raise
        printing.complain(f"internal error: {type(error).__name__}: {error}; run again with --debug and report it")
        sys.exit(CRASHED)


def _fail(sentence: str, error: NightfleetError, arguments: list[str]) -> None:
    """Say what is wrong, as JSON too where that was asked for, and leave."""
    if "--json" in arguments:
        print(json.dumps({"error": sentence, "kind": type(error).__name__}))
    printing.complain(sentence)
    sys.exit(USER_MISTAKE)
