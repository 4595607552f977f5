"""One camera's tracking through its footage: frames in, rows for the lake out, resumable at any frame.

This is the shell around the pure tracker. It measures elapsed time, keeps the sums of living tracks, and writes a
tracklet row when its track has ended. When boxes are written, and where they then lie, is for hindsight to say.
"""

from __future__ import annotations

import json

import numpy as np

from pipeline.config import TrackerConfig, digest
from pipeline.errors import LakeError
from pipeline.tracking import snapshot
from pipeline.tracking.as_tracked import AsTracked
from pipeline.tracking.block import STILL, TrackedFrame, block_of, places_in
from pipeline.tracking.deep_sort import TrackerState, advance, features_kept, initial_state
from pipeline.tracking.gallery import Gallery
from pipeline.tracking.hindsight.stream import Hindsight
from pipeline.tracking.summary import Summary
from pipeline.types import Detections, Exemplars, Observations, Tracklets, Tracks

CLOCK_JITTER = 0.1
"""Containers round presentation times to their own tick, up to a millisecond: frames this near their time are on it."""

BLOCK_BOXES = 2048
"""Detections after which frames are summed up together: more save no more time, and take memory."""

NOBODY = np.zeros(0, np.int64)

STATE_VERSION = 2
"""Raised by one whenever saved bytes change their meaning."""
ROWS_VERSION = 1
"""Raised by one with every change of the code that makes other rows of the same detections, so that tracks are made
anew: from detections that were kept, or from the footage."""


class CameraTracking:
    """Follows the objects of one camera, over any number of segments.

    Memory is bounded by the tracks alive, plus the rows finished since the last `drain`. Of a living track only sums,
    its gallery, at most `max_exemplars` pictures' embeddings and the boxes of a few seconds are kept; besides, the last
    frames as they came, until they are summed up, at the latest after 64 of them or `BLOCK_BOXES` detections.
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
        self._recent: list[TrackedFrame] = []  # not yet summed up
        self._n_recent_boxes = 0
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

        Boxes of some frames are summed up together, so nothing may be written into the arrays handed in afterwards.
        """
        elapsed_frames = self._elapsed_frames(captured_at_us, frame_interval_us)
        if elapsed_frames > self._config.max_age_frames:
            self.close()
        speed_noise = max(1.0, frame_interval_us / 1e6 * self._config.motion_fps)
        before = self._tracker
        self._tracker, tracks = advance(
            before,
            detections,
            embedding,
            elapsed_frames,
            self._config,
            camera_warp=camera_warp,
            speed_noise=speed_noise,
        )
        self.last_captured_at_us = captured_at_us
        self._recent.append(
            TrackedFrame(
                frame=frame,
                captured_at_us=captured_at_us,
                segment_id=segment_id,
                elapsed_frames=elapsed_frames,
                speed_noise=speed_noise,
                camera_warp=STILL if camera_warp is None else camera_warp,
                track_id=tracks.track_id,
                detection_index=tracks.detection_index,
                hits=self._tracker.hits,
                detections=detections,
                embedding=embedding,
            )
        )
        self._n_recent_boxes += len(detections)
        ended = _ended(before, self._tracker)
        full = len(self._recent) >= self._rows.frames_wanted or self._n_recent_boxes >= BLOCK_BOXES
        if full or len(ended):
            self._sum_up(before, ended)
        return tracks

    def _sum_up(self, before: TrackerState, ended: np.ndarray) -> None:
        """Take the recent frames into the summary, and tell the rows' keeper of them.

        ended (E,) are the confirmed tracks of `before`, the tracker's state before the last frame, that end in it. In
        the frames before none did: then the frames up to there would have been summed up.
        """
        if not self._recent:
            return
        block, self._extent_xy = block_of(self._recent, self._extent_xy)
        self._recent, self._n_recent_boxes = [], 0
        followed = [self._tracker, before.take(ended)] if len(ended) else [self._tracker]
        both = self._summary.follow(block, followed, camera_id=self._camera_id)
        gone = places_in(self._tracker.track_id, both.track_id) < 0
        self._summary = both.take(~gone) if len(ended) else both
        self._rows.take_in(block, both.take(gone), self._summary)

    def close(self) -> None:
        """End every track: the camera's footage ends here, or a gap follows. Ids go on from where they were."""
        self._sum_up(self._tracker, NOBODY)
        self._rows.close(self._summary)
        self._tracker = self._tracker.take(NOBODY)
        self._summary = self._summary.take(NOBODY)

    def drain(self) -> tuple[Observations, Tracklets, Exemplars]:
        """Hand out the rows completed since the last drain, sorted as their structs say, and forget them.

        A track's boxes are complete once it is confirmed, the tentative ones included, and with hindsight once nothing
        later can change them; a tracklet and its exemplars when the track has ended.
        """
        rows = self._collected()
        nothing = [table.take(NOBODY) for table in rows]
        self._observations, self._tracklets, self._exemplars = ([table] for table in nothing)
        return rows

    def _collected(self) -> tuple[Observations, Tracklets, Exemplars]:
        """Take over what the rows' keeper has settled, and return all rows not yet drained, sorted."""
        self._sum_up(self._tracker, NOBODY)
        settled, finished = self._rows.drain()
        observations = Observations.concatenate([*self._observations, *settled])
        tracklets, found = zip(*(part.rows() for part in finished), strict=True) if finished else ((), ())
        tracklets = Tracklets.concatenate([*self._tracklets, *tracklets])
        found = Exemplars.concatenate([*self._exemplars, *found])
        rows = (
            observations.take(np.lexsort((observations.tracklet_id.astype(np.str_), observations.captured_at_us))),
            tracklets.take(np.argsort(tracklets.tracklet_id.astype(np.str_))),
            found.take(np.lexsort((found.captured_at_us, found.tracklet_id.astype(np.str_)))),
        )
        self._observations, self._tracklets, self._exemplars = ([table] for table in rows)
        return rows

    def forget(self, tracklet_ids: set[str]) -> None:
        """Let go of all there is of these tracklets, as if they had never been seen; ids go on from where they were.

        What is left of such an object in frames to come is taken for another one.
        """
        self._sum_up(self._tracker, NOBODY)
        names = dict(zip(self._summary.track_id.tolist(), self._summary.tracklet_id.tolist())) | self._rows.names()
        tracks = np.array(sorted(track for track, name in names.items() if name in tracklet_ids), np.int64)
        self._tracker = self._tracker.take(~np.isin(self._tracker.track_id, tracks))
        self._summary = self._summary.take(~np.isin(self._summary.track_id, tracks))
        self._rows.forget(tracks)
        kept = []
        for rows in self._collected():
            kept.append(rows.take(np.array([name not in tracklet_ids for name in rows.tracklet_id], bool)))
        self._observations, self._tracklets, self._exemplars = ([rows] for rows in kept)

    def to_bytes(self) -> bytes:
        """Return all there is to know for going on later: tracks, galleries, held-back and undrained rows.

        Equal states give equal bytes, and going on from them gives the rows that going on without a break gives.
        """
        observations, tracklets, found = self._collected()
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
                **snapshot.columns("observations", observations),
                **snapshot.columns("tracklets", tracklets),
                **snapshot.columns("exemplars", found),
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


def _ended(before: TrackerState, after: TrackerState) -> np.ndarray:
    """Return the rows (E,) of the confirmed tracks of one state that are alive no more in the next."""
    n_kept = len(after) - (after.next_id - before.next_id)  # new tracks stand at the end
    if n_kept == len(before):
        return NOBODY
    ended = before.confirmed.copy()
    ended[np.searchsorted(before.track_id, after.track_id[:n_kept])] = False
    return np.flatnonzero(ended)
