"""The `nightfleet` command: parses, calls a job and prints. No work is done here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from jobs import cli_explain, cli_pages, printing, printing_identity, printing_scores
from jobs.cli_exchange import export_app, import_tracks
from jobs.cli_identity import explain_app, identity_app, topology_app
from jobs.cli_options import FleetFile, Format, Json, LakeUrl, camera_names, checked_date, checked_format, example
from jobs.cli_report import report_app
from jobs.cli_scores import bench_app, evaluate_app, fit_app
from jobs.cli_train import app as train_app
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
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(report_app, name="report")
app.add_typer(bench_app, name="bench")
app.add_typer(identity_app, name="identity")
app.add_typer(explain_app, name="explain")
app.add_typer(topology_app, name="topology")
app.add_typer(fit_app, name="fit")
app.add_typer(train_app, name="train")
app.add_typer(export_app, name="export")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"nightfleet {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks. May stand anywhere on the line.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Hold the options of the bare command."""


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
    printing.emit(result, as_json, printing_scores.demo)


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

    result = job(config.load(fleet), cameras=camera_names(cameras, "--cameras"))
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
    selection = {"date": checked_date(date, "--date"), "cameras": camera_names(cameras, "--cameras")}
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
    query: Annotated[
        str | None,
        typer.Argument(metavar="SELECT …", help="One SELECT; without it, a prompt, or statements from stdin."),
    ] = None,
    format: Annotated[
        Format | None, typer.Option(help="How to write the rows; as --out ends without it, else printed.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout; for one SELECT.")] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="IANA zone in which instants are shown, such as Europe/Berlin; UTC without it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Ask the lake in DuckDB SQL, read-only, views ready.

    Without a SELECT, a prompt: statements end with a semicolon, .tables lists what there is, .quit leaves. Statements
    from a file: nightfleet sql LAKE < questions.sql. With --json, each answer is a line.
    """
    chosen = checked_format(format, out, as_json)
    form = "json" if chosen is None else chosen.value
    if query is None:
        from jobs import cli_prompt

        raise typer.Exit(cli_prompt.answer(lake, form=form, out=out, time_zone=time_zone))
    from pipeline.lake import catalog

    printing.table(catalog.query(lake, query, time_zone=time_zone), form, out)


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
    cameras = camera_names(camera, "--camera")
    result = job(lake, **asked, class_name=class_name, cameras=cameras, first=first, last=last, top=top)
    if html is not None:
        from jobs.search_sheet import write_sheet

        result["html"] = str(write_sheet(lake, result, html))
    printing.emit(result, as_json, printing_identity.searched)


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
        printing.emit(job.dry_run(seen).to_json(), as_json, printing_identity.erased)
        return
    if not yes and not (sys.stdin.isatty() and not as_json):
        raise UserError("erasing cannot be undone; look at it with --dry-run, then say --yes")
    if not yes:
        printing_identity.erased(job.dry_run(seen).to_json())
        if not typer.confirm("This cannot be undone. Erase it?"):
            return
    done = job.erase(seen)
    printing.emit(done.to_json(), as_json, printing_identity.erased)
    raise typer.Exit(CRASHED if done.clean is False else DONE)


cli_pages.add_to(app)
cli_explain.add_to(explain_app)


app.command(
    "import",
    epilog=example("nightfleet import fleet.yaml clip.ottrk --camera gate-peer --started-at 2026-03-01T07:30:00"),
)(import_tracks)


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
