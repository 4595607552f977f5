"""Where else was this person or vehicle? `search` is what `nightfleet search` calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.identity.search import search as ranked
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.types import COCO_CLASSES, Exemplars, class_group


def search(lake_url: str, *, tracklet_id: str | None, image: Path | None, top: int) -> dict:
    """Return the tracklets most like a tracklet of the lake, or a picture: `{"query", "hits": [...]}`, best first.

    A tracklet is looked for among those of its own class group, itself left out; a picture among all. A picture is
    embedded by the lake's own embedder. Raises UserError for an unknown tracklet or an unreadable picture.
    """
    lake = Lake.open(lake_url)
    facts = {row["tracklet_id"]: row for row in catalog.query(lake_url, _TRACKLETS).to_pylist()}
    exemplars = _all_exemplars(lake)
    if tracklet_id is not None:
        query = _of_tracklet(tracklet_id, facts, exemplars, lake_url)
        group = _group(facts[tracklet_id]["class"])
        keep = np.array([i != tracklet_id and _group(facts[i]["class"]) == group for i in exemplars.tracklet_id], bool)
        exemplars = _take(exemplars, keep)
    else:
        query = _of_picture(image, lake)
    hits = ranked(query, exemplars, top)
    rows = [{"similarity": float(s), **facts[i]} for i, s in zip(hits.tracklet_id, hits.similarity)]
    return {"query": tracklet_id or str(image), "hits": rows}


_TRACKLETS = """
SELECT tracklet_id, camera_id, class, started_at, ended_at, identity_id
FROM tracklets LEFT JOIN identities USING (tracklet_id)
"""


def _of_tracklet(tracklet_id: str, facts: dict, exemplars: Exemplars, lake_url: str) -> np.ndarray:
    mine = exemplars.tracklet_id == tracklet_id
    if tracklet_id not in facts or not mine.any():
        raise UserError(
            f"{lake_url}: no tracklet {tracklet_id!r}; list them with "
            f'`nightfleet sql {lake_url} "SELECT tracklet_id FROM tracklets"`'
        )
    return exemplars.embedding[mine]


def _of_picture(image: Path, lake: Lake) -> np.ndarray:
    """Embed a whole picture with the embedder the lake was made with."""
    from pipeline.footage.stills import read_still
    from pipeline.perception.perception import Perception

    models = lake.read_config().models
    picture = read_still(image)
    return Perception(models.embedder, device="auto", threads=1).embed_picture(picture)


def _all_exemplars(lake: Lake) -> Exemplars:
    """Read the exemplars of every night."""
    parts = [lake.read_exemplars(local_date) for local_date in lake.dates()]
    if not parts:
        raise UserError(f"{lake.url}: the lake holds no tracklets yet; run `nightfleet run` first")
    return Exemplars.concatenate(parts)


def _take(exemplars: Exemplars, keep: np.ndarray) -> Exemplars:
    return Exemplars(*(getattr(exemplars, name)[keep] for name in Exemplars.__slots__))


def _group(class_name: str) -> str:
    return class_group(COCO_CLASSES.index(class_name))
