"""The two ways in which a frame can be tracked, for tests that must hold for both."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.tracking import compiled, deep_sort
from pipeline.tracking.deep_sort import TrackerState
from pipeline.types import Tracks


def advance_compiled(*arguments, **options) -> tuple[TrackerState, Tracks]:
    """Advance by the compiled core, or skip the test where there is none."""
    if not compiled.available():
        pytest.skip("no compiled core: numba is missing, or NIGHTFLEET_COMPILED is 0")
    return compiled.advance(*arguments, **options)


BOTH = pytest.mark.parametrize("advance", [deep_sort.advance_numpy, advance_compiled], ids=["numpy", "compiled"])


def content(state: TrackerState, tracks: Tracks) -> dict[str, bytes]:
    """Return all that a state and its tracks say, as bytes; where in its buffer a gallery keeps looks is no part."""
    columns = {
        f"{type(struct).__name__}.{name}": value
        for struct in (state, tracks)
        for name in struct.__slots__
        if isinstance(value := getattr(struct, name), np.ndarray)
    }
    count, feature = state.gallery.pack()
    columns |= {"next_id": np.array(state.next_id), "gallery.count": count, "gallery.feature": feature}
    return {name: str((value.dtype, value.shape)).encode() + value.tobytes() for name, value in columns.items()}
