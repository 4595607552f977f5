"""`nightfleet report`: parse, call a job and print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs import printing
from jobs.cli_options import Format, Json, LakeUrl, camera_names, example

report_app = typer.Typer(help="Reports over a lake.", no_args_is_help=True)


@report_app.callback()
def _report() -> None:
    """Hold the group: with one command alone Typer would drop its name."""


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

    report = traffic_report(lake, by=by, cameras=camera_names(cameras, "--cameras"), first_date=first, last_date=last)
    if as_json:
        parts = {"counts": report.counts, "totals": report.totals, "dwell": report.dwell}
        printing.emit({name: rows.to_pylist() for name, rows in parts.items()}, as_json, print)
    elif format is Format.table and out is None:
        printing.traffic(report)
    else:
        printing.table(report.counts, format.value, out)
