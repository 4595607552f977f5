"""How the classes of a hand count, of tracks and of lines lie within each other: car in vehicle, everything in any."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from pipeline.types import CLASS_GROUPS, COCO_CLASSES

ANY = "any"
"""Class of a count that told no classes apart."""


def class_of(name: str, counted: Iterable[str]) -> str | None:
    """Return under which of the classes counted by hand a measured class belongs, or None where it was not counted."""
    counted = set(counted)
    for candidate in (name, CLASS_GROUPS.get(name, name), ANY):
        if candidate in counted:
            return candidate
    return None


@cache
def lacking(counted: str, of_line: tuple[str, ...] | None) -> str | None:
    """Say how much of a class counted by hand a line that counts only some COCO classes (None: all) does not count:
    "all" of it, "some", or None where it lacks nothing."""
    if of_line is None:
        return None
    members = {name for name in COCO_CLASSES if class_of(name, (counted,)) is not None}
    if members.isdisjoint(of_line):
        return "all"
    return None if members.issubset(of_line) else "some"
