"""Small lakes made by hand: tracks as lists of places, written through the real writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from pipeline.config import FleetConfig
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, EMBEDDING_DIM, Exemplars, Observations, Tracklets

NOON_US = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1e6)
HEIGHT_PX = 40.0
WIDTH_PX = 20.0
FPS = 10


def instant_us(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 instant with offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def entry(segment_id: str = "gate-1", camera_id: str = "gate", **changes) -> LedgerEntry:
    """A ledger entry of a done unit that lasts a minute from noon."""
    plain = LedgerEntry(
        segment_id=segment_id,
        camera_id=camera_id,
        local_date="2026-03-01",
        url=f"/footage/{segment_id}.mp4",
        status="done",
        reason="",
        key="k",
        fingerprint="f",
        config_digest="c",
        weights_digest="w",
        state_in_digest="",
        state_out_digest="",
        started_at_us=NOON_US,
        ended_at_us=NOON_US + 60_000_000,
        clock_source="file name",
        frames=600,
        detections=0,
        observations=0,
        tracklets=0,
        embeddings=0,
        decode_s=1.0,
        detect_s=2.0,
        embed_s=0.5,
        track_s=0.25,
        write_s=0.0,
        wall_s=4.0,
        bad_packets=0,
        motion_unknown=0,
        version="0",
        finished_at_us=NOON_US + 90_000_000,
    )
    return replace(plain, **changes)


def rows(
    tracks: dict[str, Sequence[tuple[float, float]]],
    *,
    segment_id: str = "gate-1",
    started_at_us: int = NOON_US,
    class_name: str = "car",
    frames: dict[str, Sequence[int]] | None = None,
    height_px: float = HEIGHT_PX,
) -> tuple[Observations, Tracklets, Exemplars]:
    """Rows of tracks given as the bottom centres (x, y) of their boxes, one a frame at FPS frames a second.

    `frames` gives the frame index of each place of a track where they do not simply count up.
    """
    class_id = COCO_CLASSES.index(class_name)
    columns = []
    for tracklet_id, places in tracks.items():
        index = (frames or {}).get(tracklet_id, range(len(places)))
        columns += [(started_at_us + k * 1_000_000 // FPS, tracklet_id, k, x, y) for k, (x, y) in zip(index, places)]
    columns.sort()
    n = len(columns)
    anchor = np.array([[x, y] for *_, x, y in columns], np.float32).reshape(n, 2)
    half = np.float32(WIDTH_PX / 2)
    observations = Observations(
        tracklet_id=_text([c[1] for c in columns]),
        segment_id=_text([segment_id] * n),
        frame=np.array([c[2] for c in columns], np.int32),
        captured_at_us=np.array([c[0] for c in columns], np.int64),
        class_id=np.full(n, class_id, np.int16),
        score=np.full(n, 0.9, np.float32),
        xyxy=np.column_stack(
            [anchor[:, 0] - half, anchor[:, 1] - np.float32(height_px), anchor[:, 0] + half, anchor[:, 1]]
        ).astype(np.float32),
        interpolated=np.zeros(n, bool),
    )
    names = sorted(tracks)
    whose = observations.tracklet_id
    mine = [np.flatnonzero(whose == name) for name in names]
    first, last = [m[0] for m in mine], [m[-1] for m in mine]
    tracklets = Tracklets(
        tracklet_id=_text(names),
        class_id=np.full(len(names), class_id, np.int16),
        started_at_us=observations.captured_at_us[first],
        ended_at_us=observations.captured_at_us[last],
        n_observations=np.array([len(m) for m in mine], np.int32),
        mean_score=np.full(len(names), 0.9, np.float32),
        entry_xy=anchor[first].reshape(-1, 2),
        exit_xy=anchor[last].reshape(-1, 2),
        embedding=unit_vectors(len(names)),
    )
    exemplars = Exemplars(
        tracklet_id=_text(names),
        captured_at_us=tracklets.started_at_us,
        frame=observations.frame[first],
        quality=np.full(len(names), 0.5, np.float32),
        embedding=tracklets.embedding,
    )
    return observations, tracklets, exemplars


def no_rows() -> tuple[Observations, Tracklets, Exemplars]:
    """Rows of a unit in which nothing was seen."""
    return rows({})


def unit_vectors(n: int) -> np.ndarray:
    """(N, 128) float32 unit vectors, the same ones every time."""
    vectors = np.random.default_rng(0).normal(size=(n, EMBEDDING_DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fleet(*cameras: dict) -> FleetConfig:
    """A configuration of cameras given as their sections; `footage` is added."""
    return FleetConfig.model_validate({"cameras": [{"footage": "x.mp4", **camera} for camera in cameras]})


def line(name: str = "bridge", points=((100, 50), (100, 150)), **directions: str) -> dict:
    """A counting line's section; by default drawn downwards at x = 100, so that rightward is backward."""
    return {"name": name, "points": points, **directions}


def write(lake: Lake, tracks: dict, **options) -> None:
    """Write one done unit of camera `gate` that holds these tracks."""
    made = rows(tracks, **options)
    lake.write_unit(entry(options.get("segment_id", "gate-1")), "2026-03-01", *made, None)


def _text(values: Sequence[str]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = list(values)
    return out
