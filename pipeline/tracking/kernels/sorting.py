"""Sorting pairs of numbers in place, compiled. numpy's own sorts would take longer to compile than all else here."""

from __future__ import annotations

from numba import njit

FEW = 32
"""Up to so many, inserting each in its place is faster than a heap."""


@njit
def sort(key, other, start, stop):
    """Sort the places [start, stop) of two arrays by `key`, ascending; equal keys in any order, always the same."""
    if stop - start > FEW:
        _heap_sort(key, other, start, stop - start)
        return
    for place in range(start + 1, stop):
        value, beside, hole = key[place], other[place], place
        while hole > start and key[hole - 1] > value:
            key[hole], other[hole] = key[hole - 1], other[hole - 1]
            hole -= 1
        key[hole], other[hole] = value, beside


@njit
def _heap_sort(key, other, start, size):
    """Sort by a heap with the greatest key on top: first every subtree from the last up, then the top to the end."""
    unsorted, root = size, size // 2
    while unsorted > 1:
        if root > 0:
            root -= 1
        else:
            unsorted -= 1
            top, last = start, start + unsorted
            key[top], key[last] = key[last], key[top]
            other[top], other[last] = other[last], other[top]
        value, beside, hole = key[start + root], other[start + root], root
        while 2 * hole + 1 < unsorted:
            child = 2 * hole + 1
            if child + 1 < unsorted and key[start + child + 1] > key[start + child]:
                child += 1
            if key[start + child] <= value:
                break
            key[start + hole], other[start + hole] = key[start + child], other[start + child]
            hole = child
        key[start + hole], other[start + hole] = value, beside
