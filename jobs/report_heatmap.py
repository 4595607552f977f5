"""`nightfleet report heatmap`: where in a camera's picture objects stayed, as a picture or as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.search_filters import check_classes, parse
from pipeline.errors import UserError
from pipeline.footage.backdrop import pooled_backdrop
from pipeline.lake import catalog
from pipeline.reports import heatmap
from pipeline.reports.formats import write_csv, write_parquet
from pipeline.reports.selection import select

_FOOTAGE = """
SELECT url FROM ledger WHERE camera_id = $camera AND status = 'done' ORDER BY started_at DESC, segment_id
"""


def report_heatmap(
    lake: str,
    camera_id: str,
    out: Path,
    *,
    class_name: str | None = None,
    cell_px: float | None = None,
    first: str | None = None,
    last: str | None = None,
) -> dict[str, Any]:
    """Write the heat map of a camera to `out`: .png over its empty scene, .csv or .parquet as a table.

    Returns written, camera_id, presence_s (all of it), most_s (in one cell), cell_px, and over ("footage", or None
    where there is none any more and the ground is plain). Raises UserError.
    """
    if out.suffix not in (".png", ".csv", ".parquet"):
        raise UserError(f"--out {out}: expected a name ending in .png, .csv or .parquet")
    filters = parse(class_name, None, None, None)
    with catalog.connect(lake) as connection:
        asked = select(connection, first, last, [camera_id])
        check_classes(filters, connection, lake)
        for option, text in (("--from", asked.first), ("--to", asked.last)):
            if text is not None and "T" in text:
                raise UserError(f"{option}: a heat map is of whole days, got {text!r}; write it as YYYY-MM-DD")
        reached = heatmap.picture_size(connection, camera_id)
        urls = [row["url"] for row in catalog.select(connection, _FOOTAGE, {"camera": camera_id}).to_pylist()]
        scene = pooled_backdrop(urls)
        if scene is None and reached == (0, 0):
            raise UserError(f"camera {camera_id} has seen nothing, and its footage is gone: there is nothing to draw")
        size = reached if scene is None else (scene.shape[1], scene.shape[0])
        asked_for = {"cell_px": cell_px, "classes": filters.classes, "first": asked.first, "last": asked.last}
        heat = heatmap.measure(connection, camera_id, size, **asked_for)
    if out.suffix == ".png":
        days = f"{asked.first or 'the first day'} to {asked.last or 'the last'}"
        heatmap.draw(heat, scene, out, f"{camera_id}: {class_name or 'everything'}, {days}")
    else:
        (write_csv if out.suffix == ".csv" else write_parquet)(heatmap.cells(heat), out)
    return {
        "written": str(out),
        "camera_id": camera_id,
        "class": class_name,
        "presence_s": float(heat.presence_s.sum()),
        "most_s": float(heat.presence_s.max(initial=0.0)),
        "cell_px": heat.cell_px,
        "over": "footage" if scene is not None else None,
    }
