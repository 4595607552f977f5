"""Erase somebody from a lake and prove it: what `nightfleet erase` calls, `look` first, which says what goes."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from jobs import indexing
from pipeline.errors import UserError
from pipeline.execution import forgetting
from pipeline.lake import catalog, erasing, erasures, index_folders, proving, schema
from pipeline.lake.erasing import Findings, Targets
from pipeline.lake.erasures import Erasure
from pipeline.lake.writer import Lake

PLACES = (
    "observations",
    "tracklets",
    "embeddings",
    "thumbnails",
    *schema.STORED,
    "detections",
    "identities",
    "identity_evidence",
    "identity_decisions",
    proving.STATES,
    proving.INDEX,
    proving.OTHER,
)
"""Where somebody may be in a lake, in the order of telling. States and indexes are counted by file and by night."""


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """What a lake has of somebody, and whether an earlier erasure of them was begun or done."""

    lake: Lake
    of: str
    kind: str
    tracklets: tuple[str, ...]
    erasure: Erasure
    found: Findings
    counts: Counter[str]
    earlier: Erasure | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done: one row a place, {place, removed, found}; `found` is None where nothing was searched (a dry run).

    earlier  the state of an earlier erasure of the same, "begun" or "done", else empty
    """

    of: str
    kind: str
    tracklets: int
    nights: list[str]
    places: list[dict]
    dry_run: bool
    earlier: str
    lake: str

    @property
    def clean(self) -> bool | None:
        """Whether nothing is left; None where nothing was removed and searched for yet."""
        return None if self.dry_run else not any(row["found"] for row in self.places)

    def to_json(self) -> dict:
        """Return it as plain JSON values."""
        places = self.places
        if self.dry_run:
            places = [{"place": row["place"], "to_remove": row["removed"]} for row in places]
        return {**asdict(self), "places": places, "clean": self.clean}


def look(lake_url: str, *, identity: str | None = None, tracklet: str | None = None) -> Look:
    """Find all that a lake has of an identity, or of one tracklet; changes nothing.

    Raises UserError where neither the lake nor a record of an erasure knows it.
    """
    if (identity is None) == (tracklet is None):
        raise UserError("give exactly one of --identity ID and --tracklet ID")
    lake = Lake.open(lake_url)
    of, kind = (identity, "identity") if tracklet is None else (tracklet, "tracklet")
    erasure_id = erasures.name_digest(of)
    earlier = erasures.find(lake, erasure_id) or erasures.naming(lake, erasure_id)
    erasure_id = earlier.erasure_id if earlier else erasure_id
    names = _tracklets_of(of, kind, lake_url)
    if not names and earlier is None:
        raise UserError(_unknown(of, kind, lake_url))
    digests = {erasure_id} | {erasures.name_digest(name) for name in names} | set(earlier.names if earlier else ())
    found = erasing.find(lake, Targets(digests))
    vectors = {erasures.vector_digest(vector) for vector in found.vectors} | set(earlier.vectors if earlier else ())
    erasure = Erasure(
        erasure_id=erasure_id,
        kind=kind,
        names=tuple(sorted(digests)),
        vectors=tuple(sorted(vectors)),
        cameras=tuple(sorted(found.cameras | set(earlier.cameras if earlier else ()))),
        dates=tuple(sorted(set(found.dates) | set(earlier.dates if earlier else ()))),
        begun_at=earlier.begun_at if earlier else datetime.now(UTC).isoformat(timespec="seconds"),
    )
    counts = found.counts
    counts[proving.STATES] = sum(1 for _ in forgetting.holding(lake, erasure))
    indexed = {name.removeprefix("date=") for name in lake.storage.names(index_folders.INDEX)}
    counts[proving.INDEX] = len(indexed & set(erasure.dates)) if found.rows else 0
    return Look(lake, of, kind, tuple(names), erasure, found, counts, earlier)


def erase(seen: Look) -> Erased:
    """Remove all that was found, then read the whole lake again and count what is still there.

    May be killed at any moment: the next erasure of the same goes on where this one ended. No run may be going on.
    """
    lake, erasure = seen.lake, seen.erasure
    lake.clean()
    erasures.write(lake, erasure)
    erasures.outdate(lake, erasure)
    _forget_indexes(lake, erasure)
    erasing.remove(lake, erasure, seen.found)
    forgetting.clean_states(lake)
    erasures.outdate(lake, erasure)  # a search in between has made an index of what was still there
    _forget_indexes(lake, erasure)
    left = proving.found(lake, proving.Search(erasure, seen.found.vectors, seen.found.boxes))
    if not left.total():
        erasures.write(lake, erasure.done())
    return _told(seen, left)


def dry_run(seen: Look) -> Erased:
    """Return what `erase` would remove."""
    return _told(seen, None)


def _told(seen: Look, left: Counter[str] | None) -> Erased:
    places = [*PLACES, *sorted((+(left or Counter())).keys() - set(PLACES))]
    rows = [
        {"place": place, "removed": seen.counts[place], "found": None if left is None else left[place]}
        for place in places
    ]
    return Erased(
        of=seen.of,
        kind=seen.kind,
        tracklets=len(seen.tracklets),
        nights=list(seen.found.dates),
        places=rows,
        dry_run=left is None,
        earlier=seen.earlier.state if seen.earlier else "",
        lake=seen.lake.url,
    )


def _forget_indexes(lake: Lake, erasure: Erasure) -> None:
    for local_date in erasure.dates:
        indexing.forget(lake, local_date)


def _tracklets_of(of: str, kind: str, lake_url: str) -> list[str]:
    column = "identity_id" if kind == "identity" else "tracklet_id"
    sql = f"SELECT DISTINCT tracklet_id FROM {'identities' if kind == 'identity' else 'tracklets'} WHERE {column} = ?"
    return sorted(catalog.query(lake_url, sql, [of])["tracklet_id"].to_pylist())


def _unknown(of: str, kind: str, lake_url: str) -> str:
    """Say that the lake knows no such id, and which is close."""
    column, table = ("identity_id", "identities") if kind == "identity" else ("tracklet_id", "tracklets")
    known = catalog.query(lake_url, f"SELECT DISTINCT {column} FROM {table} ORDER BY ALL")[0].to_pylist()
    close = difflib.get_close_matches(of, known, 1, 0.5)
    hint = f"did you mean {close[0]!r}?" if close else f'list them by `nightfleet sql {lake_url} "FROM {table}"`'
    return f"{lake_url}: no {kind} {of!r} is in this lake, nor was one erased from it; {hint}"
