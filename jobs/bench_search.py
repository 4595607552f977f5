"""Measure a search over a synthetic night: in a process of its own, as somebody would wait for it, and once warm."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import indexing
from jobs.search import search
from pipeline.config import IdentityConfig
from pipeline.identity import exact
from pipeline.identity.index import Partition
from pipeline.identity.saving import save
from pipeline.identity.search import search as ranked
from pipeline.lake import index_folders
from pipeline.lake.writer import Lake
from pipeline.types import EMBEDDING_DIM

EXEMPLARS = 8
SIGHTINGS = 4
"""Tracklets of one object."""

NOISE = 0.6
"""Length of what differs between two views of an object, the object's own being 1."""

CAMERAS = 1000
QUERIES = 20
COLD_RUNS = 5
TOP = 20
NIGHT = "2026-03-01"
_BLOCK = 20_000
_GROUP = "person"
_RUN = "bench"


def bench_search(n_tracklets: int, *, folder: Path | None, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return build time, size, seconds of a cold and a warm search and recall of `n_tracklets`, beside brute force.

    The lake holds the index of one night and nothing else: a search reads nothing else. Cold means a new process; what
    the machine holds of the files in memory stays there, since only root can make it forget that.
    """
    place = Path(tempfile.mkdtemp(prefix="nightfleet-bench-", dir=folder))
    try:
        return _measure(Lake.open_or_create(str(place / "lake")), n_tracklets, progress)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _measure(lake: Lake, n_tracklets: int, progress: Callable[[str], None]) -> dict[str, Any]:
    progress(f"building the index of {n_tracklets} tracklets with {EXEMPLARS} exemplars each")
    started_s = time.perf_counter()
    names, who = _build(lake, n_tracklets)
    build_s = time.perf_counter() - started_s
    found = index_folders.find(lake.storage, NIGHT, _RUN)
    partition = Partition.open(found[0] / f"group={_GROUP}")
    asked = exact.evenly(n_tracklets, QUERIES)
    progress(f"searching: {COLD_RUNS} processes, then {QUERIES} searches in this one, then by brute force")
    cold = [_cold(lake.url, names[row]) for row in asked[:COLD_RUNS]]
    filtered = [_cold(lake.url, names[row], "--camera", "c0001,c0002,c0003") for row in asked[:COLD_RUNS]]
    start = [_process([sys.executable, "-c", "import jobs.cli"]) for _ in range(COLD_RUNS)]
    warm_s, top_s, brute_s, recalls, same = [], [], [], [], []
    for n, row in enumerate(asked):
        started_s = time.perf_counter()
        search(lake.url, tracklet_id=names[row], top=TOP)
        warm_s.append(time.perf_counter() - started_s)
        query, _ = partition.exemplars(np.array([row]))
        started_s = time.perf_counter()
        hits = ranked(query, partition, TOP)
        top_s.append(time.perf_counter() - started_s)
        if n < QUERIES // 4:  # brute force takes seconds each
            started_s = time.perf_counter()
            every = exact.scan([query], partition.vector, partition.first)[:, 0]
            truth = np.argsort(-every, kind="stable")[:TOP]
            brute_s.append(time.perf_counter() - started_s)
            recalls.append(len(np.intersect1d(truth, hits.row)) / TOP)
            same.append(np.mean(np.isin(np.flatnonzero(who == who[row]), hits.row)))
    files = [path for path in found[0].rglob("*") if path.is_file()]
    return {
        "tracklets": n_tracklets,
        "vectors": len(partition.vector),
        "build_s": round(build_s, 2),
        "index_mib": round(sum(path.stat().st_size for path in files) / 2**20, 1),
        "lists_looked_into": partition.nprobe,
        "recall_measured_when_built": partition.recall,
        **_medians("cold", cold),
        **_medians("cold_three_cameras", filtered),
        **_medians("cold_of_which_start", start),
        "warm_s": round(statistics.median(warm_s), 4),
        "warm_ranking_s": round(statistics.median(top_s), 4),
        "brute_force_s": round(statistics.median(brute_s), 3),
        f"recall_at_{TOP}": round(float(np.mean(recalls)), 4),
        "own_sightings_found": round(float(np.mean(same)), 4),
        "cold_means": "a new process; the page cache is as it is, since only root can drop it",
        "load_average": round(os.getloadavg()[0], 1),
    }


def _build(lake: Lake, n_tracklets: int) -> tuple[list[str], np.ndarray]:
    """Save the index of a made-up night; returns tracklet ids and the object behind each (N,)."""
    rng = np.random.default_rng(1)
    who = rng.permutation(np.arange(n_tracklets) // SIGHTINGS)
    camera = np.sort(rng.integers(0, CAMERAS, n_tracklets))
    names = [f"c{camera[n]:04d}-20260301T000000.000Z-{n:07d}" for n in range(n_tracklets)]
    head = {"run_id": _RUN, "made_by": "", "embedder": None, "groups": [_GROUP]}
    _write_run(lake)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    offsets = rng.integers(0, 86_000, n_tracklets)
    with index_folders.made(lake.storage, NIGHT, head, upload=False) as made:
        folder = made / f"group={_GROUP}"
        about = {
            "group": _GROUP,
            "calibration": None,
            "centre": np.zeros(EMBEDDING_DIM).tolist(),
            "cameras": [f"c{n:04d}" for n in range(CAMERAS)],
            "classes": [_GROUP],
            "first_us": int(start.timestamp() * 1e6),
            "last_us": int((start + timedelta(days=1)).timestamp() * 1e6),
        }
        config = IdentityConfig()
        save(
            folder,
            np.array(names),
            np.full(n_tracklets, EXEMPLARS),
            _blocks(who),
            exact_vectors=config.exact_vectors,
            recall=config.recall,
            about=about,
        )
        began = pa.array(int(start.timestamp() * 1e6) + offsets * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
        facts = pa.table(
            {
                "tracklet_id": names,
                "camera_id": pa.array([name[:5] for name in names]),
                "class": pa.array(np.full(n_tracklets, "person", object)),
                "started_at": began,
                "ended_at": began,
                "identity_id": pa.array([f"id-{one:016x}" for one in who]),
                "confidence": pa.array(np.ones(n_tracklets, np.float32)),
            }
        )
        indexing.write_facts(folder, facts)
    return names, who


def _write_run(lake: Lake) -> None:
    """Write identities of nobody: what says which run an index has to be of."""
    none = np.zeros(0, object)
    lake.write_identities(NIGHT, none, none, np.zeros(0, np.float32), _RUN)


def _blocks(who: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Make exemplars: an object's own look, drawn from its number, and noise."""
    n_objects = int(who.max()) + 1
    for start in range(0, len(who), _BLOCK):
        part = who[start : start + _BLOCK]
        rng = np.random.default_rng([2, start])
        own = _looks(part, n_objects)
        views = np.repeat(own, EXEMPLARS, axis=0)
        views += NOISE / np.sqrt(EMBEDDING_DIM) * rng.standard_normal(views.shape, np.float32)
        views /= np.linalg.norm(views, axis=1, keepdims=True)
        yield np.arange(start * EXEMPLARS, start * EXEMPLARS + len(views)), views


def _looks(who: np.ndarray, n_objects: int) -> np.ndarray:
    """Return the looks (N, 128) of objects: around one of a few hundred styles, as clothes and paint are."""
    rng = np.random.default_rng(3)
    styles = rng.standard_normal((STYLES, EMBEDDING_DIM)).astype(np.float32)
    traits = rng.standard_normal((4096, EMBEDDING_DIM)).astype(np.float32)
    # Two draws from tables, by the object's number, tell 500 x 4096 x 4096 objects apart without keeping them.
    mixed = styles[who % STYLES] + traits[(who // STYLES) % 4096] + traits[(who * 2_654_435_761) % 4093]
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


STYLES = 500


def _cold(lake_url: str, tracklet_id: str, *filters: str) -> tuple[float, float]:
    """Return the seconds of the command in a new process, and those of a processor in it."""
    words = [sys.executable, "-m", "jobs", "search", lake_url, "--tracklet", tracklet_id, "--json", *filters]
    return _process(words)


def _process(words: list[str]) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = time.perf_counter()
    subprocess.run(words, capture_output=True, check=True)
    seconds = time.perf_counter() - started_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _medians(name: str, measured: list[tuple[float, float]]) -> dict[str, float]:
    seconds, processor = (statistics.median(column) for column in zip(*measured))
    return {f"{name}_s": round(seconds, 3), f"{name}_processor_s": round(processor, 3)}
