"""What footage is there, and does the configuration fit it? Shared by `run` and `check`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.config import CameraConfig, FleetConfig
from pipeline.errors import ConfigError
from pipeline.footage.segments import CameraFootage, discover
from pipeline.types import Segment


@dataclass(frozen=True, slots=True)
class Survey:
    """Footage per camera, cameras without any (id, reason), mistakes in the configuration (sentences), and cameras
    that are to have none, because their tracks are imported."""

    footage: tuple[CameraFootage, ...]
    without_footage: tuple[tuple[str, str], ...]
    mistakes: tuple[str, ...]
    imported: tuple[str, ...] = ()

    def blaming(self, failed: dict[str, str]) -> Survey:
        """Return this with what failed of recording, by camera, as the reason why a camera has no footage."""
        return replace(self, without_footage=tuple((c, failed.get(c, reason)) for c, reason in self.without_footage))

    def refuse_mistakes(self) -> None:
        """Raise ConfigError for the first mistake, or where no camera has any footage."""
        if self.mistakes:
            raise ConfigError(self.mistakes[0])
        if not self.footage:
            reasons = [reason for _, reason in self.without_footage]
            reasons += [
                f"camera {name}: its tracks are imported, so there is no footage to process; bring them in by "
                "`nightfleet import`"
                for name in self.imported
            ]
            raise ConfigError("; ".join(reasons) or "there is nothing to process")

    def camera_failures(self) -> list[dict]:
        """Return the cameras whose footage is missing altogether, as failure rows."""
        return [
            {"camera_id": c, "segment_id": None, "url": None, "reason": reason} for c, reason in self.without_footage
        ]

    def failures(self) -> list[dict]:
        """Return everything that cannot be processed: cameras without footage, files that are unusable."""
        files = [file for footage in self.footage for file in footage.unusable]
        rows = [{"camera_id": f.camera_id, "segment_id": f.segment_id, "url": f.url, "reason": f.reason} for f in files]
        return self.camera_failures() + rows


def survey(config: FleetConfig, *, cameras: Sequence[str] | None = None, date: str | None = None) -> Survey:
    """Discover and probe the footage of the fleet, or of the named cameras; `date` keeps unusable files of that date.

    Raises ConfigError for a camera id that is not configured.
    """
    chosen = [config.camera(name) for name in cameras] if cameras else config.cameras
    footage, missing, mistakes = [], [], []
    for camera in chosen:
        if camera.imported:
            continue
        try:
            found = discover(camera)
        except ConfigError as error:
            missing.append((camera.id, str(error)))
            continue
        if date is not None:
            unusable = tuple(file for file in found.unusable if file.local_date == date)
            found = CameraFootage(found.camera_id, found.segments, unusable)
        footage.append(found)
        mistakes += geometry_mistakes(camera, found.segments)
    if date is not None and footage and not any(s.local_date == date for f in footage for s in f.segments):
        days = sorted({segment.local_date for found in footage for segment in found.segments})
        has = f"there is footage of {days[0]} to {days[-1]}" if days else "there is no usable footage at all"
        mistakes.append(f"no footage of {date}: {has}; give another --date")
    imported = tuple(camera.id for camera in chosen if camera.imported)
    return Survey(tuple(footage), tuple(missing), tuple(mistakes), imported)


def geometry_mistakes(camera: CameraConfig, segments: Sequence[Segment]) -> list[str]:
    """Return a sentence for every line end or zone corner outside the camera's picture."""
    if not segments:
        return []
    width, height = segments[0].width_px, segments[0].height_px
    shapes = [("line", line.name, line.points) for line in camera.lines]
    shapes += [("zone", zone.name, zone.polygon) for zone in camera.zones]
    return [
        f"camera {camera.id}: {kind} {name!r} has the point ({x:g}, {y:g}) outside its picture of {width}x{height} "
        f"pixels; give points with 0 <= x <= {width} and 0 <= y <= {height}"
        for kind, name, points in shapes
        for x, y in points
        if not (0 <= x <= width and 0 <= y <= height)
    ]
