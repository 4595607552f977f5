"""Counts made by hand: what is read, and one sentence for each mistake."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import TruthError
from pipeline.evaluation.counted_classes import lacking
from pipeline.evaluation.counts import Cell
from pipeline.evaluation.manual_counts import Known, count_in, is_manual, read
from pipeline.evaluation.tables import Crossings
from tests.lake.making import instant_us

KNOWN = Known(
    {"gate": "Europe/Berlin"},
    {("gate", "bridge"): ("north", "south"), ("gate", "zebra"): ("north", "south")},
    {("gate", "zebra"): ("person",)},
)
HEADER = "camera,line,direction,class,start,count\n"
START_US = instant_us("2026-03-01T07:30:00+01:00")


def written(tmp_path, text):
    path = tmp_path / "counted.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_local_time_offsets_lengths_and_any_order_of_columns(tmp_path):
    text = (
        "count; class; camera; line; direction; start; length\n"
        "17; car; gate; bridge; north; 2026-03-01T07:30; 15min\n"
        ";;;;;;\n"
        "3; car; gate; bridge; north; 2026-03-01T06:45Z; 900\n"
    )
    manual = read(written(tmp_path, text), KNOWN)
    first, second = Cell("gate", "bridge", "north", "car", START_US), START_US + 900_000_000
    assert manual.counts == {first: 17, first._replace(bin_start_us=second): 3}
    assert set(manual.bin_s.values()) == {900}
    assert list(manual.row.values()) == [2, 4]


def test_what_a_counted_bin_lacks_is_zero_and_other_bins_are_not_compared(tmp_path):
    rows = "gate,bridge,north,car,2026-03-01T07:30,5\ngate,bridge,south,person,2026-03-01T07:45,1\n"
    manual = read(written(tmp_path, HEADER + rows), KNOWN, 900)
    counts = {(cell.direction, cell.class_name, cell.bin_start_us): n for cell, n in manual.counts.items()}
    later = START_US + 900_000_000
    assert counts == {
        ("north", "car", START_US): 5,
        ("north", "car", later): 0,
        ("south", "person", START_US): 0,
        ("south", "person", later): 1,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"row 1: expected a manual count with the columns camera, line, .* got an empty file"),
        ("camera,line\n", r"row 1: expected a manual count"),
    ],
)
def test_neither_a_count_nor_crossings(tmp_path, text, sentence):
    with pytest.raises(TruthError, match=sentence):
        is_manual(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("camera,line,direction,clas,start,count\n", r"row 1: unknown column 'clas' \(did you mean 'class'\?\)"),
        ("camera,line,class,start,count\n", r"row 1: the column 'direction' is missing"),
        ("camera,camera_id,line,direction,class,start,count\n", r"row 1: the column 'camera' is there twice"),
        ("gat,bridge,north,car,2026-03-01T07:30,1", r"row 2: the lake has no camera 'gat' \(did you mean 'gate'\?\)"),
        ("gate,brigde,north,car,2026-03-01T07:30,1", r"row 2: camera gate has no line 'brigde' .*'bridge'"),
        ("gate,bridge,west,car,2026-03-01T07:30,1", r"row 2: .* no direction 'west'; they are north and south"),
        ("gate,zebra,north,car,2026-03-01T07:30,1", r"row 2: line zebra of camera gate counts only person, so 'car' "),
        ("gate,bridge,north,lorry,2026-03-01T07:30,1", r"row 2: 'lorry' is no class; write one of COCO"),
        ("gate,bridge,north,car,2026-03-01,1", r"row 2: start: expected a time such as 2026-03-01T07:30"),
        ("gate,bridge,north,car,7:30,1", r"row 2: start: expected a time"),
        (
            "gate,bridge,north,car,2026-03-29T02:30,1",
            r"row 2: start: .* did not exist in Europe/Berlin: .* correct the time$",
        ),
        ("gate,bridge,north,car,2026-10-25T02:30,1", r"row 2: start: .* came twice in Europe/Berlin.*T02:30\+02:00"),
        ("gate,bridge,north,car,2026-03-01T07:30,1.5", r"row 2: expected a whole count of at least 0, got '1.5'"),
        ("gate,bridge,north,car,2026-03-01T07:30,-1", r"row 2: expected a whole count of at least 0, got '-1'"),
        ("gate,bridge,north,car,2026-03-01T07:30,", r"row 2: expected a value for count, got nothing"),
        ("gate,bridge,north,car,2026-03-01T07:30,1,9", r"row 2: expected 6 values, .* got 7"),
        (
            "gate,bridge,north,car,2026-03-01T07:30,1\ngate,bridge,north,car,2026-03-01T06:30Z,1",
            r"row 3: counts the same line, direction, class and bin as row 2",
        ),
        (
            "gate,bridge,north,car,2026-03-01T07:30,1\ngate,bridge,south,car,2026-03-01T07:40,1",
            r"row 3: its bin overlaps that of row 2",
        ),
        (
            "gate,bridge,north,car,2026-03-01T07:30,1\ngate,bridge,north,vehicle,2026-03-01T07:45,1",
            r"row 3: line bridge of camera gate is counted by 'vehicle' and by 'car', which is part of it",
        ),
    ],
)
def test_every_mistake_has_its_sentence(tmp_path, text, sentence):
    text = text if text.endswith("\n") else HEADER + text + "\n"
    with pytest.raises(TruthError, match=sentence):
        read(written(tmp_path, text), KNOWN, 900)


def test_without_a_lake_a_local_time_is_refused(tmp_path):
    path = written(tmp_path, HEADER + "a,b,c,car,2026-03-01T07:30,1\n")
    with pytest.raises(TruthError, match=r"row 2: start: '2026-03-01T07:30' has no offset from UTC"):
        read(path, Known(), 900)


def test_lengths(tmp_path):
    header = HEADER.replace("count", "length,count")
    path = written(tmp_path, header + "gate,bridge,north,car,2026-03-01T07:30,,1\n")
    with pytest.raises(TruthError, match=r"row 2: expected the length of the bin, got nothing"):
        read(path, KNOWN)
    path = written(tmp_path, header + "gate,bridge,north,car,2026-03-01T07:30,quarter,1\n")
    with pytest.raises(TruthError, match=r"row 2: length: expected seconds, or a length such as 15min or 1h"):
        read(path, KNOWN)


def test_measured_crossings_fall_into_the_widest_class_that_was_counted(tmp_path):
    rows = "gate,bridge,north,vehicle,2026-03-01T07:30,2\ngate,bridge,north,person,2026-03-01T07:30,0\n"
    manual = read(written(tmp_path, HEADER + rows), KNOWN, 900)
    seen = [("north", "car", 0), ("north", "truck", 899), ("north", "person", 5), ("north", "dog", 5)]
    seen += [("south", "car", 5), ("north", "car", 900), ("north", "car", -1)]
    columns = [np.array([row[at] for row in seen], dtype=object) for at in range(2)]
    at_us = np.array([START_US + row[2] * 1_000_000 for row in seen], np.int64)
    same = [np.full(len(seen), name, dtype=object) for name in ("gate", "bridge", "t")]
    counts, not_counted = count_in(Crossings(same[0], same[1], *columns, same[2], at_us), manual)
    assert {cell.class_name: n for cell, n in counts.items()} == {"vehicle": 2, "person": 1}
    # the dog, and who went south; those outside the bin are nobody's
    assert not_counted == {"class": 1, "direction": 1}


@pytest.mark.parametrize(
    ("counted", "of_line", "lacks"),
    [
        ("car", None, None),
        ("car", ("car", "truck"), None),
        ("car", ("person",), "all"),
        ("vehicle", ("person",), "all"),
        ("vehicle", ("car", "truck"), "some"),
        ("any", ("person",), "some"),
        ("person", ("person",), None),
    ],
)
def test_what_a_line_lacks_of_a_class_counted_by_hand(counted, of_line, lacks):
    assert lacking(counted, of_line) == lacks
