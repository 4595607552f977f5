"""What a reader must know before relying on the figures: sentences made from the data, the gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from pipeline.config import CameraConfig, FleetConfig
from pipeline.reports.page import words

if TYPE_CHECKING:
    from pipeline.reports.page.page import Sections

FEW = 30
"""Crossings of a line under which its shares, peaks and percentiles say little: the standard deviation of such a
Poisson count is 18 % of it."""

FEW_SPEEDS = 30
_MOST_NAMED = 6


def caveats(sections: Sections, config: FleetConfig | None) -> list[str]:
    """Return the caveats of a report whose other sections are gathered."""
    return [
        *_of_coverage(sections),
        *_of_counts(sections),
        *_of_doubts(sections),
        *_of_cameras(sections, config),
        *_of_speeds(sections),
        *_of_identities(sections),
        *_of_clocks(sections),
        *_of_people(sections),
    ]


def _of_coverage(s: Sections) -> list[str]:
    said = []
    partial = [c for c in s.coverage.cameras if c.expected_s and c.watched_s < 0.99 * c.expected_s]
    if partial:
        named = [f"{c.camera_id} ({words.percent(c.percent)})" for c in partial]
        said.append(
            f"Not everything was watched: {_some(named)}. Totals are of the watched time and are not scaled up; "
            "compare hours of one camera, or cameras, only where both were watched."
        )
    blind = [c.camera_id for c in s.coverage.cameras if c.expected_s and not c.watched_s]
    if blind:
        said.append(f"Nothing was watched at {_some(blind)}: there is no count of any kind.")
    damaged = [c.camera_id for c in s.coverage.cameras if c.bad_packets]
    if damaged:
        said.append(f"Some packets of the footage of {_some(damaged)} were damaged and passed over.")
    return said


def _of_counts(s: Sections) -> list[str]:
    few = [
        f"{line.camera_id} · {line.line_id}" for line in s.counts.lines if line.total is not None and line.total < FEW
    ]
    if not few:
        return []
    return [
        f"Fewer than {FEW} crossings at {_some(few)}: chance alone moves so small a count by a fifth or more, so "
        "shares, peak hours and percentiles there are weak."
    ]


def _of_doubts(s: Sections) -> list[str]:
    if not s.doubts.doubtful:
        return []
    return [
        f"More than one crossing in ten is doubtful at {_some(s.doubts.doubtful)} (see Self-check): look at them "
        "before relying on these counts."
    ]


def _of_cameras(s: Sections, config: FleetConfig | None) -> list[str]:
    said = []
    moving = {c.camera_id for c in s.coverage.cameras if c.motion_unknown}
    if config is not None:
        moving |= {camera.id for camera in config.cameras if camera.moving and camera.id in s.period.zones}
        guessed = [c.id for c in config.cameras if c.id in s.period.zones and _is_by(config, c, "motion")]
        if guessed:
            said.append(
                f"At {_some(guessed)} whatever moves was detected, and its class told by its size alone: classes finer "
                "than person and vehicle mean little there."
            )
        learned = [c.id for c in config.cameras if c.id in s.period.zones and _is_by(config, c, "one-shot")]
        if learned:
            said.append(
                f"At {_some(learned)} the detector was the one that ships with nightfleet, which learned from rendered "
                "pictures and a few clips: hold an hour counted by hand beside its counts."
            )
    if moving:
        said.append(
            f"The picture of {_some(sorted(moving))} moves: lines and zones stay where they were drawn in it, not on "
            "the ground."
        )
    if s.provenance.mixed:
        said.append(
            f"The files of {_some(s.provenance.mixed)} were processed with differing settings or weights (see "
            "Provenance)."
        )
    return said


def _of_speeds(s: Sections) -> list[str]:
    said = []
    if s.speeds.uncalibrated:
        said.append(f"No speeds at {_some(s.speeds.uncalibrated)}: the camera is not calibrated.")
    if s.speeds.vague:
        said.append(
            f"How good the calibration of {_some(s.speeds.vague)} is, is not known: the errors stated of speeds "
            "there are of sampling alone. More than four ground points in the fleet.yaml would tell."
        )
    if any(row["n"] < FEW_SPEEDS for row in s.speeds.rows):
        said.append(f"Some speeds rest on fewer than {FEW_SPEEDS} vehicles; a percentile of so few is a rough one.")
    return said


def _of_identities(s: Sections) -> list[str]:
    if not s.journeys.total:
        return []
    return [
        "Flows and travel times between cameras rest on knowing objects again by their looks, and miss some of them."
    ]


def _of_clocks(s: Sections) -> list[str]:
    said = []
    if len(s.zones) > 1:
        said.append(f"The cameras are in several time zones ({words.listed(s.zones)}); each one's bins are in its own.")
    changes = [zone for zone in s.zones if _changes(s, zone)]
    if changes:
        said.append(
            f"The clocks of {words.listed(changes)} change within the period: an hour is skipped, or there twice, told "
            "apart by its UTC offset."
        )
    weak = [source for source, _ in s.provenance.clock_sources if source == "container"]
    if weak:
        said.append("Some files gave no start time but the one their container was stamped with, which may be wrong.")
    return said


def _of_people(s: Sections) -> list[str]:
    if not any(scene.picture for scene in s.scenes.values()):
        return []
    return [
        "Pictures here are medians of many frames, in which nobody who passes can be seen; who or what stood still for "
        "most of that time can. Look at them before you publish this page."
    ]


def _changes(s: Sections, zone: str) -> bool:
    """Tell whether a zone's clock changes while the period lasts."""
    if s.period.shown is None:
        return False
    (at, end), offsets = s.period.shown, set()
    while at <= end + timedelta(hours=1):
        offsets.add(min(at, end).astimezone(ZoneInfo(zone)).utcoffset())
        at += timedelta(hours=1)
    return len(offsets) > 1


def _is_by(config: FleetConfig, camera: CameraConfig, detector: str) -> bool:
    return config.detector_for(camera).use == detector and not camera.imported


def _some(names: Sequence[str]) -> str:
    """Return names as a list, all but the first few as a number."""
    if len(names) <= _MOST_NAMED:
        return words.listed(names)
    return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"
