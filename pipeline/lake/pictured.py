"""The thumbnails of one unit: a small picture of each of its tracklets, and what they were made by."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields

import numpy as np


@dataclass(frozen=True, slots=True)
class About:
    """What a unit's thumbnails were made by; stands as JSON in the metadata of their file.

    key       the unit's, as in the ledger
    settings  what shaped them, as plain JSON values
    whole     False where some are still to be made; those that cannot be had are not
    made      how many there are
    missing   tracklets without one because no frame of theirs could be decoded
    reason    why, where the footage itself said so
    """

    key: str
    settings: dict = field(default_factory=dict)
    whole: bool = True
    made: int = 0
    missing: int = 0
    reason: str = ""

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> About | None:
        """Read it back; None where it is not ours."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, eq=False, slots=True)
class Thumbnails:
    """N small pictures, sorted by tracklet_id.

    tracklet_id     (N,)   object (str)
    captured_at_us  (N,)   int64, of the frame; frame (N,) int32, its index in its file
    xyxy            (N, 4) float32, pixels of the frame: the box that is shown, with a margin
    size_px         (N, 2) int32, width and height of the picture
    heads_blurred   (N,)   bool
    jpeg            (N,)   object (bytes)
    """

    tracklet_id: np.ndarray
    captured_at_us: np.ndarray
    frame: np.ndarray
    xyxy: np.ndarray
    size_px: np.ndarray
    heads_blurred: np.ndarray
    jpeg: np.ndarray

    def __len__(self) -> int:
        return len(self.tracklet_id)

    def take(self, index: np.ndarray) -> Thumbnails:
        """Return the rows at `index` (integers or a boolean mask), in that order."""
        return Thumbnails(*(getattr(self, column.name)[index] for column in fields(self)))

    @staticmethod
    def of(rows: list[tuple[str, int, int, np.ndarray, tuple[int, int], bool, bytes]]) -> Thumbnails:
        """Make it of rows in the order of the columns; they are sorted here."""
        rows = sorted(rows, key=lambda row: row[0])
        columns = list(zip(*rows)) or [()] * 7
        return Thumbnails(
            tracklet_id=_objects(columns[0]),
            captured_at_us=np.array(columns[1], np.int64),
            frame=np.array(columns[2], np.int32),
            xyxy=np.array(columns[3], np.float32).reshape(-1, 4),
            size_px=np.array(columns[4], np.int32).reshape(-1, 2),
            heads_blurred=np.array(columns[5], bool),
            jpeg=_objects(columns[6]),
        )


def _objects(values: tuple) -> np.ndarray:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out
