"""Tracks that somebody else made, from whatever file they come in, and as rows of a lake."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline import boxes
from pipeline.errors import TruthError
from pipeline.evaluation.confidences import to_scores
from pipeline.evaluation.foreign_classes import NOT_EVALUATED, coco_of_mot, coco_of_name
from pipeline.evaluation.formats import read_mot, read_seqinfo
from pipeline.evaluation.ottrk import read_ottrk
from pipeline.evaluation.tables import SequenceInfo
from pipeline.evaluation.tracklet_json import read_tracklets
from pipeline.tracking.summary import tracklet_ids
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Observations, Tracklets

_LEAST_WEIGHT = 1e-6
"""What a box without a score still says of its track's class."""


@dataclass(frozen=True, eq=False, slots=True)
class ForeignTracks:
    """N boxes of somebody else's tracks of one video, sorted by (frame, track_id).

    frame            (N,)   int64, from 1
    track_id         (N,)   int64
    xyxy             (N, 4) float64, pixels
    score            (N,)   float64, 0 to 1; 0 where interpolated
    class_id         (N,)   int16, index into COCO_CLASSES
    interpolated     (N,)   bool
    since_start_us   (N,)   int64, microseconds since the first frame; None where only the frame rate will tell
    frame_rate_fps, length_frames, started_at_us, width_px, height_px    of the video; None where the file does not say
    left_out         tracks of the file that stand for nothing to be counted
    """

    frame: np.ndarray
    track_id: np.ndarray
    xyxy: np.ndarray
    score: np.ndarray
    class_id: np.ndarray
    interpolated: np.ndarray
    since_start_us: np.ndarray | None = None
    frame_rate_fps: float | None = None
    length_frames: int | None = None
    started_at_us: int | None = None
    width_px: int | None = None
    height_px: int | None = None
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    def on_frames(self, times_us: np.ndarray, frame_rate_fps: float) -> ForeignTracks:
        """Return the tracks with the instants of their video's frames, times_us (F,); frame k is its k-th from 1.

        Raises TruthError where there is a frame that the video does not have.
        """
        last = int(self.frame.max(initial=0))
        if last > len(times_us):
            raise TruthError(f"there are boxes in frame {last}, but its footage has {len(times_us)} frames")
        since_us = times_us[self.frame - 1].astype(np.int64)
        return replace(self, since_start_us=since_us, frame_rate_fps=frame_rate_fps, length_frames=len(times_us))

    def timed(self, frame_rate_fps: float) -> ForeignTracks:
        """Return the tracks with an instant a box, at that many frames a second, and a length."""
        since_us = np.round((self.frame - 1) * (1e6 / frame_rate_fps)).astype(np.int64)
        last = int(self.frame.max(initial=0))
        length = last if self.length_frames is None else self.length_frames
        return replace(self, since_start_us=since_us, frame_rate_fps=frame_rate_fps, length_frames=length)


def read_foreign_mot(path: Path, names: Mapping[str, str]) -> ForeignTracks:
    """Read MOTChallenge text, with the seqinfo.ini that lies beside it or in a folder called like it.

    Rows of conf 0 are interpolated; tracks of nothing else are left out (in truth, MOTChallenge marks so what is not
    evaluated), and so are distractors and reflections. Confidences are brought to 0 to 1, see `confidences`. `names`
    maps class numbers, as text, that MOTChallenge does not have, or otherwise than it does.
    Raises TruthError, one sentence.
    """
    read, info = read_mot(path), seqinfo_of(path)
    score, scale = to_scores(read.conf)
    interpolated = (read.conf == 0) & (scale != "log odds")  # on that scale 0 is a score of 0.5
    tracks, number = np.unique(read.track_id, return_inverse=True)
    seen = np.bincount(number, ~interpolated, len(tracks)) > 0
    counted = seen[number] & ~np.isin(read.mot_class, list(NOT_EVALUATED - {int(k) for k in names if k.isdigit()}))
    kept = np.flatnonzero(counted)
    found = read.mot_class[kept]
    class_id = _class_ids(path, found, lambda one: names.get(str(one)) or coco_of_mot(int(one)))
    last = int(read.frame.max(initial=0))
    if info is not None and last > info.length_frames:
        raise TruthError(f"{path}: expected frames 1 to {info.length_frames}, its seqinfo.ini's seqLength, got {last}")
    return ForeignTracks(
        frame=read.frame[kept],
        track_id=read.track_id[kept],
        xyxy=boxes.xywh_to_xyxy(read.xywh[kept]),
        score=np.where(interpolated, 0, score)[kept],
        class_id=class_id,
        interpolated=interpolated[kept],
        frame_rate_fps=None if info is None else info.frame_rate_fps,
        length_frames=None if info is None else info.length_frames,
        started_at_us=None if info is None else info.started_at_us,
        width_px=None if info is None else info.width_px,
        height_px=None if info is None else info.height_px,
        left_out=len(tracks) - len(np.unique(read.track_id[kept])),
    )


def seqinfo_of(path: Path) -> SequenceInfo | None:
    """Return the seqinfo.ini of a MOTChallenge text: `<stem>/seqinfo.ini` beside it, one in its folder, or, where that
    is called gt, det or so, in the folder above; None without one."""
    folder = Path(path).parent
    places = [folder / Path(path).stem, folder, *([folder.parent] if folder.name in ("gt", "det") else [])]
    found = next((place / "seqinfo.ini" for place in places if (place / "seqinfo.ini").is_file()), None)
    return None if found is None else read_seqinfo(found)


def read_foreign_ottrk(path: Path, names: Mapping[str, str]) -> ForeignTracks:
    """Read OpenTrafficCam's tracks; `names` maps classes that are not in foreign_classes, or otherwise than there.

    Raises TruthError, one sentence.
    """
    peer = read_ottrk(path)
    rows = peer.boxes
    first_us = peer.started_at_us
    if first_us is None and len(rows):
        first_us = int(peer.captured_at_us[0] - round((rows.frame[0] - 1) * 1e6 / peer.frame_rate_fps))
    score = np.clip(rows.conf, 0, 1)
    return ForeignTracks(
        frame=rows.frame,
        track_id=rows.track_id,
        xyxy=boxes.xywh_to_xyxy(rows.xywh),
        score=np.where(peer.interpolated, 0, score),
        class_id=_class_ids(path, peer.class_name, lambda one: names.get(one) or coco_of_name(one)),
        interpolated=peer.interpolated,
        since_start_us=peer.captured_at_us - (first_us or 0),
        frame_rate_fps=peer.frame_rate_fps,
        length_frames=max(peer.length_frames, int(rows.frame.max(initial=0))),
        started_at_us=first_us,
        width_px=peer.width_px,
        height_px=peer.height_px,
    )


def read_foreign_json(path: Path, names: Mapping[str, str]) -> ForeignTracks:
    """Read tracklets as JSON (see tracklet_json): all persons of score 1, numbered from 1 in the order of the file.

    Raises TruthError, one sentence.
    """
    fps, tracklets = read_tracklets(path)
    frame = np.concatenate([np.zeros(0, np.int64), *(one.start + 1 + np.arange(len(one.xyxy)) for one in tracklets)])
    size = [len(one.xyxy) for one in tracklets]
    track_id = np.repeat(np.arange(1, len(tracklets) + 1), size)
    order = np.lexsort((track_id, frame))
    xyxy = np.concatenate([np.zeros((0, 4)), *(one.xyxy for one in tracklets)])
    return ForeignTracks(
        frame=frame[order].astype(np.int64),
        track_id=track_id[order].astype(np.int64),
        xyxy=xyxy[order],
        score=np.ones(len(frame)),
        class_id=np.full(len(frame), COCO_CLASSES.index("person"), np.int16),
        interpolated=np.zeros(len(frame), bool),
        frame_rate_fps=fps,
    )


READERS: Mapping[str, Callable[[Path, Mapping[str, str]], ForeignTracks]] = {
    "mot": read_foreign_mot,
    "ottrk": read_foreign_ottrk,
    "json": read_foreign_json,
}
"""Reader of each format, by the name that the command line has for it."""


def lake_rows(
    tracks: ForeignTracks, camera_id: str, segment_id: str, started_at_us: int
) -> tuple[Observations, Tracklets]:
    """Return the rows of timed tracks of a video that began at that instant.

    Their looks are not known: every tracklet has the embedding zero, and none has exemplars. A tracklet's class is the
    one with the greatest summed score, ties to the lowest id.
    """
    at_us = started_at_us + tracks.since_start_us
    xyxy = tracks.xyxy.astype(np.float32)
    names, whose = np.unique(tracks.track_id, return_inverse=True)
    n_tracks, rows = len(names), np.arange(len(tracks))
    order = np.lexsort((at_us, whose))
    first = order[np.searchsorted(whose[order], np.arange(n_tracks), side="left")]
    last = order[np.searchsorted(whose[order], np.arange(n_tracks), side="right") - 1]
    name = tracklet_ids(camera_id, at_us[first], names)
    by_class = np.zeros((n_tracks, len(COCO_CLASSES)))
    np.add.at(by_class, (whose, tracks.class_id), tracks.score + _LEAST_WEIGHT)
    detected = np.bincount(whose, ~tracks.interpolated, n_tracks)
    foot = boxes.bottom_centre(xyxy)
    segment = np.full(len(rows), segment_id, dtype=object)
    observations = Observations(
        tracklet_id=name[whose],
        segment_id=segment,
        frame=(tracks.frame - 1).astype(np.int32),
        captured_at_us=at_us,
        class_id=tracks.class_id,
        score=tracks.score.astype(np.float32),
        xyxy=xyxy,
        interpolated=tracks.interpolated,
    )
    tracklets = Tracklets(
        tracklet_id=name,
        class_id=by_class.argmax(axis=1).astype(np.int16),
        started_at_us=at_us[first],
        ended_at_us=at_us[last],
        n_observations=detected.astype(np.int32),
        mean_score=(np.bincount(whose, tracks.score, n_tracks) / np.maximum(detected, 1)).astype(np.float32),
        entry_xy=foot[first],
        exit_xy=foot[last],
        embedding=np.zeros((n_tracks, EMBEDDING_DIM), np.float32),
    )
    by_time = np.lexsort((observations.tracklet_id.astype(str), at_us))
    return observations.take(by_time), tracklets.take(np.argsort(name.astype(str), kind="stable"))


def duration_us(tracks: ForeignTracks) -> int:
    """Return how long the video of timed tracks is: its frames, and never less than to the end of its last box."""
    frame_us = 1e6 / tracks.frame_rate_fps
    last_us = int(tracks.since_start_us.max(initial=0)) + frame_us if len(tracks) else 0
    return math.ceil(max(tracks.length_frames * frame_us, last_us))


def _class_ids(path: Path, found: np.ndarray, known: Callable) -> np.ndarray:
    """Return the COCO class ids (N,) int16 of others' classes (N,). Raises TruthError for one that is not known."""
    theirs, code = np.unique(found, return_inverse=True)
    ours = [known(one) for one in theirs.tolist()]
    if None in ours:
        unknown = theirs.tolist()[ours.index(None)]
        raise TruthError(
            f"{path}: expected classes that COCO has a name for, got {unknown!r}; say what it is by --map {unknown}=car"
        )
    return np.array([COCO_CLASSES.index(name) for name in ours], np.int16)[code]
