"""How the loops of this folder are compiled: once a machine, kept on disk, free of Python's lock while they run.

numba looks whether the file of a compiled function has changed, but not at the files of functions it calls: so a
compiled function here calls only such as stand in its own file. Nothing is compiled with fastmath: sums have the order
that is written down, so results are the same to the last bit on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import njit


def compiled(function: Callable) -> Callable:
    """Compile a function at its first call; where nothing can be kept on disk, for this process only."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba finds no folder it may write into
        return njit(nogil=True)(function)
