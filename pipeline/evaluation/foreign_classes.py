"""What others call what COCO calls a car: MOTChallenge's class numbers and OpenTrafficCam's class names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pipeline.errors import UserError
from pipeline.types import COCO_CLASSES

MOT_NUMBERS: Mapping[str, int] = MappingProxyType({"person": 1, "car": 3, "bicycle": 4, "motorcycle": 5})
"""MOTChallenge's number of a COCO class, where it has one (Milan et al. 2016, table 2)."""

COCO_FROM = 101
"""Classes without a number of MOTChallenge's are written as this plus their index in COCO_CLASSES: bus 106."""

_OF_MOT = {number: name for name, number in MOT_NUMBERS.items()} | {2: "person", 7: "person"}
"""A person on a vehicle and a static person are persons."""

NOT_EVALUATED = frozenset({8, 9, 10, 11, 12, 13})
"""MOTChallenge's distractors, occluders, reflections and crowds: objects that nobody counts."""

OPENTRAFFICCAM: Mapping[str, str] = MappingProxyType(
    {
        "pedestrian": "person",
        "bicyclist": "bicycle",
        "bicyclist_with_trailer": "bicycle",
        "cargo_bike_driver": "bicycle",
        "scooter_driver": "bicycle",
        "motorcyclist": "motorcycle",
        "car_with_trailer": "car",
        "private_van": "car",
        "private_van_with_trailer": "car",
        "delivery_van": "truck",
        "delivery_van_with_trailer": "truck",
        "truck_with_trailer": "truck",
        "truck_with_semitrailer": "truck",
    }
)
"""COCO class of OpenTrafficCam's classes; those called as in COCO (car, bus, train, truck) need no entry."""


def mot_number(class_name: str) -> int:
    """Return the class number under which a COCO class is written to MOTChallenge text."""
    return MOT_NUMBERS.get(class_name, COCO_FROM + COCO_CLASSES.index(class_name))


def coco_of_mot(number: int) -> str | None:
    """Return the COCO class of a MOTChallenge class number, or None where it stands for none."""
    if COCO_FROM <= number < COCO_FROM + len(COCO_CLASSES):
        return COCO_CLASSES[number - COCO_FROM]
    return _OF_MOT.get(number)


def coco_of_name(name: str) -> str | None:
    """Return the COCO class of a class name of OpenTrafficCam or COCO, or None where it is neither's."""
    return OPENTRAFFICCAM.get(name, name if name in COCO_CLASSES else None)


def checked_mapping(given: Mapping[str, str]) -> Mapping[str, str]:
    """Return a mapping of others' classes to COCO's. Raises UserError where a value is no COCO class."""
    for theirs, ours in given.items():
        if ours not in COCO_CLASSES:
            raise UserError(
                f"--map {theirs}={ours}: {ours!r} is not a COCO class; write one such as car, truck, bicycle"
            )
    return given
