"""Tracks of a lake in the forms that others read: `export` is what `nightfleet export mot|aicity|json|csv` calls.

docs/exchange.md says what each format holds and lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from jobs import export_folder, export_formats
from jobs.search_filters import Filters, check_cameras, check_classes
from pipeline.errors import UserError
from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports import camera_rows
from pipeline.reports.numbering import FrameNumbers, frame_numbers

Format = Literal["mot", "aicity", "json", "csv"]

_CAMERAS = """
SELECT camera_id, coalesce(c.time_zone, 'UTC') AS time_zone, c.homography
FROM (
    SELECT camera_id, row_number() OVER () AS place FROM cameras
    UNION ALL
    SELECT DISTINCT camera_id, NULL FROM ledger ANTI JOIN cameras USING (camera_id)
)
LEFT JOIN cameras AS c USING (camera_id)
ORDER BY place NULLS LAST, camera_id
"""

_IDENTITIES = """
SELECT coalesce(i.identity_id, t.tracklet_id) AS identity_id
FROM tracklets AS t LEFT JOIN identities AS i USING (tracklet_id)
GROUP BY ALL
ORDER BY min(t.started_at), identity_id
"""


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What was written: `cameras` has a row each, {camera_id, number, fps, first_frame_at_us, frames, tracklets, boxes,
    interpolated, filled, left_out}.

    number    of the camera in AI City's text, from 1
    filled    boxes made up for frames without a row (JSON)
    left_out  boxes whose frame and track had one already
    """

    format: str
    out: str
    cameras: list[dict]
    filters: dict[str, str]

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, eq=False, slots=True)
class CameraExport:
    """One camera to be exported.

    number     of the camera, from 1 in the order of the fleet's file
    tracklets  table of those that the filters leave, by their start; `id` (from 1) is counted over all of the camera's,
               and `object` over all of the lake's identities
    from_us, to_us  the time exported, microseconds since 1970 UTC
    """

    connection: Connection
    camera_id: str
    number: int
    time_zone: str
    homography: np.ndarray | None
    numbers: FrameNumbers
    tracklets: pa.Table
    from_us: int
    to_us: int

    def hours(self) -> Iterator[camera_rows.Boxes]:
        """Yield the boxes of the tracklets, an hour at a time."""
        mine = set(self.tracklets["tracklet_id"].to_pylist())
        for begin_us, end_us in camera_rows.hours_us(self.connection, self.camera_id, self.from_us, self.to_us):
            boxes = camera_rows.boxes(self.connection, self.camera_id, begin_us, end_us)
            yield boxes.take(np.array([name in mine for name in boxes.tracklet_id.tolist()], bool))

    def tracks(self, tracklet_ids: list[str], begin_us: int, end_us: int) -> camera_rows.Boxes:
        """Return the boxes of some tracklets, all of which lie between two instants, [begin, end)."""
        span = max(begin_us, self.from_us), min(end_us, self.to_us)
        return camera_rows.boxes(self.connection, self.camera_id, *span, tracklet_ids)

    def frame_of(self, boxes: camera_rows.Boxes) -> np.ndarray:
        """Return the frame numbers, (N,) int64 from 1, of boxes."""
        return self.numbers.of(boxes.segment_id, boxes.at_us)


def export(lake_url: str, out: str | Path, format: Format, filters: Filters, *, force: bool = False) -> ExportSummary:
    """Write the tracks of a lake into a folder; memory is bounded by an hour of one camera and the list of tracklets.

    Equal lakes give equal bytes. Raises UserError where `out` is taken (see export_folder) or a camera is unknown.
    """
    with catalog.connect(lake_url) as connection:
        known = catalog.select(connection, _CAMERAS).to_pylist()
        check_cameras(filters, [row["camera_id"] for row in known], lake_url)
        if not known:
            raise UserError(f"{lake_url}: the lake has no cameras; run `nightfleet run` first")
        check_classes(filters, connection, lake_url)
        objects = _objects(connection)
        with export_folder.made(out, force=force) as folder:
            rows = []
            with export_formats.WRITERS[format](folder) as writer:
                for number, row in enumerate(known, start=1):
                    if filters.cameras is None or row["camera_id"] in filters.cameras:
                        camera = _camera(connection, number, row, filters, objects)
                        rows.append(_empty(number, row) if camera is None else _told(camera, writer.write(camera)))
            about = {"format": format, "filters": filters.to_json(), "cameras": rows}
            export_folder.write_manifest(folder, about)
    return ExportSummary(format, str(out), rows, filters.to_json())


def _objects(connection: Connection) -> dict[str, int]:
    """Number the identities of the lake from 1, in the order in which they were first seen."""
    names = catalog.select(connection, _IDENTITIES)["identity_id"].to_pylist()
    return {name: number for number, name in enumerate(names, start=1)}


def _camera(
    connection: Connection, number: int, row: dict, filters: Filters, objects: dict[str, int]
) -> CameraExport | None:
    numbers = frame_numbers(connection, row["camera_id"])
    if numbers is None:
        return None
    found = camera_rows.tracklets(connection, row["camera_id"])
    found = found.append_column("id", pa.array(np.arange(1, len(found) + 1)))
    names = zip(found["identity_id"].to_pylist(), found["tracklet_id"].to_pylist())
    found = found.append_column("object", pa.array([objects[identity or own] for identity, own in names], pa.int64()))
    from_us, to_us = filters.bounds_us(row["time_zone"])
    start_us, end_us = (found[name].to_numpy() for name in ("start_us", "end_us"))
    kept = (end_us >= from_us) & (start_us < to_us)
    if filters.classes is not None:
        kept &= np.isin(np.array(found["class"].to_pylist(), str), filters.classes)
    homography = None if row["homography"] is None else np.array(row["homography"], np.float64).reshape(3, 3)
    return CameraExport(
        connection=connection,
        camera_id=row["camera_id"],
        number=number,
        time_zone=row["time_zone"],
        homography=homography,
        numbers=numbers,
        tracklets=found.filter(pa.array(kept, pa.bool_())),
        from_us=from_us,
        to_us=to_us,
    )


def _told(camera: CameraExport, written: export_formats.Written) -> dict:
    numbers = camera.numbers
    return {
        "camera_id": camera.camera_id,
        "number": camera.number,
        "fps": numbers.fps,
        "first_frame_at_us": numbers.first_us,
        "frames": numbers.length_frames,
        "tracklets": len(camera.tracklets),
        **asdict(written),
    }


def _empty(number: int, row: dict) -> dict:
    """Return the row of a camera that the lake has no footage of."""
    about = {"camera_id": row["camera_id"], "number": number, "fps": None, "first_frame_at_us": None, "frames": 0}
    return {**about, "tracklets": 0, **asdict(export_formats.Written())}
