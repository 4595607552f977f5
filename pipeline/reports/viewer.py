"""A page that plays one camera's footage with what was seen drawn over it. It stands by itself beside its videos."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import pyarrow as pa
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.footage.playable import Playable
from pipeline.reports.camera_span import Piece, Span, local_text
from pipeline.reports.scene import colour_of

TICK_US = 100
"""The page's unit of time: finer than any frame rate, and a week of it fits into 32 bits."""

PARTS_OF_A_PIXEL = 4
"""Corners are rounded to quarters of a pixel: 16 bits then reach 8192 pixels to either side."""

_SCRIPTS = ("data", "clock", "player", "drawing", "timeline", "panel", "main")
_CORNERS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of footage on the page.

    playable      its video, or None where there is none
    source        the video's address as seen from the page
    width_px, height_px    of the footage's picture, in which boxes are
    note          one sentence to show over it, or ""
    """

    piece: Piece
    playable: Playable | None
    source: str | None
    width_px: int
    height_px: int
    note: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """What is drawn and listed, columns as in camera_span; tables hold only tracks that are shown.

    sightings    tracklet_id, camera_id, class, identity_id, started_at_us, ended_at_us, confidence, travel_s: in order,
                 of every identity among the tracks, in all cameras
    thumbnails   tracklet_id -> JPEG file
    """

    rows: pa.Table
    tracks: pa.Table
    crossings: pa.Table
    visits: pa.Table
    lines: pa.Table
    zones: pa.Table
    sightings: pa.Table
    thumbnails: Mapping[str, bytes]


def viewer_data(
    span: Span, parts: Sequence[Part], seen: Seen, viewers: Mapping[str, tuple[str, Span]]
) -> dict[str, Any]:
    """Return all that the page carries, as plain JSON values; times are ticks since the span's start.

    viewers   camera -> (file, span) of the other pages written with this one
    """
    clock = _Clock(span.first_us)
    tracks, rows = _tracks(seen, clock), seen.rows
    nth = {name: i for i, name in enumerate(tracks["id"])}
    return {
        "camera": span.camera_id,
        "timeZone": span.time_zone,
        "from": span.first_us / 1000,
        "duration": clock(span.last_us),
        "pieces": [_piece(part, clock) for part in parts],
        "classes": tracks.pop("classes"),
        "tracks": tracks,
        "rows": {
            "at": packed(np.asarray(clock(_numbers(rows, "at_us"))), np.int32),
            **{name: packed(np.rint(_numbers(rows, name) * PARTS_OF_A_PIXEL), np.int16) for name in _CORNERS},
            "thin": packed(_numbers(rows, "interpolated"), np.uint8),
        },
        "lines": _lines(seen.lines),
        "zones": [{"name": z["zone_id"], "x": z["x"], "y": z["y"]} for z in seen.zones.to_pylist()],
        "crossings": _crossings(seen, nth, clock),
        "visits": _visits(seen, nth, clock),
        "identities": _identities(seen.sightings, clock),
        "thumbnails": {name: base64.b64encode(jpeg).decode("ascii") for name, jpeg in seen.thumbnails.items()},
        "viewers": {
            camera: {"file": file, "from": clock(other.first_us), "until": clock(other.last_us)}
            for camera, (file, other) in viewers.items()
        },
    }


def viewer_page(data: Mapping[str, Any], span: Span, *, notes: Sequence[str], made: str) -> str:
    """Return the page. Whatever names of the lake contain, none of it is read as markup or as script."""
    script = "(() => {\n'use strict';\n" + "\n".join(_file(f"{name}.js") for name in _SCRIPTS) + "})();\n"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    first, last = (local_text(at_us, span.time_zone) for at_us in (span.first_us, span.last_us))
    n_tracks, n_crossings = len(data["tracks"]["id"]), len(data["crossings"]["at"])
    return environment.from_string(_file("page.html")).render(
        camera=span.camera_id,
        when=first,
        summary=f"{first} to {last if last[:10] != first[:10] else last[11:]}, {span.time_zone}; "
        f"{counted(n_tracks, 'track')}, {counted(n_crossings, 'crossing')}",
        notes=notes,
        made=made,
        seconds=f"{(span.last_us - span.first_us) / 1e6:.1f}",
        style=Markup(_file("style.css")),
        script=Markup(script),
        script_hash=Markup(f"sha256-{digest}"),
        data=Markup(script_json(data)),
    )


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: 1 track, 2 tracks."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def script_json(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def packed(values: np.ndarray, dtype: type) -> str:
    """Return numbers as text: differences from each to the next in `dtype`, wrapping, deflated, base64."""
    whole = values.astype(np.int64)
    steps = np.diff(whole, prepend=np.int64(0)).astype(np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(zlib.compress(steps.tobytes(), 6)).decode("ascii")


@dataclass(frozen=True, slots=True)
class _Clock:
    """Instants, in microseconds since 1970, as ticks of the page."""

    first_us: int

    def __call__(self, at_us: Any) -> Any:
        ticks = np.rint((np.asarray(at_us) - self.first_us) / TICK_US).astype(np.int64)
        return ticks if ticks.ndim else int(ticks)


def _piece(part: Part, clock: _Clock) -> dict[str, Any]:
    piece, playable = part.piece, part.playable
    frames_us = np.zeros(0, np.int64)
    if playable is not None:
        frames_us = playable.frames_us[(playable.frames_us >= piece.first_us) & (playable.frames_us < piece.last_us)]
    return {
        "from": clock(piece.first_us),
        "until": clock(piece.last_us),
        "src": part.source,
        "starts": clock(piece.first_us if playable is None else playable.starts_at_us),
        "frames": packed(np.asarray(clock(frames_us)), np.int32),
        # The video's picture may be a pixel larger than the footage's, never by the footage's scale.
        "width": part.width_px if playable is None else playable.width_px,
        "height": part.height_px if playable is None else playable.height_px,
        "note": part.note,
    }


def _tracks(seen: Seen, clock: _Clock) -> dict[str, list]:
    """Return the tracks as columns, in order of their first row; `row` and `rows` say where their rows are."""
    whose = seen.rows["tracklet_id"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.r_[True, whose[1:] != whose[:-1]]) if len(whose) else np.zeros(0, int)
    length = np.diff(np.r_[starts, len(whose)])
    known = {row["tracklet_id"]: row for row in seen.tracks.to_pylist()}
    at_us = _numbers(seen.rows, "at_us")
    order = sorted(range(len(starts)), key=lambda i: (at_us[starts[i]], whose[starts[i]]))
    columns: dict[str, list] = {
        name: [] for name in "id class score boxes started ended identity confidence colour row rows classes".split()
    }
    for i in order:
        row, end = int(starts[i]), int(starts[i] + length[i] - 1)
        name = whose[row]
        # A track that has not ended yet has rows, but is entered with the segment in which it ends.
        about = known.get(name) or {
            "class": seen.rows["class"][row].as_py(),
            "mean_score": None,
            "n_observations": int(length[i]),
            "started_at_us": at_us[row],
            "ended_at_us": at_us[end],
            "identity_id": None,
            "confidence": None,
        }
        if about["class"] not in columns["classes"]:
            columns["classes"].append(about["class"])
        columns["id"].append(name)
        columns["class"].append(columns["classes"].index(about["class"]))
        columns["score"].append(_rounded(about["mean_score"]))
        columns["boxes"].append(about["n_observations"])
        columns["started"].append(clock(about["started_at_us"]))
        columns["ended"].append(clock(about["ended_at_us"]))
        columns["identity"].append(about["identity_id"])
        columns["confidence"].append(_rounded(about["confidence"]))
        columns["colour"].append("#{:02x}{:02x}{:02x}".format(*colour_of(about["identity_id"] or name)))
        columns["row"].append(row)
        columns["rows"].append(int(length[i]))
    return columns


def _lines(lines: pa.Table) -> list[dict[str, Any]]:
    return [
        {"name": line["line_id"], **{name: line[name] for name in (*_CORNERS, "forward", "backward")}}
        for line in lines.to_pylist()
    ]


def _crossings(seen: Seen, nth: Mapping[str, int], clock: _Clock) -> dict[str, list]:
    lines = {line["line_id"]: (i, line["forward"]) for i, line in enumerate(seen.lines.to_pylist())}
    rows = [row for row in seen.crossings.to_pylist() if row["tracklet_id"] in nth and row["line_id"] in lines]
    return {
        "at": [clock(row["at_us"]) for row in rows],
        "track": [nth[row["tracklet_id"]] for row in rows],
        "line": [lines[row["line_id"]][0] for row in rows],
        "forward": [int(row["direction"] == lines[row["line_id"]][1]) for row in rows],
    }


def _visits(seen: Seen, nth: Mapping[str, int], clock: _Clock) -> dict[str, list]:
    zones = {name: i for i, name in enumerate(seen.zones["zone_id"].to_pylist())}
    rows = [row for row in seen.visits.to_pylist() if row["tracklet_id"] in nth and row["zone_id"] in zones]
    return {
        "from": [clock(row["entered_at_us"]) for row in rows],
        "until": [clock(row["left_at_us"]) for row in rows],
        "track": [nth[row["tracklet_id"]] for row in rows],
        "zone": [zones[row["zone_id"]] for row in rows],
    }


def _identities(sightings: pa.Table, clock: _Clock) -> dict[str, list]:
    """Return the sightings of each identity that was seen more than once."""
    found: dict[str, list] = {}
    for row in sightings.to_pylist():
        found.setdefault(row["identity_id"], []).append(
            {
                "camera": row["camera_id"],
                "tracklet": row["tracklet_id"],
                "class": row["class"],
                "started": clock(row["started_at_us"]),
                "ended": clock(row["ended_at_us"]),
                "confidence": _rounded(row["confidence"]),
                "travel": None if row["travel_s"] is None else round(row["travel_s"] * 1e6 / TICK_US),
            }
        )
    return {name: rows for name, rows in found.items() if len(rows) > 1}


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy(zero_copy_only=False)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def _file(name: str) -> str:
    return (resources.files("pipeline.reports") / "templates" / "viewer" / name).read_text(encoding="utf-8")
