"""What a static camera sees when nobody is there, and where a frame differs from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.perception import standing

SHADOW_DARKEST = 0.4
"""Cast shadows outdoors keep at least this share of the light (alpha in Prati et al. 2003); darker is an object."""

FAINT_SHARE = 0.5
"""What differs by this share of the threshold counts below what differs clearly: two levels, as in Canny's edges."""

SHADOW_COLOUR_SHARE = 0.5
"""A shadow changes colour, its brightness apart, by less than this share of the difference threshold."""

SPREAD_FACTOR = 3.0 * 1.4826
"""Three standard deviations of a pixel's own unrest (leaves, water), from its median absolute deviation."""

ADAPTATION_S = 10.0
"""Time constant with which the empty background follows the light: clouds take longer, objects pass faster."""

ABSORPTION_S = 300.0
"""Time constant with which what stays becomes background: longer than a red light or a chat."""

GAIN_STEP_PX = 4
"""Every fourth pixel both ways is enough for the median that measures the frame's exposure."""

MEDIAN_ROWS = 32
"""Rows whose median is taken at a time: bounds the working memory."""


@dataclass(frozen=True, eq=False, slots=True)
class Difference:
    """Where one frame differs from the background.

    faint     (H, W) bool, by half of the threshold or more: soft shadows and the codec's halos as well
    clear     (H, W) bool, by the threshold or more
    core      (H, W) bool, those of the clear ones that are no shadow: part of an object
    distance  (H, W) float32, colour distance in thresholds
    """

    faint: np.ndarray
    clear: np.ndarray
    core: np.ndarray
    distance: np.ndarray


class Background:
    """The empty picture, from frames spread over the whole segment. Follows slow changes of the light.

    Foreground is told from shadow by splitting the colour difference into brightness and chromaticity (Horprasert,
    Harwood and Davis 1999).
    """

    def __init__(
        self, frames: np.ndarray, difference_threshold: float, frame_rate_fps: float, min_area_px: float
    ) -> None:
        """frames (n, H, W, 3) uint8 RGB in order, n >= 1; difference_threshold in 8-bit levels of colour distance;
        min_area_px of the smallest thing."""
        smoothed = np.stack([_smoothed(frame) for frame in frames])
        empty, spread = empty_picture(smoothed, difference_threshold, min_area_px)
        self._empty = empty.astype(np.float32)
        unrest = SPREAD_FACTOR * cv2.blur(spread, (3, 3))
        self._clear_sq = np.maximum(difference_threshold, unrest) ** 2  # (H, W)
        self._faint_sq = np.maximum(FAINT_SHARE * difference_threshold, unrest) ** 2
        self._shadow_sq = (SHADOW_COLOUR_SHARE * difference_threshold) ** 2
        self._adaptation = 1 / max(1.0, ADAPTATION_S * frame_rate_fps)
        self._absorption = 1 / max(1.0, ABSORPTION_S * frame_rate_fps)

    def subtract(self, frame: np.ndarray) -> Difference:
        """Compare the next frame (H, W, 3) uint8 RGB with the background, then let the background follow it."""
        picture = _smoothed(frame).astype(np.float32)
        picture /= exposure_gain(picture, self._empty)
        dot, own_sq = _channel_sum(picture * self._empty), _channel_sum(picture**2)
        empty_sq = np.maximum(_channel_sum(self._empty**2), 1.0)
        brightness = dot / empty_sq
        colour_sq = own_sq - dot * brightness
        distance_sq = np.maximum(own_sq - 2 * dot + empty_sq, 0)
        faint, clear = distance_sq > self._faint_sq, distance_sq > self._clear_sq
        shadow = (brightness > SHADOW_DARKEST) & (brightness < 1) & (colour_sq < self._shadow_sq)
        cv2.accumulateWeighted(picture, self._empty, self._adaptation, (~clear).astype(np.uint8))
        cv2.accumulateWeighted(picture, self._empty, self._absorption, clear.astype(np.uint8))
        return Difference(faint, clear, clear & ~shadow, np.sqrt(distance_sq / self._clear_sq))


def empty_picture(frames: np.ndarray, difference_threshold: float, min_area_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ground's colour (H, W, 3) uint8 and its unrest (H, W) float32, over frames (n, H, W, 3) in order.

    The colour is each pixel's median (the lower one of an even count), but for what stood there for longer than that.
    Unrest is the median of the largest channel's absolute difference from that colour, 8-bit levels, over the frames
    that show it.
    """
    middle = (len(frames) - 1) // 2
    common, rare = np.empty(frames.shape[1:], np.uint8), np.empty(frames.shape[1:], np.uint8)
    when = np.empty(frames.shape[1:3], np.uint8)
    for part in _strips(frames):
        common[part] = np.partition(frames[:, part], middle, axis=0)[middle]
        rare[part], when[part] = standing.rare_look(frames[:, part], common[part], difference_threshold)
    empty = standing.ground(standing.Looks(common, rare, when), min_area_px)
    spread = np.empty(frames.shape[1:3], np.float32)
    for part in _strips(frames):
        rows = frames[:, part]
        deviation = (np.maximum(rows, empty[part]) - np.minimum(rows, empty[part])).max(axis=-1)
        spread[part] = np.partition(deviation, middle, axis=0)[middle]
        # A look seen in half of the frames or fewer would take the object's distance for its own unrest.
        two = when[part] != standing.NONE
        spread[part][two] = _lower_half(deviation[:, two], difference_threshold)
    return empty, spread


def _strips(frames: np.ndarray) -> list[slice]:
    """Rows of the picture in strips of MEDIAN_ROWS."""
    return [slice(top, top + MEDIAN_ROWS) for top in range(0, frames.shape[1], MEDIAN_ROWS)]


def _lower_half(deviation: np.ndarray, limit: float) -> np.ndarray:
    """Median (K,) of those deviations (n, K) that are at most `limit`, 0 where none is."""
    ranked = np.sort(deviation, axis=0)
    seen = (deviation <= limit).sum(axis=0)
    return np.where(seen > 0, np.take_along_axis(ranked, (np.maximum(seen - 1, 0) // 2)[None], axis=0)[0], 0)


def exposure_gain(picture: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Return (3,) float32, by how much the whole picture is brighter than the background, channel by channel.

    The median of the ratio does not see objects while they cover less than half of the picture.
    """
    some = np.s_[::GAIN_STEP_PX, ::GAIN_STEP_PX]
    ratio = (picture[some] + 1) / (empty[some] + 1)  # the added level keeps black pixels from ruling
    return np.median(ratio.reshape(-1, 3), axis=0).astype(np.float32)


def _smoothed(picture: np.ndarray) -> np.ndarray:
    """Average sensor noise over the nearest neighbours."""
    return cv2.GaussianBlur(picture, (3, 3), 0)


def _channel_sum(picture: np.ndarray) -> np.ndarray:
    return cv2.transform(picture, np.ones((1, 3), np.float32))
