"""What is looked for: a tracklet, an identity or a picture, as vectors of each class group it may be in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jobs.indexing import FACTS, Night, rows_of
from jobs.search_filters import Filters
from pipeline.config import ModelsConfig
from pipeline.errors import UserError
from pipeline.identity.index import Partition, without_tint
from pipeline.identity.search import thinned
from pipeline.lake import catalog


@dataclass(frozen=True, eq=False, slots=True)
class Query:
    """What is looked for.

    label        as somebody would say it
    vectors      class group -> (Q, 128) float32, freed of tint
    tracklets    ids that are the query itself and no answer to it
    embedder     digest of the model that made the vectors, None where it is not known; origin, where they come from
    picture      for a picture: which part of it was looked at (see `of_picture`); else None
    image        for a picture: that part, (H, W, 3) uint8 RGB; else None
    """

    label: str
    vectors: dict[str, np.ndarray]
    tracklets: frozenset[str]
    embedder: str | None
    origin: str
    picture: dict[str, Any] | None = None
    image: np.ndarray | None = None


_LOOKLESS = "has no looks to go by: its tracks were imported; search for a tracklet of a camera with footage"


def of_tracklet(tracklet_id: str, nights: Sequence[Night], lake_url: str) -> Query:
    """Look for a tracklet of the lake. Raises UserError where there is none of that id."""
    for night in reversed(nights):
        for group in night.groups:
            partition = Partition.open(night.partition(group))
            row = partition.row_of(tracklet_id)
            if row is not None:
                vectors, _ = partition.exemplars(np.array([row]))
                looks = {group: thinned(vectors)}
                return Query(tracklet_id, looks, frozenset([tracklet_id]), night.embedder, night.local_date)
    if catalog.query(lake_url, "FROM tracklets WHERE tracklet_id = ?", [tracklet_id]).num_rows:
        raise UserError(f"{lake_url}: {tracklet_id} {_LOOKLESS}")
    raise UserError(
        f"{lake_url}: no tracklet {tracklet_id!r}; list them with "
        f'`nightfleet sql {lake_url} "SELECT tracklet_id FROM tracklets"`'
    )


_MEMBERS = "SELECT row, tracklet_id FROM facts WHERE identity_id = $identity_id ORDER BY row"


def of_identity(identity_id: str, nights: Sequence[Night], lake_url: str) -> Query:
    """Look for an identity by the exemplars of all its tracklets, thinned. Raises UserError where there is none."""
    vectors: dict[str, list[np.ndarray]] = {}
    tracklets, seen_on = [], {}
    for night in nights:
        for group in night.groups:
            files = {"facts": [str(night.partition(group) / FACTS)]}
            members = catalog.query_files(files, _MEMBERS, {"identity_id": identity_id})
            if len(members):
                found, _ = Partition.open(night.partition(group)).exemplars(rows_of(members))
                vectors.setdefault(group, []).append(found)
                tracklets += members["tracklet_id"].to_pylist()
                seen_on[night.embedder] = night.local_date
    if not tracklets and catalog.query(lake_url, "FROM identities WHERE identity_id = ?", [identity_id]).num_rows:
        raise UserError(f"{lake_url}: {identity_id} {_LOOKLESS}")
    if not tracklets:
        raise UserError(
            f"{lake_url}: no identity {identity_id!r}; list them with "
            f'`nightfleet sql {lake_url} "SELECT DISTINCT identity_id FROM identities"`'
        )
    if len(seen_on) > 1:
        raise UserError(
            f"{lake_url}: the embeddings of {' and '.join(sorted(seen_on.values()))}, where {identity_id} is, were "
            "made by different models; make them anew by `nightfleet run`, or search by --tracklet"
        )
    looks = {group: thinned(np.concatenate(parts)) for group, parts in vectors.items()}
    (embedder, origin), *_ = seen_on.items()
    return Query(identity_id, looks, frozenset(tracklets), embedder, origin)


def of_picture(image: Path, models: ModelsConfig, nights: Sequence[Night], filters: Filters) -> Query:
    """Look for whoever or whatever is in a picture, embedded by the lake's own embedder.

    Where the lake's detector finds objects in it, the most prominent is taken (area times score), of the classes
    asked for, else of their groups. It is looked for as a whole where it is a crop already, or nothing is found.
    Raises UserError where it cannot be read.
    """
    from jobs.search_picture import look_at
    from pipeline.perception.weights import embedder_digest

    looked_at = look_at(image, models, filters.classes)
    wanted = filters.groups if filters.groups is not None else looked_at.groups
    vectors = {}
    for night in nights:  # the newest night of a group says what its cameras add
        for group in night.groups:
            if wanted is None or group in wanted:
                centre = Partition.open(night.partition(group)).about["centre"]
                vectors[group] = (
                    looked_at.vector if centre is None else without_tint(looked_at.vector, np.array(centre))
                )
    origin = f"the embedder that its configuration names ({models.embedder.use})"
    embedder = embedder_digest(models.embedder)
    return Query(str(image), vectors, frozenset(), embedder, origin, looked_at.to_json(), looked_at.image)
