"""`nightfleet explain count`: parse, call a job and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from jobs import printing
from jobs.cli_options import Json, LakeUrl, example

INCOMPLETE = 3
EXAMPLE = "nightfleet explain count lake --camera gate --line bridge --at 2026-03-01T07:30 --html seen.html"


def add_to(app: typer.Typer) -> None:
    """Put the command into the group `explain`."""
    app.command("count", epilog=example(EXAMPLE))(explain_count)


def explain_count(
    lake: LakeUrl,
    camera: Annotated[str, typer.Option(help="The camera.")],
    line: Annotated[str | None, typer.Option(help="The line that was crossed.")] = None,
    gate: Annotated[str | None, typer.Option(help="The gate, instead of a line.")] = None,
    zone: Annotated[str | None, typer.Option(help="The zone whose stays are listed, instead of a line.")] = None,
    direction: Annotated[str | None, typer.Option(help="Only this direction.")] = None,
    class_name: Annotated[str | None, typer.Option("--class", help="Only this class, or vehicle for all.")] = None,
    at: Annotated[str | None, typer.Option(help="The bin this instant of the camera's clock lies in.")] = None,
    by: Annotated[str, typer.Option(help="Length of that bin.")] = "15min",
    first: Annotated[str | None, typer.Option("--from", help="From this date or instant on, instead of --at.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="To this date, included, or instant.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a contact sheet: a picture of each crossing.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Write an .mp4: a few seconds of each crossing.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Crossings shown in the sheet and the clip at most.")] = 100,
    as_json: Json = False,
) -> None:
    """List the tracklets behind a count, with speeds and doubts, and show them.

    Exit code 3: written, but some footage of the sheet or the clip could not be read.
    """
    from jobs import count_pictures
    from jobs import explain_count as job

    where = {"line": line, "gate": gate, "zone": zone, "direction": direction, "class_name": class_name}
    result = job.explain(lake, camera, **where, at=at, by=by, first=first, last=last)
    if html is not None:
        result["html"] = count_pictures.write_sheet(lake, result, html, limit=limit)
    if clip is not None:
        result["clip"] = count_pictures.write_clip(lake, result, clip, limit=limit)
    printing.emit(result, as_json, _explained)
    written = (result[name] for name in ("html", "clip") if name in result)
    raise typer.Exit(INCOMPLETE if any(one["missing"] for one in written) else 0)


def _explained(result: dict) -> None:
    from pipeline.reports.counted_sheet import DOUBTS_MEANT, counted

    show = printing.console()
    period = " to ".join(text or "…" for text in (result["from_local"], result["until_local"]))
    what = " ".join(part for part in (result["direction"], result["class"]) if part)
    title = f"{result['camera_id']} · {result['name']}{' · ' + what if what else ''}"
    show.print(
        f"[bold]{escape(title)}[/]: {counted(result)}; {escape(period)}, {escape(result['time_zone'])}",
        soft_wrap=True,
    )
    if result["crossings"]:
        rows = [_cells(row, result["kind"]) for row in result["crossings"]]
        show.print(printing.grid(list(rows[0]), (row.values() for row in rows)))
        if result["kind"] != "zone" and any(row["doubts"] for row in result["crossings"]):
            show.print(DOUBTS_MEANT, soft_wrap=True)
    for written in (result.get("html"), result.get("clip")):
        if written is not None:
            show.print(f"wrote {printing.shown(written['written'])}: {written['shown']} shown", soft_wrap=True)
            for note in written["notes"]:
                show.print(f"note: {escape(note)}", soft_wrap=True)


def _cells(row: dict, kind: str) -> dict:
    """Return a row as it is printed."""
    from pipeline.reports.counted_sheet import inside

    cells = {"at": row["at_local"][11:23], "class": row["class"], "tracklet": row["tracklet_id"]}
    if kind == "zone":
        cells |= {"dwell (s)": row["dwell_s"], "seen in part": inside(row)}
    else:
        speed = row["speed_kmh"]
        told = None if speed is None else f"{speed:.1f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{row['error_kmh']:.1f}"
        cells = {"at": cells.pop("at"), "direction": row["direction"], **cells, "km/h": told}
    shown = [text.partition(" (")[0] for text in row["doubts"]]  # the other track of a switch: in --json and the sheet
    return {**cells, "doubts": "; ".join(dict.fromkeys(shown)) or None}
