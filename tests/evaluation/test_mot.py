"""Single-camera scores: cases worked out by hand, and parity with TrackEval's own run and with motmetrics."""

from __future__ import annotations

import builtins
import dataclasses

import numpy as np
import pytest

from pipeline.boxes import iou, xywh_to_xyxy
from pipeline.errors import TruthError, UserError
from pipeline.evaluation.formats import read_mot, write_mot
from pipeline.evaluation.mot import MOT15_RULES, MOT17_RULES, Rules, TrackedSequence, evaluate
from tests.evaluation.boxes import jittered, together, tracked
from tests.realdata import data_path

TEN = range(1, 11)


def score(truth, predicted, rules=MOT15_RULES, **more):
    return evaluate([TrackedSequence("s", truth, predicted, **more)], rules)


def test_nothing_to_find_and_nothing_found():
    scores = score(tracked([]), tracked([]))
    assert (scores["TP"], scores["FP"], scores["FN"], scores["GT_IDs"], scores["IDs"]) == (0, 0, 0, 0, 0)


def test_perfect_tracks():
    rows = [(frame, track, 100.0 * track) for frame in TEN for track in (1, 2)]
    renamed = [(frame, track + 70, x) for frame, track, x in rows]
    scores = score(tracked(rows), tracked(renamed))
    for name in ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr", "MOTA", "MOTP", "IDF1", "IDP"):
        assert scores[name] == pytest.approx(1.0), name
    assert [scores[name] for name in ("IDSW", "Frag", "FP", "FN", "MT", "PT", "ML")] == [0, 0, 0, 0, 2, 0, 0]
    assert (scores["GT_IDs"], scores["IDs"], scores["GT_Dets"], scores["Dets"]) == (2, 2, 20, 20)


def test_all_missed():
    scores = score(tracked([(frame, 1, 0.0) for frame in TEN]), tracked([]))
    assert [scores[name] for name in ("HOTA", "MOTA", "IDF1", "Recall")] == [0, 0, 0, 0]
    assert (scores["FN"], scores["ML"], scores["IDFN"]) == (10, 1, 10)


def test_all_false():
    scores = score(tracked([(1, 1, 0.0)]), tracked([(1, 1, 500.0), (2, 1, 500.0), (3, 1, 500.0)]))
    assert (scores["FP"], scores["FN"]) == (3, 1)
    assert scores["MOTA"] == pytest.approx(-3.0)  # (0 right - 3 false) / 1 true


def test_one_switch_halfway():
    truth = tracked([(frame, 1, 0.0) for frame in TEN])
    predicted = tracked([(frame, 1 if frame <= 5 else 2, 0.0) for frame in TEN])
    scores = score(truth, predicted)
    assert scores["IDSW"] == 1
    assert scores["MOTA"] == pytest.approx(1 - 1 / 10)
    assert scores["IDF1"] == pytest.approx(2 * 5 / (10 + 10))
    assert scores["DetA"] == pytest.approx(1.0)
    assert scores["AssA"] == pytest.approx(5 / 10)  # each box: 5 together, of 10 + 5 - 5
    assert scores["HOTA"] == pytest.approx(np.sqrt(0.5))


def test_a_track_split_by_a_gap():
    truth = tracked([(frame, 1, 0.0) for frame in TEN])
    predicted = tracked([(frame, 1 if frame <= 6 else 2, 0.0) for frame in TEN if frame not in (6, 7)])
    scores = score(truth, predicted)  # 5 boxes of one id, 2 missed, 3 of another
    assert (scores["IDSW"], scores["Frag"], scores["FN"], scores["FP"]) == (1, 0, 2, 0)  # an empty frame ends no track
    assert scores["MOTA"] == pytest.approx(1 - 3 / 10)
    assert scores["IDF1"] == pytest.approx(2 * 5 / (10 + 8))
    assert scores["AssA"] == pytest.approx((5 * 5 / 10 + 3 * 3 / 10) / 8)
    assert (scores["MT"], scores["PT"]) == (0, 1)  # 80 % is not more than 80 %


def test_two_objects_merged_into_one_track():
    truth = tracked([(frame, 1 if frame <= 6 else 2, 0.0) for frame in TEN])
    scores = score(truth, tracked([(frame, 1, 0.0) for frame in TEN]))
    assert scores["IDSW"] == 0
    assert scores["MOTA"] == pytest.approx(1.0)  # CLEAR does not see a merge
    assert scores["IDF1"] == pytest.approx(2 * 6 / (10 + 10))
    assert scores["AssA"] == pytest.approx((6 * 6 / 10 + 4 * 4 / 10) / 10)


def test_boxes_off_by_a_quarter_lose_the_strict_thresholds():
    truth = tracked([(frame, 1, 0.0) for frame in TEN])
    scores = score(truth, tracked([(frame, 1, 2.5) for frame in TEN]))  # IoU 7.5 / 12.5
    assert scores["MOTP"] == pytest.approx(0.6)
    assert scores["HOTA"] == pytest.approx(12 / 19)  # right at 0.05 ... 0.60, nothing above
    strict = score(truth, tracked([(frame, 1, 2.5) for frame in TEN]), Rules(iou_threshold=0.7))
    assert (strict["TP"], strict["FP"], strict["FN"]) == (0, 10, 10)


def test_truth_with_conf_0_is_not_evaluated():
    truth = together(tracked([(1, 1, 0.0)]), tracked([(1, 2, 100.0)], conf=0.0))
    scores = score(truth, tracked([(1, 1, 0.0)]))
    assert (scores["TP"], scores["FN"], scores["GT_IDs"]) == (1, 0, 1)


@pytest.fixture
def half_hidden():
    """One object in the open, one hidden; a tracker that finds both, and a box on nothing."""
    truth = together(
        tracked([(frame, 1, 0.0) for frame in TEN]), tracked([(frame, 2, 100.0) for frame in TEN], visibility=0.2)
    )
    predicted = tracked([(frame, track, x) for frame in TEN for track, x in ((1, 0.0), (2, 100.0), (3, 300.0))])
    return truth, predicted


def test_finding_hidden_truth_is_neither_right_nor_wrong(half_hidden):
    truth, predicted = half_hidden
    scores = score(truth, predicted, Rules(min_visibility=0.5))
    assert (scores["TP"], scores["FP"], scores["FN"]) == (10, 10, 0)  # the box on nothing stays false
    assert (scores["GT_IDs"], scores["GT_Dets"], scores["Dets"]) == (1, 10, 20)
    assert score(truth, predicted)["TP"] == 20  # without the rule all truth counts


def test_missing_hidden_truth_is_neither_right_nor_wrong(half_hidden):
    truth, _ = half_hidden
    scores = score(truth, tracked([(frame, 1, 0.0) for frame in TEN]), Rules(min_visibility=0.5))
    assert (scores["TP"], scores["FP"], scores["FN"]) == (10, 0, 0)


def test_a_prediction_that_fits_visible_truth_better_is_not_taken_out():
    truth = together(tracked([(1, 1, 0.0)]), tracked([(1, 2, 3.0)], visibility=0.0))  # IoU 7 / 13 with each other
    scores = score(truth, tracked([(1, 1, 0.5)]), Rules(min_visibility=0.5))
    assert (scores["TP"], scores["FP"], scores["FN"]) == (1, 0, 0)


def test_distractors_and_other_classes():
    truth = together(
        tracked([(1, 1, 0.0)]), tracked([(1, 2, 100.0)], mot_class=8), tracked([(1, 3, 200.0)], mot_class=3)
    )
    predicted = tracked([(1, 1, 0.0), (1, 2, 100.0), (1, 3, 200.0)])
    scores = score(truth, predicted, MOT17_RULES)
    assert (scores["TP"], scores["FP"], scores["FN"]) == (1, 1, 0)  # on a distractor: nothing; on a car: false


def test_sequences_are_combined_by_their_counts_not_by_their_means():
    long = tracked([(frame, 1, 0.0) for frame in range(1, 31)])
    short = tracked([(frame, 1, 0.0) for frame in TEN])
    scores = evaluate([TrackedSequence("long", long, long), TrackedSequence("short", short, tracked([]))])
    assert scores["MOTA"] == pytest.approx(30 / 40)
    assert scores["sequences"]["long"]["MOTA"] == pytest.approx(1.0)
    assert scores["sequences"]["short"]["MOTA"] == 0
    assert scores["GT_IDs"] == 2


def test_results_are_plain_numbers_and_nothing_is_printed(capsys):
    truth = tracked([(frame, 1, 0.0) for frame in TEN])
    scores = score(truth, truth)
    assert {type(value) for name, value in scores.items() if name != "sequences"} <= {int, float}
    assert capsys.readouterr().out == ""


def test_frames_after_the_end_no_sequence_and_equal_names_are_refused():
    truth = tracked([(1, 1, 0.0)])
    with pytest.raises(TruthError, match="sequence s: expected predictions in frames 1 to 3, got frame 4"):
        score(truth, tracked([(4, 1, 0.0)]), length_frames=3)
    with pytest.raises(TruthError, match="at least one sequence"):
        evaluate([])
    with pytest.raises(TruthError, match="two sequences are called 's'"):
        evaluate([TrackedSequence("s", truth, truth)] * 2)


def test_without_trackeval_one_sentence_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def without_trackeval(name, *arguments, **more):
        if name.startswith("trackeval"):
            raise ImportError("No module named 'trackeval'")
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without_trackeval)
    with pytest.raises(UserError, match=r"pip install 'nightfleet\[scores\]'"):
        score(tracked([(1, 1, 0.0)]), tracked([]))


def by_trackeval(folder, benchmark, sequences):
    """Run TrackEval the way its users do, from files, and return its results of the sequences and combined."""
    import trackeval

    lengths = {}
    for sequence in sequences:
        (folder / "gt" / sequence.name / "gt").mkdir(parents=True)
        (folder / "trackers" / "ours" / "data").mkdir(parents=True, exist_ok=True)
        write_mot(folder / "gt" / sequence.name / "gt" / "gt.txt", sequence.truth)
        write_mot(folder / "trackers" / "ours" / "data" / f"{sequence.name}.txt", sequence.predicted)
        lengths[sequence.name] = sequence.length_frames
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": lengths,
            "BENCHMARK": benchmark,
            "PRINT_CONFIG": False,
        }
    )
    quiet = dict.fromkeys(
        ("PRINT_CONFIG", "TIME_PROGRESS", "PRINT_RESULTS", "OUTPUT_SUMMARY", "OUTPUT_DETAILED", "PLOT_CURVES"), False
    )
    metrics = [trackeval.metrics.HOTA()]
    metrics += [metric({"PRINT_CONFIG": False}) for metric in (trackeval.metrics.CLEAR, trackeval.metrics.Identity)]
    results, _ = trackeval.Evaluator(quiet | {"LOG_ON_ERROR": None}).evaluate([dataset], metrics)
    return {name: result["pedestrian"] for name, result in results["MotChallenge2DBox"]["ours"].items()}


def assert_equal_scores(ours, theirs):
    for name in ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr"):
        assert ours[name] == pytest.approx(np.mean(theirs["HOTA"][name]), abs=1e-12), name
    clear = {"TP": "CLR_TP", "FP": "CLR_FP", "FN": "CLR_FN"} | {
        n: n for n in ("MOTA", "MOTP", "IDSW", "Frag", "MT", "ML")
    }
    for name, their_name in clear.items():
        assert ours[name] == pytest.approx(theirs["CLEAR"][their_name], abs=1e-12), name
    for name in ("IDF1", "IDP", "IDR"):
        assert ours[name] == pytest.approx(theirs["Identity"][name], abs=1e-12), name
    for name in ("Dets", "GT_Dets", "IDs", "GT_IDs"):
        assert ours[name] == theirs["Count"][name], name


@pytest.mark.realdata
def test_parity_with_trackeval_run_on_files(tmp_path):
    sequences = []
    for seed, name in enumerate(("TUD-Campus", "KITTI-13")):
        truth = read_mot(data_path(f"mot15/{name}/gt/gt.txt"))
        sequences.append(TrackedSequence(name, truth, jittered(truth, seed), int(truth.frame.max())))
    ours, theirs = evaluate(sequences), by_trackeval(tmp_path, "MOT15", sequences)
    assert_equal_scores(ours, theirs["COMBINED_SEQ"])
    for sequence in sequences:
        assert_equal_scores(ours["sequences"][sequence.name], theirs[sequence.name])
    assert 0.2 < ours["HOTA"] < 0.9 and ours["IDSW"] > 0  # the comparison is not of trivial tracks


@pytest.mark.realdata
def test_parity_with_trackeval_where_distractors_are_ignored(tmp_path):
    truth = read_mot(data_path("mot15/PETS09-S2L1/gt/gt.txt"))
    early = truth.frame <= 150
    columns = (getattr(truth, field.name)[early] for field in dataclasses.fields(truth))
    truth = type(truth)(*columns)
    kinds = np.array([1, 1, 7, 8, 3])[truth.track_id % 5]  # pedestrians, static people, distractors, cars
    truth = dataclasses.replace(truth, mot_class=kinds, conf=(truth.track_id % 7 > 0).astype(float))
    sequence = TrackedSequence("crowd", truth, jittered(truth, 2), 150)
    ours = evaluate([sequence], MOT17_RULES)
    assert_equal_scores(ours, by_trackeval(tmp_path, "MOT17", [sequence])["COMBINED_SEQ"])
    assert ours["Dets"] < len(sequence.predicted)


@pytest.mark.realdata
def test_parity_with_motmetrics():
    import motmetrics

    truth = read_mot(data_path("mot15/TUD-Campus/gt/gt.txt"))
    predicted = jittered(truth, 0)
    accumulator = motmetrics.MOTAccumulator()
    for frame in range(1, int(truth.frame.max()) + 1):
        rows, columns = truth.frame == frame, predicted.frame == frame
        distance = 1 - iou(xywh_to_xyxy(truth.xywh[rows]), xywh_to_xyxy(predicted.xywh[columns]))
        distance[distance > 0.5] = np.nan
        accumulator.update(truth.track_id[rows], predicted.track_id[columns], distance, frameid=frame)
    names = {
        "IDF1": "idf1",
        "IDP": "idp",
        "IDR": "idr",
        "MOTA": "mota",
        "FP": "num_false_positives",
        "FN": "num_misses",
    }
    names |= {"IDSW": "num_switches", "GT_IDs": "num_unique_objects"}
    theirs = motmetrics.metrics.create().compute(accumulator, metrics=list(names.values())).iloc[0]
    ours = score(truth, predicted)
    for name, their_name in names.items():
        assert ours[name] == pytest.approx(theirs[their_name], abs=1e-12), name
