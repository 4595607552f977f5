"""The crossings behind a count as one HTML file that stands by itself: a picture of each, and its facts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from pipeline.reports.page.words import percent

DOUBTS_MEANT = (
    "In doubt are counts with a doubt about the line itself: begins or ends on line, few boxes, id switch. Appears or "
    "vanishes in mid-scene is of the track only, and leaves the count as it is."
)


def counted_sheet(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    pictures: Sequence[bytes | None],
    *,
    notes: Sequence[str],
    lake: str,
    made_at: datetime,
) -> str:
    """Return the page.

    result      what jobs/explain_count.py returns
    rows        those of its crossings that are shown
    pictures    JPEG file of each of them, or None
    notes       sentences about what could not be shown
    made_at     instant with a time zone
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("pipeline.reports") / "templates" / "counted_sheet.html"
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        result=result,
        figures=[_figure(row, picture) for row, picture in zip(rows, pictures, strict=True)],
        notes=notes,
        counted=counted(result),
        meant=DOUBTS_MEANT if result["kind"] != "zone" and any(row["doubts"] for row in result["crossings"]) else "",
        lake=lake,
        made_at=made_at.strftime("%Y-%m-%d %H:%M %Z"),
    )


def counted(result: Mapping[str, Any]) -> str:
    """Return how many were counted, how many of them are in doubt, and how much of the time was watched, in words."""
    share = result["coverage_pct"]
    if result["count"] is None:
        return "not watched, so nobody knows how many (watched 0 %)"
    if result["kind"] == "zone":
        what = f"{result['count']} stays, {result['entered']} of them seen to enter"
    else:
        what = f"{result['count']} counted, {result['doubtful']} of them in doubt"
    return f"{what} ({'watched' if share >= 100 else 'only partly watched:'} {percent(share)})"


def inside(row: Mapping[str, Any]) -> str | None:
    """Return whether the track of a stay began or ended inside, so that it stayed at least as long; None elsewhere."""
    ends = [word for word in ("began", "ended") if row[f"{word}_inside"]]
    return " and ".join(ends) + " inside" if ends else None


def _figure(row: Mapping[str, Any], picture: bytes | None) -> dict[str, Any]:
    """Return a crossing as its figure shows it."""
    local = datetime.fromisoformat(row["at_local"])
    speed = row["speed_kmh"]
    return {
        **row,
        "picture": None if picture is None else "data:image/jpeg;base64," + base64.b64encode(picture).decode("ascii"),
        "day": local.strftime("%a %d %b %Y"),
        "clock": f"{local:%H:%M:%S}.{local.microsecond // 100_000}",
        "speed": None if speed is None else f"{speed:.0f} ± {row['error_kmh']:.0f} km/h",
        "dwell": None if row["dwell_s"] is None else f"{row['dwell_s']:.1f} s",
        "inside": inside(row),
    }
