"""The configuration of a fleet: typed, strict, and the only home of defaults.

`load(path)` reads a fleet.yaml. Relative paths in it are taken from the folder it lies in; `${NAME}` and
`${NAME:-default}` in a path stand for an environment variable. Each stage receives its own section and nothing else.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import zoneinfo
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import ConfigError
from pipeline.homography import DegenerateError, Fit, fit
from pipeline.types import COCO_CLASSES, TRAFFIC_CLASSES

Point = tuple[float, float]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]


BOTTOM_CENTRE = (0.5, 1.0)
"""Where in a box an object stands."""


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LineConfig(Section):
    """A counting line. Seen from `points[0]` towards `points[1]`, `forward` is crossing from left to right as drawn
    in the picture (y down), so a line drawn from the top of the picture to its bottom counts leftward as forward."""

    name: Identifier
    points: tuple[Point, Point] = Field(description="two ends, picture pixels")
    forward: str = Field("forward", min_length=1, description="name of the direction left to right of the line")
    backward: str = Field("backward", min_length=1, description="name of the other direction")
    classes: tuple[str, ...] | None = Field(
        None, min_length=1, description="count these only, e.g. [person] on a zebra crossing; every class without it"
    )
    gate: Identifier | None = Field(
        None, description="lines of one gate in a camera count as one in counts of gates; without it, a gate of its own"
    )
    anchor: tuple[Share, Share] = Field(
        BOTTOM_CENTRE, description="point of the box that crosses: shares of its width and its height from top left"
    )
    settle_frames: int | None = Field(
        None,
        ge=1,
        description="boxes of a track beyond the line that make its crossing hold; without it, 1 s of them, whatever "
        "the frame rate",
    )

    @model_validator(mode="after")
    def _two_places(self) -> LineConfig:
        if self.points[0] == self.points[1]:
            raise ValueError("the two ends are the same point; give two different points")
        if self.forward == self.backward:
            raise ValueError(f"both directions are called {self.forward!r}; give them different names")
        for name in self.classes or ():
            if name not in COCO_CLASSES:
                raise ValueError(f"{name!r} is not a COCO class{_suggestion(name, COCO_CLASSES)}")
        return self


class ZoneConfig(Section):
    """An area of the picture in which dwell time is measured."""

    name: Identifier
    polygon: tuple[Point, ...] = Field(min_length=3, description="corners in order, picture pixels")
    anchor: tuple[Share, Share] = Field(
        BOTTOM_CENTRE, description="point of the box that is inside: shares of its width and its height from top left"
    )


class MotionConfig(Section):
    """The `motion` detector. Sizes in metres hold where the camera has a homography, pixels elsewhere."""

    background_frames: int = Field(
        40, ge=1, description="frames spread over a segment from which its background is taken"
    )
    difference_threshold: float = Field(20.0, gt=0, description="colour distance from the background, 8-bit levels")
    person_max_width_m: float = Field(1.3, gt=0, description="a box whose footprint is wider is a vehicle")
    person_max_width_px: float = Field(60.0, gt=0, description="the same where the camera has no homography")
    min_height_px: float = Field(10.0, gt=0, description="smaller blobs are noise")


OnnxLayout = Literal[
    "one-shot",
    "rt-detr-boxes",
    "yolov3-zoo",
    "detr",
    "deformable-detr",
    "rt-detr",
    "rf-detr",
    "darknet",
    "yolov3",
    "yolox",
    "yolox-decoded",
    "yolov5",
    "yolov8",
    "yolov10",
]
"""Layouts of `onnx:` detectors; docs/detectors.md says what each expects."""

Channels3 = tuple[float, float, float]
PositivePx = Annotated[int, Field(ge=32)]


class InputConfig(Section):
    """How an `onnx:` detector wants its pictures, where that differs from its layout's usual way."""

    size: tuple[PositivePx, PositivePx] | None = Field(
        None, description="width and height of the input, for files that leave them open"
    )
    fit: Literal["letterbox", "letterbox-centred", "stretch"] | None = Field(
        None, description="keep the picture's shape, in the top left corner or the middle, or fit both sides"
    )
    pad_level: float | None = Field(None, ge=0, le=255, description="level of what the letterbox adds, 8-bit")
    channels: Literal["rgb", "bgr"] | None = None
    range: Literal[1, 255] | None = Field(None, description="what white is, before mean and std")
    mean: Channels3 | None = Field(None, description="taken from each channel, in their order and units of range")
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = (
        Field(None, description="each channel is divided by it afterwards")
    )
    antialias: bool | None = Field(None, description="average when shrinking, as Pillow does; OpenCV does not")


class TilesConfig(Section):
    """The picture cut into overlapping tiles, each looked at by itself, for objects small in it."""

    rows: int | None = Field(None, ge=1, le=16)
    columns: int | None = Field(None, ge=1, le=16)
    tile_px: PositivePx | None = Field(
        None, description="instead of rows and columns: width and height of a tile, at most; as many as are needed"
    )
    overlap: float = Field(
        0.2, ge=0.05, le=0.5, description="share of a tile that the next one sees too: more than an object's size"
    )
    whole_frame: bool = Field(True, description="look at the whole picture as well, for objects larger than a tile")

    @model_validator(mode="after")
    def _one_way(self) -> TilesConfig:
        grid = [self.rows, self.columns]
        if (self.tile_px is None) == (grid == [None, None]) or grid.count(None) == 1:
            raise ValueError("expected either rows and columns, or tile_px; write one of the two")
        if grid == [1, 1]:
            raise ValueError("one row and one column are the whole frame; leave tiles out, or write more")
        return self


class DetectorConfig(Section):
    """Which detector, and what is kept of what it says.

    `use` is one of `motion`, `one-shot` (the one that ships), `one-shot:<file>`, `torchvision:<model>`, `onnx:<file>`,
    `detections:<file>`; in the last, `{camera}` and `{segment}` stand for the camera's id and the segment's file name
    without its ending.
    """

    use: str = "one-shot"
    weights: Path | None = Field(None, description="state dict for torchvision:<model>; its own download otherwise")
    layout: OnnxLayout | None = Field(
        None, description="what an onnx: file expects and returns; recognised by its inputs and outputs without it"
    )
    input: InputConfig = Field(InputConfig(), description="how it wants its pictures, where not as usual in its layout")
    class_names: tuple[str, ...] | Path | None = Field(
        None,
        description="the network's own classes in their order, or a file with one a line; without it, what the file "
        "says, else COCO's",
    )
    class_map: dict[str, str] = Field({}, description="own class -> COCO class, where their names differ")
    tiles: TilesConfig | None = Field(None, description="look at parts of the picture too, for small objects")
    classes: tuple[str, ...] = TRAFFIC_CLASSES
    score_threshold: Share = 0.5
    score_threshold_by_class: dict[str, Share] = {}
    nms_iou: Share = Field(
        0.45, description="of two boxes of a class that overlap by more, the worse goes; `motion` needs none"
    )
    nms_iou_by_class: dict[str, Share] = {}
    nms_across_iou: Share = Field(
        0.7,
        description="the same of two boxes of different classes, both car, bus, truck or train; 1: both stay",
    )
    motion: MotionConfig = MotionConfig()

    @field_validator("use")
    @classmethod
    def _known(cls, value: str) -> str:
        return _model_name(
            value, bare=("motion", "one-shot"), prefixed=("one-shot", "torchvision", "onnx", "detections")
        )

    @field_validator("class_names", mode="before")
    @classmethod
    def _list_or_file(cls, value: Any) -> Any:
        if not isinstance(value, (str, Path, list, tuple, type(None))) or value in ("", [], ()):
            raise ValueError(f"expected a list of names, or a file with one a line, got {_shown(value)}")
        return Path(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _coco(self) -> DetectorConfig:
        mapped = self.class_map.values()
        for name in (*self.classes, *self.score_threshold_by_class, *self.nms_iou_by_class, *mapped):
            if name not in COCO_CLASSES:
                raise ValueError(f"{name!r} is not a COCO class{_suggestion(name, COCO_CLASSES)}")
        return self

    @model_validator(mode="after")
    def _of_this_kind(self) -> DetectorConfig:
        kind = self.use.partition(":")[0]
        for key, kinds in _KEYS_OF_KINDS.items():
            if kind not in kinds and getattr(self, key) != type(self).model_fields[key].default:
                told = " and ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
                raise ValueError(f"{key} is for {told} detectors, not for {kind}; leave it out")
        return self


_KEYS_OF_KINDS = {
    "motion": ("motion",),
    "layout": ("onnx",),
    "input": ("onnx",),
    "class_names": ("onnx",),
    "class_map": ("onnx",),
    "tiles": ("one-shot", "onnx", "torchvision"),
}
"""Keys of a detector that mean something to some kinds of detector only."""


class EmbedderConfig(Section):
    """Which appearance embedder: `trained` and `one-shot` (those that ship), `trained:<file>`, `one-shot:<file>`,
    `stripes`, `onnx:<file>` or `torchvision:<backbone>`.
    """

    use: str = "trained"
    weights: Path | None = Field(None, description="state dict for torchvision:<backbone>; its own download otherwise")
    projection: Path | None = Field(
        None, description="fitted projection to 128 numbers (.npz); without it a fixed random one, slightly worse"
    )

    @field_validator("use")
    @classmethod
    def _known(cls, value: str) -> str:
        return _model_name(
            value, bare=("stripes", "trained", "one-shot"), prefixed=("one-shot", "trained", "torchvision", "onnx")
        )


class ModelsConfig(Section):
    """The models of the fleet."""

    detector: DetectorConfig = DetectorConfig()
    embedder: EmbedderConfig = EmbedderConfig()


class HindsightConfig(Section):
    """What is done to tracks once their future is known."""

    max_gap_frames: int = Field(60, ge=0, description="join tracks broken off for at most so long; 0: join none")
    fill_gaps: bool = Field(
        True, description="write boxes for frames between two boxes of a track, marked interpolated"
    )
    smoothing: bool = Field(True, description="move boxes to where those before and after say they were")
    min_evidence: float = Field(
        3.0,
        ge=0,
        description="drop tracks of under 128 frames with less: summed over boxes, 1 for score 1, 0 for 0.5",
    )


class TrackerConfig(Section):
    """Deep SORT (Wojke, Bewley and Paulus 2017), and what later trackers added to it.

    `preset` is gone once the section is checked: its values stand in their fields then, so that it makes no difference
    whether they were written out or came from a preset.
    """

    preset: str | None = Field(
        None,
        exclude=True,
        description="where the values come from that are not given: a name of configs/trackers, or a .yaml file",
    )
    gate_sq: float = Field(9.4877, gt=0, description="squared Mahalanobis gate: chi-square 0.95 quantile, 4 degrees")
    motion_weight: Share = Field(
        0.0, description="lambda: weight of motion against appearance in the cost (paper, eq. 5)"
    )
    max_cosine_distance: float | None = Field(0.2, ge=0, le=2, description="null: looks are not used to track")
    gallery_size: int = Field(100, ge=1, description="last features kept of a track")
    feature_average: Share | None = Field(
        None,
        description="keep one running mean of a track's features instead of the last ones, this its weight of the past "
        "(StrongSORT: 0.9)",
    )
    max_iou_distance: Share = 0.7
    max_centre_distance: float | None = Field(
        None,
        gt=0,
        description="instead of by overlap, match by how far the middles of the boxes are apart, up to so many heights "
        "of the track's box; null: by overlap",
    )
    predict_motion: bool = Field(
        True, description="false: no Kalman filter; an object is expected just where its last box was"
    )
    iou_age_frames: float = Field(
        1, ge=1, description="a confirmed track unseen for longer is not matched by IoU (Deep SORT 1, SORT its max age)"
    )
    high_score: Share = Field(
        0.5,
        description="boxes scored below only continue tracks that nothing else does (ByteTrack's second matching); "
        "there are such only where a detector's score_threshold is lower",
    )
    low_iou_distance: Share = Field(0.5, description="greatest 1 - IoU in that second matching")
    start_score: Share = Field(0.0, description="boxes scored below start no track")
    score_weighted_noise: bool = Field(
        False, description="trust a box the more the higher its score: measurement noise times 1 - score (NSA Kalman)"
    )
    motion_fps: float = Field(
        10.0,
        ge=0,
        description="footage with fewer frames a second gets, in proportion, more random change of speed from "
        "frame to frame; 0: none does, as published",
    )
    max_age_frames: int = Field(30, ge=1, description="frames a confirmed track survives unseen")
    n_init: int = Field(3, ge=1, description="consecutive matches that confirm a track")
    max_exemplars: int = Field(8, ge=1, description="exemplar embeddings kept of a tracklet")
    hindsight: HindsightConfig | None = Field(HindsightConfig(), description="null: rows as the tracker left them")

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("preset"), str):
            return data
        context = info.context or {}
        given = {key: value for key, value in data.items() if key != "preset"}
        try:
            preset = _read_preset(data["preset"], context.get("folder", Path()), context.get("within", ()))
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return _laid_over(preset.model_dump(), given)


class LinkConfig(Section):
    """Two cameras between which people or vehicles travel."""

    between: tuple[Identifier, Identifier]
    min_travel_s: float = Field(
        0.0,
        description="shortest time from leaving one to entering the other; below 0 where views overlap or, one way, "
        "where clocks disagree",
    )
    max_travel_s: float = Field(600.0, description="longest time")
    overlapping: bool = Field(
        False, description="the two see some of the same ground, so one object can be in both at once"
    )
    one_way: bool = Field(False, description="nobody goes from the second to the first, as on a one-way road")

    @model_validator(mode="after")
    def _window(self) -> LinkConfig:
        if self.between[0] == self.between[1]:
            raise ValueError(f"between: both ends are {self.between[0]!r}; name two cameras")
        if self.min_travel_s > self.max_travel_s:
            raise ValueError(f"min_travel_s {self.min_travel_s} is greater than max_travel_s {self.max_travel_s}")
        if self.overlapping and self.one_way:
            raise ValueError(
                "overlapping and one_way contradict each other: who is seen by both at once goes neither way; keep one"
            )
        if self.min_travel_s < 0 and not (self.overlapping or self.one_way):
            raise ValueError("min_travel_s below 0 needs overlapping: true or one_way: true")
        return self


class IdentityConfig(Section):
    """How tracklets of several cameras become identities."""

    links: tuple[LinkConfig, ...] = Field(
        (), description="the topology; without it any two cameras, within max_travel_s"
    )
    max_travel_s: float = Field(900.0, gt=0, description="window for pairs when no topology is given")
    learn_travel: bool = Field(
        True, description="learn from each night how long the way between two cameras takes, and let it count"
    )
    neighbours: int = Field(30, ge=1, description="candidates looked up per exemplar")
    min_similarity: float | None = Field(
        None, ge=-1, le=1, description="pairs below are never joined; without it, chosen from the night's own data"
    )
    min_observations: int = Field(5, ge=1, description="shorter tracklets become identities of their own")
    memory_days: int = Field(
        7,
        ge=0,
        description="nights before and after within which somebody is known again; with 0 only a walk through midnight "
        "goes on as one",
    )
    exact_vectors: int = Field(
        200_000, ge=1, description="exemplars searched exactly at once; larger shards are searched by an IVF index"
    )
    recall: float = Field(
        0.98, gt=0, le=1, description="share of true neighbours an IVF index must find, measured on a sample"
    )
    ground_plane: Literal["common", "per camera"] = Field(
        "common",
        description="common: all homographies lead to one ground plane, so places and ways of tracklets are compared "
        "in metres; per camera: each has its own origin or axes, and only looks and times are compared",
    )


class ExecutionConfig(Section):
    """How the work is spread."""

    executor: Literal["ray", "local"] = "ray"
    workers: int | None = Field(None, ge=1, description="worker processes; one per CPU (or GPU share) without it")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    gpus_per_worker: float | None = Field(
        None, ge=0, description="0.5 puts two workers on one GPU; without it 1 where the machines have GPUs, else 0"
    )
    cpus_per_worker: float = Field(1.0, ge=0)
    threads_per_worker: int = Field(1, ge=1, description="threads of the models inside one worker")
    batch_size: int = Field(16, ge=1, description="frames per batch")
    prefetch_batches: int = Field(2, ge=1, description="decoded batches waiting; bounds memory")
    keep_detections: bool = Field(
        False,
        description="keep every detection with its embedding in the lake, 0.3 KB each, so that `nightfleet retrack` "
        "and runs with another tracker need neither footage nor GPU",
    )
    keep_thumbnails: bool = Field(
        False,
        description="keep a small picture of every tracklet in the lake, 3 KB each, for contact sheets; pictures of "
        "people are personal data",
    )
    blur_heads: bool = Field(False, description="make heads in those pictures unrecognisable before they are saved")
    attempts: int = Field(3, ge=1, description="times a segment is tried on workers that die")
    object_store_mib: int = Field(128, ge=80, description="memory of Ray's object store on this machine")


class GroundPoint(Section):
    """A place that can be found in the picture and was measured on the ground."""

    pixel: Point = Field(description="where it is in the picture, pixels")
    metres: Point = Field(description="where it is on the ground plane common to the fleet, metres")


class LiveConfig(Section):
    """A webcam or a network stream: each run first records some of it, and what was recorded is the camera's footage.

    An environment variable in `url` stays a name until it is opened: passwords are written nowhere.
    """

    device: int | str | None = Field(None, description="number of a webcam, or its path such as /dev/video2")
    url: str | None = Field(None, min_length=1, description="network stream: rtsp, http, https, rtmp, udp, ...")
    seconds: float = Field(gt=0, le=86_400, description="how much to record in each run")
    folder: str | None = Field(
        None, min_length=1, description="where recordings are kept; without it LAKE-recordings/CAMERA, beside the lake"
    )

    @model_validator(mode="after")
    def _one_source(self) -> LiveConfig:
        if (self.device is None) == (self.url is None):
            raise ValueError("expected either `device` or `url`; write one of them, such as {device: 0, seconds: 60}")
        if isinstance(self.device, int) and self.device < 0:
            raise ValueError(f"device: expected 0 or more, got {self.device}")
        if self.url is not None and not is_url(_PLACEHOLDER.sub("x", self.url)):
            raise ValueError(f"url: expected an address such as rtsp://camera/stream, got {self.url!r}")
        return self


class CameraConfig(Section):
    """One camera.

    Where `ground_points` are given, `homography` is the one fitted to them once the section is checked.
    """

    id: Identifier
    imported: bool = Field(
        False, description="its tracks were made elsewhere and come by `nightfleet import`; it has no footage"
    )
    footage: str | tuple[str, ...] | LiveConfig | None = Field(
        None,
        validate_default=True,
        description="glob or URL of video files, or of folders of images, or several; or a webcam or stream to record "
        "from; every camera has it that is not `imported`",
    )
    time_pattern: str | None = Field(None, description="file name with strptime codes, e.g. gate_%Y%m%d_%H%M%S.mp4")
    started_at: datetime | None = Field(
        None,
        description="start of the first file, for footage without a clock of its own; the others follow back to back "
        "in the order of their names. Local wall-clock time unless it has an offset",
    )
    time_zone: str = Field("UTC", description="IANA zone of the camera's wall clock")
    fold: Literal[0, 1] | None = Field(
        None, description="which of the two when a local hour is repeated: 0 the first (summer), 1 the second"
    )
    clock_offset_s: float = Field(0.0, description="seconds added to the camera's clock to make it right")
    image_fps: float | None = Field(None, gt=0, description="frame rate of image folders")
    target_fps: float | None = Field(None, gt=0, description="process at most so many frames a second")
    homography: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]] | None = (
        Field(
            None,
            description="picture pixels -> metres on a ground plane common to the fleet (identity.ground_plane)",
        )
    )
    ground_points: tuple[GroundPoint, ...] | None = Field(
        None,
        description="instead of homography: at least four places, no three on a line; more than four, or "
        "marking_error_px, tell how exact distances and speeds are",
    )
    marking_error_px: float | None = Field(
        None, gt=0, description="how far, in each direction, a ground point may be marked beside its place (1 sigma)"
    )
    moving: bool = Field(
        False, description="the camera pans, shakes or rides: its own motion is taken out of the tracks"
    )
    lines: tuple[LineConfig, ...] = ()
    zones: tuple[ZoneConfig, ...] = ()
    detector: DetectorConfig | None = Field(None, description="instead of models.detector, for this camera")

    @field_validator("footage", mode="before")
    @classmethod
    def _live(cls, value: Any) -> Any:
        if value is None or isinstance(value, LiveConfig):
            return value
        if isinstance(value, dict):
            try:
                return LiveConfig.model_validate(value)
            except ValidationError as error:
                raise ValueError(_sentence(error, value, LiveConfig)) from None
        several = value if isinstance(value, list | tuple) else [value]
        if not several or not all(isinstance(one, str) and one for one in several):
            raise ValueError(
                "expected a glob, a list of globs, or a live source such as {device: 0, seconds: 60}, got "
                f"{_shown(value)}"
            )
        return value

    @field_validator("footage")
    @classmethod
    def _footage_or_imported(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and not info.data.get("imported"):
            raise PydanticCustomError("missing", "")
        if value is not None and info.data.get("imported"):
            raise ValueError(
                "the camera is `imported: true`, so it has no footage; keep one of the two, or make two cameras of it"
            )
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            zones = sorted(zoneinfo.available_timezones())
            raise ValueError(
                f"{value!r} is not an IANA time zone{_suggestion(value, zones)}; write one such as Europe/Berlin"
            ) from None
        return value

    @model_validator(mode="after")
    def _names(self) -> CameraConfig:
        for kind, names in (("line", [x.name for x in self.lines]), ("zone", [x.name for x in self.zones])):
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {kind}s are called {twice[0]!r}; names must differ within a camera")
        _check_gates(self.lines)
        if self.started_at is not None and self.time_pattern is not None:
            raise ValueError(
                "started_at and time_pattern are both given; keep time_pattern if the file names tell the time"
            )
        if self.homography is not None and abs(_determinant(self.homography)) < 1e-12:
            raise ValueError("homography cannot be inverted; its determinant is 0")
        return self

    @model_validator(mode="after")
    def _calibrated(self) -> CameraConfig:
        if self.ground_points is None:
            if self.marking_error_px is not None:
                raise ValueError("marking_error_px says how well ground_points are marked; there are none, so add them")
            return self
        fitted = tuple(map(tuple, self._fit().homography.tolist()))
        if self.homography is not None and self.homography != fitted:  # equal in what a lake kept
            raise ValueError(
                "homography and ground_points are both given; keep ground_points, which tell the error too"
            )
        object.__setattr__(self, "homography", fitted)
        return self

    @property
    def globs(self) -> tuple[str, ...]:
        """Where the camera's files lie; of a live one, those recorded so far."""
        if isinstance(self.footage, LiveConfig):
            return (f"{self.footage.folder}/*.mp4",)
        return (self.footage,) if isinstance(self.footage, str) else self.footage or ()

    def ground_fit(self) -> Fit | None:
        """Return the fit to the ground points; None where there are none."""
        return None if self.ground_points is None else self._fit()

    def _fit(self) -> Fit:
        pixels = np.array([point.pixel for point in self.ground_points], np.float64).reshape(-1, 2)
        metres = np.array([point.metres for point in self.ground_points], np.float64).reshape(-1, 2)
        try:
            return fit(pixels, metres, self.marking_error_px)
        except DegenerateError as error:
            raise ValueError(f"ground_points: {error}") from None


class FleetConfig(Section):
    """A whole fleet.yaml."""

    fleet: Identifier = "fleet"
    lake: str = Field("lake", min_length=1, description="folder or URL (file, s3, gs) the tables are written to")
    models: ModelsConfig = ModelsConfig()
    tracker: TrackerConfig = TrackerConfig()
    identity: IdentityConfig = IdentityConfig()
    execution: ExecutionConfig = ExecutionConfig()
    cameras: tuple[CameraConfig, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _references(self) -> FleetConfig:
        ids = [camera.id for camera in self.cameras]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"two cameras have the id {twice[0]!r}; ids must differ")
        pairs = set()
        for link in self.identity.links:
            for name in link.between:
                if name not in ids:
                    raise ValueError(
                        f"identity.links names a camera {name!r} that is not configured{_suggestion(name, ids)}"
                    )
            if frozenset(link.between) in pairs:
                raise ValueError(f"identity.links has the pair {link.between[0]}, {link.between[1]} twice; keep one")
            pairs.add(frozenset(link.between))
        if self.execution.device == "cpu" and self.execution.gpus_per_worker:
            raise ValueError("execution: device cpu contradicts gpus_per_worker above 0; set one of them")
        return self

    def camera(self, camera_id: str) -> CameraConfig:
        """Return a camera by id. Raises ConfigError where there is none."""
        for camera in self.cameras:
            if camera.id == camera_id:
                return camera
        ids = [camera.id for camera in self.cameras]
        raise ConfigError(
            f"no camera {camera_id!r} in this fleet{_suggestion(camera_id, ids)}; it has {', '.join(ids)}"
        )

    def detector_for(self, camera: CameraConfig) -> DetectorConfig:
        """Return the detector section that applies to a camera."""
        return camera.detector or self.models.detector


def load(path: str | os.PathLike[str]) -> FleetConfig:
    """Read and check a fleet.yaml; relative paths in it become absolute. Raises ConfigError, one sentence."""
    path = Path(path)
    raw = _read_yaml(path, absent="`nightfleet init DIR` writes one to start from")
    return parse(raw, origin=str(path), folder=path.resolve().parent)


def parse(raw: Any, *, origin: str, folder: Path) -> FleetConfig:
    """Check an already parsed fleet.yaml. `origin` names it in messages, `folder` is what relative paths start from."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{origin}: expected keys such as `cameras:` at the top, got {type(raw).__name__}")
    try:
        config = FleetConfig.model_validate(raw, context={"folder": folder})
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_sentence(error, raw)}") from None
    return _absolute(config, folder)


def tracker_presets() -> list[str]:
    """Return the names of the tracker presets that come with nightfleet, sorted; configs/trackers describes them."""
    files = (resources.files("configs") / "trackers").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def tracker_preset(name_or_path: str) -> TrackerConfig:
    """Return a tracker section by the name of a preset, or from a file ending in `.yaml` that holds its keys.

    A relative path is taken from the working directory. Raises ConfigError, one sentence.
    """
    return _read_preset(name_or_path, Path(), ())


def detector(raw: dict) -> DetectorConfig:
    """Check a detector section that stands in no fleet.yaml. Raises ConfigError, one sentence."""
    try:
        return DetectorConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"detector: {_sentence(error, raw, DetectorConfig)}") from None


def embedder(raw: dict) -> EmbedderConfig:
    """Check an embedder section that stands in no fleet.yaml. Raises ConfigError, one sentence."""
    try:
        return EmbedderConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"embedder: {_sentence(error, raw, EmbedderConfig)}") from None


def digest(*sections: Any) -> str:
    """Return a short digest of configuration sections (or plain JSON values): equal values, equal digest."""
    plain = [s.model_dump(mode="json") if isinstance(s, BaseModel) else s for s in sections]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def _check_gates(lines: tuple[LineConfig, ...]) -> None:
    """Refuse lines of one gate whose directions have other names, and a gate called like a line outside it."""
    gates: dict[str, LineConfig] = {}
    for line in (line for line in lines if line.gate is not None):
        first = gates.setdefault(line.gate, line)
        if {line.forward, line.backward} != {first.forward, first.backward}:
            raise ValueError(
                f"the lines {first.name!r} and {line.name!r} of gate {line.gate!r} must have the same two directions; "
                f"got {first.forward!r} and {first.backward!r}, but {line.forward!r} and {line.backward!r}"
            )
        if line.settle_frames != first.settle_frames:
            raise ValueError(
                f"the lines {first.name!r} and {line.name!r} of gate {line.gate!r} must have the same settle_frames; "
                f"got {first.settle_frames} and {line.settle_frames}"
            )
    for line in lines:
        if line.gate is None and line.name in gates:
            raise ValueError(
                f"the line {line.name!r} is called like a gate that it is no part of; rename one, or write "
                f"gate: {line.name} in the line"
            )


def _read_yaml(path: Path, absent: str) -> Any:
    """Return what a YAML file holds. Raises ConfigError; `absent` says what to do where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; {absent}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as text: {error}") from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        raise ConfigError(f"{where}: not valid YAML: {getattr(error, 'problem', None) or error}") from None


def _read_preset(name_or_path: str, folder: Path, within: tuple[Path, ...]) -> TrackerConfig:
    """Read a preset; relative paths start from `folder`, `within` are the files that led here, each naming the next."""
    known = tracker_presets()
    if name_or_path in known:
        packaged = resources.files("configs") / "trackers" / f"{name_or_path}.yaml"
        path, raw = Path(packaged.name), yaml.load(packaged.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    elif name_or_path.endswith(".yaml"):
        path = (folder / Path(with_environment(name_or_path)).expanduser()).resolve()
        if path in within:
            raise ConfigError(f"{path}: this preset leads back to itself; take `preset:` out of one of the files")
        raw = _read_yaml(path, absent=f"give a file of tracker keys, or one of {', '.join(known)}")
    else:
        raise ConfigError(
            f"no tracker preset {name_or_path!r}{_suggestion(name_or_path, known)}; there are {', '.join(known)}, "
            "or give a path ending in .yaml"
        )
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected tracker keys such as `max_age_frames:`, got {type(raw).__name__}")
    try:
        return TrackerConfig.model_validate(raw, context={"folder": path.parent, "within": (*within, path)})
    except ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(error, raw, TrackerConfig)}") from None


def _laid_over(base: dict, given: dict) -> dict:
    """Return `given` with what it lacks taken from `base`, sections inside sections likewise."""
    both = {
        k: _laid_over(base[k], v) for k, v in given.items() if isinstance(v, dict) and isinstance(base.get(k), dict)
    }
    return {**base, **given, **both}


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice instead of silently keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _sentence(error: ValidationError, raw: Any, root: type[Section] | None = None) -> str:
    """Turn pydantic's first complaint into one sentence: key, what is wrong, what to write."""
    first = error.errors()[0]
    location = first["loc"]
    key = _key(location, raw)
    if first["type"] == "extra_forbidden":
        section = _section_at(location[:-1], root or FleetConfig)
        known = sorted(section.model_fields) if section else []
        return f"unknown key `{key}`{_suggestion(str(location[-1]), known)}; known here: {', '.join(known)}"
    if first["type"] == "missing":
        return f"`{key}` is missing; add it"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if first["type"] == "value_error":
        return f"`{key}`: {message}" if key else message
    return f"`{key}`: {message}, got {_shown(first.get('input'))}"


def _key(location: tuple, raw: Any) -> str:
    """Write a pydantic location as the user sees it: cameras[gate].lines[bridge].points."""
    text, here = "", raw
    for part in location:
        if isinstance(part, int):
            here = here[part] if isinstance(here, (list, tuple)) and part < len(here) else None
            name = (here.get("id") or here.get("name")) if isinstance(here, dict) else None
            text += f"[{name if name is not None else part}]"
        else:
            text += f".{part}" if text else str(part)
            here = here.get(part) if isinstance(here, dict) else None
    return text


def _section_at(location: tuple, root: type[Section]) -> type[Section] | None:
    """Follow a location down the model classes from `root` to the section whose keys are meant."""
    section: type[Section] | None = root
    for part in location:
        if isinstance(part, int):
            continue
        if section is None or part not in section.model_fields:
            return None
        names = re.findall(r"\b\w+Config\b", str(section.model_fields[part].annotation))
        section = globals().get(names[0]) if names else None
    return section


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(value: str, known: Any) -> str:
    """Return ", did you mean `x`?" where a known name is close, else nothing."""
    close = difflib.get_close_matches(value, list(known), n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""


def _model_name(value: str, bare: tuple[str, ...], prefixed: tuple[str, ...]) -> str:
    """Check the form of a `use:` value."""
    if value in bare:
        return value
    prefix, colon, rest = value.partition(":")
    if prefix in prefixed and colon and rest:
        return value
    if value in prefixed:
        raise ValueError(f"{value} wants to be told which; write `{value}:FILE` or `{value}:NAME`, got {value!r}")
    choices = [*bare, *(f"{name}:..." for name in prefixed)]
    raise ValueError(f"expected one of {', '.join(choices)}, got {value!r}{_suggestion(value, [*bare, *prefixed])}")


def _determinant(m: tuple) -> float:
    (a, b, c), (d, e, f), (g, h, i) = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def is_url(location: str) -> bool:
    """Tell whether a location names a protocol (s3://bucket/key) and not a local path."""
    return "://" in location


_PLACEHOLDER = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def with_environment(location: str) -> str:
    """Put environment variables into a path. Raises ConfigError for one that is not set and has no default."""

    def value(match: re.Match) -> str:
        name, default = match.groups()
        if name not in os.environ and default is None:
            raise ConfigError(f"the path {location!r} needs the environment variable {name}, which is not set; set it")
        return os.environ.get(name) or default or ""

    return _PLACEHOLDER.sub(value, location)


def _absolute(config: FleetConfig, folder: Path) -> FleetConfig:
    """Resolve every relative path of the configuration from the folder of its file."""

    def path(location: str) -> str:
        location = with_environment(location)
        return location if is_url(location) else os.path.normpath(folder / Path(location).expanduser())

    def model(section: Any) -> Any:
        if section is None:
            return None
        prefix, _, rest = section.use.partition(":")
        update: dict[str, Any] = {}
        if prefix in ("one-shot", "trained", "onnx", "detections") and rest:
            update["use"] = f"{prefix}:{path(rest)}"
        for key in ("weights", "projection", "class_names"):
            if isinstance(getattr(section, key, None), Path):
                update[key] = Path(path(str(getattr(section, key))))
        return section.model_copy(update=update)

    def footage(camera: CameraConfig) -> Any:
        if isinstance(camera.footage, LiveConfig):
            kept = camera.footage.folder or f"{path(config.lake)}-recordings/{camera.id}"
            if is_url(kept):
                raise ConfigError(
                    f"camera {camera.id}: recordings are kept on this machine, not at {kept}; give footage a `folder`"
                )
            return camera.footage.model_copy(update={"folder": path(kept)})
        if isinstance(camera.footage, tuple):
            return tuple(path(one) for one in camera.footage)
        return None if camera.footage is None else path(camera.footage)

    models = ModelsConfig(detector=model(config.models.detector), embedder=model(config.models.embedder))
    cameras = tuple(
        camera.model_copy(
            update={
                "footage": footage(camera),
                "detector": model(camera.detector),
            }
        )
        for camera in config.cameras
    )
    return config.model_copy(update={"lake": path(config.lake), "models": models, "cameras": cameras})
