"""How exports and imports are told."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.markup import escape

from jobs.printing import console, grid, shown


def exported(result: dict) -> None:
    """Print what was exported, a row a camera."""
    show = console()
    titles = ["camera", "number", "fps", "frame 1 (UTC)", "frames", "tracklets", "boxes", "interpolated"]
    keys = ["camera_id", "number", "fps", "first_frame_at_us", "frames", "tracklets", "boxes", "interpolated"]
    rows = [{**row, "first_frame_at_us": _instant(row["first_frame_at_us"])} for row in result["cameras"]]
    show.print(grid(titles, ([row[key] for key in keys] for row in rows)))
    filled, left_out = (sum(row[key] for row in rows) for key in ("filled", "left_out"))
    if filled:
        show.print(f"{filled} boxes were made up, on straight lines, for frames in which a tracklet has no row")
    if left_out:
        show.print(f"{left_out} boxes were left out: frames that come too close for the count share a number")
    show.print(f"written: {escape(result['out'])}", soft_wrap=True)


def imported(result: dict) -> None:
    """Print what was imported, a row a file."""
    show = console()
    titles = ["file", "outcome", "from (UTC)", "frames", "tracklets", "boxes", "interpolated", "classes"]
    rows = []
    for row in result["files"]:
        classes = ", ".join(f"{name} {n}" for name, n in row["by_class"].items())
        name = row["file"].rpartition("/")[2]
        counts = [row[key] for key in ("frames", "tracklets", "observations", "interpolated")]
        rows.append([name, row["outcome"], _instant(row["started_at_us"]), *counts, classes])
    show.print(grid(titles, rows))
    for row in result["files"]:
        if row["outcome"] == "unchanged":
            show.print(f"{escape(row['file'])}: was imported already, nothing was done", soft_wrap=True)
        if row["left_out"]:
            show.print(
                f"{escape(row['file'])}: {row['left_out']} tracks that stand for nothing to be counted were left out",
                soft_wrap=True,
            )
        if row["erased"]:
            show.print(f"{escape(row['file'])}: {row['erased']} tracks that were erased stay out", soft_wrap=True)
    show.print(f"camera {result['camera_id']} of lake {escape(result['lake'])}", soft_wrap=True)


def _instant(instant_us: int | None) -> str | None:
    if instant_us is None:
        return None
    return datetime.fromtimestamp(instant_us // 1000 / 1e3, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def database(result: dict) -> None:
    """Print the tables of a database that was written, and where it is."""
    show = console()
    show.print(grid(["table", "rows"], result["tables"].items()))
    show.print(f"wrote {shown(result['written'])}, {result['bytes'] / 1e6:.1f} MB", soft_wrap=True)
