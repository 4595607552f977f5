"""What an embedder is trained on and validated with, out of folders, labelled pictures or a lake."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.evaluation import market, reid
from pipeline.evaluation.reid import Pictured
from pipeline.footage.recorded import Recorded
from pipeline.footage.stills import read_still
from pipeline.lake import catalog
from pipeline.lake.writer import Lake
from pipeline.reports.camera_span import RECORDED
from pipeline.training import lake_crops, sequence_crops
from pipeline.training.crops import Crops, Relations, cut_whole, dense, spread
from pipeline.training.lake_crops import Seen
from pipeline.types import EMBEDDING_DIM

HELD_OUT = 0.2
"""Share of the identities (or of the worlds) that validate; of a lake, of its tracklets, the last ones."""

MOST_EACH = 16
"""Crops taken of an identity in each camera, and of a tracklet: more look much alike."""

MOST_VALIDATION = 2500
"""Crops that validate at most, of identities chosen by chance; of a lake, of all its late tracklets, two each or more.

Validation is done after every epoch."""

QUERY_BLOCK = 512

_UNITS = f"SELECT {RECORDED} FROM ledger WHERE status = 'done' AND started_at IS NOT NULL"


@dataclass(frozen=True, eq=False, slots=True)
class Material:
    """What there is to learn from.

    train       crops, identities 0 to I - 1, and what is known of them
    validation  V crops of identities that are not in `train`; compared (V, V) bool: which pairs are known to show
                one, or to show two
    kind        "folders", "pictures", "sequences" or "lake"
    notes       what the user should know
    """

    train: Crops
    relations: Relations
    validation: Crops
    compared: np.ndarray
    kind: str
    notes: tuple[str, ...] = ()

    def validate(self, vectors: np.ndarray) -> dict[str, float]:
        """Score vectors (V, 128) of the validation crops: mAP (mean over class groups), each group's mAP and rank-1.

        A group of which nobody can be found again has no score.
        """
        scores = {}
        crops = self.validation
        for group in crops.groups:
            rows = np.flatnonzero(crops.group == group)
            shown = Pictured(crops.identity[rows] + 1, crops.camera[rows])
            found = reid.evaluate(similarities(vectors[rows], self.compared[np.ix_(rows, rows)]), shown, shown)
            if found["queries"]:
                scores |= {f"mAP_{group}": found["mAP"], f"rank1_{group}": found["rank1"]}
        means = [value for name, value in scores.items() if name.startswith("mAP_")]
        return {"mAP": float(np.mean(means)) if means else 0.0, **scores}


def similarities(vectors: np.ndarray, compared: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows and their cosines to all, -inf where two are not to be compared."""
    for start in range(0, len(vectors), QUERY_BLOCK):
        rows = np.arange(start, min(start + QUERY_BLOCK, len(vectors)))
        yield rows, np.where(compared[rows], vectors[rows] @ vectors.T, -np.inf)


def labelled(data: Sequence[str], crop_hw: tuple[int, int], *, seed: int) -> Material:
    """Read folders of crops or of labelled sequences. Raises UserError, one sentence, for what cannot be used."""
    parts, kinds = [], []
    for folder in map(Path, data):
        crops, kind = _folder(folder, crop_hw, seed)
        if not len(crops):
            raise UserError(f"{folder}: expected pictures of somebody to learn from, got none; leave this folder out")
        shift = (
            [0, 0, 0] if not parts else [int(getattr(parts[-1], n).max()) + 1 for n in ("identity", "camera", "world")]
        )
        numbers = (getattr(crops, n) + by for n, by in zip(("identity", "camera", "world"), shift))
        parts.append(Crops(crops.images, *numbers, crops.group))
        kinds.append(kind)
    crops = Crops.concatenate(parts)
    crops = Crops(crops.images, dense(crops.identity), _told_apart(crops), crops.world, crops.group)
    held = _held_out(crops, seed)
    train, validation = crops.take(~held), _fewer(crops.take(held), seed)
    train = Crops(train.images, dense(train.identity), train.camera, train.world, train.group)
    _require(train, validation, data)
    compared = (validation.world[:, None] == validation.world[None]) & (
        validation.group[:, None] == validation.group[None]
    )
    material = Material(train, Relations(None), validation, compared, "+".join(dict.fromkeys(kinds)))
    _require_answers(material, ", ".join(data))
    return material


def seen_in(lake: str, crop_hw: tuple[int, int]) -> Seen:
    """Read the crops of a lake's tracklets. Raises UserError where nothing is left of its footage."""
    with catalog.connect(lake) as connection:
        units = {row["segment_id"]: Recorded(**row) for row in connection.sql(_UNITS).to_arrow_table().to_pylist()}
        return lake_crops.read(connection, units, crop_hw, each=MOST_EACH)


def of_lake(seen: Seen, lake: str, *, joined: bool) -> Material:
    """Make material of a lake's tracklets: those that began last validate, those that ended before them train.

    joined  whether tracklets that the lake is confident are one become one

    Validation asks of an early crop of a tracklet for its late ones, among those of tracklets seen at the same time; of
    many tracklets fewer crops each, as those seen at the same time have to stay together.
    """
    since_us = int(np.quantile(seen.first_us, 1 - HELD_OUT, method="higher"))
    early = lake_crops.tracklets_of(seen, seen.last_us < since_us)
    late = lake_crops.tracklets_of(seen, seen.first_us >= since_us)
    alone = ~np.isin(np.arange(len(late.tracklet_id)), late.together)
    late = lake_crops.tracklets_of(late, ~alone)
    if len(early.together) == 0 or len(late.together) == 0:
        raise UserError(
            f"{lake}: expected tracklets seen at the same time in one camera, early and late in the footage, to learn "
            f"from and to validate with; got {len(early.together)} and {len(late.together)} pairs; process more footage"
        )
    notes = list(seen.missing)
    if joined:
        train, relations, n_joined = lake_crops.merged(early)
        notes.append(f"{n_joined} tracklets joined to others, as the lake is confident that they are one")
    else:
        train, relations = early.crops, Relations(early.together)
    validation = _thinned(late.crops)
    identity = validation.identity
    compared = (identity[:, None] == identity[None]) | Relations(late.together).different(identity)
    material = Material(train, relations, validation, compared, "lake", tuple(notes))
    _require_answers(material, lake)
    return material


def is_lake(data: str) -> bool:
    """Tell whether `data` names a lake and not a folder of pictures."""
    return Lake.exists(data)


def _folder(folder: Path, crop_hw: tuple[int, int], seed: int) -> tuple[Crops, str]:
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected one folder per identity, crops named as Market-1501's, labelled "
            "sequences (MOTChallenge), or a lake"
        )
    if next(folder.glob("*/gt/gt.txt"), None) or next(folder.glob("*/*/gt/gt.txt"), None):
        return sequence_crops.read([folder], crop_hw, most=MOST_EACH, seed=seed), "sequences"
    named = {one.name: _pictures(one) for one in sorted(folder.iterdir()) if one.is_dir()}
    named = {name: paths for name, paths in named.items() if paths}
    if named:
        paths = [path for found in named.values() for path in found[: 4 * MOST_EACH]]
        identity = np.repeat(np.arange(len(named)), [min(len(found), 4 * MOST_EACH) for found in named.values()])
        return _crops(paths, identity, np.full(len(paths), -1), crop_hw), "folders"
    paths, shown = market.read_folder(folder)
    somebody = np.flatnonzero(shown.person > reid.DISTRACTOR)
    paths = [paths[at] for at in somebody.tolist()]
    return _crops(paths, dense(shown.person[somebody]), shown.camera[somebody], crop_hw), "pictures"


def _crops(paths: list[Path], identity: np.ndarray, camera: np.ndarray, crop_hw: tuple[int, int]) -> Crops:
    images = cut_whole((read_still(path) for path in paths), crop_hw)
    group = np.full(len(paths), "object")
    return Crops(images, identity.astype(np.int64), camera.astype(np.int64), np.zeros(len(paths), np.int64), group)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in market.PICTURES)


def _told_apart(crops: Crops) -> np.ndarray:
    """Return cameras (N,) such that a crop can be asked for: where no identity of a world's group has two, each crop is
    its own."""
    camera = crops.camera.copy()
    kind = np.unique(
        np.stack([crops.world, np.unique(crops.group, return_inverse=True)[1]]), axis=1, return_inverse=True
    )[1]
    for name in np.unique(kind):
        rows = np.flatnonzero(kind == name)
        pairs = np.unique(np.stack([crops.identity[rows], camera[rows]]), axis=1)
        if len(np.unique(pairs[0])) == pairs.shape[1]:
            camera[rows] = camera.max() + 1 + np.arange(len(rows))
    return camera


def _held_out(crops: Crops, seed: int) -> np.ndarray:
    """Choose the crops that validate: whole worlds where there are enough, otherwise identities."""
    rng = np.random.default_rng([seed, 3])
    several = len(np.unique(crops.world)) * HELD_OUT >= 1  # a whole one of fewer would be more than is to be held out
    of = crops.world if several else crops.identity
    names = np.unique(of)
    return np.isin(of, rng.permutation(names)[: max(1, round(HELD_OUT * len(names)))])


def _fewer(crops: Crops, seed: int) -> Crops:
    """Leave out identities until few enough crops are left."""
    names, counts = np.unique(crops.identity, return_counts=True)
    order = np.random.default_rng([seed, 4]).permutation(len(names))
    kept = names[order[: max(1, int(np.searchsorted(np.cumsum(counts[order]), MOST_VALIDATION, "right")))]]
    return crops.take(np.isin(crops.identity, kept))


def _thinned(crops: Crops) -> Crops:
    """Take as many crops of each identity, spread evenly, as let few enough be left, but its first and last."""
    each = max(2, MOST_VALIDATION // max(1, len(np.unique(crops.identity))))
    of = (np.flatnonzero(crops.identity == name) for name in np.unique(crops.identity))
    return crops.take(np.sort(np.concatenate([rows[spread(len(rows), each)] for rows in of])))


def _require_answers(material: Material, data: str) -> None:
    """Raise UserError where nobody who validates can be found again: no epoch would be better than the start."""
    if len(material.validate(np.zeros((len(material.validation), EMBEDDING_DIM), np.float32))) == 1:
        raise UserError(
            f"{data}: expected somebody held out to validate with to have pictures of two cameras (of a lake: an early "
            "and a late one), got nobody; add data, or, of folders, take another --seed"
        )


def _require(train: Crops, validation: Crops, data: Sequence[str]) -> None:
    counts = np.bincount(train.identity) if len(train) else np.zeros(0)
    if (counts >= 2).sum() < 2 or len(np.unique(validation.identity)) < 2:
        raise UserError(
            f"{', '.join(data)}: expected at least 2 identities to learn from and 2 to validate with, with two "
            f"pictures or more each; got {int((counts >= 2).sum())} and {len(np.unique(validation.identity))}"
        )
