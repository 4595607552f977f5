"""One camera's pictures of a made-up world: as scene.py paints the town, with other looks, shadows and weather."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.demo.backdrop import furnish, paint_backdrop
from pipeline.demo.camera import Camera
from pipeline.demo.composite import compose, cover
from pipeline.demo.looks import PersonLook
from pipeline.demo.paint import Sprite, lay_shadow, overlap, part
from pipeline.demo.scene import NEAREST_M, SQUARE, Seen
from pipeline.demo.simulation import Motion
from pipeline.demo.variety import shapes, surfaces, wardrobe, weather
from pipeline.demo.variety.places import Place
from pipeline.demo.variety.posture import Rider

MAX_RANGE_M = 75.0
PLAIN_SHARE = 0.3
"""Share of cameras that show their place in its own colours, on a calm day."""


class Stage:
    """Paints the pictures of one camera. Equal seeds give equal pictures, in any order of asking."""

    def __init__(self, camera: Camera, place: Place, motion: Motion, seed: tuple[int, ...]) -> None:
        self.camera, self.motion, self.seed = camera, motion, seed
        rng = np.random.default_rng([*seed, 0])
        horizon_px = camera.height_px / 2 - camera.focal_px * np.tan(np.radians(camera.tilt_deg))
        size = camera.width_px, camera.height_px
        plain = rng.random() < PLAIN_SHARE
        self.weather = weather.calm(rng, size) if plain else weather.draw(rng, size, horizon_px)
        scale = 1 if rng.random() < 0.7 else 2
        picture, walls = paint_backdrop(camera, place.floor, place.fronts, scale)
        if horizon_px >= 1:
            _hang_sky(picture, surfaces.sky(rng, size, int(horizon_px)), walls)
        standing = [sprite for sprite in place.standing(camera) if _behind(sprite, walls, camera)]
        self.still = [*standing, *walls]
        self.background = furnish(picture if plain else _tinted(rng, picture), standing, camera)
        self._reach_m = np.array([shapes.reach_m(look) for look in motion.looks])
        self._ground_free = np.ones((camera.height_px, camera.width_px), np.float32)
        frame = 0, 0, camera.width_px, camera.height_px
        for sprite in self.still:
            box = overlap(sprite.box, frame)
            part(self._ground_free, box, (0, 0))[:] *= 1 - part(sprite.rgba[..., 3], box, (sprite.left, sprite.top))

    def frame(self, t: int, without: frozenset[int] = frozenset()) -> tuple[np.ndarray, list[Seen]]:
        """Return the picture (H, W, 3) uint8 RGB of instant t and what is in it, by ascending index.

        `without` leaves objects out, and changes nothing else.
        """
        picture = self.background.copy()
        indices, sprites = self._sprites(t, without)
        for i in indices:
            self._shade(picture, t, i)
        eye = np.array(self.camera.position[:2])
        visible = compose(picture, sprites, self.still, eye)
        seen = [Seen(indices[place], sprites[place].xyxy, share) for place, share in visible.items()]
        rng = np.random.default_rng([*self.seed, 1, t])
        return self.weather.develop(picture, rng), sorted(seen, key=lambda s: s.index)

    def _sprites(self, t: int, without: frozenset[int]) -> tuple[list[int], list[Sprite]]:
        """Paint everything that may be in the picture of instant t."""
        motion, camera = self.motion, self.camera
        frame = 0, 0, camera.width_px, camera.height_px
        indices, sprites = [], []
        for i in self._perhaps_in_view(t):
            if i in without or not self._may_see(i, t):
                continue
            sprite = shapes.painted(
                motion.looks[i],
                camera,
                motion.xy[t, i],
                motion.heading[t, i],
                shapes.Pose(motion.phase[t, i], motion.speed[t, i], bool(motion.braking[t, i])),
            )
            if sprite is None or not overlap(sprite.box, frame):
                continue
            if self.weather.unevenness:
                rng = np.random.default_rng([*self.seed, 2, t, i])
                light = wardrobe.uneven(rng, sprite.rgba.shape[:2], self.weather.unevenness)
                light = np.minimum(light, 1)
                sprite.rgba = cv2.multiply(sprite.rgba, cv2.merge([light, light, light, np.ones_like(light)]))
            indices.append(i)
            sprites.append(sprite)
        return indices, sprites

    def _perhaps_in_view(self, t: int) -> list[int]:
        """Return the objects in range whose surrounding ball is not surely outside the picture."""
        camera, xy = self.camera, self.motion.xy[t]
        near = np.flatnonzero(np.linalg.norm(xy - camera.position[:2], axis=1) < MAX_RANGE_M)  # not NaN: who is gone
        points, depth = camera.project_ground(xy[near])
        reach = self._reach_m[near]
        room = reach * 1.5 * camera.focal_px / np.maximum(depth - reach, 0.1)
        size = camera.width_px, camera.height_px
        beside = ((points < -room[:, None]) | (points > size + room[:, None])).any(1)
        return near[(depth > -reach) & ~((depth > reach + 1) & beside)].tolist()

    def _may_see(self, i: int, t: int) -> bool:
        """Tell whether an object's surrounding block reaches into the picture; things beside or behind it do not."""
        look, xy = self.motion.looks[i], self.motion.xy[t, i]
        base = shapes.base(look, xy, self.motion.heading[t, i]) if not isinstance(look, PersonLook) else xy + SQUARE
        top_m = shapes.height_m(look)
        block = np.concatenate([np.column_stack([base, np.full(4, z)]) for z in (0.0, top_m)])
        points, depth = self.camera.project(block)
        low, high = points.min(0), points.max(0)
        size = self.camera.width_px, self.camera.height_px
        return bool((depth > NEAREST_M).all() and (high > 0).all() and (low < size).all())

    def _shade(self, picture: np.ndarray, t: int, i: int) -> None:
        """Lay an object's shadow on the ground."""
        look, xy, heading = self.motion.looks[i], self.motion.xy[t, i], self.motion.heading[t, i]
        if isinstance(look, Rider):
            return  # the machine's shadow is there
        low = shapes.base(look, xy, heading)
        low = xy + (low - xy) * 1.04
        high = xy + (low - xy) * 0.8 + self.weather.shadow_m * look.height_m * 0.9
        outline = cv2.convexHull(np.concatenate([low, high]).astype(np.float32)).reshape(-1, 2)
        points, depth = self.camera.project_ground(outline.astype(float))
        if (depth > NEAREST_M).all() and np.abs(points).max() < 8000:
            lay_shadow(picture, points, self.weather.shadow_strength, self._ground_free)


def _behind(sprite: Sprite, walls: list[Sprite], camera: Camera) -> bool:
    """Take away, in place, what house fronts hide of something that stands; tell whether anything is left."""
    box = overlap(sprite.box, (0, 0, camera.width_px, camera.height_px))
    if box is None:
        return False
    left = cover(sprite, box, walls, np.array(camera.position[:2]))
    patch = part(sprite.rgba, box, (sprite.left, sprite.top))
    patch *= np.divide(left, patch[..., 3], out=np.zeros_like(left), where=patch[..., 3] > 0)[..., None]
    return bool(left.max() > 0)


def _hang_sky(picture: np.ndarray, sky: np.ndarray, walls: list[Sprite]) -> None:
    """Put the sky above the horizon wherever no house front is, in place."""
    rows = min(len(sky), len(picture))
    free = np.ones((rows, picture.shape[1]), np.float32)
    for wall in walls:
        box = overlap(wall.box, (0, 0, picture.shape[1], rows))
        if box:
            part(free, box, (0, 0))[:] *= 1 - part(wall.rgba[..., 3], box, (wall.left, wall.top))
    above = picture[:rows] * (1 - free[..., None]) + sky[:rows] * free[..., None]
    picture[:rows] = above.astype(np.uint8)


def _tinted(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """Return the backdrop in other colours and unevenly lit: pavements of no particular town."""
    strength = 0.25 if rng.random() < 0.75 else 0.6
    mix = np.eye(3) + strength * rng.normal(0, 0.35, (3, 3))
    mix *= rng.uniform(0.6, 1.25) / np.maximum(mix.sum(1, keepdims=True), 0.3)
    picture = cv2.transform(picture, mix.astype(np.float32))
    light = wardrobe.uneven(rng, picture.shape[:2], float(rng.uniform(0, 0.2)))
    return np.clip(picture * light[..., None], 0, 255).astype(np.uint8)
