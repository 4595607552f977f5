"""Where else was this person or vehicle? `search` is what `nightfleet search` calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from jobs import indexing, search_filters, search_query
from jobs.indexing import FACTS, Night
from jobs.search_filters import Filters
from jobs.search_query import Query
from pipeline.errors import LakeError, UserError
from pipeline.identity.calibration import Calibration
from pipeline.identity.index import Partition
from pipeline.identity.search import Hits
from pipeline.identity.search import search as ranked
from pipeline.lake import catalog
from pipeline.lake.writer import Lake

# One bound a camera: a local time is another instant under another zone.
_SELECTED = """
SELECT row FROM facts
JOIN (SELECT unnest($cameras) AS camera_id, unnest($from_us) AS from_us, unnest($to_us) AS to_us) USING (camera_id)
WHERE epoch_us(ended_at) >= from_us AND epoch_us(started_at) < to_us AND list_contains($classes, class)
ORDER BY row
"""
_IDENTITIES = "SELECT DISTINCT identity_id FROM facts WHERE list_contains($rows, row) AND identity_id IS NOT NULL"
_FACTS = """
SELECT * EXCLUDE (started_at, ended_at), epoch_us(started_at) AS started_us, epoch_us(ended_at) AS ended_us
FROM facts WHERE list_contains($rows, row)
"""


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """What one partition answered: its hits, the query's own tracklets left out, and how many were looked at."""

    night: Night
    partition: Partition
    hits: Hits
    n_selected: int


def search(
    lake_url: str,
    *,
    tracklet_id: str | None = None,
    identity_id: str | None = None,
    image: Path | None = None,
    class_name: str | None = None,
    cameras: Sequence[str] | None = None,
    first: str | None = None,
    last: str | None = None,
    top: int = 20,
) -> dict[str, Any]:
    """Return the tracklets most like a tracklet, an identity or a picture: `{"query", "hits": [...], ...}`, best first.

    Similarity is that of the identities: of exemplar sets, freed of what their cameras add; `probability` is what the
    calibration of a hit's night makes of it, None where there is none. Ties by tracklet_id. Only tracklets of the
    query's class group, and of what the filters leave, are compared; the query's own are left out.
    Raises UserError for what is unknown or cannot be read, LakeError.
    """
    filters = search_filters.parse(class_name, cameras, first, last)
    lake = Lake.open(lake_url)
    nights = [indexing.night(lake, day) for day in indexing.dates(lake)]
    if not any(night.groups for night in nights):
        raise LakeError(f"{lake.url}: the lake holds no tracklets yet; run `nightfleet run` first")
    config = lake.read_config() if image is not None else indexing.config_of(lake)
    if tracklet_id is not None:
        query = search_query.of_tracklet(tracklet_id, nights, lake_url)
    elif identity_id is not None:
        query = search_query.of_identity(identity_id, nights, lake_url)
    else:
        query = search_query.of_picture(image, config.models, nights, filters)
    _check_group(query, filters, class_name)
    zones = {camera.id: camera.time_zone for camera in config.cameras} if config else {}
    opened = [
        (night, Partition.open(night.partition(group)))
        for night in nights
        for group in night.groups
        if group in query.vectors
    ]
    search_filters.check_cameras(filters, {*zones, *(c for _, one in opened for c in one.about["cameras"])}, lake_url)
    found = [
        answer
        for night, partition in opened
        if (answer := _ask(query, night, partition, filters, zones, top, lake_url)) is not None
    ]
    return {
        "query": query.label,
        "query_tracklets": sorted(query.tracklets),
        "query_identities": _identities(query, opened) if identity_id is None else [identity_id],
        "dates": _dates(nights),
        "picture": query.picture,
        "filters": filters.to_json(),
        "hits": _rows(found, zones, top),
        "searched": sum(answer.n_selected for answer in found),
        "recall": min((answer.hits.recall for answer in found), default=1.0),
        "settled": all(answer.hits.settled for answer in found),
        "notes": [*_of_what(query, filters), *_notes(found)],
    }


def _ask(
    query: Query,
    night: Night,
    partition: Partition,
    filters: Filters,
    zones: dict[str, str],
    top: int,
    lake_url: str,
) -> Found | None:
    """Search one partition, if the filters leave anything of it."""
    selected = None
    if filters.any:
        selected = _selected(partition, filters, zones)
        if not selected.any():
            return None
    _check_alike(query, night, lake_url)
    own = _own(query, partition)
    hits = ranked(query.vectors[partition.about["group"]], partition, top + len(own), selected=selected)
    others = np.flatnonzero(~np.isin(hits.row, own))[:top]
    n_selected = len(partition) if selected is None else int(np.count_nonzero(selected))
    n_own = len(own) if selected is None else int(np.count_nonzero(selected[own]))
    return Found(
        night, partition, Hits(hits.row[others], hits.similarity[others], hits.settled, hits.recall), n_selected - n_own
    )


def _own(query: Query, partition: Partition) -> list[int]:
    """Return the rows of a partition that are the query itself."""
    return [row for name in query.tracklets if (row := partition.row_of(name)) is not None]


def _identities(query: Query, opened: Sequence[tuple[Night, Partition]]) -> list[str]:
    """Return the identities that the query's own tracklets are in."""
    own = [(partition, rows) for _, partition in opened if (rows := _own(query, partition))]
    names: set[str] = set()
    for partition, rows in own:
        files = {"facts": [str(partition.folder / FACTS)]}
        names.update(catalog.query_files(files, _IDENTITIES, {"rows": rows})["identity_id"].to_pylist())
    return sorted(names)


def _dates(nights: Sequence[Night]) -> tuple[str, str]:
    """Return the first and the last date that a lake has tracklets of."""
    dates = [night.local_date for night in nights if night.groups]
    return min(dates), max(dates)


def _of_what(query: Query, filters: Filters) -> list[str]:
    """Say where a picture is compared with everything, since nobody knows what it shows."""
    if query.picture is None or query.picture["class"] is not None or filters.classes is not None:
        return []
    return [
        "the lake's detector finds nothing in this picture, so the whole of it was taken and compared with tracklets "
        "of every class; cut the person or vehicle out and give --class"
    ]


def _selected(partition: Partition, filters: Filters, zones: dict[str, str]) -> np.ndarray:
    """Return which tracklets (N,) the filters leave, as SQL tells before anything is ranked."""
    selected = np.zeros(len(partition), bool)
    cameras = [name for name in partition.about["cameras"] if filters.cameras is None or name in filters.cameras]
    bounds = [filters.bounds_us(zones.get(name, "UTC")) for name in cameras]
    first_us, last_us = partition.about["first_us"], partition.about["last_us"]
    possible = [begin <= last_us and first_us < end for begin, end in bounds]
    if not any(possible):
        return selected
    facts = {"facts": [str(partition.folder / FACTS)]}
    params = {
        "cameras": cameras,
        "from_us": [begin for begin, _ in bounds],
        "to_us": [end for _, end in bounds],
        "classes": list(filters.classes or partition.about["classes"]),
    }
    selected[indexing.rows_of(catalog.query_files(facts, _SELECTED, params))] = True
    return selected


def _rows(found: Sequence[Found], zones: dict[str, str], top: int) -> list[dict[str, Any]]:
    """Return the best of all partitions' hits with what is known of them."""
    places = [(n, k) for n, answer in enumerate(found) for k in range(len(answer.hits))]
    named = [answer.partition.names(answer.hits.row) for answer in found]
    places.sort(key=lambda place: (-found[place[0]].hits.similarity[place[1]], named[place[0]][place[1]]))
    places = places[:top]
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for n, answer in enumerate(found):
        mine = [k for m, k in places if m == n]
        if not mine:
            continue
        similarity = answer.hits.similarity[mine]
        probability = _probability(answer.partition, similarity)
        files = {"facts": [str(answer.partition.folder / FACTS)]}
        wanted = answer.hits.row[mine]
        facts = {row["row"]: row for row in catalog.query_files(files, _FACTS, {"rows": wanted.tolist()}).to_pylist()}
        for k, row, alike, likely in zip(mine, wanted.tolist(), similarity, probability):
            rows[n, k] = _row(facts[row], answer.night, float(alike), likely, zones)
    return [rows[place] for place in places]


def _row(
    facts: dict, night: Night, similarity: float, probability: float | None, zones: dict[str, str]
) -> dict[str, Any]:
    zone = ZoneInfo(zones.get(facts["camera_id"], "UTC"))
    started_at, ended_at = (datetime.fromtimestamp(facts[key] / 1e6, UTC) for key in ("started_us", "ended_us"))
    return {
        "similarity": similarity,
        "probability": probability,
        "tracklet_id": facts["tracklet_id"],
        "camera_id": facts["camera_id"],
        "class": facts["class"],
        "started_at": started_at,
        "ended_at": ended_at,
        "started_local": started_at.astimezone(zone).isoformat(timespec="seconds"),
        "identity_id": facts["identity_id"],
        "date": night.local_date,
    }


def _probability(partition: Partition, similarity: np.ndarray) -> list[float | None]:
    """Return what the calibration of a partition's night makes of similarities (K,)."""
    known = partition.about["calibration"]
    if known is None:
        return [None] * len(similarity)
    calibration = Calibration(
        min_similarity=known["min_similarity"],
        stranger_similarity=known["stranger_mean"],
        stranger_sd=known["stranger_sd"],
        match_mean=known["match_mean"],
        match_sd=known["match_sd"],
        prior=known["prior_log_odds"],
        rule=known["rule"],
    )
    return calibration.probability(similarity).tolist()


def _check_group(query: Query, filters: Filters, class_name: str | None) -> None:
    """Refuse a class that the query cannot be of. Raises UserError."""
    if filters.groups is not None and query.vectors and not filters.groups & query.vectors.keys():
        group = " or ".join(sorted(query.vectors))
        raise UserError(f"--class {class_name}: {query.label} is a {group}, and compared with its like only")


def _check_alike(query: Query, night: Night, lake_url: str) -> None:
    """Refuse to compare a query with a night whose vectors another model made. Raises UserError."""
    if night.embedder != query.embedder:
        raise UserError(
            f"{lake_url}: the search index of {night.local_date} was made by another model than {query.origin}, so "
            f"{query.label} cannot be compared with it; make all nights by one model with `nightfleet run`, or name a "
            "time of one model by --from and --to"
        )


def _notes(found: Sequence[Found]) -> list[str]:
    """Say what of the answer is less than it could be."""
    notes = []
    plain = sorted({answer.night.local_date for answer in found if answer.partition.about["centre"] is None})
    if plain:
        notes.append(
            f"{', '.join(plain)}: nothing is known there of what each camera adds to a look, so similarities between "
            "cameras are too low, and there are no probabilities; `nightfleet run` finds out"
        )
    rough = [answer for answer in found if not answer.hits.settled or answer.hits.recall < 1]
    if rough:
        recall = min(answer.hits.recall for answer in rough)
        notes.append(
            f"approximate: among {sum(answer.n_selected for answer in rough)} tracklets only those in the likeliest "
            f"lists were compared; on a sample {recall:.1%} of the true best were found so"
        )
    return notes
