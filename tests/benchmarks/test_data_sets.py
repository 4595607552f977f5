"""The data sets behind the tracker's defaults: sampling, KITTI's rules, looks that stay with their object."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.sequences import DetectedSequence, read_sequences
from tests.benchmarks import kitti, looks
from tests.benchmarks.tracker_options import every
from tests.evaluation.boxes import tracked
from tests.realdata import data_path


def test_every_second_frame_is_numbered_anew():
    truth = tracked([(frame, 1, 0.0) for frame in range(1, 8)])
    frame = np.array([1, 1, 2, 5, 6, 7])
    sequence = DetectedSequence(
        "s", 7, 10.0, frame, np.zeros((6, 4), np.float32), np.arange(6, dtype=np.float32), truth
    )
    sampled, rows = every(sequence, 2)
    assert (sampled.n_frames, sampled.frame_rate_fps) == (4, 5.0)
    assert sampled.frame.tolist() == [1, 1, 3, 4] and rows.tolist() == [0, 1, 3, 5]
    assert sampled.score.tolist() == [0, 1, 3, 5]
    assert sampled.truth.frame.tolist() == [1, 2, 3, 4]
    assert every(sequence, 1)[0].frame.tolist() == frame.tolist()


def test_kitti_spares_boxes_that_nobody_labelled(tmp_path):
    def label(frame, number, name, corners, hidden=0):
        numbers = (0, hidden, 0, *corners, *([0] * 7))
        return f"{frame} {number} {name} " + " ".join(str(value) for value in numbers)

    (tmp_path / "label").mkdir()
    (tmp_path / "det" / "Car").mkdir(parents=True)
    lines = [
        label(0, 1, "Van", (0, 0, 50, 50)),
        label(0, 2, "Car", (100, 0, 150, 50), hidden=3),
        label(0, 3, "Pedestrian", (200, 0, 220, 50)),
        label(0, -1, "DontCare", (300, 0, 400, 50)),
    ]
    (tmp_path / "label" / "0007.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "det" / "Car" / "0007.txt").write_text(
        "".join(f"0,2,0,0,50,50,{logit}" + ",0" * 8 + "\n" for logit in (3.0, 0.0, -3.0))
    )
    (one,) = kitti.read(tmp_path, "Car", 0.5)
    assert one.sequence.score.tolist() == pytest.approx([1 / (1 + np.exp(-3)), 0.5])
    assert one.sequence.truth.track_id.tolist() == [1, 2] and one.sequence.truth.visibility.tolist() == [1, 0]

    found = tracked([(1, 1, 0.0), (1, 2, 310.0), (1, 3, 395.0), (1, 4, 600.0)])  # 10 x 10 pixels: all are low
    assert one.evaluated(found).track_id.tolist() == []
    found.xywh[:, 2:] = 50
    assert one.evaluated(found).track_id.tolist() == [1, 3, 4]  # 2 lies in the region, 3 reaches out of it


@pytest.mark.realdata
def test_an_object_keeps_the_looks_of_one_person():
    sequences = read_sequences(data_path("mot15/TUD-Campus"))
    people = looks.People(data_path(looks.FEATURES))
    (embedding,) = looks.put_on(sequences, people, "pca")
    assert embedding.shape == (len(sequences[0]), 128) and embedding.dtype == np.float32
    assert np.linalg.norm(embedding, axis=1) == pytest.approx(1, abs=1e-5)
    assert (looks.put_on(sequences, people, "pca")[0] == embedding).all()
    number = looks._object_of(sequences[0])
    similarity = embedding @ embedding.T
    same = (number[:, None] == number) & (number >= 0) & ~np.eye(len(number), dtype=bool)
    other = (number[:, None] != number) & (number[:, None] >= 0) & (number >= 0)
    assert similarity[same].mean() > similarity[other].mean() + 0.3
