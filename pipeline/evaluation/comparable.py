"""What of a truth can be compared with a lake, and why nothing can: footage there was, classes that lines count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from pipeline.errors import TruthError
from pipeline.evaluation.counted_classes import lacking
from pipeline.evaluation.counts import Cell
from pipeline.evaluation.manual_counts import Known, ManualCounts
from pipeline.evaluation.tables import Crossings

Stretches = Mapping[str, np.ndarray]
"""camera -> (K, 2) int64, the stretches of time that its footage covers, microseconds since 1970 UTC, in order."""


class NothingToCompareError(TruthError):
    """A truth of which nothing can be compared: no score, not a perfect one."""


def watched(camera_id: np.ndarray, at_us: np.ndarray, stretches: Stretches | None) -> np.ndarray:
    """Tell which instants (N,) of cameras have footage, (N,) bool; the end of a stretch is not in it."""
    if stretches is None:
        return np.ones(len(at_us), bool)
    found = np.zeros(len(at_us), bool)
    for camera, of in stretches.items():
        mine = camera_id == camera
        within = (at_us[mine, None] >= of[:, 0]) & (at_us[mine, None] < of[:, 1])
        found[mine] = within.any(axis=1)
    return found


def covered(
    cells: Iterable[Cell], bin_s: float | Mapping[Cell, float], stretches: Stretches | None
) -> dict[Cell, float]:
    """Return the share of each cell's bin that footage covers; nothing where that is not known."""
    if stretches is None:
        return {}
    shares = {}
    for cell in cells:
        length_us = 1e6 * (bin_s if isinstance(bin_s, (int, float)) else bin_s[cell])
        of = stretches.get(cell.camera_id, np.zeros((0, 2), np.int64))
        overlap = np.minimum(of[:, 1], cell.bin_start_us + length_us) - np.maximum(of[:, 0], cell.bin_start_us)
        shares[cell] = float(min(1.0, np.maximum(overlap, 0).sum() / length_us))
    return shares


def of_counted_class(crossings: Crossings, known: Known) -> np.ndarray:
    """Tell which crossings (N,) are of a class that their line counts, (N,) bool."""
    places = zip(crossings.camera_id, crossings.line_id, crossings.class_name)
    return np.array([lacking(name, known.classes.get((camera, line))) != "all" for camera, line, name in places], bool)


def wider_than_lines(manual: ManualCounts, known: Known) -> list[str]:
    """Say where a class counted by hand holds more than its line counts."""
    notes = {}
    for camera, line, _, name, _ in manual.counts:
        of_line = known.classes.get((camera, line))
        if lacking(name, of_line) == "some":
            notes[camera, line, name] = (
                f"line {line} of camera {camera} counts only {', '.join(of_line)}: what was counted by hand as {name} "
                "may hold more"
            )
    return list(notes.values())


def refuse_nothing(
    path: Path,
    everything: Crossings,
    seen_at: np.ndarray,
    of_line: np.ndarray,
    known: Known,
    stretches: Stretches | None,
) -> None:
    """Raise NothingToCompareError where no true crossing can be compared, with the reason."""
    if (seen_at & of_line).any():
        return
    if not len(everything):
        raise NothingToCompareError(f"{path}: holds no crossing, only a header; write one row for each crossing")
    if not seen_at.any():
        instants = list(zip(everything.camera_id.tolist(), everything.crossed_at_us.tolist()))
        raise NothingToCompareError(no_footage(path, "crossings", instants, known, stretches))
    row = int(np.flatnonzero(seen_at)[0])
    camera, line = everything.camera_id[row], everything.line_id[row]
    raise NothingToCompareError(
        f"{path}: none of its crossings with footage is of a class that its line counts: line {line} of camera "
        f"{camera} counts only {', '.join(known.classes[camera, line])}, not {everything.class_name[row]}"
    )


def no_footage(
    path: Path,
    what: str,
    instants: Sequence[tuple[str, int]],
    known: Known,
    stretches: Stretches | None,
) -> str:
    """Say why none of N (camera, microseconds) can be compared: cameras not in the lake, or no footage then."""
    zones, stretches = known.zones or {}, stretches or {}
    cameras = sorted({camera for camera, _ in instants})
    mine = [camera for camera in cameras if camera in zones]
    if not mine:
        return f"{path}: the lake has none of its cameras ({', '.join(cameras)}); it has {', '.join(zones)}"
    filmed = [of for camera in mine for of in stretches.get(camera, ())]
    if not filmed:
        return f"{path}: the lake has no finished footage of {', '.join(mine)}; run the night first"
    at_us = [at_us for camera, at_us in instants if camera in mine]
    clock = ZoneInfo(zones[mine[0]])
    began, ended, first, last = (
        datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(clock).isoformat(timespec="minutes")
        for us in (min(at_us), max(at_us), int(min(of[0] for of in filmed)), int(max(of[1] for of in filmed)))
    )
    return (
        f"{path}: none of its {what} lies where the lake has footage: they are from {began} to {ended}, footage is "
        f"from {first} to {last}; correct the times, or give the lake of that day"
    )
