from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime

import pytest

from pipeline.config import CameraConfig
from pipeline.errors import ConfigError
from pipeline.footage import files
from pipeline.footage.segments import CameraFootage, discover
from tests.footage.clips import cut, write_clip, write_pictures

PATTERN = "gate_%Y%m%d_%H%M%S.mp4"


def look(footage, **options) -> CameraFootage:
    return discover(CameraConfig(id="gate", footage=str(footage), **({"time_pattern": PATTERN} | options)))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds of video, to be copied to any name."""
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4", 20)


@pytest.fixture
def put(clip, tmp_path):
    """Copy the clip to names below the test's folder."""

    def put(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, tmp_path / name)

    return put


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def test_empty_glob_is_the_users_mistake(tmp_path):
    for footage in (tmp_path / "*.mp4", tmp_path / "missing" / "a.mp4", "memory://nothing/*.mp4"):
        with pytest.raises(ConfigError, match=r"camera gate: footage .* matches no file"):
            look(footage)


def test_unknown_protocol_is_the_users_mistake():
    with pytest.raises(ConfigError, match="cannot be listed"):
        look("nowhere://bucket/*.mp4")


def test_segments_are_dated_and_sorted(put, tmp_path):
    put("gate_20260301_000010.mp4", "gate_20260228_235950.mp4")
    footage = look(tmp_path / "*.mp4", time_zone="Europe/Berlin")
    assert footage.unusable == ()
    first, second = footage.segments
    assert first.segment_id == "gate-20260228T225950.000Z"
    assert first.started_at_us == us("2026-02-28T23:59:50+01:00")
    assert (first.local_date, second.local_date) == ("2026-02-28", "2026-03-01")
    assert (first.clock_source, first.duration_us, first.fps) == ("file name", 2_000_000, 10.0)
    assert first.url == str(tmp_path / "gate_20260228_235950.mp4")
    assert first.fingerprint == second.fingerprint


def test_clock_offset_moves_start_and_date(put, tmp_path):
    put("gate_20260228_235950.mp4")
    segment = look(tmp_path / "*.mp4", clock_offset_s=10.5).segments[0]
    assert segment.started_at_us == us("2026-03-01T00:00:00.5+00:00")
    assert (segment.local_date, segment.segment_id) == ("2026-03-01", "gate-20260301T000000.500Z")


def test_sidecar_beats_name_beats_container(tmp_path):
    path = write_clip(tmp_path / "gate_20260301_073000.mp4", 5, metadata={"creation_time": "2020-01-01T00:00:00Z"})
    sidecar = tmp_path / f"{path.name}.json"
    sidecar.write_text(json.dumps({"started_at": "2026-03-01T12:00:00+01:00"}))
    starts = []
    for pattern in (PATTERN, PATTERN, None):
        segment = look(tmp_path / "*", time_pattern=pattern).segments[0]
        starts.append((segment.clock_source, segment.started_at_us))
        sidecar.unlink(missing_ok=True)
    assert starts == [
        ("sidecar", us("2026-03-01T11:00:00Z")),
        ("file name", us("2026-03-01T07:30:00Z")),
        ("container", us("2020-01-01T00:00:00Z")),
    ]


def test_bad_files_do_not_stop_the_others(put, tmp_path):
    put("gate_20260301_073000.mp4", "gate_20260301_080000.mp4", "gate_late.mp4")
    (tmp_path / "gate_20260301_090000.mp4").write_bytes(b"")
    (tmp_path / "gate_20260301_100000.mp4").write_text("hello")
    cut(tmp_path / "gate_20260301_080000.mp4", 0.5)
    (tmp_path / "empty folder").mkdir()
    footage = look(tmp_path / "*")
    assert [s.segment_id for s in footage.segments] == ["gate-20260301T073000.000Z"]
    reasons = {os.path.basename(u.url): u for u in footage.unusable}
    assert "cut short" in reasons["gate_20260301_080000.mp4"].reason
    assert "0 bytes" in reasons["gate_20260301_090000.mp4"].reason
    assert "is not a video" in reasons["gate_20260301_100000.mp4"].reason
    assert "has no time in the form" in reasons["gate_late.mp4"].reason
    dated = reasons["gate_20260301_090000.mp4"]
    assert (dated.segment_id, dated.local_date) == ("gate-20260301T090000.000Z", "2026-03-01")
    assert dated.started_at_us == us("2026-03-01T09:00:00Z")


def test_file_without_clock_is_filed_under_its_last_change(put, tmp_path):
    put("früh am (1).mp4")
    changed = datetime(2026, 2, 28, 23, 30, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "früh am (1).mp4", (changed, changed))
    (file,) = look(tmp_path / "*.mp4", time_zone="Europe/Berlin").unusable
    assert (file.segment_id, file.started_at_us, file.local_date) == ("gate-fr_h_am_1_", None, "2026-03-01")


def test_no_clock_at_all_says_what_to_do(put, tmp_path):
    put("a.mp4")
    (file,) = look(tmp_path / "*.mp4", time_pattern=None).unusable
    assert "nothing says when it begins; set `time_pattern`" in file.reason
    assert "a.mp4.json" in file.reason


def test_bad_sidecar_is_not_passed_over(put, tmp_path):
    put("gate_20260301_073000.mp4")
    (tmp_path / "gate_20260301_073000.mp4.json").write_text('{"start": 1}')
    (file,) = look(tmp_path / "*.mp4").unusable
    assert "no text under `started_at`" in file.reason


def test_overlap_makes_the_later_one_unusable(put, tmp_path):
    put("gate_20260301_073000.mp4", "gate_20260301_073001.mp4", "gate_20260301_073002.mp4")
    shutil.copy(write_clip(tmp_path / "x" / "long.mp4", 35), tmp_path / "gate_20260301_073000.mp4")
    footage = look(tmp_path / "gate_*.mp4", time_zone="Europe/Berlin")
    # 3.5 s from :00; :01 starts 2.5 s early, :02 starts 1.5 s early
    assert [s.local_date for s in footage.segments] == ["2026-03-01"]
    first, second = footage.unusable
    assert "gate_20260301_073001.mp4: starts at 2026-03-01 07:30:01.000+01:00, before" in first.reason
    assert "gate_20260301_073000.mp4 ends at 2026-03-01 07:30:03.500+01:00" in first.reason
    assert first.segment_id == "gate-20260301T063001.000Z"
    assert second.started_at_us == us("2026-03-01T07:30:02+01:00")


def test_overlap_of_a_second_is_left_to_the_reader(put, tmp_path):
    put("gate_20260301_073000.mp4", "gate_20260301_073001.mp4", "gate_20260301_073002.mp4")
    footage = look(tmp_path / "*.mp4")
    assert len(footage.segments) == 3
    assert footage.unusable == ()


def test_long_segment_is_remembered_behind_a_short_one(tmp_path):
    write_clip(tmp_path / "gate_20260301_073000.mp4", 50)  # to :05
    write_clip(tmp_path / "gate_20260301_073004.mp4", 5)  # within it, a second at its end: kept
    write_clip(tmp_path / "gate_20260301_073005.mp4", 5)
    assert len(look(tmp_path / "*.mp4").segments) == 3
    write_clip(tmp_path / "gate_20260301_073003.mp4", 5)
    footage = look(tmp_path / "*.mp4")
    assert [u.url[-9:] for u in footage.unusable] == ["73003.mp4"]


def test_copy_of_a_segment_never_takes_its_id(put, tmp_path):
    put("a/gate_20260301_073000.mp4", "b/gate_20260301_073000.mp4", "c/gate_20260301_073000.mp4")
    footage = look(tmp_path / "*" / "*.mp4")
    ids = [s.segment_id for s in footage.segments] + [u.segment_id for u in footage.unusable]
    assert ids[0] == "gate-20260301T073000.000Z"
    assert len(set(ids)) == 3
    assert footage.segments[0].url == str(tmp_path / "a" / "gate_20260301_073000.mp4")


def test_copy_shorter_than_the_overlap_never_takes_its_id(tmp_path):
    for folder in "ab":
        write_clip(tmp_path / folder / "gate_20260301_073000.mp4", 5)
    footage = look(tmp_path / "*" / "*.mp4")
    assert len(footage.segments) == len(footage.unusable) == 1
    assert footage.unusable[0].segment_id != footage.segments[0].segment_id


def test_discovery_repeats_itself(put, tmp_path):
    put("gate_20260301_073000.mp4", "gate_x.mp4", "a/gate_20260301_073000.mp4")
    assert look(tmp_path / "**") == look(tmp_path / "**")


class TestSummerTime:
    BERLIN = "Europe/Berlin"

    def test_skipped_hour_is_refused(self, put, tmp_path):
        put("gate_20260329_013000.mp4", "gate_20260329_023000.mp4", "gate_20260329_033000.mp4")
        footage = look(tmp_path / "*.mp4", time_zone=self.BERLIN)
        gap_us = footage.segments[1].started_at_us - footage.segments[0].started_at_us
        assert gap_us == 3600 * 10**6
        assert "2026-03-29 02:30:00 was skipped" in footage.unusable[0].reason

    def test_repeated_hour_is_refused_without_fold(self, put, tmp_path):
        put("gate_20261025_013000.mp4", "gate_20261025_023000.mp4")
        footage = look(tmp_path / "*.mp4", time_zone=self.BERLIN)
        assert len(footage.segments) == 1
        assert "2026-10-25 02:30:00 came twice" in footage.unusable[0].reason
        assert "set `fold`" in footage.unusable[0].reason

    @pytest.mark.parametrize(("fold", "instant"), [(0, "2026-10-25T00:30:00Z"), (1, "2026-10-25T01:30:00Z")])
    def test_fold_decides(self, put, tmp_path, fold, instant):
        put("gate_20261025_023000.mp4")
        segment = look(tmp_path / "*.mp4", time_zone=self.BERLIN, fold=fold).segments[0]
        assert segment.started_at_us == us(instant)

    def test_order_of_folders_decides(self, put, tmp_path):
        """A recorder that numbers its folders: part9 ends with 02:30, part10 begins with 02:00 again."""
        put("part9/gate_20261025_020000.mp4", "part9/gate_20261025_023000.mp4")
        put("part10/gate_20261025_020000.mp4", "part10/gate_20261025_023000.mp4")
        footage = look(tmp_path / "*" / "*.mp4", time_zone=self.BERLIN)
        assert footage.unusable == ()
        assert [s.started_at_us - us("2026-10-25T00:00:00Z") for s in footage.segments] == [
            minutes * 60 * 10**6 for minutes in (0, 30, 60, 90)
        ]


class TestImageFolders:
    def test_a_folder_is_a_segment(self, tmp_path):
        write_pictures(tmp_path / "gate_20260301_073000", 8)
        segment = look(tmp_path / "*", time_pattern="gate_%Y%m%d_%H%M%S", image_fps=4).segments[0]
        assert (segment.duration_us, segment.fps, segment.clock_source) == (2_000_000, 4.0, "file name")

    def test_sidecar_of_a_folder(self, tmp_path):
        write_pictures(tmp_path / "shots", 2)
        (tmp_path / "shots.json").write_text('{"started_at": "2026-03-01T07:30:00Z"}')
        segment = look(f"{tmp_path / 'shots'}/", image_fps=4).segments[0]
        assert segment.clock_source == "sidecar"

    def test_rate_and_pictures_are_needed(self, put, tmp_path):
        write_pictures(tmp_path / "gate_20260301_073000.mp4", 2)
        put("gate_20260301_080000.mp4/a.mp4")
        first, second = look(tmp_path / "*").unusable
        assert "set `image_fps`" in first.reason
        assert "holds no jpg or png; for videos in it write" in second.reason

    def test_pictures_matched_one_by_one_are_one_mistake(self, tmp_path):
        write_pictures(tmp_path / "gate_20260301_073000", 8)
        (file,) = look(tmp_path / "*" / "*.png", image_fps=4).unusable
        assert "end `footage` at the folder" in file.reason

    def test_recursive_glob_finds_folders_and_files(self, put, tmp_path):
        write_pictures(tmp_path / "gate_20260301_073000.mp4", 8)
        put("day/gate_20260301_080000.mp4")
        footage = look(tmp_path / "**", image_fps=4)
        assert footage.unusable == ()
        assert len(footage.segments) == 2


def test_natural_order():
    assert files.natural_order([]) == []
    names = ["b10", "B9", "a2", "a10", "a02", "a", "10", "9"]
    assert files.natural_order(names) == ["9", "10", "a", "a02", "a2", "a10", "B9", "b10"]


def test_names_with_wildcards_and_hidden_files(put, tmp_path):
    put("[a]/gate_20260301_073000.mp4", ".gate_20260301_073000.mp4", "gate_20260301_080000.mp4")
    assert len(look(tmp_path / "[a]" / "gate_20260301_073000.mp4").segments) == 1
    assert [s.url[-10:] for s in look(tmp_path / "*.mp4").segments] == ["080000.mp4"]


class TestConfiguredStart:
    def test_files_without_a_clock_follow_one_another(self, put, tmp_path):
        put("b.mp4", "a.mp4")
        footage = look(
            tmp_path / "*.mp4", time_pattern=None, started_at=datetime(2026, 3, 1, 12), time_zone="Europe/Berlin"
        )
        first, second = footage.segments
        assert first.url.endswith("a.mp4")
        assert first.started_at_us == us("2026-03-01T12:00:00+01:00")
        assert second.started_at_us == first.ended_at_us
        assert first.clock_source == "configuration"

    def test_a_sidecar_is_still_believed_first(self, put, tmp_path):
        put("a.mp4")
        (tmp_path / "a.mp4.json").write_text('{"started_at": "2020-01-01T00:00:00Z"}')
        footage = look(tmp_path / "*.mp4", time_pattern=None, started_at=datetime(2026, 3, 1, 12))
        assert footage.segments[0].clock_source == "sidecar"

    def test_a_start_that_never_was_is_the_users_mistake(self, put, tmp_path):
        put("a.mp4")
        with pytest.raises(ConfigError, match="was skipped in Europe/Berlin"):
            look(
                tmp_path / "*.mp4",
                time_pattern=None,
                started_at=datetime(2026, 3, 29, 2, 30),
                time_zone="Europe/Berlin",
            )
