"""What every column of a lake's tables, views and reports means, in a few words: for those who see only the column."""

from __future__ import annotations

import re

from pipeline.lake import laying
from pipeline.lake.contents import Content

_FOLDERS = {"date": "local date; the folder in the lake", "camera": "camera, as camera_id; the folder in the lake"}

_OF = {
    ("counting_doubts", "about"): "the doubt in words",
    ("counting_doubts", "line_id"): "line; NULL where none is near",
    ("coverage", "hours_seen"): "hours of all footage with a known time",
    ("gate_od_flows", "class"): "class of the trip: the one most of its boxes have",
    ("gate_od_flows", "count"): "how many trips",
    ("gate_od_flows", "median_s"): "median time between the two passages (seconds)",
    ("od_flows", "class"): "class of the trip: the one most of its boxes have",
    ("od_flows", "count"): "how many trips",
    ("od_flows", "median_s"): "median time from the first sighting's begin to the last one's end (seconds)",
    ("origin_destination", "class"): "class of the identity: the one most of its boxes have",
    ("origin_destination", "count"): "how many identities",
    ("travel_times", "count"): "how many went from the one to the other",
    ("zone_dwell", "median_s"): "median length of a visit, as far as it was seen (seconds)",
}
"""Said of that column of that table, whatever stands elsewhere."""

_EVERYWHERE = {
    "bin_local": "start of the bin on the camera's wall clock, ISO 8601 with UTC offset",
    "bin_s": "length of the bin (seconds)",
    "bin_start": "start of the bin",
    "box_error_kmh": "standard deviation of the speed by the boxes alone (km/h)",
    "camera_id": "camera",
    "entered": "how often an object was seen to come in",
    "entered_local": "entered_at on the camera's wall clock, ISO 8601 with UTC offset",
    "error_kmh": "standard deviation of the speed by boxes and, where known, calibration (km/h)",
    "from_camera_id": "camera before",
    "from_direction": "direction at the first gate",
    "from_gate": "first gate passed",
    "gap_hours": "their length together (hours)",
    "gaps": "holes between the stretches watched, see the table gaps",
    "hour_local": "start of the hour on the camera's wall clock, ISO 8601 with UTC offset",
    "hour_start": "start of the hour",
    "left": "how often an object was seen to go out",
    "longest_s": "longest visit, as far as it was seen (seconds)",
    "mean_s": "mean length of a visit, as far as it was seen (seconds)",
    "n_boxes": "detected boxes that the speed was measured over",
    "offset_s": "offset of the camera's wall clock from UTC (seconds)",
    "p85_s": "85th percentile of the time, interpolated (seconds)",
    "scale_error": "relative standard deviation of the speed by the calibration alone; NULL where it is not known",
    "to_direction": "direction at the last gate; NULL where one gate only was passed",
    "to_gate": "last gate passed; NULL where it was one only",
    "total_s": "length of all visits, as far as they were seen (seconds)",
    "tracklet_id": "object in one camera",
    "travel_s": "from the end of the sighting before to this start; negative where both saw it at once (seconds)",
    "way_m": "how far those boxes reach (metres)",
    "x": "place of the box's anchor (pixels)",
    "y": "place of the box's anchor (pixels)",
}
"""Said wherever a column has that name, and before what a .sql file says: there it is part of a list, or not said."""

_ELSE = {
    "at": "when",
    "began_inside": "the track began inside, so that the dwell is a lower bound",
    "class": "class of the tracklet, by its whole life",
    "confidence": "belief that the tracklet belongs to its identity (0 to 1)",
    "count": "how many; 0 where the camera watched and there were none, NULL where it did not watch",
    "crossed_at": "instant of the crossing, between two frames",
    "date": "local date",
    "destination_camera_id": "camera that saw the end",
    "direction": "the line's own name for the direction",
    "done": "video files that have been processed",
    "dwell_s": "from entering to leaving (seconds)",
    "ended_at": "end",
    "ended_inside": "the track ended inside, so that the dwell is a lower bound",
    "entered_at": "first frame inside",
    "event": "'enter' or 'leave'",
    "first_at": "first frame",
    "frames": "frames processed",
    "gap_s": "length (seconds)",
    "gate_id": "gate; the line's own name where it is part of none",
    "hours_done": "hours of footage that have been processed",
    "identity_id": "one person or vehicle across cameras",
    "kind": "what the doubt is, see docs/accuracy.md",
    "last_at": "end of the last frame",
    "left_at": "last frame inside",
    "line_id": "line",
    "median_s": "median time (seconds)",
    "min_s": "shortest time (seconds)",
    "origin_camera_id": "camera that saw the beginning",
    "quarantined": "video files that could not be processed",
    "segments": "video files",
    "speed_kmh": "speed at the crossing (km/h); NULL where it cannot be measured",
    "started_at": "beginning",
    "to_camera_id": "camera after",
    "tracklets": "objects seen",
    "visits": "how often it was entered; NULL where the camera did not watch",
    "wall_s": "time that processing took (seconds)",
    "zone_id": "zone",
}
"""Said where the .sql file says nothing of a column."""


def column_notes(content: Content) -> dict[str, str]:
    """Return what each column of a table, view or table macro means, by column."""
    if content.kind == "table":
        return {name: content.notes.get(name) or _FOLDERS.get(name, "") for name, _ in content.columns}
    said = _said(laying.sql_text(content.name))
    return {
        name: _OF.get((content.name, name)) or _EVERYWHERE.get(name) or _bracketed(said, name) or _ELSE.get(name, "")
        for name, _ in content.columns
    }


def _said(sql: str) -> str:
    """Return the head of a .sql file from its columns on."""
    head = " ".join(line.removeprefix("--").strip() for line in sql.splitlines() if line.startswith("--"))
    return head.partition("Columns:")[2]


def _bracketed(said: str, name: str) -> str:
    """Return what stands in brackets right behind a column's name; "" where nothing does, or it sends elsewhere."""
    found = re.search(rf"\b{name} \(", said)
    if found is None or said[found.end() :].startswith("see "):
        return ""
    depth, end = 1, found.end()
    while depth and end < len(said):
        depth += {"(": 1, ")": -1}.get(said[end], 0)
        end += 1
    note = said[found.end() : end - 1]
    if name == "date":
        return f"local date {note.removeprefix('local').lstrip(', ')}".rstrip()
    return f"class {note}" if name == "class" else note
