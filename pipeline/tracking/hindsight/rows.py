"""What hindsight holds back: boxes not yet written (and a few that are, for context), and the frames they stand in."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline.types import Detections


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
    def of_frame(track: np.ndarray, step: int, detections: Detections) -> Boxes:
        """Return the boxes of one frame, `detections` being those of the tracks `track` (N,)."""
        n_boxes = len(track)
        return Boxes(
            track,
            np.full(n_boxes, step, np.int64),
            detections.class_id,
            detections.score,
            detections.xyxy,
            np.zeros(n_boxes, bool),
        )

    @staticmethod
    def concatenate(parts: list[Boxes]) -> Boxes:
        """Stack boxes in order."""
        parts = [Boxes.of_frame(np.zeros(0, np.int64), 0, Detections.empty()), *parts]
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

    def followed_by(self, frame: list, captured_at_us: list, segment_id: list, clock: list, warp: list) -> Frames:
        """Return these and the frames after them, a list per column."""
        more = Frames(
            self.first_step + len(self),
            np.array(frame, np.int32),
            np.array(captured_at_us, np.int64),
            np.array(segment_id, object),
            np.array(clock, np.float64),
            np.array(warp, np.float64).reshape(-1, 2, 3),
        )
        columns = [field.name for field in fields(Frames)][1:]
        return Frames(
            self.first_step, *(np.concatenate([getattr(self, name), getattr(more, name)]) for name in columns)
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
