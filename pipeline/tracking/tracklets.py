"""One camera's tracking through its footage: frames in, rows for the lake out, resumable at any frame.

This is the shell around the pure tracker. It measures elapsed time, keeps the sums of living tracks, and writes a
tracklet row when its track has ended. When boxes are written, and where they then lie, is for hindsight to say.
"""

from __future__ import annotations

import json

import numpy as np

from pipeline.config import TrackerConfig, digest
from pipeline.errors import LakeError
from pipeline.tracking import exemplars, snapshot
from pipeline.tracking.as_tracked import AsTracked
from pipeline.tracking.deep_sort import TrackerState, advance, features_kept, initial_state
from pipeline.tracking.gallery import Gallery
from pipeline.tracking.hindsight.stream import Hindsight
from pipeline.tracking.summary import Summary
from pipeline.types import Detections, Exemplars, Observations, Tracklets, Tracks

CLOCK_JITTER = 0.1
"""Containers round presentation times to their own tick, up to a millisecond: frames this near their time are on it."""

STATE_VERSION = 2
"""Raised by one whenever saved bytes change their meaning."""


class CameraTracking:
    """Follows the objects of one camera, over any number of segments.

    Memory is bounded by the tracks alive, plus the rows finished since the last `drain`. Of a living track only sums,
    its gallery, at most `max_exemplars` pictures' embeddings and the boxes of a few seconds are kept.
    """

    last_captured_at_us: int | None

    def __init__(self, camera_id: str, config: TrackerConfig, state: bytes | None = None) -> None:
        """Start afresh, or from what `to_bytes` gave. Raises LakeError where `state` does not fit."""
        self._camera_id = camera_id
        self._config = config
        self.last_captured_at_us = None
        self._tracker = initial_state()
        self._summary = Summary.empty(config.max_exemplars)
        self._extent_xy = np.zeros(2)  # right and lower edge of the picture, as far as boxes have shown it
        self._rows: AsTracked | Hindsight = AsTracked() if config.hindsight is None else Hindsight(config)
        no_tracklets, no_exemplars = self._summary.rows()
        self._observations = [Observations.none()]
        self._tracklets = [no_tracklets]
        self._exemplars = [no_exemplars]
        if state is not None:
            self._restore(state)

    def step(
        self,
        *,
        segment_id: str,
        frame: int,
        captured_at_us: int,
        frame_interval_us: int,
        detections: Detections,
        embedding: np.ndarray,
        camera_warp: np.ndarray | None = None,
    ) -> Tracks:
        """Take in one frame, with or without detections, and return the tracks alive in it.

        embedding is (N, 128) float32 unit vectors, a row per detection (zeros: look unknown). Time since the frame
        before, divided by `frame_interval_us`, is what tracks age by, so lost frames and variable rates count as the
        time they are. `camera_warp` is as in deep_sort.advance. Frames must come in order of time. Raises ValueError
        where they do not.
        """
        elapsed_frames = self._elapsed_frames(captured_at_us, frame_interval_us)
        speed_noise = max(1.0, frame_interval_us / 1e6 * self._config.motion_fps)
        tracker, tracks = advance(
            self._tracker,
            detections,
            embedding,
            elapsed_frames,
            self._config,
            camera_warp=camera_warp,
            speed_noise=speed_noise,
        )
        gone = ~np.isin(self._summary.track_id, tracks.track_id)
        ended = self._summary.take(gone & self._summary.confirmed)
        whole = detections.xyxy[np.isfinite(detections.xyxy).all(axis=1)]
        self._extent_xy = np.maximum(self._extent_xy, whole[:, 2:].max(axis=0, initial=0))
        self._summary = self._summary.follow(
            tracks,
            detections,
            embedding,
            exemplars.quality(detections.xyxy, detections.score, self._extent_xy),
            camera_id=self._camera_id,
            captured_at_us=captured_at_us,
            frame=frame,
        )
        self._tracker = tracker
        self.last_captured_at_us = captured_at_us
        self._rows.take_in(
            tracks,
            detections,
            ended,
            self._summary,
            frame=frame,
            captured_at_us=captured_at_us,
            segment_id=segment_id,
            elapsed_frames=elapsed_frames,
            camera_warp=camera_warp,
            speed_noise=speed_noise,
        )
        return tracks

    def close(self) -> None:
        """End every track: the camera's footage ends here, or a gap follows. Ids go on from where they were."""
        self._rows.close(self._summary)
        none = np.zeros(0, np.int64)
        self._tracker = self._tracker.take(none)
        self._summary = self._summary.take(none)

    def drain(self) -> tuple[Observations, Tracklets, Exemplars]:
        """Hand out the rows completed since the last drain, sorted as their structs say, and forget them.

        A track's boxes are complete once it is confirmed, the tentative ones included, and with hindsight once nothing
        later can change them; a tracklet and its exemplars when the track has ended.
        """
        self._collect()
        observations = Observations.concatenate(self._observations)
        order = np.lexsort((observations.tracklet_id.astype(np.str_), observations.captured_at_us))
        tracklets = Tracklets.concatenate(self._tracklets)
        found = Exemplars.concatenate(self._exemplars)
        rows = (
            observations.take(order),
            tracklets.take(np.argsort(tracklets.tracklet_id.astype(np.str_))),
            found.take(np.lexsort((found.captured_at_us, found.tracklet_id.astype(np.str_)))),
        )
        nothing = [table.take(np.zeros(0, np.int64)) for table in rows]
        self._observations, self._tracklets, self._exemplars = ([table] for table in nothing)
        return rows

    def _collect(self) -> None:
        """Take over what the rows' keeper has settled."""
        observations, finished = self._rows.drain()
        self._observations.extend(observations)
        for part in finished:
            tracklets, found = part.rows()
            self._tracklets.append(tracklets)
            self._exemplars.append(found)

    def to_bytes(self) -> bytes:
        """Return all there is to know for going on later: tracks, galleries, held-back and undrained rows.

        Equal states give equal bytes, and going on from them gives the rows that going on without a break gives.
        """
        self._collect()
        tracker, summary = self._tracker, self._summary
        gallery = tracker.gallery or Gallery.empty(features_kept(self._config))
        count, feature = gallery.pack()
        about = {
            "state_version": STATE_VERSION,
            "camera_id": self._camera_id,
            "tracker_config": digest(self._config),
            "last_captured_at_us": self.last_captured_at_us,
            "next_id": tracker.next_id,
        }
        return snapshot.to_bytes(
            {
                "about": np.array(json.dumps(about, sort_keys=True)),
                "extent_xy": self._extent_xy,
                **snapshot.columns("tracker", tracker),
                "gallery.count": count,
                "gallery.feature": feature,
                **summary.to_arrays("summary"),
                **self._rows.to_arrays(),
                **snapshot.columns("observations", Observations.concatenate(self._observations)),
                **snapshot.columns("tracklets", Tracklets.concatenate(self._tracklets)),
                **snapshot.columns("exemplars", Exemplars.concatenate(self._exemplars)),
            }
        )

    def _restore(self, state: bytes) -> None:
        """Take over a saved state. Raises LakeError where it is damaged or was saved for something else."""
        where = f"tracker state of camera {self._camera_id}"
        try:
            arrays = snapshot.from_bytes(state)
            about = json.loads(arrays["about"].item())
            wanted = {
                "state_version": STATE_VERSION,
                "camera_id": self._camera_id,
                "tracker_config": digest(self._config),
            }
            for key, value in wanted.items():
                if about[key] != value:
                    raise LakeError(
                        f"{where}: expected {key} {value}, got {about[key]}; process the segment before again"
                    )
            gallery = Gallery.unpack(features_kept(self._config), arrays["gallery.count"], arrays["gallery.feature"])
            columns = snapshot.restored("tracker", arrays)
            self._tracker = TrackerState(next_id=about["next_id"], gallery=gallery, **columns)
            self._summary = Summary.from_arrays("summary", arrays)
            self._rows.restore(arrays)
            self._observations = [Observations(**snapshot.restored("observations", arrays))]
            self._tracklets = [Tracklets(**snapshot.restored("tracklets", arrays))]
            self._exemplars = [Exemplars(**snapshot.restored("exemplars", arrays))]
            self._extent_xy = arrays["extent_xy"]
            self.last_captured_at_us = about["last_captured_at_us"]
        except (KeyError, ValueError, TypeError) as error:
            raise LakeError(f"{where}: damaged ({error}); process the segment before again") from None

    def _elapsed_frames(self, captured_at_us: int, frame_interval_us: int) -> float:
        """Count the frames since the last one by the clock; 1 for the first."""
        if self.last_captured_at_us is None:
            return 1.0
        elapsed_us = captured_at_us - self.last_captured_at_us
        if elapsed_us <= 0:
            raise ValueError(
                f"camera {self._camera_id}: expected a frame after {self.last_captured_at_us} us, got {captured_at_us}"
            )
        elapsed = elapsed_us / frame_interval_us
        whole = round(elapsed)
        return float(whole) if whole and abs(elapsed - whole) < CLOCK_JITTER else elapsed
