"""`nightfleet export` and `nightfleet import`: parse, call a job and print."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobs import printing, printing_exchange
from jobs.cli_options import FleetFile, Json, LakeUrl, camera_names, example
from pipeline import config
from pipeline.errors import UserError

export_app = typer.Typer(help="Write what a lake holds in the forms that others read.", no_args_is_help=True)

Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write; it appears whole or not at all.")]
Cameras = Annotated[str | None, typer.Option("--cameras", "--camera", help="Only these cameras: A,B")]
First = Annotated[
    str | None, typer.Option("--from", help="Only boxes from this date or instant of the cameras' clocks on.")
]
Last = Annotated[str | None, typer.Option("--to", help="Only boxes to this date, included, or instant.")]
ClassName = Annotated[str | None, typer.Option("--class", help="Only tracklets of this class, or vehicle for all.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an export that is there already.")]


class TrackFormat(StrEnum):
    """What a file of tracks is."""

    mot = "mot"
    ottrk = "ottrk"
    json = "json"


def _add_tracks(name: str, about: str, options: str) -> None:
    """Add the command of one form of tracks."""

    @export_app.command(name, help=about, epilog=example(f"nightfleet export {name} lake tracks {options}".rstrip()))
    def _command(
        lake: LakeUrl,
        out: Out,
        cameras: Cameras = None,
        first: First = None,
        last: Last = None,
        class_name: ClassName = None,
        force: Force = False,
        as_json: Json = False,
    ) -> None:
        _export(name, lake, out, cameras, first, last, class_name, force, as_json)


@export_app.command("onnx", epilog=example("nightfleet export onnx trained/one_shot.safetensors one_shot.onnx"))
def export_onnx(
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="A file that `nightfleet train one-shot` wrote.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.onnx", help="File to write.")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a network that was trained here as ONNX, for `onnx:` or any other runtime."""
    from jobs import export_onnx as job

    printing.emit(job.export_onnx(weights, out, force=force), as_json, _exported)


def _exported(result: dict) -> None:
    typer.echo(f"written to {result['out']}: input {result['input']}, outputs {', '.join(result['outputs'])}")


_add_tracks(
    "mot",
    "Write MOTChallenge text: CAMERA.txt, with seqinfo.ini and what each id and frame stands for.",
    "--camera gate --from 2026-03-01",
)
_add_tracks(
    "aicity",
    "Write AI City's multi-camera text: track.txt, its ids the identities, places in metres where calibrated.",
    "",
)
_add_tracks(
    "json",
    "Write tracklets as plain JSON: CAMERA.json with fps, and a start frame and one box a frame of each.",
    "--class car",
)
_add_tracks(
    "csv",
    "Write tracklets.csv and observations.csv, with UTC and the cameras' local time.",
    "--from 2026-03-01 --to 2026-03-07",
)


def _export(
    format: str,
    lake: str,
    out: Path,
    cameras: str | None,
    first: str | None,
    last: str | None,
    class_name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    from jobs import search_filters
    from jobs.export import export

    filters = search_filters.parse(class_name, camera_names(cameras, "--cameras"), first, last)
    printing.emit(export(lake, out, format, filters, force=force).to_json(), as_json, printing_exchange.exported)


@export_app.command("duckdb", epilog=example("nightfleet export duckdb lake counts.duckdb --without observations"))
def export_duckdb(
    lake: LakeUrl,
    out: Annotated[Path, typer.Argument(metavar="OUT.duckdb", help="File to write; it appears whole or not at all.")],
    by: Annotated[str, typer.Option(help="Length of a bin in the reports by time: 15min, 5min, 1h.")] = "15min",
    without: Annotated[str | None, typer.Option(help="Leave out these tables: observations,embeddings")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there already.")] = False,
    as_json: Json = False,
) -> None:
    """Write one DuckDB file for BI tools: all tables, and every view and report as a table, with comments.

    It needs neither the lake nor nightfleet. It is a copy: what is erased from the lake later stays in it.
    """
    from jobs.export_duckdb import export_duckdb as job

    left_out = [name.strip() for name in (without or "").split(",") if name.strip()]
    printing.emit(job(lake, out, by=by, without=left_out, force=force), as_json, printing_exchange.database)


def import_tracks(
    fleet: FleetFile,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Tracks: .txt (MOTChallenge), .ottrk, .json")],
    camera: Annotated[str, typer.Option(help="Camera of the fleet that they are of; it is `imported: true` there.")],
    format: Annotated[TrackFormat | None, typer.Option(help="What the files are; by their ending without it.")] = None,
    started_at: Annotated[
        str | None, typer.Option(help="Instant of frame 1, the camera's wall clock: 2026-03-01T07:30:00")
    ] = None,
    fps: Annotated[float | None, typer.Option(min=1e-6, help="Frames a second, for MOTChallenge text.")] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="COCO class of all tracks, whatever the files say.")
    ] = None,
    mapped: Annotated[
        list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="COCO class of a class of theirs.")
    ] = None,
    footage: Annotated[
        list[str] | None,
        typer.Option(metavar="VIDEO", help="What the tracks are of, frame by frame, to draw them over; one a file."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put these in the place of others' tracks of the same time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring tracks that somebody else made into the fleet's lake, so that lines, reports and pages work on them.

    Their looks are not known, so nobody among them is recognised in another camera.
    """
    from jobs.import_tracks import import_tracks as job

    if fps is not None and not fps < float("inf"):
        raise UserError("--fps: expected a number of frames a second")
    summary = job(
        config.load(fleet),
        files,
        camera_id=camera,
        format=None if format is None else format.value,
        started_at=started_at,
        fps=fps,
        class_name=class_name,
        names=_mapping(mapped or []),
        footage=footage or [],
        replace_others=replace,
    )
    printing.emit(summary.to_json(), as_json, printing_exchange.imported)


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        theirs, equals, ours = pair.partition("=")
        if not (theirs and equals and ours):
            raise UserError(f"--map: expected THEIRS=OURS, such as private_van=car, got {pair!r}")
        mapping[theirs] = ours
    return mapping
