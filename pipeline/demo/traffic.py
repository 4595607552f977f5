"""A lake of made-up traffic of any size, written as a run writes it: for benches of the reports, not for eyes.

Every unit goes through the lake's own writer, so layout, schemas, encodings, row groups and ledger are a run's. What is
left out: exemplars (the table `embeddings` is empty, tracklets have random looks), tracker states, footage.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from pipeline import __version__
from pipeline.boxes import bottom_centre
from pipeline.config import FleetConfig
from pipeline.demo import trajectories
from pipeline.demo.trajectories import FPS, LONGEST_FRAMES, MEAN_LENGTH, Tracks
from pipeline.errors import UserError
from pipeline.footage import clock
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.types import EMBEDDING_DIM, Exemplars, Observations, Tracklets

FIRST_DAY = datetime(2026, 6, 15, tzinfo=UTC)
TIME_ZONE = "UTC"
"""So that the lake's local days are whole."""

MADE = "_traffic.json"
"""The file that says which traffic a lake holds; written last."""

_VERSION = 1
"""Raised whenever equal sizes and seeds would give other rows."""

_ROWS_AN_HOUR = 58_000
"""1.6 boxes a frame, day and night: a city junction."""

_DAYS, _MOST_CAMERAS = 3, 24
_HOUR_US = 3_600_000_000
_FRAME_US = 1_000_000 // FPS
_BY_HOUR = np.array([1, 1, 1, 1, 2, 4, 7, 10, 11, 9, 8, 8, 9, 9, 9, 10, 11, 12, 11, 8, 6, 4, 3, 2], float)
"""How traffic spreads over a day, after the usual shape of an urban weekday: two peaks, quiet nights."""

ARMS = {
    "north": ((1250, 250), (670, 250)),
    "east": ((1500, 900), (1500, 300)),
    "south": ((560, 880), (1360, 880)),
    "west": ((420, 300), (420, 900)),
}
"""The fleet's lines, the same in every camera: one across each arm of the junction."""

_TRAVEL_S = 90.0
_TRAVELS = 0.3
"""Time to the next camera, and the share of those leaving one who come there."""


@dataclass(frozen=True)
class Size:
    """How much traffic: about `rows` observations of `cameras` over `days`, `hours` from `first_hour` on each."""

    rows: int
    cameras: int
    days: int
    hours: int
    seed: int

    @classmethod
    def of(cls, rows: int, seed: int = 1) -> Size:
        """Return a size of so many rows: at full size 24 cameras and whole days, below first fewer hours a day."""
        units = max(2, round(rows / _ROWS_AN_HOUR))
        days = min(_DAYS, units)
        cameras = max(1, min(_MOST_CAMERAS, units // days))
        return cls(rows, cameras, days, max(1, min(24, round(units / days / cameras))), seed)

    @property
    def first_hour(self) -> int:
        """Hour of the day at which recording begins: the morning, where a day is not recorded whole."""
        return 0 if self.hours == 24 else min(6, 24 - self.hours)

    @property
    def camera_ids(self) -> list[str]:
        return [f"junction-{n:02d}" for n in range(self.cameras)]


def fleet(size: Size, extra_lines: tuple[dict, ...] = ()) -> FleetConfig:
    """Return the fleet: at every junction a line across each arm and a zone in the middle, and `extra_lines`."""
    lines = [{"name": n, "points": p, "forward": "in", "backward": "out"} for n, p in ARMS.items()]
    zone = {"name": "middle", "polygon": ((780, 450), (1140, 450), (1140, 740), (780, 740))}
    camera = {"footage": "none", "time_zone": TIME_ZONE, "lines": [*lines, *extra_lines], "zones": [zone]}
    return FleetConfig.model_validate({"cameras": [{"id": name, **camera} for name in size.camera_ids]})


def make(url: str, size: Size, progress: Callable[[str], None] = lambda line: None) -> Lake:
    """Make such a lake in an empty or new folder, or open it where it lies there already.

    Equal sizes give equal rows. Memory: an hour of each of a few cameras, and a day's tracklets. Raises UserError where
    the folder holds another lake, LakeError where it is no lake.
    """
    lake = Lake.open_or_create(url)
    wanted = {"version": _VERSION, **dataclasses.asdict(size)}
    found = lake.storage.read(MADE)
    if found is not None and json.loads(found) == wanted:
        return lake
    if found is not None or lake.storage.names("ledger"):
        raise UserError(
            f"{url}: expected a new folder, or made-up traffic of {size.rows} rows and seed {size.seed}, got another "
            "lake; name another folder"
        )
    lake.write_fleet(fleet(size))
    junctions = [_Junction(lake, size, n) for n in range(size.cameras)]
    with ThreadPoolExecutor() as pool:
        for day in range(size.days):
            ended = list(pool.map(_Junction.make_day, junctions, [day] * len(junctions)))
            _write_identities(lake, day, ended)
            progress(f"day {day + 1} of {size.days} made")
    lake.summarise_ledger()
    lake.storage.write(MADE, json.dumps(wanted).encode() + b"\n")
    return lake


class _Junction:
    """One camera: makes its hours in order, since tracks run over from one to the next."""

    def __init__(self, lake: Lake, size: Size, number: int) -> None:
        self._lake, self._size = lake, size
        self.camera_id = size.camera_ids[number]
        self._rng = np.random.default_rng([size.seed, number])
        self._ways = trajectories.routes(self._rng)
        share = _BY_HOUR[size.first_hour : size.first_hour + size.hours]
        self._tracks_by_hour = size.rows / size.cameras / size.days * share / share.sum() / MEAN_LENGTH
        self._running = _named(self.camera_id, self._rng, trajectories.tracks(self._rng, self._ways, 0, 0, 1))

    def make_day(self, day: int) -> Tracklets:
        """Write a day's units; return the tracklets that ended in them."""
        return Tracklets.concatenate([self._make_hour(day, nth) for nth in range(self._size.hours)])

    def _make_hour(self, day: int, nth: int) -> Tracklets:
        begins = FIRST_DAY + timedelta(days=day, hours=self._size.first_hour + nth)
        began_us = round(begins.timestamp() * 1e6)
        n_tracks = self._rng.poisson(self._tracks_by_hour[nth])
        frames = began_us // _FRAME_US, 3600 * FPS
        if nth + 1 == self._size.hours and self._size.hours < 24:  # recording stops: nobody runs over
            frames = frames[0], frames[1] - LONGEST_FRAMES
        made = _named(self.camera_id, self._rng, trajectories.tracks(self._rng, self._ways, n_tracks, *frames))
        boxes, tracklets = (type(new).concatenate([old, new]) for old, new in zip(self._running, made, strict=True))
        is_here, has_ended = boxes.captured_at_us < began_us + _HOUR_US, tracklets.ended_at_us < began_us + _HOUR_US
        self._running = boxes.take(~is_here), tracklets.take(~has_ended)
        ended = tracklets.take(has_ended)
        ended = ended.take(np.argsort(ended.tracklet_id))
        self._write(begins, boxes.take(is_here), ended)
        return ended

    def _write(self, begins: datetime, boxes: Observations, ended: Tracklets) -> None:
        began_us = round(begins.timestamp() * 1e6)
        segment_id = f"{self.camera_id}-{begins:%Y%m%dT%H%M%S}.000Z"
        in_order = np.lexsort((_ranks(boxes.tracklet_id), boxes.captured_at_us))
        boxes = dataclasses.replace(
            boxes.take(in_order),
            segment_id=np.full(len(boxes), segment_id, dtype=object),
            frame=((boxes.captured_at_us[in_order] - began_us) // _FRAME_US).astype(np.int32),
        )
        entry = _entry(self.camera_id, segment_id, began_us)
        self._lake.write_unit(entry, begins.date().isoformat(), boxes, ended, _NO_EXEMPLARS, None)


def _ranks(texts: np.ndarray) -> np.ndarray:
    """Return each text's place among the different ones."""
    coded = pa.array(texts, pa.string()).dictionary_encode()
    names = np.array(coded.dictionary.to_pylist(), dtype=object)
    rank = np.empty(len(names), np.int64)
    rank[np.argsort(names)] = np.arange(len(names))
    return rank[coded.indices.to_numpy()]


def _named(camera_id: str, rng: np.random.Generator, made: Tracks) -> tuple[Observations, Tracklets]:
    """Return what was made as rows, not in order; the boxes' segments and frames are set when they are written."""
    first = np.cumsum(made.length) - made.length
    at_us = made.at_frame * _FRAME_US
    began_us, ended_us = at_us[first], at_us[first + made.length - 1]
    names = np.empty(len(first), dtype=object)
    names[:] = [f"{camera_id}-{clock.stamp(int(at))}-{n}" for n, at in enumerate(began_us, 1)]
    boxes = Observations(
        tracklet_id=names[made.track],
        segment_id=np.full(len(at_us), "", dtype=object),
        frame=np.zeros(len(at_us), np.int32),
        captured_at_us=at_us,
        class_id=made.box_class_id,
        score=np.where(made.interpolated, np.float32(0), made.score),
        xyxy=made.xyxy,
        interpolated=made.interpolated,
    )
    n_found = np.bincount(made.track, ~made.interpolated, len(first))
    looks = rng.standard_normal((len(first), EMBEDDING_DIM), dtype=np.float32)
    anchor = bottom_centre(made.xyxy)
    tracklets = Tracklets(
        tracklet_id=names,
        class_id=made.class_id,
        started_at_us=began_us,
        ended_at_us=ended_us,
        n_observations=n_found.astype(np.int32),
        mean_score=(np.bincount(made.track, boxes.score, len(first)) / np.maximum(n_found, 1)).astype(np.float32),
        entry_xy=anchor[first],
        exit_xy=anchor[first + made.length - 1],
        embedding=looks / np.linalg.norm(looks, axis=1, keepdims=True),
    )
    return boxes, tracklets


def _write_identities(lake: Lake, day: int, ended: list[Tracklets]) -> None:
    """Write a day's identities: some of those leaving a junction are the next to come into the one after it."""
    rng = np.random.default_rng([day, len(ended)])
    identity = [np.array([f"id-{name}" for name in tracklets.tracklet_id], dtype=object) for tracklets in ended]
    for here in range(len(ended) - 1):
        left, came = ended[here], ended[here + 1]
        going = np.flatnonzero(rng.random(len(left)) < _TRAVELS)
        arrives_us = left.ended_at_us[going] + (_TRAVEL_S * rng.lognormal(0.0, 0.25, len(going)) * 1e6).astype(np.int64)
        for class_id in np.unique(left.class_id):
            mine = going[left.class_id[going] == class_id]
            there = np.flatnonzero(came.class_id == class_id)
            there = there[np.argsort(came.started_at_us[there], kind="stable")]
            at = np.searchsorted(came.started_at_us[there], arrives_us[left.class_id[going] == class_id])
            at, first = np.unique(at, return_index=True)  # one comes only once
            known = at < len(there)
            identity[here + 1][there[at[known]]] = identity[here][mine[first[known]]]
    who, name = np.concatenate([t.tracklet_id for t in ended]), np.concatenate(identity)
    by_name = np.argsort(who)
    local_date = (FIRST_DAY + timedelta(days=day)).date().isoformat()
    lake.write_identities(local_date, who[by_name], name[by_name], np.full(len(who), 0.9, np.float32), "traffic")


def _entry(camera_id: str, segment_id: str, began_us: int) -> LedgerEntry:
    """Return the entry of an hour's unit, as a run enters it; `write_unit` counts its rows."""
    known = {
        "segment_id": segment_id,
        "camera_id": camera_id,
        "url": f"{segment_id}.mp4",
        "status": "done",
        "started_at_us": began_us,
        "ended_at_us": began_us + _HOUR_US,
        "clock_source": "file name",
        "frames": 3600 * FPS,
        "version": __version__,
        "finished_at_us": began_us + 2 * _HOUR_US,
    }
    blank = {"str": "", "int": 0, "float": 0.0}
    return LedgerEntry(**{f.name: known.get(f.name, blank.get(f.type)) for f in dataclasses.fields(LedgerEntry)})


_NO_EXEMPLARS = Exemplars(
    *(np.empty(0, dtype) for dtype in (object, np.int64, np.int32, np.float32)),
    np.empty((0, EMBEDDING_DIM), np.float32),
)
