"""The detector that needs no weights: what differs from a static camera's empty picture, told apart by size."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.config import MotionConfig
from pipeline.perception import blobs, groups, scale, shadow
from pipeline.perception.background import Background, Difference
from pipeline.perception.frames import DeviceFrames
from pipeline.perception.memory import Memory
from pipeline.types import COCO_CLASSES, CameraView, Detections

PERSON, CAR = COCO_CLASSES.index("person"), COCO_CLASSES.index("car")

TALLEST_PERSON_M = 2.2
"""Nobody is taller with hat and umbrella; what is taller and narrow is two people, one behind the other."""

ADULT_M = 1.7
"""Height of an adult, where one must be supposed."""

SMALL_ADULT_M = 1.45
"""Height of a small adult, and more than a car's bonnet."""

WHOLE_HEIGHT_SHARE = 0.7
"""People side by side differ in height by less than this share: a child at the hand is 1.2 m, its parent 1.7 m."""

TALL_ADULT_M = 1.9
"""Height up to which something grey may be the lower part of somebody: one in twenty men is taller."""

SMALLEST_M = 0.7
"""Lower than a child who walks alone or a car: a dog, a bag, a piece of something."""

LEAST_CORE = 0.05
"""Something of whose pixels fewer are certain is a shadow alone: even all in grey one has a face and shoes."""

PAIR_WIDTHS = 1.25
"""Two people who overlap are at most so many times the widest person wide, 1.6 m of 1.3 m: there cars begin."""

PAIR_HEIGHT_SHARE = 0.85
"""... and at least so tall, as a share of an adult: 1.45 m."""

STRIDE = 0.55
"""Width over height of somebody in full stride (0.8 m of 1.7 m, bag or arms a little more)."""

SHOULDER_SHARE = 0.26
"""Shoulders (0.45 m) as a share of an adult's height: two heads side by side are no closer."""

SQUAT = 1.2
"""What is wider than this many times its height is no person, however small it looks."""

SHOE_SHARE = 0.12
"""Uncertain rows at the foot of somebody's box are shadow up to this share of its height, 0.2 m: so high are shoes."""

SILL_SHARE = 0.25
"""The same of a vehicle, 0.35 m of 1.4 m: above its wheels' rims and its sill it is bodywork."""

SLIMMEST = 0.15
"""Nobody is narrower than this many times their height: 0.26 m from the side; a lamp post's edge is."""

SOLID = 0.8
"""A vehicle's outline is convex but for the wheels and fills its hull; between people there are gaps."""

WHOLE_FILL = 0.25
"""Half of the least share of its box that a walking person fills, limbs spread: there the score's fill term is 2/3."""


class MotionDetector:
    """Background subtraction for one segment of one static camera.

    Its state (the background, which follows the light, and what was seen a moment ago) begins anew with every segment,
    from that segment's own frames only.

    doubles  "none": what it saw to be two people are two, however much one hides the other
    """

    doubles = "none"

    def __init__(self, config: MotionConfig, view: CameraView, sample: np.ndarray) -> None:
        """sample (n, H, W, 3) uint8 RGB, spread evenly over the segment; without any frame nothing is ever found."""
        self._min_height_px = config.min_height_px
        self._scale = scale.of_camera(config, view)
        self._calibrated = view.homography is not None
        self._lowest_row = feet_rows(self._scale, view.width_px, view.height_px)
        self._memory = Memory(
            lambda box: float(self._scale.height_px(box[None], ADULT_M)[0]), view.width_px, view.height_px
        )
        self._background = None
        # The smallest person is a third as wide as tall and fills half of that box.
        self._min_area_px = config.min_height_px**2 / 6
        if len(sample):
            self._background = Background(sample, config.difference_threshold, view.frame_rate_fps, self._min_area_px)

    def detect(self, frames: DeviceFrames) -> list[Detections]:
        """Return what moved, or stands where nothing stood, in each frame; frames must come in order."""
        if self._background is None:
            return [Detections.empty() for _ in range(len(frames))]
        return [self._detect_one(pixels) for pixels in frames.pixels]

    def _detect_one(self, pixels: np.ndarray) -> Detections:
        mask, certain, distance = self._see(pixels)
        found = blobs.components(mask, self._min_area_px)
        found = blobs.join_fragments(found, lambda box: self._scale.height_px(box[None], TALLEST_PERSON_M)[0])
        parts, changed, laid, members = self._apart(found, mask, certain)
        person = self._is_person(parts)
        keep = self._is_object(parts, person, width_px=pixels.shape[1])
        self._memory.learn(parts[keep], person[keep], members, changed[keep])
        boxes = np.concatenate([parts[keep], laid])
        person = np.concatenate([person[keep], np.full(len(laid), True)])
        height_px, width_px = mask.shape
        whole = np.clip(np.round(boxes), 0, (width_px, height_px, width_px, height_px)).astype(np.int64)
        class_id = np.where(person, PERSON, CAR).astype(np.int16)
        return Detections(boxes.astype(np.float32), score(blobs.measure(mask, distance, whole)), class_id)

    def _see(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what stands out of the background: mask (H, W) uint8, certain (H, W) bool, distance (H, W) float32."""
        difference = self._background.subtract(pixels)
        return self._objects(difference), difference.core, difference.distance

    def _apart(self, found: np.ndarray, mask: np.ndarray, certain: np.ndarray) -> tuple:
        """Part blobs (B, 4), by their outlines and by what is remembered.

        Returns the parts (N, 4) that outlines give and which of them (N,) memory completed, the boxes (L, 4) of people
        laid into blobs that did not come apart, and who of the known ones are in such blobs.
        """
        core, solid = blobs.clean(certain) & mask, blobs.solid(certain)
        self._memory.advance()
        apart, changed, laid, inside = [], [], [], []
        for box, members in zip(found, self._memory.in_blobs(found)):
            parts = np.array(self._parted(mask, core, box), np.int64).reshape(-1, 4)
            if len(parts) == 1 and not self._is_person(parts.astype(float))[0]:
                rest, people, who = self._memory.before(box, mask)
                if who and not self._is_person(rest[None].astype(float))[0]:
                    parts, members = rest[None], []
                    laid += list(people)
                    inside += who
            if len(members) > 1 and not self._memory.agree(members, parts):
                blob = shadow.grounded(box[None], solid, np.full(1, SHOE_SHARE))[0]
                laid += list(self._memory.laid_into(members, blob, mask))
                inside += members
                continue
            strip = np.where(self._is_person(parts.astype(float)), SHOE_SHARE, SILL_SHARE)
            parts = shadow.grounded(parts, solid, strip).astype(float)
            whole = [self._memory.completed(members[0], parts[0])] if len(parts) == len(members) == 1 else list(parts)
            changed += [not np.array_equal(*pair) for pair in zip(whole, parts)]
            apart += whole
        return (
            np.array(apart, float).reshape(-1, 4),
            np.array(changed, bool),
            np.array(laid, float).reshape(-1, 4),
            inside,
        )

    def _objects(self, difference: Difference) -> np.ndarray:
        """Take the cast shadows off what differs from the background: (H, W) uint8, 0 or 1.

        Of each connected thing this keeps what lies between its certain parts and what stands below them; all of it
        where it is as slim as a person, whom no shadow has widened then; and nothing where it is nearly all shadow.
        """
        clear = blobs.clean(difference.clear)
        count, label, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=8)
        core = blobs.solid(difference.core & (clear > 0))
        share = np.bincount(label[core], minlength=count) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
        real = share >= LEAST_CORE
        width, height = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
        slim = real & (width <= STRIDE * height)
        real[0] = slim[0] = False  # the background's own label
        kept = slim[label] | (shadow.between(core, label, stats, np.flatnonzero(real & ~slim)) & (clear > 0))
        # Without calibration nothing ends the search for feet at a person's height, and a soft shadow lies below them.
        reach = difference.faint if self._calibrated else difference.clear
        below = shadow.below(reach | kept, core & real[label], self._lowest_row)
        return blobs.clean(kept | below)

    def _parted(self, mask: np.ndarray, core: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
        """Part people who walk side by side or one behind the other, and a person beside a vehicle."""
        person_px = self._scale.widest_person_px(box[None])[0]
        tallest_px = self._scale.height_px(box[None], TALLEST_PERSON_M)[0]
        whole_px = self._scale.height_px(box[None], ADULT_M)[0]
        adult_px = min(box[3] - box[1], whole_px)
        pieces = blobs.part(mask, box, SHOULDER_SHARE * adult_px)
        if len(pieces) > 1 and self._is_person(pieces.astype(float)).any():
            return list(pieces)
        heads = groups.part_at_heads(mask, box, adult_px, SHOULDER_SHARE * adult_px)
        if len(heads) > 1 and self._side_by_side(heads, box):
            return list(heads)
        # Between two people lies their shadow, which may have filled the valley.
        pieces = blobs.part(core, box, SHOULDER_SHARE * adult_px)
        if len(pieces) > 1 and self._side_by_side(pieces, box):
            pieces[:, [1, 3]] = [blobs.rows(mask, piece) for piece in pieces]
            return list(pieces)
        width, height = box[2] - box[0], box[3] - box[1]
        if self._calibrated and person_px < width <= PAIR_WIDTHS * person_px and height >= PAIR_HEIGHT_SHARE * whole_px:
            half = self._halves(mask, box)
            return list(half) if self._is_person(half.astype(float)).all() else [box]
        if self._calibrated and width <= person_px and height > tallest_px:
            pair = self._front_and_back(box)
            return list(pair) if self._is_person(pair.astype(float)).all() else [box]
        return self._group(mask, box)

    def _side_by_side(self, pieces: np.ndarray, box: np.ndarray) -> bool:
        """Tell whether all pieces (M, 4) of a box (4,) are people as tall as it."""
        width, height = pieces[:, 2] - pieces[:, 0], pieces[:, 3] - pieces[:, 1]
        upright = (height >= WHOLE_HEIGHT_SHARE * (box[3] - box[1])) & (width >= SLIMMEST * height)
        return bool((upright & self._is_person(pieces.astype(float))).all())

    def _group(self, mask: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
        """Part what is too large for one person and too small for a vehicle, and not cut by the edge, into people."""
        height_px, width_px = mask.shape
        cut = box[0] <= 0 or box[1] <= 0 or box[2] >= width_px or box[3] >= height_px
        one = self._is_person(box[None].astype(float))[0]
        one &= box[3] - box[1] <= self._scale.height_px(box[None], TALLEST_PERSON_M)[0]
        lying = box[3] - box[1] < PAIR_HEIGHT_SHARE * self._scale.height_px(box[None], ADULT_M)[0]
        outline_px, filled_px = groups.hull_area(mask, box), mask[box[1] : box[3], box[0] : box[2]].sum()
        vehicle = filled_px > SOLID * outline_px or outline_px >= self._scale.smallest_vehicle_area_px(box)
        if cut or one or lying or vehicle:
            return [box]
        people = groups.stand(mask, box, self._adult_px)
        return list(people) if len(people) else [box]

    def _adult_px(self, x: float, foot: int) -> float:
        """Height in pixels of an adult who stands at (x, foot)."""
        return float(self._scale.height_px(np.array([[x - 1, 0.0, x + 1, foot]]), ADULT_M)[0])

    def _halves(self, mask: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Two adults arm in arm, too wide for one and too narrow for a car: (2, 4)."""
        x1, y1, x2, y2 = box
        middle = (x1 + x2) // 2
        halves = np.array([[x1, y1, middle, y2], [middle, y1, x2, y2]])
        halves[:, [1, 3]] = [blobs.rows(mask, half) for half in halves]
        return halves

    def _front_and_back(self, box: np.ndarray) -> np.ndarray:
        """Two adults in one narrow box: one stands on its lower edge, the other's head is at its upper edge: (2, 4)."""
        x1, y1, x2, y2 = box
        front = np.array([x1, y2 - round(self._scale.height_px(box[None], ADULT_M)[0]), x2, y2])
        rows = np.arange(y1 + 1, y2 + 1)
        heights = self._scale.height_px(np.stack([rows * 0 + x1, rows * 0, rows * 0 + x2, rows], axis=1), ADULT_M)
        foot = rows[np.abs(rows - heights - y1).argmin()]
        return np.stack([front, np.array([x1, y1, x2, foot])])

    def _is_person(self, xyxy: np.ndarray) -> np.ndarray:
        """Tell people from vehicles by width: (N,) bool."""
        width, height = xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]
        return (width <= self._scale.widest_person_px(xyxy)) & (width <= SQUAT * height)

    def _is_object(self, xyxy: np.ndarray, person: np.ndarray, *, width_px: int) -> np.ndarray:
        """Tell whole people and vehicles from noise and pieces: (N,) bool.

        What is cut by the left or right edge and narrow may be the bonnet of a car as well as a person: unless it is
        slim and as tall as an adult it waits until it is seen whole or is too wide for a person.
        """
        height = xyxy[:, 3] - xyxy[:, 1]
        large = (height >= self._min_height_px) & (xyxy[:, 2] - xyxy[:, 0] >= SLIMMEST * height)
        adult = xyxy[:, 2] - xyxy[:, 0] <= STRIDE * height
        if self._calibrated:
            large &= height >= self._scale.height_px(xyxy, SMALLEST_M)
            adult &= height >= self._scale.height_px(xyxy, SMALL_ADULT_M)
        cut = (xyxy[:, 0] <= 0) | (xyxy[:, 2] >= width_px)
        return large & ~(cut & person & ~adult)


def feet_rows(people: scale.Scale, width_px: int, height_px: int) -> np.ndarray:
    """Return (H,) int: the row of the feet of a tall adult whose head is in each row, in the middle of the picture.

    Feet below the picture are at its end. Heads are looked up among feet in and up to one picture below it.
    """
    feet = np.arange(2 * height_px)
    middle = np.full(len(feet), width_px / 2)
    boxes = np.stack([middle - 1, feet * 0, middle + 1, feet], axis=1)
    head = feet - people.height_px(boxes, TALL_ADULT_M)
    rising = np.maximum.accumulate(np.where(np.isfinite(head), head, -np.inf))
    return np.searchsorted(rising, np.arange(height_px), side="left").clip(max=height_px)


def score(measured: blobs.Blobs) -> np.ndarray:
    """Return (N,) float32 in [0, 1]: the geometric mean of how much and how fully a blob differs from the background.

    Each term is x / (x + half), one half where the difference is one threshold, two thirds where a spread-out walker
    fills its box: what just differs, or is a thin line, stays below the default score_threshold of 0.5.
    """
    contrast = measured.contrast / (measured.contrast + 1)
    fill = measured.fill / (measured.fill + WHOLE_FILL)
    return np.sqrt(contrast * fill).astype(np.float32)
