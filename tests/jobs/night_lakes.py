"""Lakes of several nights with known people in them, for the tests of jobs that join nights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from jobs.identify import identify
from pipeline.config import FleetConfig
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.types import EMBEDDING_DIM, Observations
from tests.identity.nights import US, Seen, night, unit
from tests.lake.making import entry

CAMERAS = ("gate", "quay", "mall", "park")
FIRST, SECOND, THIRD = (f"2026-03-0{day}" for day in (1, 2, 3))
NOON_S, MIDNIGHT_S = 12 * 3600.0, 24 * 3600.0
TABLES = ("calibrations", "camera_looks", "identities", "identity_evidence")


def day_s(local_date: str) -> float:
    """Seconds since 1970 of a date's midnight, UTC."""
    return datetime.fromisoformat(local_date).replace(tzinfo=UTC).timestamp()


class People:
    """N people who look different, under cameras each with a tint of its own."""

    def __init__(self, n_people: int = 40, *, seed: int = 3) -> None:
        rng = np.random.default_rng(seed)
        traits = unit(rng.normal(size=(n_people, 24))) @ unit(rng.normal(size=(24, EMBEDDING_DIM)))
        self.looks = traits + unit(rng.normal(size=EMBEDDING_DIM))
        self.tints = 0.6 * unit(rng.normal(size=(len(CAMERAS), EMBEDDING_DIM)))

    def walk(self, who: int, start_s: float, *cameras: str, prefix: str = "t") -> list[Seen]:
        """Return a walk past cameras, 10 s in each and 15 s between, and the same one every time."""
        seen = []
        for step, camera in enumerate(cameras):
            place = CAMERAS.index(camera)
            rng = np.random.default_rng([who, place, int(start_s)])
            noise = 0.4 * rng.normal(size=(6, EMBEDDING_DIM)) / np.sqrt(EMBEDDING_DIM)
            begin_s = start_s + 25.0 * step
            name = f"{camera}-{prefix}{who:02d}-{datetime.fromtimestamp(begin_s, UTC):%dT%H%M%S}"
            seen.append(
                Seen(
                    name,
                    camera,
                    begin_s,
                    begin_s + 10,
                    unit(self.looks[who] + self.tints[place] + noise).astype(np.float32),
                )
            )
        return seen

    def crowd(self, local_date: str, who: Iterable[int], *, at_s: float = NOON_S, cameras=CAMERAS) -> list[Seen]:
        """Return a walk for each of them past the cameras, 3 s after one another."""
        start_s = day_s(local_date) + at_s
        return [one for nth, person in enumerate(who) for one in self.walk(person, start_s + 3 * nth, *cameras)]


def write_seen(lake: Lake, local_date: str, seen: list[Seen], *, part: str = "", key: str = "k") -> None:
    """Write one unit a camera that holds these tracklets; `key` stands for what it was made from."""
    for camera in sorted({one.camera for one in seen}):
        own = [one for one in seen if one.camera == camera]
        tracklets, _, exemplars = night(own)
        order = np.argsort(tracklets.tracklet_id)
        first, last = (
            round(pick(times) * US) for pick, times in ((min, [s.start_s for s in own]), (max, [s.end_s for s in own]))
        )
        segment = f"{camera}-{local_date.replace('-', '')}{part}"
        unit_entry = entry(segment, camera, started_at_us=first, ended_at_us=last, key=key)
        tracklets = tracklets.take(order)
        exemplars = exemplars.take(np.lexsort((exemplars.captured_at_us, exemplars.tracklet_id.astype(str))))
        lake.write_unit(unit_entry, local_date, Observations.none(), tracklets, exemplars, None)


def fleet(lake: Lake | None = None, **identity) -> FleetConfig:
    """Return the configuration of those cameras; with a lake, written into it."""
    cameras = [{"id": name, "footage": "x.mp4"} for name in CAMERAS]
    config = FleetConfig.model_validate({"cameras": cameras, "identity": {"max_travel_s": 120, **identity}})
    if lake is not None:
        lake.write_fleet(config)
    return config


def lake_of(folder, nights: dict[str, list], **identity) -> tuple[Lake, object]:
    """Return a lake of these nights, identified, and its configuration."""
    lake = Lake.open_or_create(str(folder))
    for local_date, seen in nights.items():
        write_seen(lake, local_date, seen)
    config = fleet(lake, **identity)
    identify(config, lake)
    return lake, config


def identities(lake: Lake) -> dict[str, str]:
    """Return the identity of every tracklet."""
    table = catalog.query(lake.url, "SELECT tracklet_id, identity_id FROM identities")
    return dict(zip(table["tracklet_id"].to_pylist(), table["identity_id"].to_pylist()))


def of_person(found: dict[str, str], who: int, *, prefix: str = "t", day: str = "") -> set[str]:
    """Return the identities of the tracklets of a person, on one day of the month or on all."""
    return {identity for name, identity in found.items() if f"-{prefix}{who:02d}-{day}" in name}


def files(lake: Lake, local_date: str = "") -> dict[str, tuple[bytes, int]]:
    """Return bytes and time of change of the files of the identities' tables, of one date or all."""
    root = Path(lake.url)
    found = [path for table in TABLES for path in sorted((root / table).rglob("*.parquet"))]
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in found
        if local_date in str(path)
    }


def content(lake: Lake, local_date: str = "") -> dict[str, bytes]:
    """Return the bytes of those files."""
    return {name: written for name, (written, _) in files(lake, local_date).items()}


def evidence(lake: Lake, rule: str) -> list[dict]:
    """Return the merges of a rule, or of all rules like it."""
    return catalog.query(lake.url, "FROM identity_evidence WHERE rule LIKE ? ORDER BY date, nth", [rule]).to_pylist()


def day_after(local_date: str, days: int = 1) -> str:
    """Return another date."""
    return (datetime.fromisoformat(local_date) + timedelta(days=days)).date().isoformat()


def shorter(seen: list[Seen], n_observations: int) -> list[Seen]:
    """Return the same tracklets of fewer boxes."""
    return [replace(one, n_observations=n_observations) for one in seen]
