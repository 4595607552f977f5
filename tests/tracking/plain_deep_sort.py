"""Deep SORT the slow and obvious way, as a test's oracle: an object per track, 8x8 matrices, lists of features."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline import boxes
from pipeline.config import TrackerConfig
from pipeline.tracking import kalman
from tests.tracking.test_kalman import dense, slow_predict, slow_project, slow_update


class PlainTrack:
    """One track."""

    def __init__(self, number: int, z: np.ndarray, feature: np.ndarray) -> None:
        mean, cov = kalman.initiate(z[None])
        self.number, self.mean, self.cov = number, mean[0], dense(cov[0])
        self.features, self.hits, self.unseen, self.confirmed = [feature], 1, 0, False

    def distance_sq(self, z: np.ndarray) -> float:
        expected, spread = slow_project(self.mean, self.cov)
        return float((z - expected) @ np.linalg.inv(spread) @ (z - expected))

    def cosine(self, feature: np.ndarray) -> float:
        return min(1 - float(mine @ feature) for mine in self.features)

    def iou(self, xyxy: np.ndarray) -> float:
        return float(boxes.iou(kalman.to_xyxy(self.mean[None]), xyxy[None])[0, 0])


class PlainDeepSort:
    """The tracker for boxes of one class in gapless footage."""

    def __init__(self, config: TrackerConfig) -> None:
        self.config, self.tracks, self.born = config, [], 0

    def step(self, xyxy: np.ndarray, embedding: np.ndarray) -> dict[int, int]:
        """Take in a frame; return track number by detection."""
        config = self.config
        xyxy = xyxy.astype(np.float64)
        z = kalman.from_xyxy(xyxy)
        for track in self.tracks:
            track.mean, track.cov = slow_predict(track.mean, track.cov)
            track.unseen += 1

        def appearance(track: PlainTrack, box: int) -> float:
            return track.cosine(embedding[box]) if track.distance_sq(z[box]) <= config.gate_sq else np.inf

        free, matches = set(range(len(xyxy))), {}
        for age in range(1, config.max_age_frames + 1):
            level = [track for track in self.tracks if track.confirmed and track.unseen == age]
            matches |= self._match(level, free, appearance, config.max_cosine_distance)
        rest = [t for t in self.tracks if t not in matches and t.unseen == 1]
        matches |= self._match(rest, free, lambda track, box: 1 - track.iou(xyxy[box]), config.max_iou_distance)

        for track, box in matches.items():
            track.mean, track.cov = slow_update(track.mean, track.cov, z[box])
            track.features = [*track.features, embedding[box]][-config.gallery_size :]
            track.hits, track.unseen = track.hits + 1, 0
            track.confirmed = track.confirmed or track.hits >= config.n_init
        self.tracks = [t for t in self.tracks if t in matches or (t.confirmed and t.unseen <= config.max_age_frames)]
        numbers = {box: track.number for track, box in matches.items()}
        for box in sorted(free):
            self.born += 1
            self.tracks.append(PlainTrack(self.born, z[box], embedding[box]))
            numbers[box] = self.born
        return numbers

    @staticmethod
    def _match(tracks: list, free: set[int], cost_of, limit: float) -> dict:
        """Match at least cost and take the matched boxes out of `free`."""
        columns = sorted(free)
        if not tracks or not columns:
            return {}
        cost = np.array([[cost_of(track, box) for box in columns] for track in tracks])
        rows, picked = linear_sum_assignment(np.where(cost > limit, limit + 1e-5, cost))
        found = {tracks[r]: columns[c] for r, c in zip(rows, picked) if cost[r, c] <= limit}
        free -= set(found.values())
        return found
