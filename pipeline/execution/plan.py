"""What there is to do: footage and ledger in, shifts of units out. Pure: reads nothing, writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pipeline.config import CameraConfig, FleetConfig, digest
from pipeline.footage.segments import OVERLAP_US
from pipeline.lake.ledger import LedgerEntry
from pipeline.tracking import camera_motion, tracklets
from pipeline.types import Segment

FRESH = ""
"""State digest of a unit that starts with an empty tracker."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One segment to be processed.

    inherits_from   segment whose tracker state this one continues, or None for a fresh start
    closes          whether every track ends with this segment, because a gap or the end of the footage follows
    state_in        digest of the state that the ledger has of `inherits_from`, where that segment is not processed now
                    (another date's, or its file is gone); None where the unit before this one will tell
    anew            whether its rows are to be made anew though the ledger has them as they would be
    config_digest   of the sections that shape its rows; weights_digest of detector and embedder
    """

    segment: Segment
    inherits_from: str | None
    closes: bool
    config_digest: str
    weights_digest: str
    state_in: str | None = None
    anew: bool = False

    def received(self, handed_on: str) -> str:
        """Return the digest of the state this unit starts from, where the unit before it left that of `handed_on`."""
        if self.inherits_from is None:
            return FRESH
        return handed_on if self.state_in is None else self.state_in

    def key(self, state_in_digest: str) -> str:
        """Digest of all this unit's rows depend on. Equal keys, equal rows."""
        inputs = [self.segment.fingerprint, self.segment.started_at_us, self.config_digest, self.weights_digest]
        return digest([*inputs, state_in_digest, self.closes])


@dataclass(frozen=True, slots=True)
class Shift:
    """One camera's units in the order of their start."""

    camera_id: str
    units: tuple[Unit, ...]


def config_digest(config: FleetConfig, camera: CameraConfig) -> str:
    """Return the digest of everything in the configuration that shapes a camera's rows.

    Lines and zones are not in it: they are applied when the lake is asked, so moving a line redoes nothing. Versions of
    saved states and of the tracker's code are: what a nightfleet finds whose states it can no longer read, or that it
    would track otherwise, is redone, not refused and not mixed.
    """
    version = [tracklets.STATE_VERSION, tracklets.ROWS_VERSION]
    version += [camera_motion.STATE_VERSION] if camera.moving else []
    return digest(config.detector_for(camera), config.models.embedder, config.tracker, _shape(camera), version)


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
    outside `date` still takes the neighbour's state, if the ledger has one; so does one whose neighbour's file is gone,
    for the lake outlives the footage. What such a state is worth under the present settings is for `states` to say.
    """
    segments = list(segments)
    places = [*segments, *_gone(camera.id, segments, ledger)]
    places.sort(key=lambda place: (place.started_at_us, place.segment_id))
    shape = config_digest(config, camera)
    units: list[Unit] = []
    for place, segment in enumerate(places):
        if isinstance(segment, LedgerEntry) or date not in (None, segment.local_date):
            continue
        before = places[place - 1] if place else None
        after = places[place + 1] if place + 1 < len(places) else None
        inherits_from, state_in = None, None
        if isinstance(before, LedgerEntry) or (before and hands_over(before, segment, config, camera)):
            inherits_from = before.segment_id
            if not units or units[-1].segment is not before:
                state_in = _left_by(before, segment, ledger)
                inherits_from = None if state_in == FRESH else inherits_from
        if isinstance(after, LedgerEntry):
            closes = not _went_on(segment, after, shape, ledger)
        else:
            closes = after is None or not hands_over(segment, after, config, camera)
        units.append(
            Unit(
                segment=segment,
                inherits_from=inherits_from,
                closes=closes,
                config_digest=shape,
                weights_digest=weights_digest(segment),
                state_in=None if inherits_from is None else state_in,
            )
        )
    return Shift(camera.id, tuple(units))


def _gone(camera_id: str, segments: list[Segment], ledger: Mapping[str, LedgerEntry]) -> list[LedgerEntry]:
    """Return the camera's units whose file is no longer there, but whose time on the clock is known."""
    there = {name for segment in segments for name in (segment.segment_id, segment.url)}
    return [
        entry
        for entry in ledger.values()
        if entry.camera_id == camera_id
        and not there & {entry.segment_id, entry.url}
        and entry.started_at_us is not None
        and entry.ended_at_us is not None
    ]


def _left_by(before: Segment | LedgerEntry, segment: Segment, ledger: Mapping[str, LedgerEntry]) -> str:
    """Return the digest of the state that a segment not processed now left to this one, by the ledger.

    That of a file that is gone is taken over after a gap of any length: the tracker ages its tracks by the clock, and
    their last rows are written nowhere else.
    """
    if isinstance(before, LedgerEntry) and before.ended_at_us - segment.started_at_us > OVERLAP_US:
        return FRESH
    entry = ledger.get(before.segment_id)
    return FRESH if entry is None else entry.state_out_digest


def _went_on(segment: Segment, after: LedgerEntry, config_digest: str, ledger: Mapping[str, LedgerEntry]) -> bool:
    """Tell whether the unit `after`, whose file is gone, holds what this segment's unit handed on to it."""
    entry = ledger.get(segment.segment_id)
    if entry is None or (entry.config_digest, entry.fingerprint) != (config_digest, segment.fingerprint):
        return False  # it is made anew, and can no longer hand on: its tracks end
    return FRESH != entry.state_out_digest == after.state_in_digest


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
    todo, state, unsure = [], FRESH, False
    for unit in shift.units:
        if unit.inherits_from is None or unit.state_in is not None:
            unsure = False
        entry = ledger.get(unit.segment.segment_id)
        if unsure or not is_current(unit, unit.received(state), entry):
            todo.append(unit)
            unsure = True
        else:
            state = entry.state_out_digest
    return tuple(todo)


def is_current(unit: Unit, state_in_digest: str, entry: LedgerEntry | None) -> bool:
    """Tell whether the ledger already holds this unit, made from exactly these inputs."""
    return entry is not None and entry.key == unit.key(state_in_digest)
