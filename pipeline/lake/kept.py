"""What the models saw in one segment, kept so that its tracks can be made anew without footage, models or GPU."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.errors import LakeError
from pipeline.types import EMBEDDING_DIM, Detections, Segment


@dataclass(frozen=True, slots=True)
class About:
    """What kept detections were made from; stands as JSON in the metadata of the segment's file of `frames`.

    key                digest of all that shaped them: footage, clock, models and their settings
    weights_digest     of the models alone, as in the ledger
    not_before_us      frames captured at or before this instant belonged to the segment before; None where none did
    frame_interval_us  mean time between two frames that were processed
    bad_packets        damaged packets passed over in decoding
    motion_unknown     frames whose motion could not be told, so that the camera was taken to stand still in them
    last_captured_at_us  the last frame that the tracker has seen after this segment; None where it saw none
    motion_in, motion_out  digests of a moving camera's motion (tracking.camera_motion) as it was received from the
                       segment before and as it was handed on; empty where there was none
    reason             why the segment could not be decoded; then it has no frames here. Else empty
    """

    segment: Segment
    key: str
    weights_digest: str
    not_before_us: int | None
    frame_interval_us: int
    bad_packets: int = 0
    motion_unknown: int = 0
    last_captured_at_us: int | None = None
    motion_in: str = ""
    motion_out: str = ""
    reason: str = ""

    def fits(self, wanted: About) -> bool:
        """Tell whether detections kept so are those that `wanted` would be made from.

        A camera's motion into the first frame does not matter where no track comes from the segment before, be it now
        or then: what was kept without it has all other motions, and none for that one frame.
        """
        same = (self.key, self.not_before_us) == (wanted.key, wanted.not_before_us)
        return same and (not self.motion_in or wanted.motion_in in ("", self.motion_in))

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, origin: str) -> About:
        """Read it back; `origin` names the file. Raises LakeError where it is not ours."""
        try:
            facts = json.loads(text)
            return cls(**{**facts, "segment": Segment(**facts["segment"])})
        except (ValueError, KeyError, TypeError):
            raise LakeError(
                f"{origin}: these detections were kept by another nightfleet; remove the file, and keep them anew by "
                "`nightfleet run FLEET.YAML --keep-detections`"
            ) from None


@dataclass(frozen=True, eq=False, slots=True)
class KeptDetections:
    """All F processed frames of one segment and the N detections in them, both in order of time.

    frame           (F,)      int32, index in the file
    captured_at_us  (F,)      int64, strictly increasing
    camera_warp     (F, 2, 3) float64, picture of the frame before -> this one; NaN where the camera stands still
    n_detections    (F,)      int64, detections of each frame; N together
    detections      N of them, frame after frame
    embedding       (N, 128)  float16, as `to_half` leaves them
    """

    about: About
    frame: np.ndarray
    captured_at_us: np.ndarray
    camera_warp: np.ndarray
    n_detections: np.ndarray
    detections: Detections
    embedding: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)


class Recorder:
    """Collects a segment's frames. Memory: about 0.3 KB a detection until the segment ends."""

    def __init__(self) -> None:
        self._frames: list[tuple[int, int]] = []
        self._warps = [np.zeros((0, 2, 3))]
        self._detections = [Detections.empty()]
        self._embedding = [np.zeros((0, EMBEDDING_DIM), np.float16)]

    def add(
        self,
        frame: int,
        captured_at_us: int,
        detections: Detections,
        embedding: np.ndarray,
        camera_warp: np.ndarray | None,
    ) -> None:
        """Take in one frame; embedding (N, 128) float16, camera_warp (2, 3) or None."""
        self._frames.append((frame, captured_at_us))
        self._warps.append(np.full((1, 2, 3), np.nan) if camera_warp is None else np.asarray(camera_warp)[None])
        self._detections.append(detections)
        self._embedding.append(embedding)

    def kept(self, about: About) -> KeptDetections:
        """Return all that was added."""
        found = self._detections
        return KeptDetections(
            about=about,
            frame=np.array([frame for frame, _ in self._frames], np.int32),
            captured_at_us=np.array([at_us for _, at_us in self._frames], np.int64),
            camera_warp=np.concatenate(self._warps),
            n_detections=np.array([len(detections) for detections in found[1:]], np.int64),
            detections=Detections(
                np.concatenate([d.xyxy for d in found]),
                np.concatenate([d.score for d in found]),
                np.concatenate([d.class_id for d in found]),
            ),
            embedding=np.concatenate(self._embedding),
        )


def to_half(embedding: np.ndarray) -> np.ndarray:
    """Round embeddings (N, 128) float32 to float16: what is kept of them, and all the tracker is ever given."""
    return embedding.astype(np.float16)


def from_half(half: np.ndarray) -> np.ndarray:
    """Return kept embeddings (N, 128) float16 as float32 of unit length; rows of zeros stay zeros.

    Live tracking takes this way too, so that tracks made from kept detections equal those made from the footage.
    """
    wide = half.astype(np.float64)
    length = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return np.divide(wide, length, out=wide, where=length > 0).astype(np.float32)
