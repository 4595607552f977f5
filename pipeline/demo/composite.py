"""Laying sprites into a picture, the furthest first, and telling how much of each is left to see."""

from __future__ import annotations

import numpy as np

from pipeline.demo.paint import Sprite, back_to_front, overlap, part, stands_before


def compose(picture: np.ndarray, sprites: list[Sprite], still: list[Sprite], eye: np.ndarray) -> dict[int, float]:
    """Paint `sprites` into `picture` (H, W, 3) uint8, in place, behind what stands `still` in front of them.

    Returns the visibility of each by its place in `sprites`: the share of its outline's pixels that are in the picture
    and not hidden. Those that share no pixel with the picture are left out.
    """
    frame = 0, 0, picture.shape[1], picture.shape[0]
    visible: dict[int, np.ndarray] = {}
    boxes: dict[int, tuple] = {}
    for place in back_to_front(sprites, eye):
        sprite = sprites[place]
        box = overlap(sprite.box, frame)
        if box is None:
            continue
        alpha = cover(sprite, box, still, eye)
        patch = part(picture, box, (0, 0))
        colour = part(sprite.rgba, box, (sprite.left, sprite.top))
        seen_share = np.divide(alpha, colour[..., 3], out=np.zeros_like(alpha), where=colour[..., 3] > 0)
        patch[:] = (patch * (1 - alpha[..., None]) + 255 * colour[..., :3] * seen_share[..., None] + 0.5).astype(
            np.uint8
        )
        for other, left in visible.items():
            common = overlap(box, boxes[other])
            if common:
                part(left, common, boxes[other])[:] *= 1 - part(alpha, common, box)
        visible[place], boxes[place] = alpha, box
    return {place: float(left.sum() / sprites[place].rgba[..., 3].sum()) for place, left in visible.items()}


def cover(sprite: Sprite, box: tuple, still: list[Sprite], eye: np.ndarray) -> np.ndarray:
    """Return how much of each pixel of `box` the sprite covers, where nothing that stands still is in front."""
    alpha = part(sprite.rgba[..., 3], box, (sprite.left, sprite.top)).copy()
    for other in still:
        common = overlap(box, other.box)
        if common and stands_before(other.footprint, sprite.footprint, eye):
            part(alpha, common, box)[:] *= 1 - part(other.rgba[..., 3], common, (other.left, other.top))
    return alpha
