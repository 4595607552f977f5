"""What each track looked like lately: its last features in one contiguous buffer, and the distance to them.

A gallery is a value: adding to it gives a new one and leaves the old one readable for ever. Copying every feature of
every track at each frame would cost more than the rest of the tracker, so successive galleries share one buffer. In it
each track has a slot with some room after its last feature; a new feature goes into that room, where no older gallery
looks. Only the latest gallery of a buffer may write so (`_Buffer.turn` tells); any other, and any for which the room
has run out, first moves its tracks to a buffer of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pipeline.types import EMBEDDING_DIM

_SPARE_SLOTS = 16
"""Slots a new buffer has for tracks to come, besides as many again as it holds: trades memory against moves."""


class _Buffer:
    """Storage shared by successive galleries: features (S, C, D) float32, the slots given out, and whose turn it is."""

    __slots__ = ("features", "slots_used", "turn")

    def __init__(self, n_slots: int, size: int) -> None:
        room = max(8, size)  # all tracks are moved every `room` frames, and as much memory again is held
        self.features = np.zeros((n_slots, size + room, EMBEDDING_DIM), np.float32)
        self.slots_used = 0
        self.turn = 0

    @staticmethod
    def of(features: np.ndarray) -> _Buffer:
        """Return a buffer of these features, no slot given out."""
        buffer = object.__new__(_Buffer)
        buffer.features, buffer.slots_used, buffer.turn = features, 0, 0
        return buffer


@dataclass(frozen=True, eq=False, slots=True)
class Gallery:
    """The last `size` features of each of T tracks.

    slot   (T,) int64, where in the buffer a track lies
    end    (T,) int64, its features are columns [end - count, end) of that slot, oldest first
    count  (T,) int64, at most `size`
    turn   the writing right: equal to the buffer's where this gallery is its latest
    """

    size: int
    slot: np.ndarray
    end: np.ndarray
    count: np.ndarray
    turn: int
    _buffer: _Buffer

    def __len__(self) -> int:
        return len(self.slot)

    @staticmethod
    def empty(size: int) -> Gallery:
        """Return a gallery of no tracks that will keep `size` features of each."""
        none = np.zeros(0, np.int64)
        return Gallery(size, none, none, none, 0, _Buffer(_SPARE_SLOTS, size))

    def take(self, index: np.ndarray) -> Gallery:
        """Return the gallery of the tracks at `index` (integers or a boolean mask), in that order."""
        return replace(self, slot=self.slot[index], end=self.end[index], count=self.count[index])

    def latest(self, row: np.ndarray) -> np.ndarray:
        """Return (R, D) the last feature of each of the tracks `row` (R,)."""
        return self._buffer.features[self.slot[row], self.end[row] - 1]

    def append(self, row: np.ndarray, feature: np.ndarray) -> Gallery:
        """Add one feature (R, D) to each of the tracks `row` (R,), all different; the oldest beyond `size` go."""
        if len(row) == 0:
            return self
        full = bool((self.end[row] == self._buffer.features.shape[1]).any())
        room = self._writable(0, full)
        room._buffer.features[room.slot[row], room.end[row]] = feature
        end, count = room.end.copy(), room.count.copy()
        end[row] += 1
        count[row] = np.minimum(count[row] + 1, self.size)
        return room._written(room.slot, end, count)

    def extend(self, feature: np.ndarray) -> Gallery:
        """Add one new track per row of `feature` (R, D), after the present ones."""
        n_new = len(feature)
        if n_new == 0:
            return self
        full = self._buffer.slots_used + n_new > len(self._buffer.features)
        room = self._writable(n_new, full)
        slot = room._buffer.slots_used + np.arange(n_new)
        room._buffer.slots_used += n_new
        room._buffer.features[slot, 0] = feature
        one = np.ones(n_new, np.int64)
        return room._written(
            np.concatenate([room.slot, slot]), np.concatenate([room.end, one]), np.concatenate([room.count, one])
        )

    def min_cosine_distance(self, candidate: np.ndarray, feature: np.ndarray) -> np.ndarray:
        """Return (T, N) the least cosine distance of each track's features to `feature` (N, D), unit vectors.

        Paper, equation 3. Worked out only where `candidate` (T, N) is true; infinite elsewhere. A track costs one
        matrix product of its window, read in place: no feature is copied.
        """
        distance = np.full(candidate.shape, np.inf)
        start = self.end - self.count
        for track in np.flatnonzero(candidate.any(axis=1)):
            column = np.flatnonzero(candidate[track])
            window = self._buffer.features[self.slot[track], start[track] : self.end[track]]  # (count, D)
            distance[track, column] = 1 - (window @ feature[column].T).max(axis=0)
        return distance

    def mean_cosine_distance(self, candidate: np.ndarray, feature: np.ndarray) -> np.ndarray:
        """Return the same for galleries of one running mean, which need not have unit length (zeros: distance 1)."""
        mean = self.latest(np.arange(len(self)))
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        similarity = mean @ feature.T / np.where(length > 0, length, 1)
        return np.where(candidate, 1 - similarity, np.inf)

    def pack(self) -> tuple[np.ndarray, np.ndarray]:
        """Return count (T,) and the features (sum of count, D), track by track, oldest first: enough to rebuild."""
        longest = int(self.count.max(initial=0))
        column = np.arange(longest)
        return self.count, self._windows(longest)[column < self.count[:, None]]

    @staticmethod
    def unpack(size: int, count: np.ndarray, feature: np.ndarray) -> Gallery:
        """Rebuild a gallery from what `pack` gave."""
        n_tracks = len(count)
        buffer = _Buffer(2 * n_tracks + _SPARE_SLOTS, size)
        mine = np.arange(buffer.features.shape[1]) < count[:, None]
        buffer.features[:n_tracks][mine] = feature
        buffer.slots_used = n_tracks
        return Gallery(size, np.arange(n_tracks), count.copy(), count.copy(), 0, buffer)

    def after(
        self, slot: np.ndarray, end: np.ndarray, count: np.ndarray, features: np.ndarray, slots_used: int, written: bool
    ) -> Gallery:
        """Return the gallery that compiled loops made of this one, in its own buffer or in another, `features`."""
        buffer = self._buffer
        if features is not buffer.features:
            buffer = _Buffer.of(features)
        if written:
            buffer.slots_used = slots_used
            buffer.turn += 1
        return Gallery(self.size, slot, end, count, buffer.turn if written else self.turn, buffer)

    def _writable(self, n_new: int, full: bool) -> Gallery:
        """Return this gallery if it may write in place, else the same in a buffer of its own."""
        if self.turn == self._buffer.turn and not full:
            return self
        n_tracks = len(self)
        buffer = _Buffer(2 * (n_tracks + n_new) + _SPARE_SLOTS, self.size)
        longest = int(self.count.max(initial=0))
        buffer.features[:n_tracks, :longest] = self._windows(longest)
        buffer.slots_used = n_tracks
        return Gallery(self.size, np.arange(n_tracks), self.count, self.count, 0, buffer)

    def _windows(self, longest: int) -> np.ndarray:
        """Copy (T, longest, D) every track's features to the front; columns from its count on mean nothing."""
        column = (self.end - self.count)[:, None] + np.arange(longest)
        inside = np.minimum(column, self._buffer.features.shape[1] - 1)
        return self._buffer.features[self.slot[:, None], inside]

    def _written(self, slot: np.ndarray, end: np.ndarray, count: np.ndarray) -> Gallery:
        """Return the gallery after a write, and pass it the writing right."""
        self._buffer.turn += 1
        return Gallery(self.size, slot, end, count, self._buffer.turn, self._buffer)
