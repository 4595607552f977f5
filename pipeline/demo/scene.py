"""One camera's pictures: the still town, then frame by frame shadows, people, vehicles, and the camera's colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.demo import facades, furniture, ground, world
from pipeline.demo.camera import Camera
from pipeline.demo.figure import figure
from pipeline.demo.looks import PersonLook, VehicleLook
from pipeline.demo.paint import Sprite, back_to_front, lay_shadow, make_sprite, overlap, part, stands_before
from pipeline.demo.simulation import Motion
from pipeline.demo.vehicle import footprint, vehicle

BACKDROP_SCALE = 2
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
        self._walls: list[Sprite] = []
        self.background = self._backdrop()
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

    def _backdrop(self) -> np.ndarray:
        """Paint the town without its traffic (H, W, 3) uint8."""
        camera, scale = self.camera, BACKDROP_SCALE
        size = camera.width_px * scale, camera.height_px * scale
        metres = np.array(
            [[1 / ground.PX_PER_M, 0, world.GROUND_X_M[0]], [0, -1 / ground.PX_PER_M, world.GROUND_Y_M[1]], [0, 0, 1]]
        )
        zoom = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
        flat = zoom @ camera.matrix[:, [0, 1, 3]] @ metres
        picture = cv2.warpPerspective(
            ground.paint_ground(), flat, size, flags=cv2.INTER_AREA, borderValue=ground.PAVEMENT
        )
        eye = np.array(camera.position[:2])
        far_first = sorted(world.FACADES, key=lambda f: -_distance(np.array(f.left), np.array(f.right), eye))
        for front in far_first:
            self._walls += _wall(facades.hang(picture, camera, front, scale), front)
        picture = cv2.resize(picture, (camera.width_px, camera.height_px), interpolation=cv2.INTER_AREA)
        canvas = picture.astype(np.float32)
        for i in back_to_front(self._standing, eye):
            sprite = self._standing[i]
            _blend(canvas, sprite, overlap(sprite.box, self._picture_box))
        return np.clip(canvas, 0, 255).astype(np.uint8)

    def frame(self, t: int) -> tuple[np.ndarray, list[Seen]]:
        """Return the picture (H, W, 3) uint8 RGB of frame t and what is in it, by ascending index."""
        picture = self.background.copy()
        indices, sprites = self._sprites(t)
        for i in indices:
            lay_shadow(picture, self._shadow(t, i), SHADOW_STRENGTH, self._ground_free)
        eye = np.array(self.camera.position[:2])
        visible: dict[int, np.ndarray] = {}
        for place in back_to_front(sprites, eye):
            sprite = sprites[place]
            box = overlap(sprite.box, self._picture_box)
            if box is None:
                continue
            alpha = self._cover(sprite, box, eye)
            patch = part(picture, box, (0, 0))
            colour = part(sprite.rgba, box, (sprite.left, sprite.top))
            seen_share = np.divide(alpha, colour[..., 3], out=np.zeros_like(alpha), where=colour[..., 3] > 0)
            patch[:] = (patch * (1 - alpha[..., None]) + 255 * colour[..., :3] * seen_share[..., None] + 0.5).astype(
                np.uint8
            )
            for other, left in visible.items():
                common = overlap(box, overlap(sprites[other].box, self._picture_box))
                if common:
                    at = overlap(sprites[other].box, self._picture_box)
                    part(left, common, at)[:] *= 1 - part(alpha, common, box)
            visible[place] = alpha
        seen = [
            Seen(indices[place], sprites[place].xyxy, float(left.sum() / sprites[place].rgba[..., 3].sum()))
            for place, left in visible.items()
        ]
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

    def _cover(self, sprite: Sprite, box: tuple, eye: np.ndarray) -> np.ndarray:
        """Return how much of each pixel of `box` the sprite covers, where nothing that stands still is in front."""
        alpha = part(sprite.rgba[..., 3], box, (sprite.left, sprite.top)).copy()
        for still in (*self._standing, *self._walls):
            common = overlap(box, still.box)
            if common and stands_before(still.footprint, sprite.footprint, eye):
                part(alpha, common, box)[:] *= 1 - part(still.rgba[..., 3], common, (still.left, still.top))
        return alpha

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


def _blend(canvas: np.ndarray, sprite: Sprite, box: tuple) -> None:
    """Lay a sprite over a float picture."""
    rgba = part(sprite.rgba, box, (sprite.left, sprite.top))
    patch = part(canvas, box, (0, 0))
    patch[:] = patch * (1 - rgba[..., 3:]) + 255 * rgba[..., :3]


def _wall(mask: np.ndarray, front: world.Facade) -> list[Sprite]:
    """Return a house front as something that hides what is behind it (no colour needed), or nothing where unseen."""
    size = mask.shape[1] // BACKDROP_SCALE, mask.shape[0] // BACKDROP_SCALE
    alpha = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return []
    left, right, top, bottom = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    rgba = np.zeros((bottom - top, right - left, 4), np.float32)
    rgba[..., 3] = alpha[top:bottom, left:right]
    a, b = np.array(front.left, float), np.array(front.right, float)
    inwards = np.array([-(b - a)[1], (b - a)[0]]) * 0.05 / np.linalg.norm(b - a)
    footprint_m = np.array([a, b, b + inwards, a + inwards])
    return [Sprite(int(left), int(top), rgba, np.array([left, top, right, bottom], float), footprint_m)]


def _distance(left: np.ndarray, right: np.ndarray, eye: np.ndarray) -> float:
    """Return the distance from a point to a wall on the ground plan."""
    along = right - left
    share = np.clip((eye - left) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(left + share * along - eye))
