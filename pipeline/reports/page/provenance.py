"""Where a report's figures come from: footage, models, settings and software, each by a digest; and what was drawn."""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from pipeline.config import FleetConfig, digest
from pipeline.lake import catalog
from pipeline.lake.catalog import Connection
from pipeline.reports.page.period import Period

PACKAGES = ("duckdb", "pyarrow", "av", "opencv-python-headless", "onnxruntime", "torch", "faiss-cpu", "numpy", "scipy")
"""Whose versions may matter to a figure; those that are not installed are left out."""

_UNITS = """
SELECT camera_id, segment_id, started_at, ended_at, fingerprint, config_digest, weights_digest, version, clock_source
FROM ledger WHERE status = 'done' ORDER BY ALL
"""
_RUNS = """
SELECT DISTINCT run_id FROM identities
WHERE ($1 IS NULL OR date >= $1::DATE) AND ($2 IS NULL OR date <= $2::DATE) ORDER BY run_id
"""
_LINES = "FROM lines ORDER BY camera_id, line_id"
_ZONES = "SELECT camera_id, zone_id, len(x) AS corners, area_sqm, anchor_x, anchor_y FROM zones ORDER BY ALL"


@dataclass(frozen=True, slots=True)
class Provenance:
    """The section.

    facts      (what, value) of the run: models, tracker, software
    digests    rows of camera, files, and the digests of what their figures were made from
    mixed      names of cameras whose files were not all made alike
    """

    facts: list[tuple[str, str]]
    digests: list[dict[str, Any]]
    mixed: list[str]
    clock_sources: list[tuple[str, int]]
    lines: list[dict[str, Any]]
    zones: list[dict[str, Any]]


def provenance(connection: Connection, period: Period, config: FleetConfig | None) -> Provenance:
    """Return where the figures of a period come from. `config` is that of the last run, None where it is unreadable."""
    units = []
    for row in catalog.select(connection, _UNITS).to_pylist():
        limits = period.limits(row["camera_id"]) if row["camera_id"] in period.zones else None
        if limits is not None and row["started_at"] < limits[1] and row["ended_at"] > limits[0]:
            units.append(row)
    digests = [_camera(camera, [row for row in units if row["camera_id"] == camera]) for camera in period.cameras]
    runs = [row["run_id"] for row in catalog.select(connection, _RUNS, list(period.asked)).to_pylist()]
    versions = sorted({row["version"] for row in units})
    chosen = period.zones
    return Provenance(
        facts=[
            *(() if config is None else _models(config)),
            ("Identities of run", ", ".join(runs) or "none"),
            ("Processed by nightfleet", ", ".join(versions) or "nothing processed"),
            ("Report made with", _software()),
        ],
        digests=digests,
        mixed=[row["camera_id"] for row in digests if len(row["config"]) > 1 or len(row["weights"]) > 1],
        clock_sources=sorted(Counter(row["clock_source"] for row in units).items()),
        lines=[row for row in catalog.select(connection, _LINES).to_pylist() if row["camera_id"] in chosen],
        zones=[row for row in catalog.select(connection, _ZONES).to_pylist() if row["camera_id"] in chosen],
    )


def _camera(camera: str, units: list[dict]) -> dict[str, Any]:
    return {
        "camera_id": camera,
        "files": len(units),
        "footage": digest(sorted((row["segment_id"], row["fingerprint"]) for row in units)) if units else None,
        "config": sorted({row["config_digest"] for row in units}),
        "weights": sorted({row["weights_digest"] for row in units}),
    }


def _models(config: FleetConfig) -> list[tuple[str, str]]:
    """Return the models and settings of the last run, each with the digest of its section."""
    models = config.models
    return [
        ("Detector", f"{_model(models.detector.use)} (settings {digest(models.detector)})"),
        ("Embedder", f"{_model(models.embedder.use)} (settings {digest(models.embedder)})"),
        ("Tracker", f"Deep SORT (settings {digest(config.tracker)})"),
        ("Identity", f"settings {digest(config.identity)}"),
        ("Whole configuration", digest(config)),
    ]


def _model(use: str) -> str:
    """Return a model's name, of a file without the folders it lies in: they are nobody's business."""
    kind, colon, place = use.partition(":")
    return kind + colon + place.replace("\\", "/").rsplit("/", 1)[-1]


def _software() -> str:
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
