"""`nightfleet report`: parse, call a job and print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs import printing
from jobs.cli_options import Format, Json, LakeUrl, camera_names, checked_date, checked_format, example
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.reports.tabular import Report

report_app = typer.Typer(help="Reports over a lake.", no_args_is_help=True)

By = Annotated[str, typer.Option(help="Length of a bin: 15min, 5min, 1h, 30s.")]
FormatOption = Annotated[
    Format | None,
    typer.Option(help="How to write it; as --out ends without it. xlsx is an Excel workbook of all its tables."),
]
Out = Annotated[Path | None, typer.Option(help="File to write instead of stdout: .csv, .parquet, .xlsx, .txt.")]
Cameras = Annotated[str | None, typer.Option(help="Only these cameras: A,B")]
First = Annotated[str | None, typer.Option("--from", help="First local date, YYYY-MM-DD, or YYYY-MM-DDTHH:MM[+HH:MM].")]
Last = Annotated[
    str | None, typer.Option("--to", help="Last local date, included; or YYYY-MM-DDTHH:MM[+HH:MM], not included.")
]
Gap = Annotated[float, typer.Option("--gap-min", help="Minutes unseen after which a trip has ended.")]


@report_app.callback()
def _report() -> None:
    """Hold the group."""


def _add_binned(name: str, about: str, options: str) -> None:
    """Add the command of a report that has time bins."""

    @report_app.command(name, help=about, epilog=example(f"nightfleet report {name} lake {options}"))
    def _command(
        lake: LakeUrl,
        by: By = "15min",
        format: FormatOption = None,
        out: Out = None,
        cameras: Cameras = None,
        first: First = None,
        last: Last = None,
        as_json: Json = False,
    ) -> None:
        _answer(name, lake, format, out, as_json, by=by, cameras=cameras, first=first, last=last)


def _add_trips(name: str, about: str, options: str) -> None:
    """Add the command of a report on trips of identities."""

    @report_app.command(name, help=about, epilog=example(f"nightfleet report {name} lake {options}"))
    def _command(
        lake: LakeUrl,
        format: FormatOption = None,
        out: Out = None,
        cameras: Cameras = None,
        first: First = None,
        last: Last = None,
        gap_min: Gap = 30.0,
        as_json: Json = False,
    ) -> None:
        _answer(name, lake, format, out, as_json, cameras=cameras, first=first, last=last, gap_min=gap_min)


def _add_plain(name: str, about: str, options: str) -> None:
    """Add the command of a report on a whole period."""

    @report_app.command(name, help=about, epilog=example(f"nightfleet report {name} lake {options}".rstrip()))
    def _command(
        lake: LakeUrl,
        format: FormatOption = None,
        out: Out = None,
        cameras: Cameras = None,
        first: First = None,
        last: Last = None,
        as_json: Json = False,
    ) -> None:
        _answer(name, lake, format, out, as_json, cameras=cameras, first=first, last=last)


_add_binned(
    "traffic",
    "Count by camera, line, direction, class and time bin: 0 where nothing crossed, empty where nobody watched.",
    "--by 15min --format csv",
)
_add_binned("gates", "Count by gate instead of line: lines of one gate count once.", "--by 1h")
_add_binned(
    "turns",
    "Turning movements within each camera: from the first gate a track passed to the last.",
    "--by 1h --format csv",
)
_add_trips(
    "od",
    "Trips of identities by origin and destination: by camera, and by gates of two cameras.",
    "--from 2026-03-01 --to 2026-03-07",
)
_add_trips(
    "travel-times",
    "Time from leaving one camera to entering the next: median, 85th percentile.",
    "--format xlsx --out times.xlsx",
)
_add_binned(
    "occupancy", "How many objects were in each zone, on average and at most, and how many came and went.", "--by 5min"
)
_add_plain("dwell", "How long objects stayed in each zone; stays that were seen only in part are marked.", "")
_add_plain("peak", "The peak hour of each date at each gate, and its peak-hour factor.", "--cameras gate")


@report_app.command("speeds", epilog=example("nightfleet report speeds lake --by 1h --format csv"))
def report_speeds(
    lake: LakeUrl,
    by: Annotated[str | None, typer.Option(help="A row for each bin too: 15min, 1h.")] = None,
    format: FormatOption = None,
    out: Out = None,
    cameras: Cameras = None,
    first: First = None,
    last: Last = None,
    as_json: Json = False,
) -> None:
    """Speeds at the lines of calibrated cameras: mean, median, 85th percentile, and how sure they are (km/h)."""
    from jobs.report import speeds

    form = _checked_place(format, out, as_json)
    made = speeds(lake, by=by, cameras=camera_names(cameras, "--cameras"), first=first, last=last)
    _hand_out(made, form, out)


@report_app.command("self-check", epilog=example("nightfleet report self-check lake --format xlsx --out doubts.xlsx"))
def report_self_check(
    lake: LakeUrl,
    format: FormatOption = None,
    out: Out = None,
    cameras: Cameras = None,
    first: First = None,
    last: Last = None,
    as_json: Json = False,
) -> None:
    """What makes counts doubtful: tracks that begin or end on a line or in mid-scene, suspected id switches, few boxes.

    CSV and Parquet hold the lines; xlsx and --json every doubt too, and so does
    `nightfleet sql lake "FROM counting_doubts(NULL, NULL)"`.
    """
    from jobs.report import self_check

    form = _checked_place(format, out, as_json)
    made = self_check(lake, cameras=camera_names(cameras, "--cameras"), first=first, last=last)
    _hand_out(made, form, out)


@report_app.command("html", epilog=example("nightfleet report html lake report.html --by 15min"))
def report_html(
    lake: LakeUrl,
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="File to write: one page that needs nothing else.")],
    by: Annotated[
        str | None, typer.Option(help="Length of a bin; 15min without it, or shorter if all footage is.")
    ] = None,
    cameras: Cameras = None,
    first: Annotated[str | None, typer.Option("--from", help="First local date, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last local date, included.")] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Crossings, or a count made by hand, to compare with (CSV).")
    ] = None,
    as_json: Json = False,
) -> None:
    """The whole report as one web page: coverage, counts, turns, travel times, speeds, heat maps, and what to trust.

    It opens from a disk without a network, prints on A4, and reads on a phone. Bins longer than asked for are taken
    where the period would not fit a chart; the page says so.
    """
    from jobs.report_page import report_page

    result = report_page(
        lake,
        out,
        by=by,
        first_date=checked_date(first, "--from"),
        last_date=checked_date(last, "--to"),
        cameras=camera_names(cameras, "--cameras"),
        title=title,
        truth=truth,
    )
    printing.emit(result, as_json, lambda r: typer.echo(f"wrote {r['written']} ({r['bytes'] // 1000:,} kB)"))


@report_app.command("heatmap", epilog=example("nightfleet report heatmap lake --camera gate --out heat.png"))
def report_heatmap(
    lake: LakeUrl,
    camera: Annotated[str, typer.Option(help="The camera.")],
    out: Annotated[Path, typer.Option(help="File to write: .png, .csv or .parquet.")],
    class_name: Annotated[str | None, typer.Option("--class", help="Only this class, or vehicle for all.")] = None,
    cell: Annotated[float | None, typer.Option(help="Side of a cell, pixels; an 80th of the width without it.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First local date, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last local date, included.")] = None,
    as_json: Json = False,
) -> None:
    """Where objects stayed, in seconds of presence, over the empty scene of a camera."""
    from jobs.report_heatmap import report_heatmap as job

    result = job(lake, camera, out, class_name=class_name, cell_px=cell, first=first, last=last)
    printing.emit(result, as_json, lambda r: typer.echo(_written_heat(r)))


def _written_heat(result: dict) -> str:
    over = "" if result["over"] else " (its footage is gone, so the ground is plain)"
    total, most = result["presence_s"], result["most_s"]
    return f"wrote {result['written']}{over}: {total:.0f} s of presence, at most {most:.1f} s in a cell"


def _answer(
    name: str, lake: str, asked_form: Format | None, out: Path | None, as_json: bool, *, cameras: str | None, **asked
) -> None:
    """Make a report and print it, or write it."""
    from jobs.report import report

    form = _checked_place(asked_form, out, as_json)
    main_only = form in (Format.csv, Format.parquet)
    made = report(lake, name, cameras=camera_names(cameras, "--cameras"), main_only=main_only, **asked)
    _hand_out(made, form, out)


def _checked_place(asked: Format | None, out: Path | None, as_json: bool) -> Format | None:
    """Return how to write a report (None: as JSON). Refuses what cannot go there before anything is worked out."""
    form = checked_format(asked, out, as_json)
    if form in (Format.xlsx, Format.parquet) and out is None:
        raise UserError(f"--format {form.value} needs --out FILE: it is not for a terminal")
    return form


def _hand_out(made: Report, form: Format | None, out: Path | None) -> None:
    """Print a report, or write it."""
    from pipeline.reports.formats import put, write_workbook

    if form is None:
        text = printing.json_text({table: rows.to_pylist() for table, rows in made.tables.items()}) + "\n"
        typer.echo(text, nl=False) if out is None else put(out, text.encode())
    elif form is Format.xlsx:
        write_workbook(made.tables, out, made.about)
    elif form is Format.table and out is None:
        from jobs import printing_report

        printing_report.report(made)
    else:
        printing.table(next(iter(made.tables.values())), form.value, out)
