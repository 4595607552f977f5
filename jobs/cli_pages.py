"""`nightfleet view` and `nightfleet annotate`: parse, call a job and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs import printing
from jobs.cli_options import Json, LakeUrl, camera_names, example

INCOMPLETE = 3

First = Annotated[str | None, typer.Option("--from", help="From this date or instant of the camera's clock on.")]
Last = Annotated[str | None, typer.Option("--to", help="To this date, included, or instant.")]
Classes = Annotated[
    str | None, typer.Option("--classes", "--class", help="Only these classes, A,B; vehicle for all that drive.")
]


def add_to(app: typer.Typer) -> None:
    """Put the commands on the command line."""
    app.command("view", epilog=example("nightfleet view lake --camera gate,square --out pages"))(view)
    app.command("annotate", epilog=example("nightfleet annotate lake --camera gate --out gate.mp4"))(annotate)


def view(
    lake: LakeUrl,
    camera: Annotated[str, typer.Option(help="Cameras to write pages of: A,B")],
    out: Annotated[Path, typer.Option(help="Folder for the pages and their videos.")],
    first: First = None,
    last: Last = None,
    class_name: Classes = None,
    identity: Annotated[str | None, typer.Option(help="Only the tracks of this identity.")] = None,
    as_json: Json = False,
) -> None:
    """Write a page per camera that plays its footage with boxes, trails, lines and counts drawn over it.

    Without --to, an hour at most. The pages need no network and no server; they and their videos move together.
    """
    from jobs.view import view as job

    result = job(
        lake,
        camera_names(camera, "--camera") or [],
        out,
        first=first,
        last=last,
        class_name=class_name,
        identity=identity,
        progress=printing.progress(quiet=as_json),
    )
    printing.emit(result, as_json, _viewed)
    raise typer.Exit(INCOMPLETE if any(page["missing"] for page in result["pages"]) else 0)


def annotate(
    lake: LakeUrl,
    camera: Annotated[str, typer.Option(help="Camera.")],
    out: Annotated[Path, typer.Option(help="The .mp4 file to write.")],
    first: First = None,
    last: Last = None,
    class_name: Classes = None,
    fps_overlay: Annotated[
        bool,
        typer.Option(
            "--fps", "--fps-overlay", help="Write the frames a second of the footage, and those it was processed at."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a camera's footage as H.264 with boxes, trails, line counts and the local time drawn in; no sound.

    Every frame keeps its time; gaps in the footage are left out. Ends with 3 where footage that is gone was left out.
    """
    from jobs.annotate import annotate as job

    asked = {"first": first, "last": last, "class_name": class_name, "fps_overlay": fps_overlay}
    result = job(lake, camera, out, **asked, progress=printing.progress(quiet=as_json))
    printing.emit(result, as_json, _annotated)
    raise typer.Exit(INCOMPLETE if result["missing"] else 0)


def _annotated(result: dict) -> None:
    from pipeline.reports.viewer import counted

    typer.echo(
        f"{result['out']}: {result['from']} to {result['to']} ({result['time_zone']}), {result['frames']} frames, "
        f"{result['bytes'] / 1e6:.1f} MB, {result['frames_per_s']} frames/s"
    )
    if result["missing"]:
        typer.echo(
            f"  {len(result['missing'])} of {counted(result['pieces'], 'video file')} could not be read, what is in "
            f"them is left out: {result['missing'][0]}"
        )


def _viewed(result: dict) -> None:
    from pipeline.reports.viewer import counted

    for page in result["pages"]:
        copied = sum(video["copied"] for video in page["videos"])
        size = sum(video["bytes"] for video in page["videos"]) / 1e6
        typer.echo(
            f"{page['file']}: {page['from']} to {page['to']} ({page['time_zone']}), {counted(page['tracks'], 'track')}"
        )
        typer.echo(f"  {counted(len(page['videos']), 'video file')}, {size:.1f} MB, {copied} copied as they were")
        for note in page["notes"]:
            typer.echo(f"  {note}")
