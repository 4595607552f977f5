"""What of a run's work the lake holds already: units, their kept detections, their thumbnails."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.config import FleetConfig
from pipeline.execution import picturing, plan
from pipeline.lake import keeping, thumbnails
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.pictured import About
from pipeline.lake.writer import Lake

Ledger = dict[str, LedgerEntry]
"""Entries by segment id."""


def finished_units(config: FleetConfig, ledger: Ledger, lake: Lake) -> Ledger:
    """Return the units that need not be done again as far as the lake knows: where detections are to be kept, those
    of which they are."""
    if not config.execution.keep_detections:
        return ledger
    held = keeping.units(lake)
    return {
        name: entry for name, entry in ledger.items() if (entry.camera_id, entry.local_date, entry.segment_id) in held
    }


def pictured_units(config: FleetConfig, finished: Ledger, lake: Lake) -> Ledger:
    """Return those of the finished units that lack no thumbnails either, where such are to be kept."""
    if not config.execution.keep_thumbnails:
        return finished
    places = {name: (entry.camera_id, entry.local_date, name) for name, entry in finished.items()}
    abouts, settings = thumbnails.abouts(lake, places.values()), picturing.settings_of(config)
    return {
        name: entry
        for name, entry in finished.items()
        if thumbnails.is_current(entry, abouts.get(places[name]), settings)
    }


def pictured_by(config: FleetConfig, made: Sequence[LedgerEntry], lake: Lake) -> list[About]:
    """Return what is said of the thumbnails of these units."""
    if not config.execution.keep_thumbnails:
        return []
    places = [(entry.camera_id, entry.local_date, entry.segment_id) for entry in made]
    return list(thumbnails.abouts(lake, places).values())


def all_kept(config: FleetConfig, todo: Sequence[plan.Unit], lake: Lake) -> bool:
    """Tell whether the detections of all these units are kept, so that most likely no model will be needed."""
    held = keeping.units(lake)
    places = {(unit.segment.camera_id, unit.segment.local_date, unit.segment.segment_id): unit for unit in todo}
    if not places.keys() <= held:
        return False
    kept = keeping.abouts(lake, places)
    keys = {
        place: plan.perception_key(unit, config, config.camera(unit.segment.camera_id))
        for place, unit in places.items()
    }
    return all(place in kept and kept[place].key == key for place, key in keys.items())
