"""How results are shown: rich tables on a terminal or in a log, one JSON value where asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.errors import UserError

if TYPE_CHECKING:  # a command that answers in a second has no time to load what others need
    import pyarrow as pa

    from pipeline.execution.progress import Progress
    from pipeline.reports.traffic import TrafficReport

WIDTH_WITHOUT_TERMINAL = 120


def console() -> Console:
    """Return the console for results; outside a terminal its width is fixed, so that logs and READMEs look alike."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(width=WIDTH_WITHOUT_TERMINAL, highlight=False)


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
    """Print a result: as one JSON value, or the way `show` does."""
    if as_json:
        print(json.dumps(result, default=_plain))
    else:
        show(result)


def table(rows: pa.Table, form: str, out: Path | None) -> None:
    """Write an Arrow table as `table`, `csv`, `parquet` or `json`, to stdout or a file. Parquet needs `out`."""
    from pipeline.reports.traffic import WRITERS, csv_text

    if form == "parquet" and out is None:
        raise UserError("--format parquet needs --out FILE: Parquet is not for a terminal")
    if form in WRITERS and out is not None:
        WRITERS[form](rows, out)
    elif form == "csv":
        sys.stdout.write(csv_text(rows))
    elif form == "json":
        text = json.dumps(rows.to_pylist(), default=_plain) + "\n"
        sys.stdout.write(text) if out is None else out.write_text(text, encoding="utf-8")
    else:
        shown = grid(rows.column_names, (row.values() for row in rows.to_pylist()))
        if out is None:
            console().print(shown)
        else:
            with out.open("w", encoding="utf-8") as file:
                Console(file=file, width=WIDTH_WITHOUT_TERMINAL, highlight=False).print(shown)


def traffic(report: TrafficReport) -> None:
    """Print a traffic report: the bins, what they add up to, and dwell."""
    show = console()
    show.print("[bold]Counts by bin[/] (local time of the camera)")
    keys = ["camera_id", "line_id", "direction", "class", "bin_local", "count", "watched_share"]
    titles = ["camera", "line", "direction", "class", "bin start", "count", "watched"]
    show.print(grid(titles, ([row[key] for key in keys] for row in report.counts.to_pylist())))
    show.print("[bold]Totals[/]")
    show.print(grid(report.totals.column_names, (row.values() for row in report.totals.to_pylist())))
    if report.dwell.num_rows:
        show.print("[bold]Dwell in zones[/]")
        show.print(grid(report.dwell.column_names, (row.values() for row in report.dwell.to_pylist())))


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
        show.print(f"nothing to do: all {summary['segments_skipped']} segments are in {near(summary['lake'])} already")
    else:
        seconds = ", ".join(f"{stage} {value:.1f}" for stage, value in summary["seconds"].items())
        show.print(
            f"{summary['frames']} frames in {summary['wall_s']:.1f} s with {summary['workers']} worker(s); "
            f"seconds of work: {seconds}; {summary['identities']} identities made anew; lake: {near(summary['lake'])}"
        )
    if summary["thumbnails"] or summary["thumbnails_missing"]:
        lost = summary["thumbnails_missing"]
        more = f"; of {lost} tracklets none can be had, since their frames cannot be decoded" if lost else ""
        show.print(f"{summary['thumbnails']} thumbnails made{more}", soft_wrap=True)
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
            f"anew in {summary['wall_s']:.1f} s; lake: {near(summary['lake'])}",
            soft_wrap=True,
        )
    if summary["left_as_they_are"]:
        n_left = len(summary["left_as_they_are"])
        show.print(f"[yellow]left as they are[/]: {n_left} segments of cameras that the lake's fleet no longer has")


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
        show.print(f"[yellow]not processed[/]: {row['reason']}", soft_wrap=True)


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
        show.print(f"[yellow]problem[/]: {problem}", soft_wrap=True)
    for note in result["notes"]:
        show.print(f"note: {note}", soft_wrap=True)
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
                f"[yellow]motion unknown[/]: camera {row['camera_id']} was taken to stand still in "
                f"{row['motion_unknown']} of {row['frames']} frames, since how it moved could not be told",
                soft_wrap=True,
            )
    failures([failure for row in rows for failure in row["failures"]])


def search(result: dict) -> None:
    """Print search hits, best first; what was made of a picture, and what the answer lacks, on stderr."""
    picture = result["picture"]
    if picture is not None:
        of = f" of a {picture['class']} at {picture['box']}" if picture["box"] else ""
        others = f"; {picture['others']} other objects in the picture" if picture["others"] else ""
        complain(f"{result['query']}: took {picture['taken']}{of}{others}")
    for note in result["notes"]:
        complain(note)
    columns = ["similarity", "probability", "tracklet", "camera", "class", "from (local)", "identity"]
    keys = ["similarity", "probability", "tracklet_id", "camera_id", "class", "started_local", "identity_id"]
    show = console()
    show.print(grid(columns, ([hit[key] for key in keys] for hit in result["hits"])))
    if not result["hits"]:
        show.print(f"nothing found among {result['searched']} tracklets")
    if "html" in result:
        show.print(f"contact sheet: {near(result['html'])}", soft_wrap=True)


def erased(result: dict) -> None:
    """Print where somebody was in a lake, what was removed, and what was found when all of it was read again."""
    show = console()
    titles = ["place", "to remove"] if result["dry_run"] else ["place", "removed", "found afterwards"]
    keys = ["place", "removed"] if result["dry_run"] else ["place", "removed", "found"]
    show.print(grid(titles, ([row[key] for key in keys] for row in result["places"])))
    nights = f"{result['tracklets']} tracklet(s), {len(result['nights'])} night(s)"
    if result["earlier"] == "begun":
        show.print("an earlier erasure of it was cut short; this one completes it")
    elif result["earlier"] == "done":
        show.print("it was erased before")
    if result["dry_run"]:
        show.print(f"{result['kind']} {result['of']}: {nights}; nothing was changed", soft_wrap=True)
    elif result["clean"]:
        what = f"{result['kind']} {result['of']}: {nights} erased"
        show.print(f"{what}; the whole lake was read again, and nothing of it is left", soft_wrap=True)
    else:
        show.print("[red]something is left[/]; run it again, and report it if it stays", soft_wrap=True)


def demo(result: dict) -> None:
    """Print the demo's night: what was processed, counts beside the truth, scores."""
    show = console()
    show.print("[bold]What was processed[/]")
    run(result["run"])
    show.print("\n[bold]Crossings by line, beside the truth[/]")
    columns = ["camera", "line", "direction", "class", "counted", "truth"]
    keys = ["camera_id", "line_id", "direction", "class", "measured", "truth"]
    show.print(grid(columns, ([row[key] for key in keys] for row in result["counts"]["per_cell"])))
    show.print("\n[bold]Scores against the exact truth[/]")
    show.print(grid(["score", "value"], result["scores"].items()))
    show.print(f"pictures: {', '.join(result['pictures'])}", soft_wrap=True)
    show.print(f"lake: {near(result['run']['lake'])}   truth: {result['truth']}", soft_wrap=True)


def show_rows(columns: Iterable[str], rows: Iterable) -> None:
    """Print rows under their titles; numbers to the right."""
    console().print(grid(columns, rows))


def grid(columns: Iterable[str], rows: Iterable, title: str | None = None) -> Table:
    """Lay rows out; numbers to the right."""
    shown = Table(title=title, title_justify="left")
    cells = [list(row) for row in rows]
    for place, name in enumerate(columns):
        numeric = bool(cells) and all(
            isinstance(row[place], (int, float, Decimal, np.number, type(None))) for row in cells
        )
        shown.add_column(str(name), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        shown.add_row(*(cell(value) for value in row))
    return shown


def near(location: str) -> str:
    """Return a path as seen from here, if it lies below; anything else as it is."""
    path = Path(location)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else location


def cell(value: Any) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, (float, np.floating)):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


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
    return str(value)
