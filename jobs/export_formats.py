"""The files of each export format, written camera by camera; docs/exchange.md describes their columns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

import numpy as np

from pipeline import boxes as box
from pipeline.evaluation import tracklet_json
from pipeline.evaluation.foreign_classes import mot_number
from pipeline.evaluation.formats import mot_lines, mtmc_lines, write_seqinfo
from pipeline.evaluation.tables import CameraBoxes, SequenceInfo, TrackedBoxes
from pipeline.reports.camera_rows import Boxes

if TYPE_CHECKING:
    from jobs.export import CameraExport

_TRACKLETS_AT_ONCE = 256
_UNKNOWN_PLACE = -1.0
"""What AI City's text has for a place on the ground that is not known."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACES = ("entry_x", "entry_y", "exit_x", "exit_y")


@dataclass(frozen=True, slots=True)
class Written:
    """Boxes written for one camera; of these, those interpolated in the lake, and those made up for frames without a
    row; and boxes left out, because their track had one in that frame already."""

    boxes: int = 0
    interpolated: int = 0
    filled: int = 0
    left_out: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(
            self.boxes + other.boxes,
            self.interpolated + other.interpolated,
            self.filled + other.filled,
            self.left_out + other.left_out,
        )


class _Writer:
    """Files of one export; those still open are closed with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._open = folder, ExitStack()

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files that are open."""
        self._open.close()

    def opened(self, name: str) -> TextIO:
        """Open a file below the folder for writing."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._open.enter_context(path.open("w", encoding="utf-8", newline="\n"))

    def table(self, name: str, header: tuple[str, ...]) -> Any:
        """Open a CSV below the folder and write its header."""
        writer = csv.writer(self.opened(name), lineterminator="\n")
        writer.writerow(header)
        return writer


class MotWriter(_Writer):
    """`<camera>.txt`, and in a folder called like the camera seqinfo.ini, ids.csv and frames.csv."""

    def write(self, camera: CameraExport) -> Written:
        """Write one camera."""
        name, numbers = camera.camera_id, camera.numbers
        ids = self.table(f"{name}/ids.csv", ("id", "tracklet_id", "identity_id", "class", "mot_class"))
        frames = self.table(f"{name}/frames.csv", ("frame", "segment_id", "frame_in_file", "captured_at_utc"))
        number_of, class_of = {}, {}
        for row in camera.tracklets.select(["id", "tracklet_id", "identity_id", "class"]).to_pylist():
            number_of[row["tracklet_id"]], class_of[row["tracklet_id"]] = row["id"], mot_number(row["class"])
            ids.writerow([*row.values(), mot_number(row["class"])])
        text, written, last = self.opened(f"{name}.txt"), Written(), {}
        for boxes in camera.hours():
            frame, boxes, left_out = _once(camera.frame_of(boxes), boxes, last)
            text.writelines(f"{line}\n" for line in mot_lines(_mot(frame, boxes, number_of, class_of)))
            _, first = np.unique(frame, return_index=True)
            for row in first.tolist():
                frames.writerow([frame[row], boxes.segment_id[row], boxes.frame[row], _utc(boxes.at_us[row])])
            written += Written(len(boxes), int(boxes.interpolated.sum()), 0, left_out)
        self.close()
        info = SequenceInfo(name, numbers.fps, numbers.length_frames, None, None, numbers.first_us)
        write_seqinfo(self.folder / name / "seqinfo.ini", info)
        return written


class AiCityWriter(_Writer):
    """track.txt of all cameras, cameras.csv and ids.csv."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._text = self.opened("track.txt")
        self._cameras = self.table(
            "cameras.csv", ("camera", "camera_id", "fps", "first_frame_at_utc", "frames", "world")
        )
        self._ids = self.table("ids.csv", ("camera", "id", "identity_id", "tracklet_id", "class"))

    def write(self, camera: CameraExport) -> Written:
        """Write one camera."""
        numbers = camera.numbers
        world = "-1" if camera.homography is None else "metres"
        about = [camera.camera_id, _short(numbers.fps), _utc(numbers.first_us), numbers.length_frames, world]
        self._cameras.writerow([camera.number, *about])
        object_of = {}
        for row in camera.tracklets.select(["object", "identity_id", "tracklet_id", "class"]).to_pylist():
            object_of[row["tracklet_id"]] = row["object"]
            self._ids.writerow([camera.number, *row.values()])
        written, last = Written(), {}
        for boxes in camera.hours():
            frame, boxes, left_out = _once(camera.frame_of(boxes), boxes, last)
            of = np.array([object_of[name] for name in boxes.tracklet_id.tolist()], np.int64)
            rows = CameraBoxes(
                camera=np.full(len(boxes), camera.number, np.int64),
                track_id=of,
                frame=frame,
                xywh=_xywh(boxes.xyxy),
                world_xy=_world(camera.homography, boxes.xyxy),
            )
            rows = rows.take(np.lexsort((of, frame)))
            self._text.writelines(f"{line}\n" for line in mtmc_lines(rows))
            written += Written(len(boxes), int(boxes.interpolated.sum()), 0, left_out)
        return written


class JsonWriter(_Writer):
    """`<camera>.json`, and `<camera>.tracklets.csv`, a row for each tracklet in the order of the file."""

    def write(self, camera: CameraExport) -> Written:
        """Write one camera."""
        header = ("index", "tracklet_id", "identity_id", "class", "start", "boxes", "interpolated", "filled")
        table = self.table(f"{camera.camera_id}.tracklets.csv", header)
        rows, written = camera.tracklets.to_pylist(), Written()
        index = 0

        def tracklets() -> Iterator[tracklet_json.FrameBoxes]:
            nonlocal written, index
            for start in range(0, len(rows), _TRACKLETS_AT_ONCE):
                some = rows[start : start + _TRACKLETS_AT_ONCE]
                span = min(row["start_us"] for row in some), max(row["end_us"] for row in some) + 1
                for row, boxes in _of_each(some, camera.tracks([row["tracklet_id"] for row in some], *span)):
                    frame, boxes, left_out = _once(camera.frame_of(boxes), boxes, {})
                    one, filled = tracklet_json.without_holes(frame - 1, _exact(boxes.xyxy))
                    interpolated = int(boxes.interpolated.sum())
                    about = [row["tracklet_id"], row["identity_id"], row["class"]]
                    table.writerow([index, *about, one.start, len(one.xyxy), interpolated, filled])
                    written += Written(len(one.xyxy), interpolated, filled, left_out)
                    index += 1
                    yield one

        self.opened(f"{camera.camera_id}.json").writelines(tracklet_json.lines(camera.numbers.fps, tracklets()))
        self.close()
        return written


class CsvWriter(_Writer):
    """tracklets.csv and observations.csv of all cameras."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        times = ("started_at_utc", "started_at_local", "ended_at_utc", "ended_at_local")
        self._tracklets = self.table(
            "tracklets.csv",
            ("camera_id", "tracklet_id", "identity_id", "class", *times, "n_observations", "mean_score", *_PLACES),
        )
        at = ("frame", "segment_id", "frame_in_file", "captured_at_utc", "captured_at_local")
        self._observations = self.table(
            "observations.csv",
            ("camera_id", "tracklet_id", "class", *at, "x1", "y1", "x2", "y2", "score", "interpolated"),
        )

    def write(self, camera: CameraExport) -> Written:
        """Write one camera."""
        name, zone = camera.camera_id, ZoneInfo(camera.time_zone)
        for row in camera.tracklets.to_pylist():
            times = [text for key in ("start_us", "end_us") for text in (_utc(row[key]), _local(row[key], zone))]
            about = [name, row["tracklet_id"], row["identity_id"], row["class"]]
            numbers = [_float32(row[key]) for key in ("mean_score", *_PLACES)]
            self._tracklets.writerow([*about, *times, row["n_observations"], *numbers])
        written = Written()
        for boxes in camera.hours():
            frame, corners, score = camera.frame_of(boxes), boxes.xyxy.astype(str), boxes.score.astype(str)
            for row, at_us in enumerate(boxes.at_us.tolist()):
                places = [boxes.segment_id[row], boxes.frame[row], _utc(at_us), _local(at_us, zone)]
                known = "true" if boxes.interpolated[row] else "false"
                about = [name, boxes.tracklet_id[row], boxes.class_name[row], frame[row]]
                self._observations.writerow([*about, *places, *corners[row], score[row], known])
            written += Written(len(boxes), int(boxes.interpolated.sum()))
        return written


WRITERS: Mapping[str, Callable[[Path], Any]] = {
    "mot": MotWriter,
    "aicity": AiCityWriter,
    "json": JsonWriter,
    "csv": CsvWriter,
}
"""Writer of each format, by the name that the command line has for it."""


def _mot(frame: np.ndarray, boxes: Boxes, number_of: dict[str, int], class_of: dict[str, int]) -> TrackedBoxes:
    names = boxes.tracklet_id.tolist()
    number = np.array([number_of[name] for name in names], np.int64)
    rows = np.lexsort((number, frame))
    return TrackedBoxes(
        frame=frame[rows],
        track_id=number[rows],
        xywh=_xywh(boxes.xyxy)[rows],
        conf=_exact(boxes.score)[rows],
        mot_class=np.array([class_of[name] for name in names], np.int64)[rows],
        visibility=np.ones(len(rows)),
    )


def _once(frame: np.ndarray, boxes: Boxes, last: dict[str, int]) -> tuple[np.ndarray, Boxes, int]:
    """Leave out boxes whose number their track had already, where frames come too close for the count: the first stays.

    `last` has the last number of each track, and is brought up to date. Returns numbers, boxes and how many went.
    """
    names, track = np.unique(boxes.tracklet_id.astype(str), return_inverse=True)
    order = np.lexsort((boxes.at_us, track))
    base = track[order] * (int(frame.max(initial=0)) + 1)  # so that numbers of one track lie above those before
    number = base + frame[order]
    before = np.maximum(base + np.array([last.get(name, 0) for name in names.tolist()], np.int64)[track[order]], 0)
    before[1:] = np.maximum(before[1:], np.maximum.accumulate(number)[:-1])
    kept = np.sort(order[number > before])
    for name, given in zip(boxes.tracklet_id[kept].tolist(), frame[kept].tolist()):
        last[name] = given
    return frame[kept], boxes.take(kept), len(order) - len(kept)


def _of_each(rows: list[dict], boxes: Boxes) -> Iterator[tuple[dict, Boxes]]:
    """Yield each tracklet that has boxes, with those, in time."""
    order = np.argsort(boxes.tracklet_id.astype(str), kind="stable")
    names = boxes.tracklet_id.astype(str)[order]
    for row in rows:
        first, end = (int(np.searchsorted(names, row["tracklet_id"], side=side)) for side in ("left", "right"))
        if end > first:
            yield row, boxes.take(order[first:end])


def _exact(values: np.ndarray) -> np.ndarray:
    """Return float32 values as the float64 whose shortest text is theirs: 0.9, and not 0.8999999761581421."""
    return values.astype(str).astype(np.float64).reshape(values.shape)


def _xywh(xyxy: np.ndarray) -> np.ndarray:
    """Return corners (N, 4) float32 as left, top, width, height, from which they come back the same."""
    xywh = box.xyxy_to_xywh(_exact(xyxy))
    xywh[:, 2:] = np.round(xywh[:, 2:], 12)  # a difference has digits that mean nothing; the corner has none
    return xywh


def _world(homography: np.ndarray | None, xyxy: np.ndarray) -> np.ndarray:
    """Return where objects stand on the ground, (N, 2) metres to the millimetre, or -1 where that is not known."""
    if homography is None:
        return np.full((len(xyxy), 2), _UNKNOWN_PLACE)
    foot = box.bottom_centre(xyxy.astype(np.float64))
    place = np.column_stack([foot, np.ones(len(foot))]) @ homography.T
    known = np.abs(place[:, 2:]) > 1e-12  # at the horizon there is no ground
    metres = np.divide(place[:, :2], place[:, 2:], where=known, out=np.full((len(place), 2), _UNKNOWN_PLACE))
    return np.round(metres, 3)


def _utc(instant_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=int(instant_us))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _local(instant_us: int, zone: ZoneInfo) -> str:
    return (_EPOCH + timedelta(microseconds=int(instant_us))).astimezone(zone).isoformat(timespec="microseconds")


def _float32(value: float) -> str:
    return str(np.float32(value))


def _short(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
