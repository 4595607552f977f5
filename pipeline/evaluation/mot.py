"""Single-camera tracking scores by TrackEval's own metric classes, fed in memory.

All scores are fractions, 0 to 1 (MOTA can be negative). HOTA and its parts are means over the localisation thresholds
0.05, 0.10, ... 0.95 (Luiten et al. 2021); MOTA, MOTP and the identity scores use one IoU threshold (Bernardin and
Stiefelhagen 2008; Ristani et al. 2016). MOTP is the mean IoU of the matches: higher is better.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from pipeline.boxes import iou, xywh_to_xyxy
from pipeline.errors import TruthError, UserError
from pipeline.evaluation.tables import TrackedBoxes

_HOTA_FIELDS = ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr")
_IDENTITY_FIELDS = ("IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN")
_CLEAR_FIELDS = {  # ours: TrackEval's
    "MOTA": "MOTA",
    "MOTP": "MOTP",
    "IDSW": "IDSW",
    "Frag": "Frag",
    "MT": "MT",
    "PT": "PT",
    "ML": "ML",
    "TP": "CLR_TP",
    "FP": "CLR_FP",
    "FN": "CLR_FN",
    "Recall": "CLR_Re",
    "Precision": "CLR_Pr",
}
_COUNT_FIELDS = ("Dets", "GT_Dets", "IDs", "GT_IDs")


@dataclass(frozen=True, eq=False, slots=True)
class TrackedSequence:
    """Truth and predictions of one sequence; `length_frames` is None where only the boxes tell how long it is."""

    name: str
    truth: TrackedBoxes
    predicted: TrackedBoxes
    length_frames: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts. The defaults evaluate every truth row whose conf is not 0, whatever its class (the rules of MOT15).

    iou_threshold       IoU from which a box can match, for CLEAR, identity and the ignoring below
    min_visibility      truth less visible than this share is ignored
    classes             MOTChallenge classes evaluated; None is all. Truth of other classes is removed
    distractor_classes  truth of these classes is ignored

    Ignored truth is neither to be found nor a fault to find. As in MOTChallenge (MOT16 and later, TrackEval's
    preprocessing): in each frame the predictions are matched with all truth, ignored or not, by greatest summed IoU;
    a prediction that got an ignored box is taken out, then the ignored truth is. A prediction on a truth row that is
    removed (conf 0, other class) and not ignored stays, and is a false positive.
    """

    iou_threshold: float = 0.5
    min_visibility: float = 0.0
    classes: frozenset[int] | None = None
    distractor_classes: frozenset[int] = frozenset()


MOT15_RULES = Rules()
"""MOT15, and truth of one's own: every class is evaluated, nothing is ignored."""

MOT17_RULES = Rules(classes=frozenset({1}), distractor_classes=frozenset({2, 7, 8, 12}))
"""MOT16 and MOT17: pedestrians; people on vehicles, static people, distractors and reflections are ignored."""


def evaluate(sequences: Iterable[TrackedSequence], rules: Rules = MOT15_RULES) -> dict[str, Any]:
    """Score sequences: the fields combined as TrackEval combines them, and `sequences`, the same fields by name.

    Raises UserError where TrackEval is not installed, TruthError for frames after a sequence's end.
    """
    metrics = _metrics(rules.iou_threshold)
    results: dict[str, dict[str, Any]] = {}
    for sequence in sequences:
        if sequence.name in results:
            raise TruthError(f"two sequences are called {sequence.name!r}; names must differ")
        data = prepare(sequence, rules)
        results[sequence.name] = {name: metric.eval_sequence(data) for name, metric in metrics.items()}
    if not results:
        raise TruthError("expected at least one sequence to evaluate, got none")
    combined = {
        metric_name: metric.combine_sequences({name: result[metric_name] for name, result in results.items()})
        for metric_name, metric in metrics.items()
    }
    by_name = {name: _fields(result) for name, result in results.items()}
    return {**_fields(combined), "sequences": by_name}


def prepare(sequence: TrackedSequence, rules: Rules) -> dict[str, Any]:
    """Build what TrackEval's metrics read: per frame the ids, renumbered from 0, and the (truth, predicted) IoU."""
    length = _length(sequence)
    truth, predicted = sequence.truth, sequence.predicted
    ignored = _ignored(truth, rules)
    evaluated = _evaluated(truth, rules) & ~ignored
    truth_xyxy, predicted_xyxy = xywh_to_xyxy(truth.xywh), xywh_to_xyxy(predicted.xywh)
    frames = np.arange(1, length + 2)
    truth_start = np.searchsorted(truth.frame, frames)  # boxes are sorted by frame
    predicted_start = np.searchsorted(predicted.frame, frames)

    truth_rows, predicted_rows, similarities = [], [], []
    for at in range(length):
        rows = np.arange(truth_start[at], truth_start[at + 1])  # (G,)
        columns = np.arange(predicted_start[at], predicted_start[at + 1])  # (P,)
        similarity = iou(truth_xyxy[rows], predicted_xyxy[columns])  # (G, P)
        keep = ~_on_ignored(similarity, ignored[rows], rules.iou_threshold)
        truth_rows.append(rows[evaluated[rows]])
        predicted_rows.append(columns[keep])
        similarities.append(similarity[evaluated[rows]][:, keep])

    truth_ids, n_truth_ids = _renumber(truth.track_id, truth_rows)
    predicted_ids, n_predicted_ids = _renumber(predicted.track_id, predicted_rows)
    return {
        "seq": sequence.name,
        "num_timesteps": length,
        "gt_ids": truth_ids,
        "tracker_ids": predicted_ids,
        "similarity_scores": similarities,
        "num_gt_ids": n_truth_ids,
        "num_tracker_ids": n_predicted_ids,
        "num_gt_dets": sum(map(len, truth_rows)),
        "num_tracker_dets": sum(map(len, predicted_rows)),
    }


def _length(sequence: TrackedSequence) -> int:
    last_truth = int(sequence.truth.frame.max(initial=0))
    last_predicted = int(sequence.predicted.frame.max(initial=0))
    if sequence.length_frames is None:
        return max(last_truth, last_predicted)
    for what, last in (("truth", last_truth), ("predictions", last_predicted)):
        if last > sequence.length_frames:
            raise TruthError(
                f"sequence {sequence.name}: expected {what} in frames 1 to {sequence.length_frames}, got frame {last}"
            )
    return sequence.length_frames


def _ignored(truth: TrackedBoxes, rules: Rules) -> np.ndarray:
    """Tell (N,) which truth is neither to be found nor a fault to find."""
    hidden = (truth.visibility < rules.min_visibility) & _evaluated(truth, rules)
    return hidden | np.isin(truth.mot_class, list(rules.distractor_classes))


def _evaluated(truth: TrackedBoxes, rules: Rules) -> np.ndarray:
    """Tell (N,) which truth is meant to be found, its visibility apart."""
    marked = truth.conf != 0
    return marked if rules.classes is None else marked & np.isin(truth.mot_class, list(rules.classes))


def _on_ignored(similarity: np.ndarray, ignored: np.ndarray, iou_threshold: float) -> np.ndarray:
    """Tell (P,) which predictions are matched with an ignored truth row, by greatest summed IoU over the frame."""
    on_ignored = np.zeros(similarity.shape[1], dtype=bool)
    if ignored.any() and similarity.size:
        eps = np.finfo(float).eps  # as TrackEval compares
        score = np.where(similarity < iou_threshold - eps, 0, similarity)
        rows, columns = linear_sum_assignment(-score)
        on_ignored[columns[ignored[rows] & (score[rows, columns] > eps)]] = True
    return on_ignored


def _renumber(track_id: np.ndarray, rows: list[np.ndarray]) -> tuple[list[np.ndarray], int]:
    """Return per frame the ids of its rows, renumbered 0, 1, ... by ascending id, and how many there are."""
    if not rows:
        return [], 0
    used, number = np.unique(track_id[np.concatenate(rows)], return_inverse=True)
    return np.split(number, np.cumsum([len(part) for part in rows])[:-1]), len(used)


def _metrics(iou_threshold: float) -> dict[str, Any]:
    """Return TrackEval's metric objects, told not to print."""
    try:
        from trackeval import metrics
    except ImportError as error:
        raise UserError(
            f"tracking scores need TrackEval, which cannot be imported ({error}); "
            "install it with: pip install 'nightfleet[scores]'"
        ) from None
    config = {"THRESHOLD": iou_threshold, "PRINT_CONFIG": False}
    return {
        "HOTA": metrics.HOTA(),
        "CLEAR": metrics.CLEAR(dict(config)),
        "Identity": metrics.Identity(dict(config)),
        "Count": metrics.Count(),
    }


def _fields(result: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Flatten TrackEval's results into plain numbers under the field's names."""
    flat = {name: float(np.mean(result["HOTA"][name])) for name in _HOTA_FIELDS}
    flat |= {ours: result["CLEAR"][theirs] for ours, theirs in _CLEAR_FIELDS.items()}
    flat |= {name: result["Identity"][name] for name in _IDENTITY_FIELDS}
    flat |= {name: result["Count"][name] for name in _COUNT_FIELDS}
    whole = {"IDSW", "Frag", "MT", "PT", "ML", "TP", "FP", "FN", "IDTP", "IDFP", "IDFN", *_COUNT_FIELDS}
    return {name: int(value) if name in whole else float(value) for name, value in flat.items()}
