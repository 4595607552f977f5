"""How results are shown: rich tables on a terminal or in a log, one JSON value where asked for."""

from __future__ import annotations

import base64
import io
import json
import math
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.errors import UserError

if TYPE_CHECKING:  # a command that answers in a second has no time to load what others need
    import pyarrow as pa

    from pipeline.execution.progress import Progress

WIDTH_WITHOUT_TERMINAL = 120


def console() -> Console:
    """Return the console for results; outside a terminal its width is fixed, so that logs and READMEs look alike.

    It reads `[bold]` as markup: what a user wrote goes through `rich.markup.escape` first, in tables through `cell`.
    """
    return Console(width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL, highlight=False, emoji=False)


def progress(*, quiet: bool = False) -> Progress:
    """Return a bar on a terminal, JSON lines otherwise."""
    from pipeline.execution.progress import JsonProgress, Silence, TerminalProgress

    if quiet and sys.stderr.isatty():
        return Silence()
    return TerminalProgress() if sys.stderr.isatty() else JsonProgress()


def complain(sentence: str) -> None:
    """Print one line on stderr."""
    print(f"nightfleet: {sentence}", file=sys.stderr)


def emit(result: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Print a result: as one JSON value (what is not finite as null, bytes as base64), or the way `show` does."""
    if as_json:
        print(json_text(result))
    else:
        show(result)


def table(rows: pa.Table, form: str, out: Path | None) -> None:
    """Write an Arrow table as `table`, `csv`, `parquet`, `xlsx` or `json`, to stdout or a file. Parquet and Excel need
    `out`.

    Bytes are base64 in CSV, Excel and JSON, and lists and structs are JSON in the first two, which know neither.
    """
    from pipeline.reports.formats import WRITERS, csv_text, put

    if form in ("parquet", "xlsx") and out is None:
        name = {"parquet": "Parquet", "xlsx": "a workbook"}[form]
        raise UserError(f"--format {form} needs --out FILE: {name} is not for a terminal")
    if form in ("csv", "xlsx"):
        rows = _flat(rows)
    if form in WRITERS and out is not None:
        WRITERS[form](rows, out)
    elif form == "csv":
        sys.stdout.write(csv_text(rows))
    elif form == "json":
        text = json_text(rows.to_pylist()) + "\n"
        sys.stdout.write(text) if out is None else put(out, text.encode())
    else:
        laid_out = grid(rows.column_names, (row.values() for row in rows.to_pylist()))
        if out is None:
            console().print(laid_out)
        else:
            text = io.StringIO()
            Console(file=text, width=WIDTH_WITHOUT_TERMINAL, highlight=False, emoji=False).print(laid_out)
            put(out, text.getvalue().encode())


def run(summary: dict) -> None:
    """Print what a run did."""
    show = console()
    columns = ["camera", "segments", "skipped", "quarantined", "footage s", "frames", "tracklets", "frames/s"]
    keys = [
        "camera_id",
        "segments_done",
        "segments_skipped",
        "segments_quarantined",
        "footage_s",
        "frames",
        "tracklets",
    ]
    rows = ([*(camera[key] for key in keys), camera["frames_per_s"]] for camera in summary["cameras"])
    show.print(grid(columns, rows))
    if summary["segments_done"] == 0 and not summary["failures"]:
        show.print(f"nothing to do: all {summary['segments_skipped']} segments are in {shown(summary['lake'])} already")
    else:
        seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in summary["seconds"].items())
        show.print(
            f"{summary['frames']} frames in {summary['wall_s']:.1f} s with {summary['workers']} worker(s); "
            f"seconds of work: {seconds}; {summary['identities']} identities made anew; lake: {shown(summary['lake'])}"
        )
    if summary["thumbnails"] or summary["thumbnails_missing"]:
        lost = summary["thumbnails_missing"]
        more = f"; of {lost} tracklets none can be had, since their frames cannot be decoded" if lost else ""
        show.print(f"{summary['thumbnails']} thumbnails made{more}", soft_wrap=True)
    for one in summary["recordings"]:
        if one["note"]:
            show.print(escape(f"note: {one['note']}"), soft_wrap=True)
    if summary["waiting"]:
        n_waiting = summary["waiting"]
        show.print(
            f"the last rows of {n_waiting} segment{'s' if n_waiting > 1 else ''} wait for the footage that follows, "
            "which is there but not processed yet",
            soft_wrap=True,
        )
    failures(summary["failures"])


def retrack(summary: dict) -> None:
    """Print what was tracked anew, before and after."""
    show = console()
    rows = [[name, *summary[name].values()] for name in ("tracklets", "identities")]
    rows += [[f"crossings of {c['camera_id']}/{c['line_id']}", c["before"], c["after"]] for c in summary["crossings"]]
    show.print(grid(["in the lake", "before", "after"], rows))
    if summary["units"] == 0:
        show.print(f"nothing to do: all {summary['unchanged']} segments were tracked so already")
    else:
        show.print(
            f"{summary['units']} segments, {summary['frames']} frames and {summary['detections']} detections tracked "
            f"anew in {summary['wall_s']:.1f} s; lake: {shown(summary['lake'])}",
            soft_wrap=True,
        )
    if summary["left_as_they_are"]:
        n_left = len(summary["left_as_they_are"])
        show.print(f"[yellow]left as they are[/]: {n_left} segments, imported or of cameras no longer configured")


def dry_run(planned: dict) -> None:
    """Print what a run would do."""
    keys, titles = (
        ["camera_id", "segments", "to_process", "footage_s"],
        ["camera", "segments", "to process", "footage s"],
    )
    if any(camera["to_picture"] for camera in planned["cameras"]):
        keys, titles = [*keys, "to_picture"], [*titles, "lacking thumbnails only"]
    console().print(grid(titles, ([c[k] for k in keys] for c in planned["cameras"])))
    failures(planned["failures"])


def failures(rows: list[dict]) -> None:
    """Print what could not be processed, one line each."""
    show = console()
    for row in rows:
        show.print(f"[yellow]not processed[/]: {escape(row['reason'])}", soft_wrap=True)


def check(result: dict) -> None:
    """Print what `check` found."""
    columns = ["camera", "segments", "unusable", "footage s", "from (UTC)", "to (UTC)", "clock", "picture", "fps"]
    keys = [
        "camera_id",
        "segments",
        "unusable",
        "footage_s",
        "started_at_us",
        "ended_at_us",
        "clock_source",
        "picture",
        "fps",
    ]
    show = console()
    rows = ([_instant(c[key]) if key.endswith("_us") else c[key] for key in keys] for c in result["cameras"])
    show.print(grid(columns, rows))
    for problem in result["problems"]:
        show.print(f"[yellow]problem[/]: {escape(problem)}", soft_wrap=True)
    for note in result["notes"]:
        show.print(f"note: {escape(note)}", soft_wrap=True)
    if not result["problems"]:
        show.print("everything holds; `nightfleet run` may go")


def status(rows: list[dict]) -> None:
    """Print the state of a lake."""
    keys = [
        "camera_id",
        "first_at",
        "last_at",
        "hours_seen",
        "hours_done",
        "gaps",
        "gap_hours",
        "quarantined",
        "tracklets",
    ]
    titles = ["camera", "from (UTC)", "to (UTC)", "h seen", "h done", "gaps", "gap h", "failures", "tracklets"]
    cells = ([*(row[key] for key in keys), row["frames_per_s"], row["speed"]] for row in rows)
    console().print(grid([*titles, "frames/s", "x real time"], cells))
    for row in rows:
        if row["motion_unknown"]:
            console().print(
                f"[yellow]motion unknown[/]: camera {escape(row['camera_id'])} was taken to stand still in "
                f"{row['motion_unknown']} of {row['frames']} frames, since how it moved could not be told",
                soft_wrap=True,
            )
    failures([failure for row in rows for failure in row["failures"]])


def show_rows(columns: Iterable[str], rows: Iterable) -> None:
    """Print rows under their titles; numbers to the right."""
    console().print(grid(columns, rows))


def grid(columns: Iterable[str], rows: Iterable, title: str | None = None) -> Table:
    """Lay rows out; numbers to the right."""
    laid_out = Table(title=None if title is None else escape(title), title_justify="left")
    cells = [list(row) for row in rows]
    for place, name in enumerate(columns):
        numeric = bool(cells) and all(
            isinstance(row[place], (int, float, Decimal, np.number, type(None))) for row in cells
        )
        laid_out.add_column(escape(str(name)), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        laid_out.add_row(*(cell(value) for value in row))
    return laid_out


def near(location: str) -> str:
    """Return a path as seen from here, if it lies below; anything else as it is."""
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location


def shown(location: str) -> str:
    """Return a path as `near` does, for the console: brackets in it are no markup."""
    return escape(near(location))


def cell(value: Any) -> str:
    """Return a value as it stands in a table of `console`: brackets in it are no markup.

    An instant has its UTC offset where it is not in UTC, which is what instants are in where nobody asked for a zone.
    """
    if value is None:
        return "–"
    if isinstance(value, datetime):
        in_utc = value.tzinfo is None or str(value.tzinfo) == "UTC"
        return value.strftime("%Y-%m-%d %H:%M:%S") + ("" if in_utc else value.isoformat()[-6:])
    if isinstance(value, (float, np.floating)):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return escape(str(value))


def json_text(value: Any) -> str:
    """Return a value as JSON that every reader takes: what is not finite is null, bytes are base64."""
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except ValueError:  # something is not finite; to look for it each time would make large answers slow
        return json.dumps(_finite(value), default=_plain, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return a value with null for every number that is not finite."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _flat(rows: pa.Table) -> pa.Table:
    """Return a table with text for what CSV has no form for: base64 for bytes, JSON for lists and structs."""
    import pyarrow as pa

    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            texts = (None if value is None else json_text(value) for value in rows[place].to_pylist())
        elif pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            texts = (None if value is None else _plain(value) for value in rows[place].to_pylist())
        else:
            continue
        rows = rows.set_column(place, field.name, pa.array(list(texts), pa.string()))
    return rows


def _instant(at_us: int | None) -> str:
    return "–" if at_us is None else datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _plain(value: Any) -> Any:
    """Turn what json does not know into what it does."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Decimal):  # DuckDB's sums of integers
        return int(value) if value == int(value) else float(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value)
