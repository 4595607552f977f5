"""What a unit continues from: the tracker's state and a moving camera's motion, as the segment before left them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline.config import CameraConfig, FleetConfig, digest
from pipeline.errors import LakeError
from pipeline.execution.plan import FRESH, Unit
from pipeline.lake.writer import Lake
from pipeline.tracking import snapshot, tracklets
from pipeline.tracking.camera_motion import CameraMotion
from pipeline.tracking.tracklets import CameraTracking
from pipeline.types import Exemplars, Observations, Tracklets

_ERASED = b"nightfleet state with tracks erased, once "
"""How such a state begins; the digest of the state that it was follows, and a line's end."""

Rows = TypeVar("Rows", Observations, Tracklets, Exemplars)


@dataclass(frozen=True, eq=False, slots=True)
class Start:
    """Where a unit's tracking starts.

    tracking  continues the segment before, or has no tracks yet
    ended     rows of tracks that reached this segment and end with the segment before, since they were made under
              other tracker settings
    motion    where a moving camera's picture had come to, or None
    """

    tracking: CameraTracking
    ended: tuple[Observations, Tracklets, Exemplars] | None = None
    motion: bytes | None = None

    def drain(self) -> tuple[Observations, Tracklets, Exemplars]:
        """Hand out the rows completed so far, those of the tracks that ended before included."""
        rows = self.tracking.drain()
        if self.ended is None:
            return rows
        observations, finished, exemplars = zip(self.ended, rows, strict=True)
        return joined(observations), joined(finished), joined(exemplars)


def start(unit: Unit, state_in_digest: str, config: FleetConfig, lake: Lake) -> Start:
    """Return what a unit starts from. A state of other settings ends under those, and tracking starts without tracks.

    Such states come from segments that are not processed now: of another date, or their file is gone. Where nothing can
    read one any more (a state of another version, or settings that the lake does not know), its last rows are lost.
    Raises LakeError where the state is missing or damaged.
    """
    camera = config.camera(unit.segment.camera_id)
    if unit.inherits_from is None or state_in_digest == FRESH:
        return Start(CameraTracking(camera.id, config.tracker))
    state = lake.state(camera.id, unit.inherits_from)
    if state is None or state_digest(state) != state_in_digest:
        raise LakeError(
            f"{lake.url}: the tracker state after segment {unit.inherits_from} of camera {camera.id} is missing or "
            "changed; remove that segment's ledger file and run again"
        )
    state = opened(state)
    version, settings, last_captured_at_us = _about(state)
    if (version, settings) == (tracklets.STATE_VERSION, digest(config.tracker)):
        return Start(CameraTracking(camera.id, config.tracker, state), motion=_motion(unit, camera, lake))
    fresh = CameraTracking(camera.id, config.tracker)
    fresh.last_captured_at_us = last_captured_at_us  # frames up to there are in the lake
    then = lake.read_tracker(settings)
    if version != tracklets.STATE_VERSION or then is None:
        return Start(fresh)
    before = CameraTracking(camera.id, then, state)
    before.close()
    return Start(fresh, before.drain())


def _about(state: bytes) -> tuple[int | None, str, int | None]:
    """Return a state's version, the digest of its settings and its last instant; (None, "", None) where unreadable."""
    try:
        about = json.loads(snapshot.from_bytes(state)["about"].item())
        return about["state_version"], about["tracker_config"], about["last_captured_at_us"]
    except (KeyError, ValueError, TypeError):
        return None, "", None


def _motion(unit: Unit, camera: CameraConfig, lake: Lake) -> bytes | None:
    """Return the motion that a moving camera continues from, or None for a camera that stands."""
    if not camera.moving:
        return None
    motion = lake.motion(camera.id, unit.inherits_from)
    if motion is None:
        raise LakeError(
            f"{lake.url}: the camera motion after segment {unit.inherits_from} of camera {camera.id} is missing; "
            "remove that segment's ledger file and its kept detections, and run again"
        )
    return motion


def joined(parts: Sequence[Rows]) -> Rows:
    """Stack rows of several parts, at least one, sorted as their struct says."""
    rows = type(parts[0]).concatenate(list(parts))
    names = rows.tracklet_id.astype(np.str_)
    match rows:
        case Observations():
            order = np.lexsort((names, rows.captured_at_us))
        case Exemplars():
            order = np.lexsort((rows.captured_at_us, names))
        case _:
            order = np.argsort(names)
    return rows.take(order)


def state_digest(state: bytes | None) -> str:
    """Digest of a saved state; the empty string for none. One with tracks erased stands for the state it was."""
    if state is None:
        return FRESH
    if is_erased_from(state):
        return state[len(_ERASED) : state.index(b"\n")].decode()
    return hashlib.blake2b(state, digest_size=10).hexdigest()


def without_picture(motion: bytes) -> bytes:
    """Return a moving camera's saved motion less the last frame, shrunk and grey, that it is measured from.

    The camera is then taken to stand still into the next frame.
    """
    return _ERASED + state_digest(motion).encode() + b"\n" + CameraMotion().to_bytes()


def is_erased_from(state: bytes) -> bool:
    """Tell whether `without` made this state."""
    return state.startswith(_ERASED)


def without(state: bytes, camera_id: str, lake: Lake, erased: Callable[[set[str]], set[str]]) -> bytes | None:
    """Return a saved state less the tracklets that `erased` picks among those in it; None where it picks none.

    It stands for the state it was: units go on from it as if nothing had changed. Where nothing can read the state any
    more, none of it is left, and whoever goes on from it starts without tracks.
    """
    inner = opened(state)
    names = erased(_texts(inner))
    if not names:
        return None
    version, settings, _ = _about(inner)
    tracker = lake.read_tracker(settings)
    left = b""
    if version == tracklets.STATE_VERSION and tracker is not None:
        tracking = CameraTracking(camera_id, tracker, inner)
        tracking.forget(names)
        left = tracking.to_bytes()
    return _ERASED + state_digest(state).encode() + b"\n" + left


def _texts(state: bytes) -> set[str]:
    """Return every text in a saved state, tracklet ids among them; none where it is no such state."""
    try:
        arrays = snapshot.from_bytes(state).values()
    except ValueError:
        return set()
    return {text for array in arrays if array.dtype.kind == "U" for text in array.reshape(-1).tolist()}


def opened(state: bytes) -> bytes:
    """Return what a saved state, or motion, holds, without the word on what was erased from it."""
    return state[state.index(b"\n") + 1 :] if is_erased_from(state) else state
