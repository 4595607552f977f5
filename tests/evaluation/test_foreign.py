"""Somebody else's tracks: classes, scores and instants as a lake needs them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation.foreign import duration_us, lake_rows, read_foreign_mot, read_foreign_ottrk
from pipeline.evaluation.foreign_classes import coco_of_mot, mot_number
from pipeline.types import COCO_CLASSES
from tests.evaluation.test_ottrk import detection, packed

NOON_US = 1_772_366_400_000_000


def mot(path, *rows):
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


def test_every_coco_class_comes_back_by_its_mot_number():
    assert [coco_of_mot(mot_number(name)) for name in COCO_CLASSES] == list(COCO_CLASSES)
    assert (mot_number("person"), mot_number("car"), mot_number("bus")) == (1, 3, 106)
    assert coco_of_mot(99) is None


def test_an_empty_file_gives_no_rows(tmp_path):
    tracks = read_foreign_mot(mot(tmp_path / "a.txt"), {}).timed(10.0)
    observations, tracklets = lake_rows(tracks, "gate", "s", NOON_US)
    assert (len(observations), len(tracklets), duration_us(tracks)) == (0, 0, 0)


def test_rows_by_hand(tmp_path):
    """Two tracks, one with an interpolated box; the class is that of the greatest summed score."""
    path = mot(
        tmp_path / "a.txt",
        "1,7,10,20,30,40,0.9,3,1",
        "2,7,11,20,30,40,0,3,1",
        "3,7,12,20,30,40,0.4,106,1",
        "3,2,0,0,5,5,1,1,1",
    )
    tracks = read_foreign_mot(path, {}).timed(20.0)
    observations, tracklets = lake_rows(tracks, "gate", "s", NOON_US)
    assert tracklets.tracklet_id.tolist() == ["gate-20260301T120000.000Z-7", "gate-20260301T120000.100Z-2"]
    assert [COCO_CLASSES[one] for one in tracklets.class_id] == ["car", "person"]
    assert tracklets.n_observations.tolist() == [2, 1]
    np.testing.assert_allclose(tracklets.mean_score, [0.65, 1])
    np.testing.assert_array_equal(tracklets.entry_xy[0], [25, 60])
    np.testing.assert_array_equal(tracklets.exit_xy[0], [27, 60])
    assert not tracklets.embedding.any()
    assert observations.frame.tolist() == [0, 1, 2, 2]
    assert (observations.captured_at_us - NOON_US).tolist() == [0, 50_000, 100_000, 100_000]
    assert observations.interpolated.tolist() == [False, True, False, False]
    assert duration_us(tracks) == 150_000


def test_what_truth_does_not_evaluate_is_left_out(tmp_path):
    """A track whose conf is 0 throughout, and a reflection."""
    path = mot(tmp_path / "a.txt", "1,1,0,0,5,5,1,1,1", "1,2,0,0,5,5,0,1,1", "2,2,0,0,5,5,0,1,1", "1,3,0,0,5,5,1,12,1")
    tracks = read_foreign_mot(path, {})
    assert (tracks.track_id.tolist(), tracks.left_out) == ([1], 2)


def test_seqinfo_is_found_beside_the_file(tmp_path):
    folder = tmp_path / "gate"
    folder.mkdir()
    (folder / "seqinfo.ini").write_text("[Sequence]\nframeRate=25\nseqLength=50\nstartedAt=2026-03-01T12:00:00Z\n")
    tracks = read_foreign_mot(mot(tmp_path / "gate.txt", "50,1,0,0,5,5,1,1,1"), {})
    assert (tracks.frame_rate_fps, tracks.length_frames, tracks.started_at_us) == (25, 50, NOON_US)
    with pytest.raises(TruthError, match="expected frames 1 to 50"):
        read_foreign_mot(mot(tmp_path / "gate.txt", "51,1,0,0,5,5,1,1,1"), {})


def test_classes_that_nobody_knows_need_a_word(tmp_path):
    with pytest.raises(TruthError, match="got 6; say what it is by --map 6=car"):
        read_foreign_mot(mot(tmp_path / "a.txt", "1,1,0,0,5,5,1,6,1"), {})
    path = packed(tmp_path / "a.ottrk", [detection(**{"class": "other"})])
    with pytest.raises(TruthError, match="got 'other'; say what it is by --map other=car"):
        read_foreign_ottrk(path, {})
    assert COCO_CLASSES[read_foreign_ottrk(path, {"other": "bus"}).class_id[0]] == "bus"


def test_opentrafficcam_tells_its_own_time(tmp_path):
    rows = [detection(), detection(**{"frame": 3, "occurrence": 1577836800.15, "interpolated-detection": True})]
    tracks = read_foreign_ottrk(packed(tmp_path / "a.ottrk", rows), {})
    assert tracks.started_at_us == 1_577_836_800_050_000  # without recorded_start_date: of the first frame
    assert tracks.since_start_us.tolist() == [0, 100_000]
    assert tracks.score.tolist() == [0.5, 0]
    assert duration_us(tracks) == 3_000_000
