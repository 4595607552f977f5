"""Ways people and vehicles take through a place: straight on from where a camera sees them, or along a route."""

from __future__ import annotations

import numpy as np

from pipeline.demo.camera import Camera
from pipeline.demo.variety import shots
from pipeline.demo.variety.places import Place
from pipeline.demo.world import Route

FURTHEST_M = 55.0
ELSEWHERE_SHARE = 0.6
"""Share of ways that go on somewhere else when another camera looks."""


class Ways:
    """Draws ways for T instants.

    at_s (C, T / C) are the seconds at which each of C cameras takes its pictures, one camera after the other. Some are
    elsewhere when another camera looks: met again there, from another side.
    """

    def __init__(self, rng: np.random.Generator, place: Place, cameras: list[Camera], at_s: np.ndarray) -> None:
        self._rng, self._place, self._cameras = rng, place, cameras
        self._at_s, self._by_camera_s = at_s.ravel(), at_s

    def spot(self, camera: Camera | None = None) -> np.ndarray | None:
        """Draw a place that a camera sees: even over its picture, or even over the ground."""
        rng = self._rng
        camera = camera or self._cameras[rng.integers(len(self._cameras))]
        points = shots.ground_seen(rng, camera, 12, FURTHEST_M if rng.random() < 0.8 else 20.0)
        if self._place.in_open is not None:
            points = points[self._place.in_open(points)]
        if not len(points):
            return None
        if rng.random() < 0.35:  # of several the furthest: as on the ground, more are far than near
            return points[np.argmax(np.linalg.norm(points - camera.position[:2], axis=1))]
        return points[0]

    def straight(self, xy: np.ndarray, heading: float, speed_mps: float) -> tuple[np.ndarray, np.ndarray]:
        """Return a straight way through `xy` (T, 2) and its headings (T,), or one of its own for each camera."""
        rng = self._rng
        if rng.random() >= ELSEWHERE_SHARE:
            return ahead(xy, heading, speed_mps, self._at_s)
        ways = []
        for camera, at_s in zip(self._cameras, self._by_camera_s, strict=True):
            spot = self.spot(camera)
            chosen, turned = (xy, heading) if spot is None else (spot, rng.uniform(0, 2 * np.pi))
            ways.append(ahead(chosen, turned, speed_mps, at_s - at_s.mean()))
        return np.concatenate([way[0] for way in ways]), np.concatenate([way[1] for way in ways])

    def on_route(self, route: Route, speed_mps: float) -> np.ndarray:
        """Return how far (T,) along a route somebody is: in one go, or for each camera where it sees them."""
        if self._rng.random() >= ELSEWHERE_SHARE:
            return self._start_on(route, self._cameras) + speed_mps * self._at_s
        ways = [
            self._start_on(route, [camera]) + speed_mps * (at_s - at_s.mean())
            for camera, at_s in zip(self._cameras, self._by_camera_s, strict=True)
        ]
        return np.concatenate(ways)

    def _start_on(self, route: Route, cameras: list[Camera]) -> float:
        """Draw where on a route somebody is: if possible where a camera sees it."""
        for _ in range(8):
            start = self._rng.uniform(0, route.length_m)
            if any(camera.sees_ground(route.at(start)[0], -40.0) for camera in cameras):
                break
        return float(start)


def ahead(xy: np.ndarray, heading: float, speed_mps: float, at_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the way (T, 2) of who is at `xy` at second 0 and goes straight on, and the headings (T,)."""
    ahead = np.array([np.cos(heading), np.sin(heading)])
    return xy + (at_s * speed_mps)[:, None] * ahead, np.full(len(at_s), heading)


def along(route: Route, s_m: np.ndarray, side_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return xy (T, 2), directions (T, 2) and whether the route is that long (T,), `side_m` to its right."""
    xy, direction = route.at(s_m)
    right = np.stack([direction[:, 1], -direction[:, 0]], axis=1)
    return xy + side_m * right, direction, (s_m >= 0) & (s_m <= route.length_m)
