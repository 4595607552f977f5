"""Write a search's contact sheet: fetch the thumbnails that the lake keeps, lay them out, put the file in place."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.reports.contact_sheet import contact_sheet

MAX_QUERY_PICTURES = 6
"""Pictures of an identity that are shown: one of each of its first tracklets."""

_THUMBNAILS = "SELECT tracklet_id, jpeg FROM thumbnails WHERE list_contains($names, tracklet_id)"
_KEPT = "SELECT count(*) AS n FROM thumbnails"


def write_sheet(lake_url: str, result: Mapping[str, Any], out: Path) -> Path:
    """Write the contact sheet of what `search` returned. Raises UserError where the file cannot be written."""
    asked = list(result["query_tracklets"])[:MAX_QUERY_PICTURES]
    kept = _thumbnails(lake_url, [*asked, *(hit["tracklet_id"] for hit in result["hits"])])
    if result["picture"] is not None:
        query_pictures = [_shown(Path(result["query"]), result["picture"]["box"])]
    else:
        query_pictures = [kept[name] for name in asked if name in kept]
    page = contact_sheet(
        result,
        query_pictures=query_pictures,
        thumbnails=kept,
        kept=bool(kept) or catalog.query(lake_url, _KEPT)["n"][0].as_py() > 0,
        lake=lake_url,
        filters=result["filters"],
        made_at=datetime.now(UTC),
    )
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8")
        os.replace(temporary, out)
    except OSError as error:
        with contextlib.suppress(OSError):  # where there is a file in place of its folder, this fails too
            temporary.unlink()
        raise UserError(f"{out}: cannot be written: {error.strerror}; name another file for --html") from None
    return out


def _thumbnails(lake_url: str, names: Iterable[str]) -> dict[str, bytes]:
    rows = catalog.query(lake_url, _THUMBNAILS, {"names": sorted(set(names))}).to_pylist()
    return {row["tracklet_id"]: row["jpeg"] for row in rows}


def _shown(path: Path, box: list[float] | None) -> bytes:
    """Return the part of a picture that was looked for, as a small JPEG file."""
    from pipeline.footage.stills import read_still
    from pipeline.footage.thumbnail import Settings, cut_out

    image = read_still(path)
    xyxy = np.array(box or [0, 0, image.shape[1], image.shape[0]], float)
    return cut_out(image, xyxy, np.zeros((0, 4)), Settings(blur_heads=False, longest_px=320)).jpeg
