"""What light, air, lens and recorder make of a picture: sun or cloud, haze, night, colour cast, blur, noise, clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

NIGHT_SHARE, HAZE_SHARE, GREY_SHARE, CLOCK_SHARE, SUN_SHARE = 0.15, 0.25, 0.07, 0.3, 0.5
NOISE_PICTURES = 2
NOISE_SEED = 4712


@dataclass(frozen=True, eq=False)
class Weather:
    """How one camera sees one world.

    shadow_m         where the shadow of a point 1 m up falls, metres (2,)
    shadow_strength  share of the light a shadow takes
    unevenness       how uneven light on objects is
    table            (256, 3) what becomes of each level of red, green, blue
    mix              (3, 3) colours to colours
    haze             (H, 1, 3) light added by the air, and haze_share (H, 1, 1) how much of the picture it replaces
    light            (H, W, 1) share of the light that reaches the ground; None by day
    blur_px, shake   standard deviation of the lens' blur; kernel of the camera's shake, or None
    shrink           the picture is recorded this much smaller and enlarged again
    sharpen          how much a recorder sharpens
    noise            (N, H + 32, W + 32, 3) int8
    clock            text in a corner, or empty
    """

    shadow_m: np.ndarray
    shadow_strength: float
    unevenness: float
    table: np.ndarray
    mix: np.ndarray
    haze: np.ndarray
    haze_share: np.ndarray
    light: np.ndarray | None
    blur_px: float
    shake: np.ndarray | None
    shrink: float
    sharpen: float
    noise: np.ndarray
    clock: str

    def develop(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return what the camera records of a picture (H, W, 3) uint8."""
        height, width = picture.shape[:2]
        if self.light is not None or self.haze_share.any():
            air = picture.astype(np.float32)
            if self.light is not None:
                air *= self.light
            air = air * (1 - self.haze_share) + self.haze * self.haze_share
            picture = np.minimum(air, 255).astype(np.uint8)
        picture = cv2.LUT(picture, self.table.reshape(1, 256, 3))
        picture = cv2.transform(picture, self.mix.astype(np.float32))
        if self.shrink < 1:
            small = cv2.resize(picture, None, fx=self.shrink, fy=self.shrink, interpolation=cv2.INTER_AREA)
            picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        if self.blur_px > 0.3:
            picture = cv2.GaussianBlur(picture, (0, 0), self.blur_px)
        if self.shake is not None:
            picture = cv2.filter2D(picture, -1, self.shake)
        down, right = rng.integers(0, 32, 2)
        noise = self.noise[rng.integers(len(self.noise))][down : down + height, right : right + width]
        picture = cv2.add(picture, noise, dtype=cv2.CV_8U)
        if self.sharpen > 0:
            soft = cv2.GaussianBlur(picture, (0, 0), 1.2)
            picture = cv2.addWeighted(picture, 1 + self.sharpen, soft, -self.sharpen, 0)
        if self.clock:
            _write(picture, self.clock, rng)
        return picture


def calm(rng: np.random.Generator, size: tuple[int, int]) -> Weather:
    """Draw a clouded day as in the town, seen by a camera like its own (views.py)."""
    levels = np.arange(256)[:, None] / 255.0
    table = 255 * np.clip(rng.uniform(0.94, 1.06, 3) * levels, 0, 1) ** rng.uniform(0.93, 1.07)
    height = size[1]
    return Weather(
        shadow_m=np.array([0.1, 0.14]),
        shadow_strength=0.3,
        unevenness=0.0,
        table=table.round().astype(np.uint8),
        mix=_saturation(rng.uniform(0.9, 1.1)),
        haze=np.zeros((height, 1, 3), np.float32),
        haze_share=np.zeros((height, 1, 1), np.float32),
        light=None,
        blur_px=0.0,
        shake=None,
        shrink=1.0,
        sharpen=0.0,
        noise=_noise(rng, size, (1.8, 3.4)),
        clock="",
    )


def draw(rng: np.random.Generator, size: tuple[int, int], horizon_px: float) -> Weather:
    """Draw the weather for a camera of `size` whose horizon is at row `horizon_px` (which may be above the picture)."""
    height = size[1]
    night = rng.random() < NIGHT_SHARE
    sunny = rng.random() < SUN_SHARE
    angle = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(0.3, 1.8) if sunny else rng.uniform(0.0, 0.25)
    rows = np.maximum(np.arange(height) - horizon_px, 1.0)[:, None, None]
    thick = rng.uniform(0.1, 1.2) if rng.random() < HAZE_SHARE else 0.0
    # Distance on the ground goes with one over the rows below the horizon.
    haze_share = (0.8 * (1 - np.exp(-thick * 0.3 * height / rows))).astype(np.float32)
    return Weather(
        shadow_m=reach * np.array([np.cos(angle), np.sin(angle)]),
        shadow_strength=float(rng.uniform(0.3, 0.65) if sunny else rng.uniform(0.0, 0.4)),
        unevenness=float(rng.uniform(0.0, 0.16)),
        table=_table(rng, night),
        mix=_mix(rng, night),
        haze=np.full((height, 1, 3), rng.uniform(120, 235) + rng.normal(0, 8, 3), np.float32),
        haze_share=haze_share,
        light=_lamps(rng, size, 0.5 if night else 0.35) if night or rng.random() < 0.2 else None,
        blur_px=float(rng.uniform(0.3, 1.3) if rng.random() < 0.5 else 0.0),
        shake=_shake(rng) if rng.random() < 0.12 else None,
        shrink=float(rng.uniform(0.45, 0.9) if rng.random() < 0.2 else 1.0),
        sharpen=float(rng.uniform(0.3, 1.5) if rng.random() < 0.3 else 0.0),
        noise=_noise(rng, size, (0.9, 9.0) if night else (0.5, 5.0)),
        clock=_clock(rng) if rng.random() < CLOCK_SHARE else "",
    )


def _table(rng: np.random.Generator, night: bool) -> np.ndarray:
    levels = np.arange(256)[:, None] / 255.0
    warmth = rng.normal(0, 0.08)
    gain = rng.uniform(0.7, 1.25) * (1 + np.array([warmth, rng.normal(0, 0.03), -warmth]))
    contrast, gamma = rng.uniform(0.65, 1.3), rng.uniform(0.7, 1.4)
    if night:
        gain = gain * rng.uniform(0.45, 0.8)
    table = np.clip(0.5 + contrast * (levels - 0.5), 0, 1) ** gamma * gain
    lift = rng.uniform(0, 0.1)
    return (255 * np.clip(lift + (1 - lift) * table, 0, 1)).round().astype(np.uint8)


def _mix(rng: np.random.Generator, night: bool) -> np.ndarray:
    return _saturation(0.0 if rng.random() < (0.4 if night else GREY_SHARE) else rng.uniform(0.4, 1.4))


def _saturation(saturation: float) -> np.ndarray:
    grey = np.ones((3, 1)) * np.array([0.299, 0.587, 0.114])
    return saturation * np.eye(3) + (1 - saturation) * grey


def _lamps(rng: np.random.Generator, size: tuple[int, int], darkest: float) -> np.ndarray:
    """Return pools of light, or the large shadow of a house, as a share of the light."""
    coarse = np.full((12, 20), rng.uniform(darkest, 0.85), np.float32)
    for _ in range(rng.integers(1, 5)):
        y, x = rng.uniform(-2, 14), rng.uniform(-2, 22)
        near = np.hypot(*(np.mgrid[:12, :20] - np.array([y, x])[:, None, None])) / rng.uniform(2, 7)
        coarse += (rng.uniform(0.3, 1.2) * np.exp(-(near**2))).astype(np.float32)
    return np.clip(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), darkest, 1.6)[..., None]


def _shake(rng: np.random.Generator) -> np.ndarray:
    size = int(rng.choice((3, 5)))
    kernel = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    half = np.array([np.cos(angle), np.sin(angle)]) * size / 2
    middle = np.full(2, (size - 1) / 2)
    a, b = (np.round(middle + sign * half).clip(0, size - 1).astype(int) for sign in (-1, 1))
    cv2.line(kernel, a.tolist(), b.tolist(), 1.0)
    return kernel / kernel.sum()


@cache
def _grain() -> np.ndarray:
    """Return noise of deviation 1, grey and half as strong in colour, coarser (H, W, 3) float32."""
    rng = np.random.default_rng(NOISE_SEED)
    grey = rng.standard_normal((1024, 1400, 1), np.float32)
    colour = 0.5 * rng.standard_normal((512, 700, 3), np.float32)
    return grey + np.repeat(np.repeat(colour, 2, 0), 2, 1)


def _noise(rng: np.random.Generator, size: tuple[int, int], levels: tuple[float, float]) -> np.ndarray:
    level = np.float32(rng.uniform(*levels))
    grain = _grain()
    height, width = size[1] + 32, size[0] + 32
    corners = rng.integers((0, 0), (grain.shape[0] - height, grain.shape[1] - width), (NOISE_PICTURES, 2))
    cuts = [grain[y : y + height, x : x + width] for y, x in corners.tolist()]
    return np.stack([np.clip(cut * level, -127, 127).astype(np.int8) for cut in cuts])


def _clock(rng: np.random.Generator) -> str:
    day = f"20{rng.integers(10, 30)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"
    return f"{day} {rng.integers(24):02}:{rng.integers(60):02}:{rng.integers(60):02}"


def _write(picture: np.ndarray, text: str, rng: np.random.Generator) -> None:
    """Write a recorder's text into a corner, in place."""
    height, width = picture.shape[:2]
    scale = height / 360 * 0.5
    corner = (int(0.02 * width), int(0.06 * height)) if rng.random() < 0.7 else (int(0.55 * width), int(0.97 * height))
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, (250, 250, 250), 1, cv2.LINE_AA)
