"""A search's hits as one HTML file that stands by itself: what was looked for on top, what was found below, best first.

No script and nothing from elsewhere: it opens from a disk, prints, and can be read by keyboard and on a phone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

KEEP_THEM = "set execution: {keep_thumbnails: true} in the fleet.yaml, or add --keep-thumbnails, and run again"
"""What to do where a lake keeps no pictures."""


def contact_sheet(
    result: Mapping[str, Any],
    *,
    query_pictures: Sequence[bytes],
    thumbnails: Mapping[str, bytes],
    kept: bool,
    lake: str,
    filters: Mapping[str, str],
    made_at: datetime,
) -> str:
    """Return the page.

    result          what jobs/search.py returns: query, picture, hits, searched, notes
    query_pictures  JPEG files of what was looked for; may be none
    thumbnails      tracklet_id -> JPEG file, of the hits that have one
    kept            whether the lake keeps thumbnails at all
    filters         what the search was narrowed to, name -> value
    made_at         instant with a time zone
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("pipeline.reports") / "templates" / "contact_sheet.html"
    return environment.from_string(source.read_text(encoding="utf-8")).render(
        result=result,
        hits=[_hit(hit, thumbnails.get(hit["tracklet_id"])) for hit in result["hits"]],
        query_pictures=[_data_url(jpeg) for jpeg in query_pictures],
        keep_them=None if kept else KEEP_THEM,
        lake=lake,
        filters=filters,
        made_at=made_at.strftime("%Y-%m-%d %H:%M %Z"),
    )


def _hit(hit: Mapping[str, Any], jpeg: bytes | None) -> dict[str, Any]:
    """Return a hit as its figure shows it."""
    local = datetime.fromisoformat(hit["started_local"])
    seen_s = (hit["ended_at"] - hit["started_at"]).total_seconds()
    return {
        **hit,
        "picture": None if jpeg is None else _data_url(jpeg),
        "day": local.strftime("%a %d %b %Y"),
        "clock": local.strftime("%H:%M:%S"),
        "offset": f"UTC{local.isoformat()[-6:]}" if local.utcoffset() else "UTC",
        "seen": _duration(seen_s),
        "similarity": f"{hit['similarity']:.2f}",
        "probability": _percent(hit["probability"]),
    }


def _duration(seconds: float) -> str:
    """Return a duration as people say it; no line breaks between the number and its unit."""
    if seconds < 9.95:
        return f"{seconds:.1f}\N{NO-BREAK SPACE}s"
    number, unit = (seconds, "s") if seconds < 120 else (seconds / 60, "min")
    return f"{number:.0f}\N{NO-BREAK SPACE}{unit}"


def _percent(probability: float | None) -> str | None:
    """Return a probability as people say it; what is not quite certain never reads 0 or 100 %."""
    if probability is None:
        return None
    if probability < 0.01:
        return "under 1 %"
    if probability > 0.99:
        return "over 99 %"
    return f"{100 * probability:.0f} %"


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
