"""Crops out of a fleet's own footage, whom nobody labelled: its tracklets, as the lake keeps them.

The crops of a tracklet show one person or vehicle. Two that one camera saw at the same instants, apart, show two. Of
all other pairs nothing is certain, until the lake is confident that tracklets of different cameras are one identity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.errors import SegmentError, UserError
from pipeline.footage import recorded
from pipeline.footage.decode import frames_at
from pipeline.footage.recorded import Recorded
from pipeline.lake.catalog import Connection
from pipeline.training.crops import Crops, Relations, cut, dense, spread
from pipeline.training.sequence_crops import LEAST_SIDE_PX
from pipeline.types import CLASS_GROUPS

MOST_TRACKLETS = 4000
"""Taken at most, spread evenly over the footage: with 12 crops each of 24 KB, a little over a gigabyte."""

LEAST_OBSERVATIONS = 8
"""Tracklets of fewer boxes are left out: they are short, and often no object at all."""

TOGETHER = 3
"""Instants at which two tracklets must have been seen at once to be two for sure."""

APART_IOU = 0.3
"""Two whose boxes overlap by more on average may be two boxes of one object."""

CONFIDENT = 0.8
"""Least confidence of a tracklet's identity for it to count."""

_TRACKLETS = """
SELECT t.tracklet_id, t.camera_id, t.class, epoch_us(t.started_at) AS first_us, epoch_us(t.ended_at) AS last_us,
    if(i.confidence >= $confident, i.identity_id, NULL) AS identity_id
FROM tracklets AS t LEFT JOIN identities AS i USING (tracklet_id)
WHERE t.n_observations >= $least AND list_contains($classes, t.class)
ORDER BY first_us, t.tracklet_id
"""

_BOXES = """
SELECT tracklet_id, segment_id, at_us, x1, y1, x2, y2
FROM (
    SELECT tracklet_id, segment_id, epoch_us(captured_at) AS at_us, x1, y1, x2, y2,
        row_number() OVER (PARTITION BY tracklet_id ORDER BY captured_at) - 1 AS nth,
        count(*) OVER (PARTITION BY tracklet_id) AS n
    FROM observations
    WHERE NOT interpolated AND y2 - y1 >= $height AND x2 - x1 >= $width AND list_contains($names, tracklet_id)
)
WHERE nth = 0 OR nth * $each // n <> (nth - 1) * $each // n
ORDER BY tracklet_id, at_us
"""

_TOGETHER = """
SELECT a.tracklet_id AS a, b.tracklet_id AS b
FROM observations AS a JOIN observations AS b
    ON a.camera_id = b.camera_id AND a.captured_at = b.captured_at AND a.tracklet_id < b.tracklet_id,
    LATERAL (SELECT greatest(0, least(a.x2, b.x2) - greatest(a.x1, b.x1))
        * greatest(0, least(a.y2, b.y2) - greatest(a.y1, b.y1)) AS common) AS shared
WHERE list_contains($names, a.tracklet_id) AND list_contains($names, b.tracklet_id)
    AND NOT a.interpolated AND NOT b.interpolated
GROUP BY a.tracklet_id, b.tracklet_id
HAVING count(*) >= $together
    AND avg(common / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - common)) < $apart
ORDER BY a, b
"""


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """Crops of T tracklets.

    crops         identity is the tracklet's number, 0 to T - 1; camera 0 for its earlier half, 1 for the rest
    tracklet_id   (T,) str
    first_us, last_us   (T,) int64, first and last box, microseconds since 1970 UTC
    identity_id   (T,) object, what the lake is confident of, or None
    together      (R, 2) int64, pairs of tracklets that are two for sure
    missing       why footage could not be read
    """

    crops: Crops
    tracklet_id: np.ndarray
    first_us: np.ndarray
    last_us: np.ndarray
    identity_id: np.ndarray
    together: np.ndarray
    missing: tuple[str, ...]


def read(connection: Connection, units: Mapping[str, Recorded], crop_hw: tuple[int, int], *, each: int) -> Seen:
    """Cut at most `each` crops of every tracklet from the footage that the lake was made of.

    units  the done units by segment; those whose file is gone or has changed are named in `missing`

    Raises UserError where no crop is left.
    """
    classes = [name for name, group in CLASS_GROUPS.items() if group in ("person", "vehicle")]
    asked = {"least": LEAST_OBSERVATIONS, "confident": CONFIDENT, "classes": classes}
    rows = connection.sql(_TRACKLETS, params=asked).to_arrow_table().to_pylist()
    rows = [rows[at] for at in spread(len(rows), MOST_TRACKLETS).tolist()]
    asked = {"names": [row["tracklet_id"] for row in rows], "each": each}
    asked |= {"height": LEAST_SIDE_PX[0], "width": LEAST_SIDE_PX[1]}
    boxes = connection.sql(_BOXES, params=asked).to_arrow_table().to_pylist()
    images, missing = _cut(boxes, units, crop_hw)
    kept = [at for at, image in enumerate(images) if image is not None]
    if not kept:
        raise UserError(missing[0] if missing else "the lake has no people or vehicles large enough to learn from")
    names = {boxes[at]["tracklet_id"] for at in kept}
    rows = [row for row in rows if row["tracklet_id"] in names]
    number = {row["tracklet_id"]: at for at, row in enumerate(rows)}
    identity = np.array([number[boxes[at]["tracklet_id"]] for at in kept], np.int64)
    world = np.zeros(len(kept), np.int64)
    group = np.array([CLASS_GROUPS[rows[at]["class"]] for at in identity])
    asked = {"names": list(number), "together": TOGETHER, "apart": APART_IOU}
    pairs = connection.sql(_TOGETHER, params=asked).to_arrow_table().to_pylist()
    return Seen(
        Crops(np.stack([images[at] for at in kept]), identity, _halves(identity), world, group),
        np.array(list(number)),
        np.array([row["first_us"] for row in rows], np.int64),
        np.array([row["last_us"] for row in rows], np.int64),
        np.array([row["identity_id"] for row in rows], object),
        np.array([(number[pair["a"]], number[pair["b"]]) for pair in pairs], np.int64).reshape(-1, 2),
        tuple(missing),
    )


def tracklets_of(seen: Seen, chosen: np.ndarray) -> Seen:
    """Return what was seen of some tracklets (mask of T) only, numbered anew."""
    number = np.cumsum(chosen) - 1
    crops = seen.crops.take(chosen[seen.crops.identity])
    crops = Crops(crops.images, number[crops.identity], crops.camera, crops.world, crops.group)
    together = seen.together[chosen[seen.together].all(axis=1)]
    columns = (getattr(seen, name)[chosen] for name in ("tracklet_id", "first_us", "last_us", "identity_id"))
    return Seen(crops, *columns, number[together], seen.missing)


def merged(seen: Seen) -> tuple[Crops, Relations, int]:
    """Join the tracklets that the lake is confident are one; return crops, relations, and how many were joined.

    A join that would make one of two who are two for sure is left out, with all of its identity. Crops of tracklets
    that were joined count as of different cameras.
    """
    label = np.arange(len(seen.tracklet_id))
    first_of: dict[str, int] = {}
    for at, name in enumerate(seen.identity_id.tolist()):
        if name is not None:
            label[at] = first_of.setdefault(name, at)
    a, b = seen.together.T
    wrong = np.unique(label[a][label[a] == label[b]])
    label = np.where(np.isin(label, wrong), np.arange(len(label)), label)
    identity, crops = dense(label), seen.crops
    camera = np.where(np.bincount(identity)[identity] > 1, np.arange(len(identity)) + 2, -1)[crops.identity]
    camera = np.where(camera < 0, crops.camera, camera)
    certain = np.unique(np.sort(identity[seen.together], axis=1), axis=0)
    joined = Crops(crops.images, identity[crops.identity], camera, crops.world, crops.group)
    return joined, Relations(certain), len(identity) - len(np.unique(identity))


def _cut(
    boxes: list[dict], units: Mapping[str, Recorded], crop_hw: tuple[int, int]
) -> tuple[list[np.ndarray | None], list[str]]:
    """Cut each box from its footage, None where that cannot be read; and say why it cannot."""
    images: list[np.ndarray | None] = [None] * len(boxes)
    missing: dict[str, None] = {}
    by_segment: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for at, box in enumerate(boxes):
        by_segment[box["segment_id"]][box["at_us"]].append(at)
    for segment_id in sorted(by_segment):
        by_instant, unit = by_segment[segment_id], units.get(segment_id)
        try:
            if unit is None:
                raise SegmentError(f"segment {segment_id} is not in the ledger any more")
            segment = recorded.find(unit)
            if recorded.has_changed(unit, segment):
                raise SegmentError(f"{unit.url}: the file has changed since it was processed, and boxes may not fit")
            for at_us, image in frames_at(segment, sorted(by_instant)):
                rows = by_instant[at_us]
                xyxy = np.array([[boxes[at][name] for name in ("x1", "y1", "x2", "y2")] for at in rows])
                for at, one in zip(rows, cut(image, xyxy, crop_hw)):
                    images[at] = one
        except SegmentError as error:
            missing[str(error)] = None
    return images, list(missing)


def _halves(identity: np.ndarray) -> np.ndarray:
    """Tell of each crop, in order of time, whether it is of the later half of its tracklet."""
    half = np.zeros(len(identity), np.int64)
    for name in np.unique(identity):
        rows = np.flatnonzero(identity == name)
        half[rows[len(rows) // 2 :]] = 1
    return half
