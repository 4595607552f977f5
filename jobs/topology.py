"""How long the way between cameras takes, as the identities of a lake tell: links to review and configure."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.identity.learned import MIN_MATCHES, ProposedLink, count_matches, propose_links
from pipeline.lake import catalog

MIN_CONFIDENCE = 0.9
"""Only sightings that surely belong to their identity: a few wrong ones would stretch the window."""

_MATCHES = """
SELECT a.camera_id AS first, b.camera_id AS then, (epoch_us(b.started_at) - epoch_us(a.ended_at)) / 1e6 AS travel_s
FROM identities AS ia
JOIN tracklets AS a ON a.tracklet_id = ia.tracklet_id AND a.date = ia.date
JOIN identities AS ib ON ib.identity_id = ia.identity_id AND ib.date = ia.date AND ib.tracklet_id <> ia.tracklet_id
JOIN tracklets AS b ON b.tracklet_id = ib.tracklet_id AND b.date = ib.date
WHERE ia.confidence >= $confidence AND ib.confidence >= $confidence AND a.camera_id <> b.camera_id
  AND (a.started_at, a.tracklet_id) < (b.started_at, b.tracklet_id)
  AND ($night IS NULL OR ia.date = CAST($night AS DATE))
ORDER BY ALL
"""


def learn_topology(lake_url: str, *, night: str | None, out: Path | None) -> dict:
    """Propose a link for every two cameras that share enough identities; write them as YAML to `out` where given.

    Every two sightings of one identity in two cameras of one night count, also with others in between. Returns
    `{"links": [...], "left_out": [...], "matches", "yaml"}`. Raises UserError where no two cameras share enough.
    """
    table = catalog.query(lake_url, _MATCHES, {"confidence": MIN_CONFIDENCE, "night": night})
    first, then = (np.array(table[name].to_pylist(), dtype=object) for name in ("first", "then"))
    links = propose_links(first, then, table["travel_s"].to_numpy().astype(np.float64))
    if not links:
        when = "" if night is None else f" on {night}"
        raise UserError(
            f"{lake_url}: no two cameras share {MIN_MATCHES} sightings of identities that are sure (confidence of "
            f"{MIN_CONFIDENCE} or more){when}, there are {len(first)} in all; run more footage, or configure "
            "identity.links by hand"
        )
    cameras = sorted(catalog.query(lake_url, "SELECT camera_id FROM cameras")["camera_id"].to_pylist())
    linked, counted = {frozenset(link.between) for link in links}, count_matches(first, then)
    left_out = {pair: counted.get(pair, 0) for pair in combinations(cameras, 2) if frozenset(pair) not in linked}
    text = to_yaml(links, left_out)
    if out is not None:
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{out}: cannot be written: {error.strerror or error}") from None
    rows = [{"between": list(pair), "matches": matches} for pair, matches in left_out.items()]
    return {"links": [asdict(link) for link in links], "left_out": rows, "matches": len(first), "yaml": text}


def to_yaml(links: list[ProposedLink], left_out: dict[tuple[str, str], int]) -> str:
    """Write links as the part of a fleet.yaml they would be; what they leave out stands in a comment."""
    lines = ["identity:", "  links:"]
    for link in links:
        a, b = (json.dumps(name) for name in link.between)  # an id may read like a number or like "on"
        flags = "".join(f", {name}: true" for name in ("overlapping", "one_way") if getattr(link, name))
        there = " to ".join(link.between)
        lines.append(f"    # {link.matches} matches, {link.forward} of them {there}; median {link.median_s:.1f} s")
        window = f"min_travel_s: {link.min_travel_s:g}, max_travel_s: {link.max_travel_s:g}"
        lines.append(f"    - {{between: [{a}, {b}], {window}{flags}}}")
    if left_out:
        names = ", ".join(f"{a} and {b} ({matches} matches)" for (a, b), matches in left_out.items())
        lines.append(f"    # Left out, so that these are not compared any more: {names}")
    return "\n".join(lines) + "\n"
