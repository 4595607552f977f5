"""Which few pictures stand for a tracklet: the quality of a crop, and a choice spread over the tracklet's life.

A tracklet's boxes are cut into spans of equal length and the best box of each span is kept. The spans start one box
long; when they outgrow the places there are, neighbours are joined and the better of the two stays. So memory is
bounded however long somebody stands before the camera, and the choice needs no second look at the footage.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipeline import boxes
from pipeline.types import EMBEDDING_DIM

_FULL_SIZE_PX = 128
"""Longer side above which more pixels do not help: the height of the crops of Market-1501 (Zheng et al. 2015)."""

_EDGE_PX = 1.0
"""A box this close to the picture's edge counts as cut off by it: detections are clipped to the picture."""

_CUT_OFF = 0.5
"""Worth of a crop that is cut off, against a whole one: usable where a tracklet has no better."""

_NO_CANDIDATE = -1.0
"""Quality of a place that holds nothing."""


def quality(xyxy: np.ndarray, score: np.ndarray, frame: np.ndarray, extent_xy: np.ndarray) -> np.ndarray:
    """Say how well each of N boxes shows its object, (N,) float32 in [0, 1]; 0 for a broken box.

    The product of: the detector's score; the share of the box that no other box of its frame covers (the other that
    covers most counts); the longer side in pixels over 128, at most 1; and one half where the box touches the
    picture's edge. xyxy (N, 4), score (N,); frame (N,) tells the boxes of one frame from those of another; extent_xy
    (N, 2) is the right and lower edge of the picture.
    """
    good = np.isfinite(xyxy).all(axis=1) & np.isfinite(score)
    corners = np.where(good[:, None], xyxy, 0).astype(np.float64)
    size = np.minimum((corners[:, 2:] - corners[:, :2]).max(axis=1, initial=0) / _FULL_SIZE_PX, 1)
    cut = (corners[:, :2] <= _EDGE_PX).any(axis=1) | (corners[:, 2:] >= extent_xy - _EDGE_PX).any(axis=1)
    value = np.where(good, score, 0) * (1 - _covered(corners, frame)) * size * np.where(cut, _CUT_OFF, 1)
    return np.clip(value, 0, 1).astype(np.float32)


def _covered(xyxy: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Return the greatest share of each box (N, 4) that one other box of its frame covers, (N,) in [0, 1]."""
    one, other = _side_by_side(xyxy[:, 0], xyxy[:, 2], frame)
    width = np.minimum(xyxy[one, 2], xyxy[other, 2]) - np.maximum(xyxy[one, 0], xyxy[other, 0])
    height = np.minimum(xyxy[one, 3], xyxy[other, 3]) - np.maximum(xyxy[one, 1], xyxy[other, 1])
    overlap = np.maximum(width, 0) * np.maximum(height, 0)
    greatest, area = np.zeros(len(xyxy)), boxes.area(xyxy)
    np.maximum.at(greatest, one, overlap)
    np.maximum.at(greatest, other, overlap)
    return np.divide(greatest, area, out=np.ones_like(area), where=area > 0)


def _side_by_side(left: np.ndarray, right: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every pair of boxes of one frame that overlap from left to right, as two arrays (P,)."""
    start, end = frame + 1j * left, frame + 1j * right  # complex numbers are in order of the real part, then the other
    order = np.argsort(start)
    next_to = np.arange(1, len(order) + 1)
    n_others = np.maximum(np.searchsorted(start[order], end[order]) - next_to, 0)
    one = np.repeat(next_to - 1, n_others)
    other = np.arange(len(one)) + np.repeat(next_to - (np.cumsum(n_others) - n_others), n_others)
    return order[one], order[other]


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """Exemplars so far of T living tracks, E places each, in order of time.

    stride          (T,)         int64, boxes a place stands for
    quality         (T, E)       float32, -1 where the place is empty
    captured_at_us  (T, E)       int64
    frame           (T, E)       int32
    embedding       (T, E, 128)  float32
    """

    stride: np.ndarray
    quality: np.ndarray
    captured_at_us: np.ndarray
    frame: np.ndarray
    embedding: np.ndarray

    @staticmethod
    def blank(n_tracks: int, n_places: int) -> Candidates:
        """Return the candidates of tracks that have shown nothing yet."""
        shape = (n_tracks, n_places)
        return Candidates(
            np.ones(n_tracks, np.int64),
            np.full(shape, _NO_CANDIDATE, np.float32),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int32),
            np.zeros((*shape, EMBEDDING_DIM), np.float32),
        )

    def take(self, index: np.ndarray) -> Candidates:
        """Return the tracks at `index` (integers or a boolean mask), in that order."""
        return Candidates(
            self.stride[index],
            self.quality[index],
            self.captured_at_us[index],
            self.frame[index],
            self.embedding[index],
        )

    def extend(self, n_new: int) -> Candidates:
        """Add `n_new` blank tracks after the present ones."""
        if n_new == 0:
            return self
        new = Candidates.blank(n_new, self.quality.shape[1])
        return Candidates(
            np.concatenate([self.stride, new.stride]),
            np.concatenate([self.quality, new.quality]),
            np.concatenate([self.captured_at_us, new.captured_at_us]),
            np.concatenate([self.frame, new.frame]),
            np.concatenate([self.embedding, new.embedding]),
        )

    @staticmethod
    def concatenate(parts: list[Candidates]) -> Candidates:
        """Stack tracks in order; `parts` must not be empty and have places alike."""
        names = [field.name for field in fields(Candidates)]
        return Candidates(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def continuing(self, row: np.ndarray, before: Candidates) -> Candidates:
        """Put before the candidates of the tracks `row` (R,) those of R earlier tracks, which they continue.

        Where there are more than places, they are cut in order of time into as many groups of equal size as there are
        places, and the best of each stays. Nothing more can be offered to such a track.
        """
        n_places = self.quality.shape[1]
        columns = {field.name: getattr(self, field.name).copy() for field in fields(self)}
        blank = Candidates.blank(1, n_places)
        for i, track in enumerate(row.tolist()):
            held, held_before = self.quality[track] > _NO_CANDIDATE, before.quality[i] > _NO_CANDIDATE
            quality = np.concatenate([before.quality[i][held_before], self.quality[track][held]])
            group = np.arange(len(quality)) * n_places // max(len(quality), n_places)
            best = np.lexsort((np.arange(len(quality)), -quality, group))
            best = best[np.diff(group[best], prepend=-1) > 0]
            for name in ("quality", "captured_at_us", "frame", "embedding"):
                both = np.concatenate([getattr(before, name)[i][held_before], getattr(self, name)[track][held]])
                columns[name][track] = getattr(blank, name)[0]
                columns[name][track, : len(best)] = both[best]
        return Candidates(**columns)

    def offer(
        self,
        row: np.ndarray,
        ordinal: np.ndarray,
        quality: np.ndarray,
        embedding: np.ndarray,
        *,
        captured_at_us: np.ndarray,
        frame: np.ndarray,
    ) -> Candidates:
        """Show B more boxes of the tracks `row` (B,), those of each track in order of time.

        ordinal (B,) numbers the box within its track from 0; quality, captured_at_us and frame (B,), embedding
        (B, 128). A box takes its place if it is better than what stands there: of equals the earlier stays.
        """
        n_places = self.quality.shape[1]
        latest = np.zeros(len(self.stride), np.int64)
        latest[row] = ordinal
        merged = self
        while len(full := np.flatnonzero(latest // merged.stride >= n_places)):
            merged = merged._merge(full)
        columns = [column.copy() for column in (merged.quality, merged.captured_at_us, merged.frame, merged.embedding)]
        held = merged.quality.reshape(-1)
        cell = row * n_places + ordinal // merged.stride[row]
        best = held.copy()
        np.maximum.at(best, cell, quality)
        winner = np.flatnonzero((quality == best[cell]) & (quality > held[cell]))
        cell, earliest = np.unique(cell[winner], return_index=True)
        winner = winner[earliest]
        for column, value in zip(columns, (quality, captured_at_us, frame, embedding)):
            column.reshape(-1, *column.shape[2:])[cell] = value[winner]
        return Candidates(merged.stride, *columns)

    def _merge(self, row: np.ndarray) -> Candidates:
        """Join neighbouring places of the tracks `row`, the better (of equals the earlier) candidate staying."""
        if len(row) == 0:
            return self
        n_places = self.quality.shape[1]
        n_joined = (n_places + 1) // 2
        left = 2 * np.arange(n_joined)
        right = np.minimum(left + 1, n_places - 1)  # an odd last place has no neighbour but itself
        prefers_right = self.quality[row][:, right] > self.quality[row][:, left]
        source = np.where(prefers_right, right, left)  # (R, n_joined)
        blank = Candidates.blank(len(row), n_places)
        stride = self.stride.copy()
        stride[row] *= 2
        columns = []
        for name in ("quality", "captured_at_us", "frame", "embedding"):
            column, joined = getattr(self, name).copy(), getattr(blank, name)
            joined[:, :n_joined] = column[row[:, None], source]
            column[row] = joined
            columns.append(column)
        return Candidates(stride, *columns)

    def chosen(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the track row (K,) and place (K,) of every candidate, by track and then time."""
        return np.nonzero(self.quality > _NO_CANDIDATE)

    def mean_embedding(self) -> np.ndarray:
        """Return (T, 128) float32 unit vectors: the normalised mean of each track's candidates.

        A track whose candidates cancel out exactly is given its first one. Every track must have a candidate.
        """
        held = (self.quality > _NO_CANDIDATE)[:, :, None]
        total = np.where(held, self.embedding, 0).sum(axis=1, dtype=np.float64)
        length = np.linalg.norm(total, axis=1, keepdims=True)
        first = self.embedding[np.arange(len(held)), held[:, :, 0].argmax(axis=1)]
        return np.where(length > 0, total / np.where(length > 0, length, 1), first).astype(np.float32)
