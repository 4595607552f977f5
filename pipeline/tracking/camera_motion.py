"""How the picture of a camera that pans, shakes or rides has moved from one processed frame to the next.

Corners of the frame before are followed by sparse optical flow into the present one, and the shift, turn and zoom that
most of them agree on is the camera's own motion: the global motion compensation of BoT-SORT (Aharon, Orfaig and
Bobrovsky 2022, section 3.2). Two things differ. Every block of the picture gives one corner, instead of the strongest
corners of the whole: a burnt-in clock over a dark scene then holds a few blocks and not all corners. And no corner is
taken on what was detected, since it moves by itself.

ECC alignment (Evangelidis and Psarakis 2008) was tried beside it and is not kept: whatever walks pulls it along (see
tests/benchmarks/camera_motion.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.errors import LakeError
from pipeline.tracking import snapshot

LONGEST_SIDE_PX = 480
"""Frames are shrunk by a whole number until no side is longer: errors stay far below a pixel, 1080p costs a few ms."""

BLOCK_PX = 24
"""Side of the blocks that give one corner each, in the shrunk frame. 16 halves no error and doubles the time."""

MIN_CORNER = 1e-4
"""Least strength of a corner: the smaller eigenvalue by cv2.cornerMinEigenVal with blocks of 3x3, of the relief scaled
to 0 ... 1. Also the value below which OpenCV's flow follows no point. A blank wall and a lens cap have none."""

_FLOW = {"winSize": (21, 21), "maxLevel": 3, "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.03)}
"""Window and pyramid of Lucas and Kanade's flow (Bouguet 2001): OpenCV's defaults, fewer iterations."""

MAX_RETURN_PX = 0.5
"""A corner followed there and back must end within this of where it began (shrunk frame): the forward-backward error
of Kalal, Mikolajczyk and Matas 2010."""

MAX_RESIDUAL_PX = 1.0
"""A corner agrees with a motion that leads it within this of where it went (shrunk frame): no scene is flat and no
lens perfect."""

CLOSE_RESIDUAL_PX = 0.25
MIN_CLOSE_SHARE = 0.5
"""Where this share of those that agree do so within so little, they alone say how the camera moved: things that move
slowly agree too, and pulled cameras that stand still along by up to 0.07 px a frame instead of 0.03."""

MIN_AGREEING = 10
MIN_AGREEING_SHARE = 0.25
"""Fewer corners that agree, or a smaller share of those followed, say nothing about the camera."""

MAX_ZOOM = 1.5
"""No lens zooms so far between two frames: a motion beyond comes from a cut or from mistaken corners."""

NO_CORNERS, LOST, DISAGREEING, IMPLAUSIBLE = "no corners", "corners lost", "no agreement", "implausible motion"
"""Why a motion stayed unknown; keys of `CameraMotion.unknown`."""

STATE_VERSION = 1
"""Raised by one whenever saved bytes change their meaning."""

_AROUND_PX = 151
"""Side of the square whose mean `relief` takes off. With 31 the coarse levels of the pyramid have nothing left to look
at, and pans of 30 px a frame are lost (all are found with 151); with the whole picture, what comes into view at its
edge changes the light of the rest."""

_CONTRAST = 30.0
"""Standard deviation that `relief` gives a picture, 8-bit levels: four of them fit on either side of 128."""

_IDENTITY = np.eye(2, 3)


class CameraMotion:
    """The motion of one camera through its footage, batch after batch, segment after segment.

    Where batches are cut changes nothing, and neither does saving in between by `to_bytes`. Memory is one shrunk frame.

    unknown  number of frames since the start (saved states begin at 0) whose motion could not be told, by reason: for
             them it is given as none
    """

    def __init__(self, state: bytes | None = None) -> None:
        """Start afresh, or from what `to_bytes` gave. Raises LakeError where `state` does not fit."""
        self.unknown = {reason: 0 for reason in (NO_CORNERS, LOST, DISAGREEING, IMPLAUSIBLE)}
        self._size_px: tuple[int, int] | None = None  # width and height of the frames
        self._grey = np.zeros((0, 0), np.uint8)  # the last frame, shrunk
        self._corners = np.zeros((0, 2), np.float32)  # where to start in it
        if state is not None:
            self._restore(state)

    def warps(self, images: np.ndarray, foreground: Sequence[np.ndarray] | None = None) -> np.ndarray:
        """Take in T frames (T, H, W, 3) uint8 RGB; return (T, 2, 3) float64 affine maps, one into each of them.

        Each maps picture coordinates (pixels, whole numbers at pixel edges as in boxes) of the frame before to those
        of this frame, p' = A p + t, A a turn and zoom. The first frame ever has the identity; so has one whose motion
        stays unknown, which is counted.

        foreground  per frame (N, 4) boxes, pixels, of what may move by itself; without it the motion that most of the
                    picture shares is taken for the camera's
        Raises ValueError where the frames are of another size than those before, or `foreground` does not fit.
        """
        if foreground is not None and len(foreground) != len(images):
            raise ValueError(f"foreground: expected boxes for each of {len(images)} frames, got {len(foreground)}")
        warps = np.tile(_IDENTITY, (len(images), 1, 1))
        for i, image in enumerate(images):
            size_px = (image.shape[1], image.shape[0])
            if self._size_px not in (None, size_px):
                raise ValueError(f"camera motion: expected frames of {self._size_px} pixels as before, got {size_px}")
            grey = relief(image)
            to_full = np.array(size_px) / grey.shape[::-1]  # full pixels per shrunk one, x and y
            if self._size_px is not None:
                found = flow_warp(self._grey, grey, self._corners, to_full)
                if isinstance(found, str):
                    self.unknown[found] += 1
                else:
                    warps[i] = found
            covered = np.zeros((0, 4)) if foreground is None else foreground[i]
            self._grey, self._size_px = grey, size_px
            self._corners = block_corners(grey, covered / np.tile(to_full, 2))
        return warps

    def to_bytes(self) -> bytes:
        """Return what is needed to go on later: the last frame, shrunk and grey. Equal states give equal bytes."""
        return snapshot.to_bytes(
            {
                "camera_motion_version": np.array(STATE_VERSION),
                "size_px": np.array(self._size_px or (0, 0)),
                "grey": self._grey,
                "corners": self._corners,
            }
        )

    def _restore(self, state: bytes) -> None:
        """Take over a saved state. Raises LakeError where it is damaged or of another version."""
        try:
            arrays = snapshot.from_bytes(state)
            version = arrays["camera_motion_version"].item()
            if version != STATE_VERSION:
                raise ValueError(f"expected version {STATE_VERSION}, got {version}")
            width_px, height_px = arrays["size_px"].tolist()
            self._size_px = (width_px, height_px) if width_px else None
            self._grey, self._corners = arrays["grey"], arrays["corners"]
        except (KeyError, ValueError, TypeError) as error:
            raise LakeError(f"camera motion: damaged state ({error}); process the segment before again") from None


def block_corners(grey: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Return the best corner of each block of a grey picture (H, W) uint8, (N, 2) float32, x and y of pixel centres.

    Blocks without a corner give none, nor do pixels in the boxes `covered` (M, 4). A rim narrower than a block at the
    right and lower edge is left out.
    """
    strength = cv2.cornerMinEigenVal(grey, blockSize=3)  # (H, W) float32
    edges = np.clip(np.nan_to_num(covered), 0, np.tile(grey.shape[::-1], 2))
    for left, top, right, bottom in np.column_stack([np.floor(edges[:, :2]), np.ceil(edges[:, 2:])]).astype(int):
        strength[top:bottom, left:right] = 0
    rows, columns = grey.shape[0] // BLOCK_PX, grey.shape[1] // BLOCK_PX
    blocks = strength[: rows * BLOCK_PX, : columns * BLOCK_PX].reshape(rows, BLOCK_PX, columns, BLOCK_PX)
    blocks = blocks.transpose(0, 2, 1, 3).reshape(rows * columns, BLOCK_PX * BLOCK_PX)
    if not len(blocks):
        return np.zeros((0, 2), np.float32)
    best = blocks.argmax(axis=1)  # ties to the first, row by row
    row, column = np.divmod(np.arange(len(blocks)), columns)
    corners = np.column_stack([column * BLOCK_PX + best % BLOCK_PX, row * BLOCK_PX + best // BLOCK_PX])
    return corners[blocks.max(axis=1) > MIN_CORNER].astype(np.float32)


def flow_warp(before: np.ndarray, after: np.ndarray, corners: np.ndarray, to_full: np.ndarray) -> np.ndarray | str:
    """Return the motion (2, 3) float64 in full pixels between two shrunk grey pictures, or why it cannot be told.

    corners (N, 2) float32, pixel centres in `before`; to_full (2,), full pixels per shrunk one. The result depends on
    nothing but these: OpenCV draws the samples of RANSAC from a generator it seeds anew in every call.
    """
    if len(corners) < MIN_AGREEING:
        return NO_CORNERS
    there, was_found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners[:, None], None, **_FLOW)
    back, was_found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None, **_FLOW)
    off_px = np.linalg.norm(back[:, 0] - corners, axis=1)
    followed = (was_found[:, 0] > 0) & (was_found_back[:, 0] > 0) & (off_px <= MAX_RETURN_PX)
    if followed.sum() < MIN_AGREEING:
        return LOST
    start, end = (corners[followed] + 0.5) * to_full, (there[followed, 0] + 0.5) * to_full  # (F, 2), pixel edges
    affine, agreeing = _agree(start, end, MAX_RESIDUAL_PX * to_full.max())
    if agreeing.sum() < max(MIN_AGREEING, MIN_AGREEING_SHARE * followed.sum()):
        return DISAGREEING
    finer, closely = _agree(start[agreeing], end[agreeing], CLOSE_RESIDUAL_PX * to_full.max())
    if closely.sum() >= max(MIN_AGREEING, MIN_CLOSE_SHARE * agreeing.sum()):
        affine = finer
    zoom = np.sqrt(np.linalg.det(affine[:, :2]))
    return affine if 1 / MAX_ZOOM <= zoom <= MAX_ZOOM else IMPLAUSIBLE


def _agree(start: np.ndarray, end: np.ndarray, within_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the shift, turn and zoom (2, 3) that most points (F, 2) share, and which (F,) do; none where none is."""
    affine, agreeing = cv2.estimateAffinePartial2D(
        start, end, method=cv2.RANSAC, ransacReprojThreshold=within_px, confidence=0.999
    )
    if affine is None:
        return _IDENTITY, np.zeros(len(start), bool)
    return affine, agreeing[:, 0] > 0


def relief(image: np.ndarray) -> np.ndarray:
    """Shrink a picture (H, W, 3) uint8 RGB to at most LONGEST_SIDE_PX and keep what no change of light alters.

    Returns (h, w) uint8: grey less its mean around each pixel, as a share of the whole picture's contrast, about 128.
    Flow takes brightness for constant: with plain grey, an exposure changed by 5 % made the error five times as large
    and one changed by 20 % lost the motion.
    """
    height, width = image.shape[:2]
    factor = -(-max(height, width) // LONGEST_SIDE_PX)
    if factor > 1:
        size = (max(1, width // factor), max(1, height // factor))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = grey - cv2.blur(grey, (_AROUND_PX, _AROUND_PX))
    return np.clip(128 + _CONTRAST / (detail.std() + 1) * detail, 0, 255).astype(np.uint8)
