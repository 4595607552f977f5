"""Pictures of a night, drawn from its lake and footage: the cameras side by side at a busy moment, and the counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.config import CameraConfig, FleetConfig
from pipeline.footage.decode import SegmentReader
from pipeline.footage.segments import discover
from pipeline.lake import catalog
from pipeline.reports.mosaic import mosaic, write_picture
from pipeline.reports.overview import draw_counts
from pipeline.reports.scene import draw_scene
from pipeline.reports.traffic import traffic

BIN = "30s"
"""A demo lasts a minute or so; quarter hours would draw a single bar."""

_BUSIEST = """
SELECT epoch_us(captured_at) AS at_us FROM observations JOIN identities USING (tracklet_id)
GROUP BY captured_at ORDER BY count(DISTINCT camera_id) DESC, count(*) DESC, captured_at LIMIT 1
"""


def draw_night(config: FleetConfig, folder: Path) -> list[Path]:
    """Draw `scene.png` (all cameras at the instant most was seen) and `counts.png`; returns their paths."""
    with catalog.connect(config.lake) as connection:
        journeys = connection.sql("FROM origin_destination").to_arrow_table()
        paths = [draw_counts(traffic(connection, by=BIN).counts, folder / "counts.png", journeys)]
        busiest = next(iter(connection.sql(_BUSIEST).fetchall()), None)
        if busiest is not None:
            scenes = [(camera.id, _scene(connection, camera, busiest[0])) for camera in config.cameras]
            seen = [(name, scene) for name, scene in scenes if scene is not None]
            paths.insert(0, write_picture(mosaic(seen), folder / "scene.png"))
    return paths


def _scene(connection, camera: CameraConfig, at_us: int) -> np.ndarray | None:
    """Return one camera's frame nearest to an instant with what was seen drawn on it, or None where it saw nothing."""

    def rows(table: str) -> pa.Table:
        return connection.sql(f"FROM {table} WHERE camera_id = $1", params=[camera.id]).to_arrow_table()

    observations = rows("observations")
    frame = _frame_near(camera, at_us)
    if frame is None:
        return None
    image, frame_us = frame
    who = connection.sql("SELECT tracklet_id, identity_id FROM identities").to_arrow_table().to_pylist()
    identity_of = {row["tracklet_id"]: row["identity_id"] for row in who}
    return draw_scene(image, observations, rows("lines"), rows("zones"), at_us=frame_us, identity_of=identity_of)


def _frame_near(camera: CameraConfig, at_us: int) -> tuple[np.ndarray, int] | None:
    """Return the first frame at or after an instant, and its own instant."""
    for segment in discover(camera).segments:
        if not segment.started_at_us <= at_us < segment.ended_at_us:
            continue
        with SegmentReader(
            segment,
            batch_size=16,
            prefetch_batches=1,
            target_fps=camera.target_fps,
            image_fps=camera.image_fps,
            not_before_us=at_us - 1,
        ) as reader:
            for batch in reader:
                return batch.images[0], int(batch.captured_at_us[0])
    return None
