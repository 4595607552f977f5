"""How people and vehicles look: drawn at random as a town would dress them, dark and grey things common.

Colours are (red, green, blue), 8 bit. Two people may well wear the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

SKIN: tuple[Colour, ...] = ((241, 206, 180), (228, 184, 152), (203, 152, 115), (150, 104, 74), (98, 66, 48))
HAIR: tuple[Colour, ...] = ((38, 30, 26), (66, 45, 32), (104, 74, 46), (176, 140, 88), (150, 148, 146), (122, 58, 34))
UPPER: tuple[Colour, ...] = (
    (36, 38, 44), (48, 54, 70), (84, 86, 90), (150, 150, 148), (224, 222, 214), (38, 66, 110), (92, 132, 168),
    (128, 36, 42), (196, 62, 52), (60, 84, 62), (122, 128, 78), (208, 170, 74), (198, 164, 130), (120, 88, 118),
    (222, 132, 84), (62, 128, 128),
)  # fmt: skip
UPPER_WEIGHT = (4, 4, 3, 2, 3, 2, 2, 1.5, 1.2, 1.5, 1, 1, 1.5, 0.8, 0.8, 1)
LOWER: tuple[Colour, ...] = (
    (34, 35, 40), (40, 50, 74), (62, 82, 116), (96, 98, 102), (150, 134, 108), (92, 74, 58), (120, 128, 136),
)  # fmt: skip
LOWER_WEIGHT = (4, 4, 3, 1.5, 1.5, 1, 1)
SHOES: tuple[Colour, ...] = ((30, 28, 28), (74, 52, 38), (214, 212, 206))
BAG: tuple[Colour, ...] = ((34, 34, 38), (110, 70, 42), (146, 40, 44), (54, 76, 100), (190, 176, 140), (70, 90, 60))

PAINT: tuple[Colour, ...] = (
    (30, 32, 36), (64, 68, 74), (120, 124, 128), (182, 186, 190), (232, 232, 228), (34, 52, 92), (64, 104, 150),
    (142, 30, 34), (188, 50, 40), (46, 78, 62), (206, 190, 158), (214, 160, 44),
)  # fmt: skip
PAINT_WEIGHT = (4, 3.5, 3, 3, 3.5, 1.5, 1.2, 1.2, 1, 0.7, 0.7, 0.4)
VAN_PAINT_WEIGHT = (0.5, 0.8, 0.6, 1.5, 5, 0.8, 0.8, 0.4, 0.5, 0.4, 0.4, 1)


@dataclass(frozen=True)
class PersonLook:
    """One person. Lengths in metres; `build` scales width (1 is average).

    upper_kind  "jacket", "shirt" (bare forearms) or "coat" (to the knee)
    lower_kind  "trousers", "shorts" or "skirt"
    hair_kind   "short", "long", "bald" or "cap"
    bag_kind    "none", "backpack", "shoulder" or "tote"; bag_side is +1 (right) or -1 (left)
    """

    height_m: float
    build: float
    skin: Colour
    hair: Colour
    hair_kind: str
    upper: Colour
    upper_kind: str
    lower: Colour
    lower_kind: str
    shoes: Colour
    bag: Colour
    bag_kind: str
    bag_side: int


@dataclass(frozen=True)
class VehicleLook:
    """One vehicle. kind is "hatchback", "saloon", "estate" or "van"; lengths in metres."""

    kind: str
    length_m: float
    width_m: float
    height_m: float
    paint: Colour
    roof: Colour
    stripe: Colour | None


def draw_person(rng: np.random.Generator) -> PersonLook:
    """Draw a person's look."""
    upper_kind = _pick(rng, ("jacket", "shirt", "coat"), (5, 4, 1.5))
    lower_kind = "trousers" if upper_kind == "coat" else _pick(rng, ("trousers", "shorts", "skirt"), (8, 1.2, 1.4))
    hair_kind = _pick(rng, ("short", "long", "bald", "cap"), (5, 4, 0.7, 1))
    return PersonLook(
        height_m=float(np.clip(rng.normal(1.72, 0.09), 1.5, 1.95)),
        build=float(np.clip(rng.normal(1.0, 0.09), 0.82, 1.25)),
        skin=_pick(rng, SKIN, (4, 4, 2, 1.5, 1)),
        hair=_pick(rng, UPPER, UPPER_WEIGHT) if hair_kind == "cap" else _pick(rng, HAIR, (4, 4, 3, 2, 2, 0.8)),
        hair_kind=hair_kind,
        upper=_vary(rng, _pick(rng, UPPER, UPPER_WEIGHT)),
        upper_kind=upper_kind,
        lower=_vary(rng, _pick(rng, LOWER, LOWER_WEIGHT)),
        lower_kind=lower_kind,
        shoes=_pick(rng, SHOES, (4, 2, 2)),
        bag=_vary(rng, _pick(rng, BAG, (4, 2, 1, 1.5, 1.5, 1))),
        bag_kind=_pick(rng, ("none", "backpack", "shoulder", "tote"), (5, 3, 2, 1.5)),
        bag_side=int(rng.choice((-1, 1))),
    )  # fmt: skip


SIZES = {
    # kind: length, width, height in metres: typical of the European fleet
    "hatchback": (4.0, 1.76, 1.48),
    "saloon": (4.6, 1.82, 1.44),
    "estate": (4.65, 1.82, 1.52),
    "van": (5.3, 2.0, 2.3),
}


def draw_vehicle(rng: np.random.Generator) -> VehicleLook:
    """Draw a vehicle's look."""
    kind = _pick(rng, tuple(SIZES), (4, 2.5, 2.5, 2))
    length, width, height = (size * rng.uniform(0.97, 1.04) for size in SIZES[kind])
    paint = _vary(rng, _pick(rng, PAINT, VAN_PAINT_WEIGHT if kind == "van" else PAINT_WEIGHT))
    roof = (30, 30, 34) if kind != "van" and rng.random() < 0.15 else paint
    stripe = _pick(rng, UPPER, UPPER_WEIGHT) if kind == "van" and rng.random() < 0.5 else None
    return VehicleLook(kind, length, width, height, paint, roof, stripe)


def _pick(rng: np.random.Generator, choices: tuple, weights: tuple):
    """Draw one of `choices` by relative weight."""
    share = np.cumsum(np.array(weights, float))
    return choices[int(np.searchsorted(share, rng.random() * share[-1], side="right"))]


def _vary(rng: np.random.Generator, colour: Colour) -> Colour:
    """Move a colour a little: no two dye lots and no two washings are alike."""
    return tuple(int(c) for c in np.clip(np.array(colour) * rng.normal(1, 0.05) + rng.normal(0, 4, 3), 8, 245))
