"""The text formats: what is read, what is written back, and the sentence for what is malformed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation.formats import (
    read_crossings,
    read_mot,
    read_mtmc,
    read_seqinfo,
    write_mot,
    write_mtmc,
)
from tests.evaluation.boxes import in_cameras, tracked
from tests.realdata import data_path


def written(folder: Path, text: str, name: str = "gt.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_empty_files_hold_no_boxes(tmp_path):
    assert len(read_mot(written(tmp_path, "\n\n"))) == 0
    assert len(read_mtmc(written(tmp_path, ""))) == 0
    header = "camera_id,line_id,direction,class,object_id,crossed_at\n"
    assert len(read_crossings(written(tmp_path, header))) == 0


def test_mot_rows_are_sorted_and_its_columns_named(tmp_path):
    boxes = read_mot(written(tmp_path, "2,7,10.5,20,30,40,1,3,0.25\n\n1,8,1,2,3,4,0,1,1\n"))
    assert boxes.frame.tolist() == [1, 2]
    assert boxes.track_id.tolist() == [8, 7]
    assert boxes.xywh[1].tolist() == [10.5, 20, 30, 40]
    assert boxes.conf.tolist() == [0, 1]
    assert boxes.mot_class.tolist() == [1, 3]
    assert boxes.visibility.tolist() == [1, 0.25]


def test_ten_mot_columns_end_in_world_coordinates_not_in_a_class(tmp_path):
    boxes = read_mot(written(tmp_path, "1, 1, 5, 5, 10, 10, 0.9, -1, -1, -1\n"))
    assert boxes.mot_class.tolist() == [1]
    assert boxes.visibility.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,1,5,5,10,10,1\n1,2,5,5\n", "line 2: expected 7 numbers as on the lines before"),
        ("frame,id,x,y,w,h,conf\n", "line 1: expected numbers (frame,id,x,y,w,h,conf,class,visibility), got 'frame'"),
        ("1,1,5,5,10,10,1\n\n0,1,5,5,10,10,1\n", "line 3: expected a whole frame of at least 1, got 0"),
        ("1.5,1,5,5,10,10,1\n", "line 1: expected a whole frame of at least 1, got 1.5"),
        ("1,-1,5,5,10,10,1\n", "line 1: expected a whole track id of at least 0, got -1"),
        ("1,1,5,5,-10,10,1\n", "line 1: expected a width and height of at least 0, got -10, 10"),
        ("1,1,nan,5,10,10,1\n", "line 1: expected finite numbers, got 1, 1, nan"),
        ("1,1,5,5,10,10,1\n1,1,6,5,10,10,1\n", "line 2: expected one box a track and frame, got track 1 a second"),
        ("1,1,5\n", "line 1: expected 7 to 10 numbers"),
    ],
)
def test_malformed_mot_text_is_refused_in_one_sentence(tmp_path, text, sentence):
    path = written(tmp_path, text)
    with pytest.raises(TruthError) as refused:
        read_mot(path)
    assert str(refused.value).startswith(f"{path}, ")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_missing_and_binary_files_are_refused(tmp_path):
    with pytest.raises(TruthError, match="no such file"):
        read_mot(tmp_path / "none.txt")
    binary = tmp_path / "video.mp4"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(TruthError, match="not UTF-8"):
        read_mot(binary)
    with pytest.raises(TruthError, match="cannot be read"):
        read_mot(tmp_path)


def test_mot_text_reads_back_as_written(tmp_path):
    boxes = tracked([(1, 3, 0.1), (2, 3, 1 / 3)], conf=0.7, mot_class=3, visibility=0.123456789)
    write_mot(tmp_path / "out.txt", boxes)
    again = read_mot(tmp_path / "out.txt")
    for name in ("frame", "track_id", "xywh", "conf", "mot_class", "visibility"):
        np.testing.assert_array_equal(getattr(again, name), getattr(boxes, name))


@pytest.mark.parametrize("separator", [" ", ",", "\t", ", "])
def test_mtmc_text_takes_blanks_or_commas(tmp_path, separator):
    boxes = read_mtmc(written(tmp_path, separator.join(["6", "42", "100", "1", "2", "30", "40", "-1", "7.5"]) + "\n"))
    assert (boxes.camera[0], boxes.track_id[0], boxes.frame[0]) == (6, 42, 100)
    assert boxes.xywh[0].tolist() == [1, 2, 30, 40]
    assert boxes.world_xy[0].tolist() == [-1, 7.5]


def test_mtmc_text_reads_back_as_written_duplicates_and_order_kept(tmp_path):
    boxes = in_cameras([(2, 1, 5, 0.5), (1, 1, 5, 7), (2, 1, 5, 0.5)])
    write_mtmc(tmp_path / "out.txt", boxes)
    again = read_mtmc(tmp_path / "out.txt")
    for name in ("camera", "track_id", "frame", "xywh", "world_xy"):
        np.testing.assert_array_equal(getattr(again, name), getattr(boxes, name))


def test_seqinfo_gives_rate_length_and_clock(tmp_path):
    path = written(
        tmp_path,
        "[Sequence]\nname=gate\nframeRate=12.5\nseqLength=750\nimWidth=640\nimHeight=360\n"
        "startedAt=2026-03-01T08:30:00.25+01:00\n",
        "seqinfo.ini",
    )
    info = read_seqinfo(path)
    assert (info.name, info.frame_rate_fps, info.length_frames) == ("gate", 12.5, 750)
    assert (info.width_px, info.height_px) == (640, 360)
    assert info.started_at_us == 1_772_350_200_250_000  # 2026-03-01T07:30:00.25Z


def test_seqinfo_takes_its_name_from_the_folder_and_may_lack_a_clock(tmp_path):
    info = read_seqinfo(written(tmp_path, "[Sequence]\nframeRate=25\nseqLength=3\n", "seqinfo.ini"))
    assert info.name == tmp_path.name
    assert info.started_at_us is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("frameRate=25\n", "expected an ini file with a [Sequence] section"),
        ("[Other]\n", "expected a section [Sequence], got ['Other']"),
        ("[Sequence]\nseqLength=3\n", "expected a key frameRate in [Sequence], got none"),
        ("[Sequence]\nframeRate=fast\nseqLength=3\n", "frameRate: expected a number above 0, got 'fast'"),
        ("[Sequence]\nframeRate=25\nseqLength=3\nstartedAt=2026-03-01T08:30:00\n", "startedAt: expected an instant"),
    ],
)
def test_malformed_seqinfo_is_refused(tmp_path, text, sentence):
    with pytest.raises(TruthError) as refused:
        read_seqinfo(written(tmp_path, text, "seqinfo.ini"))
    assert sentence in str(refused.value)


def test_crossings_are_read_whatever_the_order_of_columns(tmp_path):
    path = written(
        tmp_path,
        "object_id,camera_id,line_id,direction,class,crossed_at,speed\n17,gate,bridge,north,car,2026-03-01T07:30:01Z,4\n",
        "crossings.csv",
    )
    crossings = read_crossings(path)
    assert crossings.camera_id.tolist() == ["gate"]
    assert crossings.object_id.tolist() == ["17"]
    assert crossings.crossed_at_us.tolist() == [1_772_350_201_000_000]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("camera,line\n", "line 1: expected the columns camera_id, line_id"),
        ("", "got an empty file"),
        ("camera_id,line_id,direction,class,object_id,crossed_at\ng,b,n,car,1,noon\n", "line 2: crossed_at: expected"),
        ("camera_id,line_id,direction,class,object_id,crossed_at\ng,,n,car,1,x\n", "line 2: expected a value for line"),
        ("camera_id,line_id,direction,class,object_id,crossed_at\ng,b\n", "line 2: expected a value for direction"),
    ],
)
def test_malformed_crossings_are_refused(tmp_path, text, sentence):
    with pytest.raises(TruthError) as refused:
        read_crossings(written(tmp_path, text, "crossings.csv"))
    assert sentence in str(refused.value)


@pytest.mark.realdata
def test_public_ground_truth_is_read_whole():
    boxes = read_mot(data_path("mot15/PETS09-S2L1/gt/gt.txt"))
    assert (len(np.unique(boxes.track_id)), boxes.frame.max()) == (19, 795)  # as its publishers say
    travels = read_mot(data_path("mtmc/hcmc_3cam/gt_cam1.txt"))
    assert travels.visibility.min() < travels.visibility.max() <= 1
    with pytest.raises(TruthError, match="track id of at least 0, got -1"):
        read_mot(data_path("mot15/PETS09-S2L1/det/det.txt"))
