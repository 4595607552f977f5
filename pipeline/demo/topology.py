"""How long the way from camera to camera takes, from the ground plan and the speeds at which people walk and drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.demo import agents, world
from pipeline.demo.views import View

SLOW_WALK_MPS = 1.0
"""Slower than anybody walks, for stepping aside costs time."""
SLOW_DRIVE_MPS = 4.0
"""Average of a vehicle that brakes for a bend."""
LONGEST_WAIT_S = 12.0
"""At the zebra or for a gap in the traffic."""
FORESIGHT_M = 3.0
"""An object is seen a little before and after its middle is: it is as long and as tall as it is."""


@dataclass(frozen=True)
class Travel:
    """Two cameras and the time from leaving one to entering the other; below 0 where both see an object at once."""

    between: tuple[str, str]
    min_travel_s: float
    max_travel_s: float
    overlapping: bool


def travels(views: tuple[View, ...]) -> list[Travel]:
    """Return every pair of cameras that some route connects, with a window that holds for all routes and both ways."""
    windows: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for routes, fastest, slowest in (
        (world.footpaths(), agents.WALKING_MPS[1], SLOW_WALK_MPS),
        (world.lanes(), agents.DRIVING_MPS[1], SLOW_DRIVE_MPS),
    ):
        for route in routes:
            for pair, window in _on_route(route, views, fastest, slowest):
                windows.setdefault(pair, []).append(window)
    result = []
    for a, b in sorted(windows):
        low = min(window[0] for window in windows[a, b])
        high = max(window[1] for window in windows[a, b])
        # Half seconds, outwards.
        result.append(Travel((a, b), float(np.floor(low * 2) / 2), float(np.ceil(high * 2) / 2), bool(low < 0)))
    return result


def _on_route(route: world.Route, views: tuple[View, ...], fastest: float, slowest: float):
    """Yield (pair, (shortest, longest)) for each two cameras that see parts of one route."""
    stretches = [(view.camera_id, *_seen_stretch(route, view)) for view in views if in_sight(view, route.xy).any()]
    for i, (a, start_a, end_a) in enumerate(stretches):
        for b, start_b, end_b in stretches[i + 1 :]:
            pair = (a, b) if a < b else (b, a)
            shared_m = min(end_a, end_b) - max(start_a, start_b)
            if shared_m > 0:
                lingering_s = sum(agents.PAUSE_S[1] for _ in route.pause_at)
                # Both ways: a track may break off in one camera before the other's begins on the same ground.
                together_s = (max(end_a, end_b) - min(start_a, start_b)) / slowest + lingering_s
                yield pair, (-together_s, together_s)
            else:
                waits_s = LONGEST_WAIT_S if route.zebra_at or route.yield_at or slowest == SLOW_DRIVE_MPS else 0.0
                # In sight of both at once where the gap is shorter than what is seen of it. A track may break off
                # anywhere in the one view, and the next begin anywhere in the other.
                nearest_m = -shared_m - 2 * FORESIGHT_M
                furthest_m = max(end_a, end_b) - min(start_a, start_b)
                yield pair, (nearest_m / (fastest if nearest_m > 0 else slowest), furthest_m / slowest + waits_s)


def _seen_stretch(route: world.Route, view: View) -> tuple[float, float]:
    """Return the first and last place on the route (metres) that the camera sees."""
    seen = np.flatnonzero(in_sight(view, route.xy))
    return seen[0] * route.STEP_M, seen[-1] * route.STEP_M


def in_sight(view: View, xy_m: np.ndarray) -> np.ndarray:
    """Tell which points (N, 2) of the ground are in the picture and not behind a house -> (N,) bool."""
    eye = np.array(view.camera.position[:2])
    clear = view.camera.sees_ground(xy_m)
    for front in world.FACADES:
        a, b = np.array(front.left, float), np.array(front.right, float)
        parts_eye = _side(a, b, eye) * _side(a, b, xy_m) < 0
        parts_wall = _side(eye, xy_m, a) * _side(eye, xy_m, b) < 0
        clear &= ~(parts_eye & parts_wall)
    return clear


def _side(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return on which side of the line a -> b a point lies: positive is left. Any of the three may be (N, 2)."""
    along, to = b - a, p - a
    return along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0]
