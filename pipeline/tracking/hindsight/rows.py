"""What hindsight holds back: boxes not yet written (and a few that are, for context), and the frames they stand in."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.tracking.block import Block


@dataclass(frozen=True, eq=False, slots=True)
class Boxes:
    """N boxes that the detector gave to tracks.

    track     (N,)   int64, id of the track; of the latest one where tracks were joined
    step      (N,)   int64, which frame of the camera's stream, counted from 0 at its start
    class_id  (N,)   int16;  score (N,) float32;  xyxy (N, 4) float32, pixels
    written   (N,)   bool, the lake has it already
    """

    track: np.ndarray
    step: np.ndarray
    class_id: np.ndarray
    score: np.ndarray
    xyxy: np.ndarray
    written: np.ndarray

    def __len__(self) -> int:
        return len(self.track)

    def take(self, index: np.ndarray) -> Boxes:
        """Return the boxes at `index` (integers or a boolean mask), in that order."""
        return Boxes(*(getattr(self, field.name)[index] for field in fields(self)))

    @staticmethod
    def none() -> Boxes:
        """Return no boxes."""
        none = np.zeros(0, np.int64)
        return Boxes(
            none, none, np.zeros(0, np.int16), np.zeros(0, np.float32), np.zeros((0, 4), np.float32), np.zeros(0, bool)
        )

    @staticmethod
    def of(block: Block, first_step: int) -> Boxes:
        """Return the boxes of a block of frames, the first of which is number `first_step`."""
        written = np.zeros(len(block), bool)
        return Boxes(block.track_id, first_step + block.place, block.class_id, block.score, block.xyxy, written)

    @staticmethod
    def concatenate(parts: list[Boxes]) -> Boxes:
        """Stack boxes in order; `parts` must not be empty."""
        return Boxes(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Boxes)))


@dataclass(frozen=True, eq=False, slots=True)
class Frames:
    """F frames in a row, the first of which is number `first_step` of the stream.

    frame (F,) int32, index in its file; captured_at_us (F,) int64; segment_id (F,) object (str);
    clock (F,) float64, frames since the start of the stream by the time on the clock; warp (F, 2, 3) float64, how the
    camera moved since the frame before
    """

    first_step: int
    frame: np.ndarray
    captured_at_us: np.ndarray
    segment_id: np.ndarray
    clock: np.ndarray
    warp: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @staticmethod
    def none(first_step: int = 0) -> Frames:
        """Return no frames, before number `first_step`."""
        return Frames(
            first_step,
            np.zeros(0, np.int32),
            np.zeros(0, np.int64),
            np.zeros(0, object),
            np.zeros(0),
            np.zeros((0, 2, 3)),
        )

    @staticmethod
    def of(block: Block, first_step: int, clock: np.ndarray) -> Frames:
        """Return the frames of a block, the first of which is number `first_step`."""
        return Frames(first_step, block.frame, block.captured_at_us, block.segment_id, clock, block.camera_warp)

    @staticmethod
    def concatenate(parts: list[Frames]) -> Frames:
        """Stack frames, each part following the one before; `parts` must not be empty."""
        columns = [field.name for field in fields(Frames)][1:]
        return Frames(
            parts[0].first_step, *(np.concatenate([getattr(part, name) for part in parts]) for name in columns)
        )

    def since(self, step: int) -> Frames:
        """Return the frames from number `step` on."""
        skip = max(0, step - self.first_step)
        return Frames(
            self.first_step + skip,
            self.frame[skip:],
            self.captured_at_us[skip:],
            self.segment_id[skip:],
            self.clock[skip:],
            self.warp[skip:],
        )

    def at(self, step: np.ndarray) -> np.ndarray:
        """Return where in the columns the frames of numbers `step` (N,) stand."""
        return step - self.first_step
