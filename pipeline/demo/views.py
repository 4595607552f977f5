"""The four cameras of the town: where they hang and what they count, given on the ground in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo.camera import Camera, Tone


@dataclass(frozen=True)
class Line:
    """A counting line from `a` to `b` on the ground; `forward` is crossing it from left to right.

    Its ends lie where nobody goes: who passes over an end is counted or not by a pixel, whoever counts.

    classes  what it counts, None for everything
    """

    name: str
    a: tuple[float, float]
    b: tuple[float, float]
    forward: str
    backward: str
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Zone:
    """An area on the ground in which dwell is measured."""

    name: str
    corners: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class View:
    """One camera with what it measures."""

    camera: Camera
    lines: tuple[Line, ...]
    zones: tuple[Zone, ...]

    @property
    def camera_id(self) -> str:
        return self.camera.camera_id

    def line_px(self, line: Line) -> np.ndarray:
        """Return the ends (2, 2) of a line in the picture, to a tenth of a pixel: what stands in fleet.yaml."""
        return self.camera.project_ground(np.array([line.a, line.b], float))[0].round(1)

    def zone_px(self, zone: Zone) -> np.ndarray:
        """Return the corners (K, 2) of a zone in the picture, to a tenth of a pixel: what stands in fleet.yaml."""
        return self.camera.project_ground(np.array(zone.corners, float))[0].round(1)


VIEWS: tuple[View, ...] = (
    View(
        Camera("gate", (-20.0, -7.3, 8.0), 153.0, 28.5, 560.0, Tone((1.03, 1.0, 0.94), 0.98, 2.2, 1.0, 0.10)),
        lines=(
            Line("road", (-36.0, -6.4), (-36.0, 3.5), "eastbound", "westbound"),
            Line("pavement", (-35.0, 3.6), (-35.0, 7.0), "eastbound", "westbound"),
        ),
        zones=(),
    ),
    View(
        Camera("square", (-13.0, -7.3, 8.6), 52.0, 28.0, 560.0, Tone((0.97, 1.0, 1.06), 1.06, 2.8, 0.92, 0.12)),
        lines=(
            Line("entrance", (-9.5, 7.5), (14.0, 7.5), "out", "in"),
            Line("middle", (3.0, 8.5), (3.0, 20.0), "eastbound", "westbound"),
        ),
        zones=(Zone("kiosk", ((4.0, 10.8), (10.5, 10.8), (10.5, 14.6), (4.0, 14.6))),),
    ),
    View(
        Camera("market", (8.0, 30.7, 8.4), 258.0, 28.5, 560.0, Tone((1.05, 0.99, 0.95), 0.93, 2.4, 1.08, 0.10)),
        lines=(
            Line("passage", (-3.0, 19.0), (9.5, 17.5), "southbound", "northbound"),
            Line("road", (0.0, -3.0), (0.0, 7.0), "eastbound", "westbound"),
        ),
        zones=(Zone("fountain", ((-3.4, 12.0), (1.8, 12.0), (1.8, 18.5), (-3.4, 18.5))),),
    ),
    View(
        Camera("crossing", (17.5, -7.3, 8.0), 31.0, 28.5, 560.0, Tone((0.98, 1.02, 0.99), 1.0, 3.2, 0.97, 0.14)),
        lines=(
            Line("zebra", (29.5, 0.0), (34.5, 0.0), "southbound", "northbound", ("person",)),
            Line("road", (37.5, -6.4), (37.5, 7.0), "eastbound", "westbound"),
        ),
        zones=(Zone("zebra", ((29.8, -3.6), (34.2, -3.6), (34.2, 3.6), (29.8, 3.6))),),
    ),
)


def view(camera_id: str) -> View:
    """Return a camera of the town by its id."""
    return next(view for view in VIEWS if view.camera_id == camera_id)
