"""The exemplar sets of tracklets as they lie in the table they were read from, freed of tint only as they are used.

A night of a million tracklets has 4 GB of exemplars. Sorting, choosing and correcting them must not make a second copy:
so a set is a place in the table, and its camera's tint is taken out whenever it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pipeline.identity.evidence import ExemplarSets
from pipeline.identity.kernels import looks as kernels
from pipeline.identity.threads import in_parts
from pipeline.types import Exemplars


@dataclass(frozen=True, eq=False, slots=True)
class Looks:
    """The exemplar sets of N tracklets in a table of vectors; set n is rows start[n] to start[n] + size[n].

    vector  (E, D) float32, C order; a memory map will do
    start   (N,)   int64
    size    (N,)   int64, none is 0
    camera  (N,)   int64, row of `tint`
    tint    (C, D) float32, subtracted from the vectors of a camera as they are read
    scale   (E,)   float32, then multiplied: what makes them unit length again; 0 for a vector read as it is
    """

    vector: np.ndarray
    start: np.ndarray
    size: np.ndarray
    camera: np.ndarray
    tint: np.ndarray
    scale: np.ndarray

    @staticmethod
    def of(sets: ExemplarSets | Looks) -> Looks:
        """Return sets as looks without tint, the vectors not copied; looks as they are."""
        if isinstance(sets, Looks):
            return sets
        return Looks._plain(sets.vector, sets.first[:-1], sets.size)

    @staticmethod
    def lay_out(tracklet_id: np.ndarray, embedding: np.ndarray, exemplars: Exemplars) -> Looks:
        """Find the exemplars of each tracklet, in time; its own embedding (N, D) where it has none.

        tracklet_id (N,) object (str), each once. Nothing is copied where the exemplars of a tracklet stand together in
        time, as they do in the lake, and every tracklet has some. Raises ValueError for an exemplar of a tracklet that
        is not there.
        """
        run_start, owner = _runs(tracklet_id, exemplars.tracklet_id)
        size = np.diff(run_start)
        if _in_time(exemplars, run_start) and len(np.unique(owner)) == len(owner):
            vector, start = exemplars.embedding, run_start[:-1]
        else:
            row_owner = np.repeat(owner, size)
            in_order = np.lexsort((exemplars.frame, exemplars.captured_at_us, row_owner))
            vector = exemplars.embedding[in_order]
            owner, start, size = np.unique(row_owner[in_order], return_index=True, return_counts=True)
        starts, sizes = np.full(len(tracklet_id), -1, np.int64), np.ones(len(tracklet_id), np.int64)
        starts[owner], sizes[owner] = start, size
        bare = np.flatnonzero(starts < 0)
        if len(bare):
            starts[bare] = len(vector) + np.arange(len(bare))
            vector = np.concatenate([vector, embedding[bare]])
        return Looks._plain(vector, starts, sizes)

    @staticmethod
    def _plain(vector: np.ndarray, start: np.ndarray, size: np.ndarray) -> Looks:
        vector = np.ascontiguousarray(vector, dtype=np.float32)
        tint, scale = np.zeros((1, vector.shape[1]), np.float32), np.zeros(len(vector), np.float32)
        return Looks(vector, start, size, np.zeros(len(start), np.int64), tint, scale)

    def __len__(self) -> int:
        return len(self.start)

    def known(self) -> np.ndarray:
        """Tell (N,) which sets have an exemplar that tells something: not zeros, nor not a number, nor the first axis,
        which stands for a look that could not be made out (perception.projection)."""
        first = self.vector[:, 0]
        doubtful = np.flatnonzero(~((first != 0) & (first != 1) & np.isfinite(first)))
        blank = np.zeros(len(self.vector), bool)
        rest = self.vector[doubtful, 1:]
        blank[doubtful] = (np.isin(first[doubtful], (0, 1)) & ~rest.any(axis=1)) | ~np.isfinite(
            self.vector[doubtful]
        ).all(axis=1)
        n_blank = np.concatenate([[0], np.cumsum(blank)])
        return n_blank[self.start + self.size] - n_blank[self.start] < self.size

    def take(self, index: np.ndarray) -> Looks:
        """Return the sets at `index` (N',), in that order, in the same table."""
        return replace(self, start=self.start[index], size=self.size[index], camera=self.camera[index])

    def without(self, tint: np.ndarray, camera: np.ndarray) -> Looks:
        """Return the same sets freed of tint (C, D), their camera (N,) being rows of it; any earlier tint is dropped.

        An exemplar that the tint explains wholly is read as it is.
        """
        tint, camera = np.ascontiguousarray(tint, dtype=np.float32), np.ascontiguousarray(camera, dtype=np.int64)
        scale = np.zeros(len(self.vector), np.float32)

        def fill(part: slice) -> None:
            kernels.scales(self.vector, self.start[part], self.size[part], camera[part], tint, scale)

        in_parts(fill, len(self), least=1000)
        return replace(self, camera=camera, tint=tint, scale=scale)

    def gather(self, index: np.ndarray, room: Callable[[int, int], np.ndarray] | None = None) -> np.ndarray:
        """Return the vectors of the sets at `index` (N',), one set after another: (R, D) float32.

        room(R, D) returns the array to write them to, in C order; without it, a new one is made.
        """
        shape = (int(self.size[index].sum()), self.vector.shape[1])
        out = np.empty(shape, np.float32) if room is None else room(*shape)
        kernels.gather(*self.columns, np.ascontiguousarray(index, dtype=np.int64), out)
        return out

    def sets(self, index: np.ndarray) -> ExemplarSets:
        """Return the sets at `index` (N',), in that order, copied out."""
        return ExemplarSets(self.gather(index), np.concatenate([[0], np.cumsum(self.size[index])]).astype(np.int64))

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The arrays in the order in which the compiled loops take them."""
        return self.vector, self.start, self.size, self.camera, self.tint, self.scale


def _runs(tracklet_id: np.ndarray, name: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where runs of equal names (E,) begin, (R + 1,), and the tracklet of each run (R,)."""
    if len(name) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.int64)
    run_start = np.concatenate([[0], np.flatnonzero(name[1:] != name[:-1]) + 1, [len(name)]]).astype(np.int64)
    place = {known: index for index, known in enumerate(tracklet_id.tolist())}
    heads = name[run_start[:-1]].tolist()
    strays = {head for head in heads if head not in place}
    if strays:
        raise ValueError(f"exemplars: expected only those of the tracklets given, got some of {min(strays)!r}")
    return run_start, np.array([place[head] for head in heads], np.int64)


def _in_time(exemplars: Exemplars, run_start: np.ndarray) -> bool:
    """Tell whether the exemplars of every run are in the order of time, then frame."""
    instant, frame = exemplars.captured_at_us, exemplars.frame
    backwards = (instant[1:] < instant[:-1]) | ((instant[1:] == instant[:-1]) & (frame[1:] < frame[:-1]))
    backwards[run_start[1:-1] - 1] = False  # from one run to the next
    return not backwards.any()
