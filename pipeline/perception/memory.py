"""What a camera saw a moment ago, to part what has merged since and to complete what has lost its head or legs.

People who meet become one blob, and no outline tells how they stand in it; but where they were and how they walked
does (merging and splitting of groups: McKenna et al. 2000, "Tracking groups of people"). Each thing seen apart is
remembered with its size and speed. Where a blob holds several of them and falls into fewer parts, they are laid into it
by their speed and by the blob's edges: its left edge is that of the leftmost, its upper edge the highest head. Before
a vehicle, whose edges turn and grow, people are believed to go on as they did for a moment, and the rest is it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

from pipeline import boxes as box_geometry
from pipeline.perception import silhouettes

KNOWN_AFTER = 4
"""Frames in which something was seen apart and whole before its size counts: a false part seldom lasts so long."""

TOGETHER = 3
"""Frames in which two were seen apart at once before they may hide each other: what takes turns is one thing, whole now
and its legs alone a moment later."""

LEAST_HEIGHT = 0.65
"""Lower than this share of an adult (1.1 m) is a piece of somebody, or a child that nobody hides behind."""

SLIM = 0.6
"""Wider than this many times the height is a piece of a car, not somebody (in full stride 0.55)."""

LEAST_SHARE = 0.5
"""What is expected to lie so far inside a blob is in it."""

GAIN = 0.7
"""Share of an edge's surprise that moves a box: arms and legs swing, so a blob's edge is a third limb."""

SPEED_GAIN = 0.2
"""Share of a surprise that goes into the speed, and of a new size that goes into the size."""

FORGOTTEN_AFTER = 5
"""Frames after which what is nowhere to be seen is forgotten."""

HIDDEN_FRAMES = 30
"""... and what is hidden behind another."""

MERGED_FRAMES = 150
"""Frames for which two are believed to be in one blob that never came apart."""

CUT_OUT_FRAMES = 20
"""Frames for which somebody before a car is believed to go on as before: nobody's way is foretold for longer."""

LEGS = 0.15
"""Share of somebody's height that stands out below the car he passes: its sill is as high as his shins."""

LESS = 0.85
"""A part this much lower than expected, which agrees at one end, lacks something at the other."""

AGREES = 0.08
"""Ends this near, as a share of the height, agree."""

COMPLETED_FRAMES = 25
"""Frames in a row in which a part is completed; longer, and it has changed."""


@dataclass(slots=True)
class Known:
    """One thing that is remembered.

    xyxy       (4,) float, where it was last; speed (2,) float, pixels a frame
    size       (2,) float, width and height in heights of an adult at its place
    person     what it was taken for; number its own
    together   frames in which another (by its number) was seen apart at once with it
    seen       frames seen apart and whole; unseen, merged, completed: frames in a row of each
    """

    xyxy: np.ndarray
    speed: np.ndarray
    size: np.ndarray
    person: bool
    number: int
    together: dict[int, int]
    seen: int = 0
    unseen: int = 0
    merged: int = 0
    completed: int = 0


class Memory:
    """The things seen in one camera's last frames."""

    def __init__(self, adult_px: Callable[[np.ndarray], float], width_px: int, height_px: int) -> None:
        """adult_px  box (4,) -> height in pixels of an adult on its lower edge"""
        self._adult_px = adult_px
        self._size = width_px, height_px
        self._known: list[Known] = []
        self._expected: list[np.ndarray] = []
        self._numbers = count()

    def advance(self) -> None:
        """Go on to the next frame: carry everything where its speed takes it."""
        self._expected = [self._carried(one) for one in self._known]

    def in_blobs(self, blobs: np.ndarray) -> list[list[int]]:
        """Tell for each blob (B, 4) which of the known people are in it; nobody where a vehicle is too."""
        members: list[list[int]] = [[] for _ in blobs]
        if len(blobs) == 0 or not self._known:
            return members
        expected = np.array(self._expected)
        share = silhouettes.inside(expected, blobs.astype(float))
        overlap = np.where(share >= LEAST_SHARE, box_geometry.iou(expected, blobs.astype(float)), -1)
        for index, blob in enumerate(overlap.argmax(axis=1).tolist()):
            if overlap[index, blob] >= 0 and self._known[index].seen >= KNOWN_AFTER:
                members[blob].append(index)
        return [self._of_many(inside) for inside in members]

    def _of_many(self, inside: list[int]) -> list[int]:
        """Leave out pieces of others: of those seen longest first, what was seen apart from each one before it.

        Nobody where a vehicle is among them: it turns and grows while it passes, so its edges cannot be foretold.
        """
        if any(not self._known[index].person for index in inside):
            return []
        kept: list[int] = []
        for index in sorted(inside, key=lambda index: -self._known[index].seen):
            together = self._known[index].together
            apart = all(together.get(self._known[other].number, 0) >= TOGETHER for other in kept)
            if not kept or (apart and self._is_whole(index) and self._is_whole(kept[0])):
                kept.append(index)
        return kept

    def _is_whole(self, index: int) -> bool:
        """Tell whether a known person may be one of several: no piece of somebody, or of a car."""
        width, height = self._known[index].size
        return bool(height >= LEAST_HEIGHT and width <= SLIM * height)

    def before(self, blob: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Take known people who stand before a vehicle out of its blob (4,): the rest (4,), their boxes (M, 4), who.

        They are believed to go on as they did, for CUT_OUT_FRAMES, where their legs stand out below the rest. Without
        any, the rest is the blob.
        """
        whole = [i for i, one in enumerate(self._known) if one.person and one.seen >= KNOWN_AFTER and self._is_whole(i)]
        boxes = self._boxes(whole)
        fresh = np.array([self._known[i].merged < CUT_OUT_FRAMES for i in whole], bool)
        near = fresh & (silhouettes.inside(boxes, blob[None].astype(float))[:, 0] >= LEAST_SHARE)
        rest = silhouettes.rest(mask, blob, boxes[near])
        legs = boxes[:, 3] - rest[3] >= LEGS * (boxes[:, 3] - boxes[:, 1])
        taken = np.flatnonzero(near & legs)
        for row in taken.tolist():
            one = self._known[whole[row]]
            one.xyxy, one.merged, one.unseen = boxes[row], one.merged + 1, 0
        return silhouettes.rest(mask, blob, boxes[taken]), boxes[taken], [whole[row] for row in taken.tolist()]

    def agree(self, members: list[int], parts: np.ndarray) -> bool:
        """Tell whether each member has a part (M, 4) of its own."""
        return len(silhouettes.pairs(self._boxes(members), parts)) == len(members)

    def laid_into(self, members: list[int], blob: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Lay members into a blob (4,) of the foreground (H, W) and return the boxes (M, 4) of those that show."""
        expected = self._boxes(members)
        surprise = self._surprise(expected, blob, mask)
        laid = expected + GAIN * np.tile(surprise, 2)
        inside = np.clip(blob[:2] - laid[:, :2], 0, None) - np.clip(laid[:, 2:] - blob[2:], 0, None)
        fits = laid[:, 2:] - laid[:, :2] <= blob[2:] - blob[:2]
        laid += np.tile(np.where(fits, inside, 0), 2)
        shows = silhouettes.shows(laid, mask)
        for row, index in enumerate(members):
            one = self._known[index]
            one.xyxy = laid[row]
            one.speed = one.speed + SPEED_GAIN * surprise[row]
            one.merged += 1
            one.unseen = 0 if shows[row] else one.unseen + 1
        return laid[shows]

    def completed(self, index: int, part: np.ndarray) -> np.ndarray:
        """Give a part (4,) the head or the legs it lacks, where the other end is where it is expected."""
        one, expected, x1, y1, x2, y2 = self._known[index], self._expected[index], *part
        height = expected[3] - expected[1]
        if not one.person or self._cut(part) or y2 - y1 >= LESS * height or one.completed >= COMPLETED_FRAMES:
            return part
        if silhouettes.inside(part[None].astype(float), expected[None])[0, 0] < LEAST_SHARE:
            return part
        head, foot = abs(y1 - expected[1]) <= AGREES * height, abs(y2 - expected[3]) <= AGREES * height
        if head == foot:
            return part
        one.completed += 1
        middle, half = (x1 + x2) / 2, max(x2 - x1, expected[2] - expected[0]) / 2
        rows = (y1, y1 + height) if head else (y2 - height, y2)
        return np.array([middle - half, rows[0], middle + half, rows[1]])

    def learn(self, boxes: np.ndarray, person: np.ndarray, laid: list[int], changed: np.ndarray) -> None:
        """Take in what was found in this frame: boxes (N, 4), of which `changed` (N,) are completed ones.

        laid   known things that were laid into a blob, which are not in `boxes`
        """
        others = [index for index in range(len(self._known)) if index not in laid]
        pairs = silhouettes.pairs(self._boxes(others), boxes)
        found = {others[row]: box for row, box in pairs}
        for index in others:
            one = self._known[index]
            if index in found:
                self._see(one, boxes[found[index]], bool(person[found[index]]), bool(changed[found[index]]))
            else:
                one.xyxy, one.unseen = self._expected[index], one.unseen + 1
        at_once = [self._known[index] for index in found]
        for one in at_once:
            for other in at_once:
                if other is not one:
                    one.together[other.number] = one.together.get(other.number, 0) + 1
        old = set(found.values())
        self._known = [one for index, one in enumerate(self._known) if _is_remembered(one, hidden=index in laid)] + [
            self._new(boxes[i], bool(person[i])) for i in range(len(boxes)) if i not in old and not self._cut(boxes[i])
        ]

    def _new(self, box: np.ndarray, person: bool) -> Known:
        return Known(box.astype(float), np.zeros(2), self._relative(box), person, next(self._numbers), {}, seen=1)

    def _see(self, one: Known, box: np.ndarray, person: bool, changed: bool) -> None:
        """Take in where something was seen apart."""
        moved = _middle(box) - _middle(one.xyxy)
        rate = max(SPEED_GAIN, 1 / (1 + one.seen))
        one.speed = one.speed + rate * (moved - one.speed)
        one.xyxy, one.unseen, one.merged, one.person = box.astype(float), 0, 0, person
        if changed:
            return
        one.completed = 0
        if self._cut(box):
            return
        one.size = one.size + rate * (self._relative(box) - one.size)
        one.seen += 1

    def _carried(self, one: Known) -> np.ndarray:
        """Return where something is expected, as large as it looks there."""
        x, foot = (one.xyxy[0] + one.xyxy[2]) / 2 + one.speed[0], one.xyxy[3] + one.speed[1]
        if one.seen < KNOWN_AFTER:
            return one.xyxy + np.tile(one.speed, 2)
        width, height = one.size * self._adult_px(np.array([x - 1, 0, x + 1, foot]))
        return np.array([x - width / 2, foot - height, x + width / 2, foot])

    def _relative(self, box: np.ndarray) -> np.ndarray:
        return np.array([box[2] - box[0], box[3] - box[1]], float) / self._adult_px(box)

    def _boxes(self, index: list[int]) -> np.ndarray:
        return np.array([self._expected[i] for i in index], float).reshape(-1, 4)

    def _cut(self, box: np.ndarray) -> bool:
        """Tell whether a box reaches the picture's edge where it says where something stands: any but the upper one."""
        return bool(box[0] <= 0 or box[2] >= self._size[0] or box[3] >= self._size[1])

    def _surprise(self, expected: np.ndarray, blob: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return (M, 2), by how much the blob's edges say that each member lies elsewhere; 0 where none is its own.

        An edge belongs to the member whose own edge is nearest to the foreground that makes it.
        """
        total, n_edges = np.zeros((len(expected), 2)), np.zeros((len(expected), 2))
        x1, y1, x2, y2 = blob.tolist()
        inside = mask[y1:y2, x1:x2] > 0
        for side in range(4):
            if blob[side] <= 0 or (side >= 2 and blob[side] >= self._size[side - 2]):
                continue
            axis, far = side % 2, side >= 2
            line = inside[:, -far] if axis == 0 else inside[-far]  # the blob's own outermost column or row
            if not line.any():
                continue
            along = blob[1 - axis] + np.flatnonzero(line).mean()
            beside = np.maximum(expected[:, 1 - axis] - along, along - expected[:, 3 - axis]).clip(min=0)
            owner = np.hypot(beside, expected[:, side] - blob[side]).argmin()
            total[owner, axis] += blob[side] - expected[owner, side]
            n_edges[owner, axis] += 1
        return total / np.maximum(n_edges, 1)


def _is_remembered(one: Known, *, hidden: bool) -> bool:
    return one.unseen <= (HIDDEN_FRAMES if hidden else FORGOTTEN_AFTER) and one.merged <= MERGED_FRAMES


def _middle(box: np.ndarray) -> np.ndarray:
    """Bottom centre."""
    return np.array([(box[0] + box[2]) / 2, box[3]], float)
