"""What there is to do: footage and ledger in, shifts of units out. Pure: reads nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pipeline.config import CameraConfig, FleetConfig, digest
from pipeline.lake.ledger import LedgerEntry
from pipeline.types import Segment

FRESH = ""
"""State digest of a unit that starts with an empty tracker."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One segment to be processed.

    inherits_from   segment whose tracker state this one continues, or None for a fresh start
    closes          whether every track ends with this segment, because a gap or the end of the footage follows
    config_digest   of the sections that shape its rows; weights_digest of detector and embedder
    """

    segment: Segment
    inherits_from: str | None
    closes: bool
    config_digest: str
    weights_digest: str

    def key(self, state_in_digest: str) -> str:
        """Digest of all this unit's rows depend on. Equal keys, equal rows."""
        inputs = [self.segment.fingerprint, self.segment.started_at_us, self.config_digest, self.weights_digest]
        return digest([*inputs, state_in_digest, self.closes])


@dataclass(frozen=True, slots=True)
class Shift:
    """One camera's units in the order of their start. `first_state`: digest of the state the first one receives."""

    camera_id: str
    units: tuple[Unit, ...]
    first_state: str = FRESH


def config_digest(config: FleetConfig, camera: CameraConfig) -> str:
    """Return the digest of everything in the configuration that shapes a camera's rows.

    Lines and zones are not in it: they are applied when the lake is asked, so moving a line redoes nothing.
    """
    return digest(config.detector_for(camera), config.models.embedder, config.tracker, _shape(camera))


def perception_key(unit: Unit, config: FleetConfig, camera: CameraConfig) -> str:
    """Digest of all that a unit's detections depend on, but for the frames that the segment before took from it."""
    segment, models = unit.segment, (config.detector_for(camera), config.models.embedder)
    return digest(*models, _shape(camera), [segment.fingerprint, segment.started_at_us, unit.weights_digest])


def _shape(camera: CameraConfig) -> list:
    """Return what of a camera's section shapes its frames and where they lie."""
    clock = [camera.clock_offset_s, camera.target_fps, camera.image_fps]
    motion = ["moving"] if camera.moving else []  # left out where False, so that older digests stay valid
    return [*clock, camera.homography, *motion]


def plan_shift(
    config: FleetConfig,
    camera: CameraConfig,
    segments: Iterable[Segment],
    weights_digest: Callable[[Segment], str],
    *,
    date: str | None = None,
    ledger: Mapping[str, LedgerEntry],
) -> Shift:
    """Lay out one camera's segments as units; those of local date `date` only, where one is given.

    Two segments hand the tracker's state on when the gap between them is at most `tracker.max_age_frames` long and the
    picture has the same size. `weights_digest` names what a segment is looked at with. A unit whose neighbour lies
    outside `date` still takes the neighbour's state, if the
    ledger has one.
    """
    ordered = sorted(segments, key=lambda segment: (segment.started_at_us, segment.segment_id))
    shape = config_digest(config, camera)
    units, first_state = [], FRESH
    for place, segment in enumerate(ordered):
        if date is not None and segment.local_date != date:
            continue
        before = ordered[place - 1] if place else None
        after = ordered[place + 1] if place + 1 < len(ordered) else None
        inherits = before is not None and hands_over(before, segment, config, camera)
        if inherits and not units:
            entry = ledger.get(before.segment_id)
            first_state = entry.state_out_digest if entry else FRESH
            inherits = first_state != FRESH
        units.append(
            Unit(
                segment=segment,
                inherits_from=before.segment_id if inherits else None,
                closes=after is None or not hands_over(segment, after, config, camera),
                config_digest=shape,
                weights_digest=weights_digest(segment),
            )
        )
    return Shift(camera.id, tuple(units), first_state)


def hands_over(before: Segment, after: Segment, config: FleetConfig, camera: CameraConfig) -> bool:
    """Tell whether a track may live on from one segment into the next."""
    longest_us = config.tracker.max_age_frames / frame_rate_fps(before, camera) * 1e6
    same_picture = (before.width_px, before.height_px) == (after.width_px, after.height_px)
    return same_picture and after.started_at_us - before.ended_at_us <= longest_us


def frame_rate_fps(segment: Segment, camera: CameraConfig) -> float:
    """Return the mean rate at which a segment's frames are processed."""
    return min(segment.fps, camera.target_fps) if camera.target_fps else segment.fps


def pending(shift: Shift, ledger: Mapping[str, LedgerEntry]) -> tuple[Unit, ...]:
    """Return the units that have to be processed, as far as can be known before any of them has run.

    A unit after a pending one is listed when it inherits, because its input may change; if it turns out unchanged, it
    is skipped then.
    """
    todo, state, unsure = [], shift.first_state, False
    for unit in shift.units:
        if unit.inherits_from is None:
            state, unsure = FRESH, False
        entry = ledger.get(unit.segment.segment_id)
        if unsure or not is_current(unit, state, entry):
            todo.append(unit)
            unsure = True
        else:
            state = entry.state_out_digest
    return tuple(todo)


def is_current(unit: Unit, state_in_digest: str, entry: LedgerEntry | None) -> bool:
    """Tell whether the ledger already holds this unit, made from exactly these inputs."""
    return entry is not None and entry.key == unit.key(state_in_digest)
