"""pipeline.tracking.gallery's writing, compiled: the tracks that died go, matched ones get a look, new ones a slot."""

from __future__ import annotations

import numpy as np
from numba import njit

from pipeline.tracking import gallery
from pipeline.types import EMBEDDING_DIM

SPARE_SLOTS = gallery._SPARE_SLOTS


@njit
def _copy(feature, place):
    for number in range(EMBEDDING_DIM):
        place[number] = feature[number]


@njit
def remember(
    kept, fresh, box_of, high, row, embedding, slot, end, count, features, slots_used, may_write, size, feature_average
):  # fmt: skip
    """Return slot, end, count, features, slots_used of the gallery after a frame, and whether it was written into.

    kept (K,): tracks that live on; fresh (F,): boxes that start tracks. In place where the gallery may write and there
    is room, else into a buffer of its own, which is given back as `features`.
    """
    n_kept, n_fresh = len(kept), len(fresh)
    total = n_kept + n_fresh
    out_slot, out_end, out_count = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total, np.int64)
    written, room = n_fresh > 0, slots_used + n_fresh <= features.shape[0]
    for place in range(n_kept):
        track = kept[place]
        out_slot[place], out_end[place], out_count[place] = slot[track], end[track], count[track]
        if box_of[track] >= 0 and high[box_of[track]]:
            written = True
            room = room and end[track] < features.shape[1]
    if not written:
        return out_slot, out_end, out_count, features, slots_used, False
    before = features
    if not (may_write and room):
        features = np.empty((2 * total + SPARE_SLOTS, features.shape[1], EMBEDDING_DIM), np.float32)
        for place in range(n_kept):
            start = out_end[place] - out_count[place]
            for column in range(out_count[place]):
                _copy(before[out_slot[place], start + column], features[place, column])
            out_slot[place], out_end[place] = place, out_count[place]
        slots_used = n_kept
    for place in range(n_kept):
        box = box_of[kept[place]]
        if box < 0 or not high[box]:
            continue
        look, column = embedding[row[box]], out_end[place]
        if feature_average >= 0:
            past = np.float32(feature_average)
            for number in range(EMBEDDING_DIM):
                mean = features[out_slot[place], column - 1, number]
                features[out_slot[place], column, number] = past * mean + (np.float32(1) - past) * look[number]
        else:
            _copy(look, features[out_slot[place], column])
        out_end[place] += 1
        out_count[place] = min(out_count[place] + 1, size)
    for number in range(n_fresh):
        place = n_kept + number
        _copy(embedding[row[fresh[number]]], features[slots_used, 0])
        out_slot[place], out_end[place], out_count[place] = slots_used, 1, 1
        slots_used += 1
    return out_slot, out_end, out_count, features, slots_used, True
