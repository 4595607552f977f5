"""One camera's pictures: the still town, then frame by frame shadows, people, vehicles, and the camera's colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo import furniture, ground, world
from pipeline.demo.backdrop import Floor, furnish, paint_backdrop
from pipeline.demo.camera import Camera
from pipeline.demo.composite import compose
from pipeline.demo.figure import figure
from pipeline.demo.looks import PersonLook, VehicleLook
from pipeline.demo.paint import Sprite, lay_shadow, make_sprite, overlap, part
from pipeline.demo.simulation import Motion
from pipeline.demo.vehicle import footprint, vehicle

SHADOW_STRENGTH = 0.3
SHADOW_DRIFT_M = np.array([0.10, 0.14])
"""A clouded sky: soft, short shadows, a little away from the brighter side."""
LIGHT_DRIFT = 0.035
LIGHT_PERIOD_S = 47.0
"""Clouds: daylight swells and fades by a few per cent."""
NOISE_PICTURES = 6
MAX_RANGE_M = 75.0
NEAREST_M = 1.0
"""Nothing further from a camera, or nearer along its view, can be in its picture: they look down from 8 m."""
SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


@dataclass(frozen=True, eq=False)
class Seen:
    """One object in one frame of one camera.

    xyxy        (4,) exact bounds of its whole outline, hidden parts and parts outside the picture included
    visibility  share of its outline's pixels that are in the picture and not hidden
    """

    index: int
    xyxy: np.ndarray
    visibility: float


class Scene:
    """Paints the frames of one camera. Equal seed and motion give equal pictures, in any order of asking."""

    def __init__(self, camera: Camera, motion: Motion, seed: int, fps: float) -> None:
        self.camera = camera
        self.motion = motion
        self.fps = fps
        self._standing = furniture.furniture(camera)
        picture, self._walls = paint_backdrop(camera, town_floor(), world.FACADES)
        self.background = furnish(picture, self._standing, camera)
        rng = np.random.default_rng([seed, 3, *camera.camera_id.encode()])
        size = (camera.height_px + 32, camera.width_px + 32, 3)
        self._noise = [rng.normal(0, camera.tone.noise, size).round().astype(np.int16) for _ in range(NOISE_PICTURES)]
        self._noise_at = rng.integers(0, 32, (max(motion.frames, 1), 2))
        y, x = np.mgrid[-1 : 1 : camera.height_px * 1j, -1 : 1 : camera.width_px * 1j]
        fall = 1 - camera.tone.vignette * (x**2 + y**2) / 2
        self._vignette = np.repeat((fall * 255).astype(np.uint8)[..., None], 3, axis=2)
        self._ground_free = np.ones((camera.height_px, camera.width_px), np.float32)
        for sprite in (*self._standing, *self._walls):
            box = overlap(sprite.box, self._picture_box)
            part(self._ground_free, box, (0, 0))[:] *= 1 - part(sprite.rgba[..., 3], box, (sprite.left, sprite.top))

    @property
    def _picture_box(self) -> tuple[int, int, int, int]:
        return 0, 0, self.camera.width_px, self.camera.height_px

    def frame(self, t: int) -> tuple[np.ndarray, list[Seen]]:
        """Return the picture (H, W, 3) uint8 RGB of frame t and what is in it, by ascending index."""
        picture = self.background.copy()
        indices, sprites = self._sprites(t)
        for i in indices:
            lay_shadow(picture, self._shadow(t, i), SHADOW_STRENGTH, self._ground_free)
        eye = np.array(self.camera.position[:2])
        visible = compose(picture, sprites, [*self._standing, *self._walls], eye)
        seen = [Seen(indices[place], sprites[place].xyxy, visibility) for place, visibility in visible.items()]
        return self._develop(picture, t), sorted(seen, key=lambda s: s.index)

    def _sprites(self, t: int) -> tuple[list[int], list[Sprite]]:
        """Paint everything that may be in the picture of frame t."""
        motion, camera = self.motion, self.camera
        away = np.linalg.norm(motion.xy[t] - camera.position[:2], axis=1)
        indices, sprites = [], []
        for i in np.flatnonzero(away < MAX_RANGE_M).tolist():  # NaN, who is not in town, compares false
            look, xy, heading = motion.looks[i], motion.xy[t, i], motion.heading[t, i]
            if not self._may_see(look, xy, heading):
                continue
            if isinstance(look, VehicleLook):
                shape = vehicle(look, camera, xy, heading, bool(motion.braking[t, i]))
                sprite = make_sprite(shape, footprint(look, xy, heading))
            else:
                shape = figure(look, camera, xy, heading, motion.phase[t, i], motion.speed[t, i])
                sprite = make_sprite(shape, xy + 0.2 * SQUARE)
            if overlap(sprite.box, self._picture_box):
                indices.append(i)
                sprites.append(sprite)
        return indices, sprites

    def _may_see(self, look: PersonLook | VehicleLook, xy: np.ndarray, heading: float) -> bool:
        """Tell whether an object's surrounding block reaches into the picture; things beside or behind it do not."""
        base = footprint(look, xy, heading) if isinstance(look, VehicleLook) else xy + 0.8 * SQUARE
        block = np.concatenate([np.column_stack([base, np.full(4, z)]) for z in (0.0, look.height_m * 1.03)])
        points, depth = self.camera.project(block)
        low, high = points.min(0), points.max(0)
        size = self.camera.width_px, self.camera.height_px
        return bool((depth > NEAREST_M).all() and (high > 0).all() and (low < size).all())

    def _shadow(self, t: int, i: int) -> np.ndarray:
        """Return the outline in the picture of an object's shadow on the ground."""
        look, xy, heading = self.motion.looks[i], self.motion.xy[t, i], self.motion.heading[t, i]
        if isinstance(look, VehicleLook):
            corners = footprint(look, xy, heading)
            outline = xy + (corners - xy) * 1.04 + SHADOW_DRIFT_M
        else:
            angle = np.arange(12) * np.pi / 6
            outline = xy + np.stack([0.3 * np.cos(angle), 0.24 * np.sin(angle)], axis=1) + SHADOW_DRIFT_M
        return self.camera.project_ground(outline)[0]

    def _develop(self, picture: np.ndarray, t: int) -> np.ndarray:
        """Turn light into what this camera records."""
        tone = self.camera.tone
        light = 1 + LIGHT_DRIFT * np.sin(2 * np.pi * t / self.fps / LIGHT_PERIOD_S)
        levels = np.arange(256) / 255.0
        table = np.stack([255 * np.clip(g * light * levels, 0, 1) ** tone.gamma for g in tone.gain], axis=1)
        picture = cv2.multiply(picture, self._vignette, scale=1 / 255)
        picture = cv2.LUT(picture, table.round().astype(np.uint8).reshape(1, 256, 3))
        if tone.saturation != 1:
            grey = (1 - tone.saturation) * np.array([0.299, 0.587, 0.114])
            picture = cv2.transform(picture, (tone.saturation * np.eye(3) + grey).astype(np.float32))
        down, right = self._noise_at[t]
        noise = self._noise[t % NOISE_PICTURES][down:, right:][: self.camera.height_px, : self.camera.width_px]
        return cv2.add(picture, noise, dtype=cv2.CV_8U)


def town_floor() -> Floor:
    """Return the town's ground."""
    return Floor(ground.paint_ground(), ground.PX_PER_M, world.GROUND_X_M[0], world.GROUND_Y_M[1], ground.PAVEMENT)
