"""Looks of every kind: any colour, patterned clothes, children, taxis in two colours; half are the town's own."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, fields

import cv2
import numpy as np

from pipeline.demo.looks import Colour, PersonLook, VehicleLook, draw_person, draw_vehicle
from pipeline.demo.paint import Finish

ORDINARY_SHARE = 0.5
"""Share of people and cars that look as in the town."""

PATTERNED_SHARE = 0.35
CHILD_SHARE = 0.12
PATTERNS = ("hoops", "stripes", "checks", "dots", "print")
SHADES = (1.0, 0.92, 0.9, 0.84, 0.78, 0.6)
"""How much darker a figure paints the parts of one garment (figure.py)."""


@dataclass(frozen=True)
class Pattern:
    """What is woven into or printed on everything of one colour.

    kind    one of PATTERNS
    on      the colour it replaces in part
    colour  the colour it has
    pitch   size of its repeat, share of the object's height in the picture
    """

    kind: str
    on: Colour
    colour: Colour
    pitch: float


@dataclass(frozen=True)
class PatternedPerson(PersonLook):
    """A person whose clothes have a pattern."""

    pattern: Pattern


@dataclass(frozen=True)
class PatternedVehicle(VehicleLook):
    """A vehicle with a livery."""

    pattern: Pattern


def any_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour: any hue, pale and saturated, dark and light."""
    hue, saturation, value = rng.random(), rng.beta(0.9, 1.1), rng.uniform(0.08, 1.0)
    return tuple(int(8 + 240 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value))


def person(rng: np.random.Generator) -> PersonLook:
    """Draw a person."""
    look = draw_person(rng)
    if rng.random() < ORDINARY_SHARE:
        return look
    child = rng.random() < CHILD_SHARE
    changed = {
        "height_m": float(rng.uniform(0.95, 1.5) if child else np.clip(rng.normal(1.7, 0.13), 1.4, 2.05)),
        "build": float(rng.uniform(0.75, 1.5)),
        "upper": any_colour(rng),
        "lower": any_colour(rng) if rng.random() < 0.7 else look.lower,
        "shoes": any_colour(rng) if rng.random() < 0.4 else look.shoes,
        "bag": any_colour(rng),
        "hair": any_colour(rng) if rng.random() < 0.25 else look.hair,
    }
    if rng.random() < 0.1:  # dressed in one colour from head to foot
        changed["lower"] = changed["upper"]
    look = _changed(look, PersonLook, changed)
    if rng.random() >= PATTERNED_SHARE:
        return look
    on = look.upper if rng.random() < 0.75 else look.lower
    return _changed(look, PatternedPerson, {"pattern": _pattern(rng, on, (0.02, 0.12))})


def extended(look: PersonLook, kind: type, more: dict):
    """Return a person's look as one of `kind`, with the fields that it has `more`."""
    return _changed(look, kind, more)


def car(rng: np.random.Generator) -> VehicleLook:
    """Draw a car or van."""
    look = draw_vehicle(rng)
    if rng.random() < ORDINARY_SHARE:
        return look
    long, wide, high = rng.uniform(0.85, 1.2), rng.uniform(0.92, 1.1), rng.uniform(0.94, 1.2)
    paint = any_colour(rng)
    changed = {
        "length_m": look.length_m * long,
        "width_m": look.width_m * wide,
        "height_m": look.height_m * high,
        "paint": paint,
        "roof": any_colour(rng) if rng.random() < 0.15 else paint,
        "stripe": any_colour(rng) if rng.random() < 0.2 else None,
    }
    look = _changed(look, VehicleLook, changed)
    if rng.random() < 0.85:
        return look
    return _changed(look, PatternedVehicle, {"pattern": _pattern(rng, look.paint, (0.1, 0.5))})


def finish(pattern: Pattern) -> Finish:
    """Return what lays a pattern over a painting; it moves and grows with the object."""

    def lay(canvas: np.ndarray) -> None:
        height, width = canvas.shape[:2]
        whole = canvas.view(np.uint32)[..., 0]  # a pixel's four bytes at once
        shades = {(*(min(255, int(c * shade)) for c in pattern.on), 255) for shade in SHADES}
        on = np.zeros((height, width), bool)
        for shade in np.array(sorted(shades), np.uint8).view(np.uint32):
            on |= whole == shade
        pitch = max(4.0, pattern.pitch * height)
        y, x = (np.arange(n) / pitch for n in (height, width))
        chosen = on & _mask(pattern.kind, y[:, None], x[None])
        canvas[chosen, :3] = pattern.colour

    return lay


def uneven(rng: np.random.Generator, size: tuple[int, int], depth: float) -> np.ndarray:
    """Return light (H, W) float32 about 1 that falls unevenly: folds, dirt, reflections."""
    coarse = 1 + depth * rng.standard_normal((int(rng.integers(2, 9)), int(rng.integers(2, 6)))).astype(np.float32)
    coarse *= np.linspace(1 + rng.normal(0, depth), 1 + rng.normal(0, depth), coarse.shape[1], dtype=np.float32)
    return np.clip(cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), 0.3, 1.7)


def _mask(kind: str, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Tell where a pattern is, at places in repeats."""
    if kind == "hoops":
        return (y % 1 < 0.45) & (x == x)
    if kind == "stripes":
        return (x % 1 < 0.45) & (y == y)
    if kind == "checks":
        return (y % 1 < 0.5) ^ (x % 1 < 0.5)
    if kind == "dots":
        return (y % 1 - 0.5) ** 2 + (x % 1 - 0.5) ** 2 < 0.09
    return np.sin(5.1 * y + 2.3 * np.sin(3.7 * x)) + np.sin(4.3 * x + 1.9 * np.sin(2.9 * y)) > 0.3


def _pattern(rng: np.random.Generator, on: Colour, pitch: tuple[float, float]) -> Pattern:
    return Pattern(str(rng.choice(PATTERNS)), on, any_colour(rng), float(rng.uniform(*pitch)))


def _changed(look, kind: type, changes: dict):
    """Return a look of `kind` with some fields changed."""
    known = {field.name: getattr(look, field.name) for field in fields(look) if field.name in kind.__dataclass_fields__}
    return kind(**(known | changes))
