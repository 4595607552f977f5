"""What a unit continues from: the tracker's state and a moving camera's motion, as the segment before left them."""

from __future__ import annotations

import hashlib

from pipeline.config import CameraConfig
from pipeline.errors import LakeError
from pipeline.execution.plan import FRESH, Unit
from pipeline.lake.writer import Lake


def load_state(unit: Unit, state_in_digest: str, lake: Lake) -> bytes | None:
    """Return the tracker state a unit continues from, or None for a fresh start."""
    if unit.inherits_from is None or state_in_digest == FRESH:
        return None
    camera_id = unit.segment.camera_id
    state = lake.state(camera_id, unit.inherits_from)
    if state is None or state_digest(state) != state_in_digest:
        raise LakeError(
            f"{lake.url}: the tracker state after segment {unit.inherits_from} of camera {camera_id} is missing or "
            "changed; remove that segment's ledger file and run again"
        )
    return state


def load_motion(unit: Unit, state_in_digest: str, camera: CameraConfig, lake: Lake) -> bytes | None:
    """Return the motion that a moving camera continues from, or None for a camera that stands or starts afresh."""
    if not camera.moving or unit.inherits_from is None or state_in_digest == FRESH:
        return None
    motion = lake.motion(camera.id, unit.inherits_from)
    if motion is None:
        raise LakeError(
            f"{lake.url}: the camera motion after segment {unit.inherits_from} of camera {camera.id} is missing; "
            "remove that segment's ledger file and its kept detections, and run again"
        )
    return motion


def state_digest(state: bytes | None) -> str:
    """Digest of a saved state; the empty string for none."""
    return FRESH if state is None else hashlib.blake2b(state, digest_size=10).hexdigest()
