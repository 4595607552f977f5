"""The Arrow schemas of the lake: the contract with everybody who reads it. Units stand in the field metadata."""

from __future__ import annotations

import pyarrow as pa

from pipeline.types import EMBEDDING_DIM

SCHEMA_VERSION = 1
"""Raised by one whenever a table changes in a way an older reader would misread."""

INSTANT = pa.timestamp("us", tz="UTC")
VECTOR = pa.list_(pa.float32(), EMBEDDING_DIM)
HALF_VECTOR = pa.list_(pa.float16(), EMBEDDING_DIM)
WARP = pa.list_(pa.float64(), 6)


def _field(name: str, type_: pa.DataType, about: str, unit: str = "", nullable: bool = False) -> pa.Field:
    metadata = {"description": about}
    if unit:
        metadata["unit"] = unit
    return pa.field(name, type_, nullable=nullable, metadata=metadata)


def _table(name: str, fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"nightfleet.table": name, "nightfleet.schema_version": str(SCHEMA_VERSION)})


OBSERVATIONS = _table(
    "observations",
    [
        _field("tracklet_id", pa.string(), "object in one camera"),
        _field("camera_id", pa.string(), "camera"),
        _field("segment_id", pa.string(), "video file the frame lies in"),
        _field("captured_at", INSTANT, "presentation instant of the frame", "microseconds since 1970 UTC"),
        _field("frame", pa.int32(), "index of the frame in its file, from 0"),
        _field("class", pa.string(), "COCO class in this frame"),
        _field("score", pa.float32(), "detector's confidence; 0 where interpolated", "0 to 1"),
        _field("x1", pa.float32(), "left edge", "pixels"),
        _field("y1", pa.float32(), "top edge", "pixels"),
        _field("x2", pa.float32(), "right edge", "pixels"),
        _field("y2", pa.float32(), "bottom edge", "pixels"),
        _field("interpolated", pa.bool_(), "true where no detection stands behind the row"),
    ],
)

TRACKLETS = _table(
    "tracklets",
    [
        _field("tracklet_id", pa.string(), "object in one camera"),
        _field("camera_id", pa.string(), "camera"),
        _field("segment_id", pa.string(), "segment during which the tracklet ended"),
        _field("class", pa.string(), "COCO class with the greatest summed score"),
        _field("started_at", INSTANT, "first box", "microseconds since 1970 UTC"),
        _field("ended_at", INSTANT, "last box", "microseconds since 1970 UTC"),
        _field("n_observations", pa.int32(), "boxes detected; those interpolated are not counted"),
        _field("mean_score", pa.float32(), "mean confidence", "0 to 1"),
        _field("entry_x", pa.float32(), "bottom centre of the first box", "pixels"),
        _field("entry_y", pa.float32(), "bottom centre of the first box", "pixels"),
        _field("exit_x", pa.float32(), "bottom centre of the last box", "pixels"),
        _field("exit_y", pa.float32(), "bottom centre of the last box", "pixels"),
        _field("embedding", VECTOR, "normalised mean of the exemplars", "unit length"),
    ],
)

EMBEDDINGS = _table(
    "embeddings",
    [
        _field("tracklet_id", pa.string(), "object in one camera"),
        _field("camera_id", pa.string(), "camera"),
        _field("captured_at", INSTANT, "frame it was taken from", "microseconds since 1970 UTC"),
        _field("frame", pa.int32(), "index of that frame in its file, from 0"),
        _field("quality", pa.float32(), "higher is better", "0 to 1"),
        _field("embedding", VECTOR, "appearance", "unit length"),
    ],
)

DETECTIONS = _table(
    "detections",
    [
        _field("camera_id", pa.string(), "camera"),
        _field("segment_id", pa.string(), "video file the frame lies in"),
        _field("captured_at", INSTANT, "presentation instant of the frame", "microseconds since 1970 UTC"),
        _field("frame", pa.int32(), "index of the frame in its file, from 0"),
        _field("class", pa.string(), "COCO class"),
        _field("score", pa.float32(), "detector's confidence", "0 to 1"),
        _field("x1", pa.float32(), "left edge", "pixels"),
        _field("y1", pa.float32(), "top edge", "pixels"),
        _field("x2", pa.float32(), "right edge", "pixels"),
        _field("y2", pa.float32(), "bottom edge", "pixels"),
        _field("embedding", HALF_VECTOR, "appearance", "unit length, or zeros where it is unknown"),
    ],
)

FRAMES = _table(
    "frames",
    [
        _field("camera_id", pa.string(), "camera"),
        _field("segment_id", pa.string(), "video file the frame lies in"),
        _field("captured_at", INSTANT, "presentation instant", "microseconds since 1970 UTC"),
        _field("frame", pa.int32(), "index of the frame in its file, from 0"),
        _field(
            "camera_warp",
            WARP,
            "2x3 row by row, from the frame before to this one; null where the camera stands still",
            "pixels",
            nullable=True,
        ),
    ],
)

IDENTITIES = _table(
    "identities",
    [
        _field("tracklet_id", pa.string(), "object in one camera"),
        _field("identity_id", pa.string(), "one person or vehicle across cameras"),
        _field("confidence", pa.float32(), "belief that the tracklet belongs to its identity", "0 to 1"),
        _field("run_id", pa.string(), "digest of what the identities were made from"),
    ],
)

IDENTITY_EVIDENCE = _table(
    "identity_evidence",
    [
        _field("identity_id", pa.string(), "identity the merge belongs to"),
        _field("nth", pa.int32(), "order of the merges of a run, from 1"),
        _field("tracklet_a", pa.string(), "of the pair that tied the two sides most firmly, the one that began first"),
        _field("tracklet_b", pa.string(), "the other"),
        _field("camera_a", pa.string(), "camera of tracklet_a"),
        _field("camera_b", pa.string(), "camera of tracklet_b"),
        _field("similarity", pa.float32(), "of the two exemplar sets, camera bias removed", "-1 to 1"),
        _field("probability", pa.float32(), "that this pair is one object, by all that is known of it", "0 to 1"),
        _field(
            "merge_probability", pa.float32(), "that the two sides are one object, by all pairs between them", "0 to 1"
        ),
        _field("travel_s", pa.float64(), "start of b minus end of a; negative while both see the object", "seconds"),
        _field(
            "rule",
            pa.string(),
            '"look", "look and time", "look and ground", "returned" (after more than a travel window) or "person" '
            "(somebody merged them by hand)",
        ),
        _field("run_id", pa.string(), "digest of what the identities were made from"),
    ],
)

CALIBRATIONS = _table(
    "calibrations",
    [
        _field("class_group", pa.string(), '"person", "vehicle" or the class itself'),
        _field("rule", pa.string(), '"mixture", "few pairs" or "configured": where min_similarity came from'),
        _field("min_similarity", pa.float64(), "least average similarity to join by looks alone", "-1 to 1"),
        _field("stranger_mean", pa.float64(), "similarity of two different objects", "-1 to 1"),
        _field("stranger_sd", pa.float64(), "its spread; null where too few were known", nullable=True),
        _field("match_mean", pa.float64(), "similarity of one object in two cameras; null likewise", nullable=True),
        _field("match_sd", pa.float64(), "its spread; null likewise", nullable=True),
        _field("prior_log_odds", pa.float64(), "log odds that a possible pair is one object, before a look"),
        _field("n_tracklets", pa.int64(), "tracklets judged"),
        _field("n_pairs", pa.int64(), "pairs compared"),
        _field("search", pa.string(), "how neighbours were found: exact, or IVF with its parameters and recall"),
        _field("run_id", pa.string(), "digest of what the identities were made from"),
    ],
)

CAMERA_LOOKS = _table(
    "camera_looks",
    [
        _field("class_group", pa.string(), '"person", "vehicle" or the class itself'),
        _field("camera_id", pa.string(), "camera"),
        _field("tint", VECTOR, "what the camera adds to every embedding: subtract it, make the rest unit length"),
        _field("run_id", pa.string(), "digest of what the identities were made from"),
    ],
)

IDENTITY_DECISIONS = _table(
    "identity_decisions",
    [
        _field("decision_id", pa.string(), "name of the decision"),
        _field("decided_at", INSTANT, "when", "microseconds since 1970 UTC"),
        _field("kind", pa.string(), '"merge": the two are one; "split": the two are not one'),
        _field("tracklet_a", pa.string(), "one tracklet"),
        _field("tracklet_b", pa.string(), "the other"),
        _field("decided_by", pa.string(), "who decided, as given; else empty"),
        _field("note", pa.string(), "why, as given; else empty"),
    ],
)

THUMBNAILS = _table(
    "thumbnails",
    [
        _field("tracklet_id", pa.string(), "object in one camera"),
        _field("camera_id", pa.string(), "camera"),
        _field("captured_at", INSTANT, "frame it was cut from", "microseconds since 1970 UTC"),
        _field("frame", pa.int32(), "index of that frame in its file, from 0"),
        _field("x1", pa.float32(), "left edge of the box it was cut around", "pixels of the frame"),
        _field("y1", pa.float32(), "top edge", "pixels of the frame"),
        _field("x2", pa.float32(), "right edge", "pixels of the frame"),
        _field("y2", pa.float32(), "bottom edge", "pixels of the frame"),
        _field("width", pa.int32(), "of the picture", "pixels"),
        _field("height", pa.int32(), "of the picture", "pixels"),
        _field("heads_blurred", pa.bool_(), "true where the head was made unrecognisable before saving"),
        _field("jpeg", pa.binary(), "the picture as a JPEG file"),
    ],
)

STORED_CROSSINGS = _table(
    "stored_crossings",
    [
        _field("camera_id", pa.string(), "camera"),
        _field("line_id", pa.string(), "line crossed"),
        _field("is_forward", pa.bool_(), "true from left to right of the line"),
        _field("class", pa.string(), "class of the tracklet"),
        _field("tracklet_id", pa.string(), "who crossed"),
        _field("crossed_at", INSTANT, "instant of the crossing, between two frames", "microseconds since 1970 UTC"),
        _field("x", pa.float64(), "place of the box's anchor then", "pixels"),
        _field("y", pa.float64(), "place of the box's anchor then", "pixels"),
        _field("nth", pa.int32(), "first box beyond the line, from 1; null where time settles", nullable=True),
    ],
)

STORED_EXTENTS = _table(
    "stored_extents",
    [
        _field("camera_id", pa.string(), "camera"),
        _field("tracklet_id", pa.string(), "object in one camera"),
        _field("from_at", INSTANT, "first box of this piece of its track", "microseconds since 1970 UTC"),
        _field("until_at", INSTANT, "last one, which is the next piece's first", "microseconds since 1970 UTC"),
        _field("x1_least", pa.int32(), "no left edge of these boxes is less", "pixels"),
        _field("x1_most", pa.int32(), "nor more", "pixels"),
        _field("y1_least", pa.int32(), "no top edge of these boxes is less", "pixels"),
        _field("y1_most", pa.int32(), "nor more", "pixels"),
        _field("x2_least", pa.int32(), "no right edge of these boxes is less", "pixels"),
        _field("x2_most", pa.int32(), "nor more", "pixels"),
        _field("y2_least", pa.int32(), "no bottom edge of these boxes is less", "pixels"),
        _field("y2_most", pa.int32(), "nor more", "pixels"),
    ],
)

CAMERAS = _table(
    "cameras",
    [
        _field("camera_id", pa.string(), "camera"),
        _field("time_zone", pa.string(), "IANA zone of its wall clock"),
        _field("homography", pa.list_(pa.float64()), "3x3 row by row, pixels to metres", nullable=True),
        _field("config_digest", pa.string(), "digest of the camera's section"),
    ],
)

_ANCHOR = [
    _field("anchor_x", pa.float64(), "point of a box that counts, from its left edge", "share of its width"),
    _field("anchor_y", pa.float64(), "point of a box that counts, from its top edge", "share of its height"),
]
_DIRECTED = [
    _field("camera_id", pa.string(), "camera"),
    _field("line_id", pa.string(), "name of the line, unique in its camera"),
]
LINES = _table(
    "lines",
    [
        *_DIRECTED,
        _field("x1", pa.float64(), "first end", "pixels"),
        _field("y1", pa.float64(), "first end", "pixels"),
        _field("x2", pa.float64(), "second end", "pixels"),
        _field("y2", pa.float64(), "second end", "pixels"),
        _field("forward", pa.string(), "direction of who crosses from left to right of the line"),
        _field("backward", pa.string(), "the other direction"),
        _field("classes", pa.list_(pa.string()), "classes the line counts; null for every class", nullable=True),
        _field("length_m", pa.float64(), "length on the ground where calibrated", "metres", nullable=True),
        _field("gate_id", pa.string(), "gate the line is part of; its own name where it stands alone"),
        *_ANCHOR,
        _field(
            "settle_frames",
            pa.int32(),
            "boxes beyond the line after which a track may cross anew; null for 1 s of them",
            nullable=True,
        ),
        _field(
            "scale_error",
            pa.float64(),
            "relative standard deviation of ground distances across the line at its middle, by the calibration; "
            "null where it is not known",
            nullable=True,
        ),
    ],
)

ZONES = _table(
    "zones",
    [
        _field("camera_id", pa.string(), "camera"),
        _field("zone_id", pa.string(), "name of the zone, unique in its camera"),
        _field("x", pa.list_(pa.float64()), "corners", "pixels"),
        _field("y", pa.list_(pa.float64()), "corners", "pixels"),
        _field("area_sqm", pa.float64(), "area on the ground where calibrated", "square metres", nullable=True),
        *_ANCHOR,
    ],
)

LEDGER = _table(
    "ledger",
    [
        _field("segment_id", pa.string(), "unit of work"),
        _field("camera_id", pa.string(), "camera"),
        _field("url", pa.string(), "footage the unit was made from"),
        _field("status", pa.string(), '"done" or "quarantined"'),
        _field("reason", pa.string(), "why it was quarantined, else empty"),
        _field("key", pa.string(), "digest of all the unit depends on"),
        _field("fingerprint", pa.string(), "digest of the footage"),
        _field("config_digest", pa.string(), "digest of the sections that shape the rows"),
        _field("weights_digest", pa.string(), "digest of detector and embedder"),
        _field("state_in_digest", pa.string(), "tracker state received from the segment before, else empty"),
        _field("state_out_digest", pa.string(), "tracker state handed to the next segment, else empty"),
        _field(
            "started_at",
            INSTANT,
            "first frame; null where no clock could be read",
            "microseconds since 1970 UTC",
            nullable=True,
        ),
        _field("ended_at", INSTANT, "end of the last frame", "microseconds since 1970 UTC", nullable=True),
        _field("clock_source", pa.string(), "where the start came from"),
        _field("frames", pa.int64(), "frames processed"),
        _field("detections", pa.int64(), "detections kept"),
        _field("observations", pa.int64(), "rows written"),
        _field("tracklets", pa.int64(), "rows written"),
        _field("embeddings", pa.int64(), "rows written"),
        _field("decode_s", pa.float64(), "time in decoding", "seconds"),
        _field("detect_s", pa.float64(), "time in the detector", "seconds"),
        _field("embed_s", pa.float64(), "time in the embedder", "seconds"),
        _field("track_s", pa.float64(), "time in the tracker", "seconds"),
        _field("write_s", pa.float64(), "time in writing", "seconds"),
        _field("wall_s", pa.float64(), "whole unit", "seconds"),
        _field("bad_packets", pa.int64(), "damaged packets passed over in decoding"),
        _field("motion_unknown", pa.int64(), "frames in which how a moving camera moved could not be told"),
        _field("version", pa.string(), "version of the program that made it"),
        _field("finished_at", INSTANT, "when the unit was entered", "microseconds since 1970 UTC"),
        _field("footage", pa.string(), "footage that imported tracks are of, where it was named; else empty"),
        _field("footage_fingerprint", pa.string(), "digest of it; else empty"),
    ],
)

TABLES: dict[str, pa.Schema] = {
    "observations": OBSERVATIONS,
    "tracklets": TRACKLETS,
    "embeddings": EMBEDDINGS,
    "detections": DETECTIONS,
    "frames": FRAMES,
    "identities": IDENTITIES,
    "identity_evidence": IDENTITY_EVIDENCE,
    "calibrations": CALIBRATIONS,
    "camera_looks": CAMERA_LOOKS,
    "identity_decisions": IDENTITY_DECISIONS,
    "thumbnails": THUMBNAILS,
    "stored_crossings": STORED_CROSSINGS,
    "stored_extents": STORED_EXTENTS,
    "cameras": CAMERAS,
    "lines": LINES,
    "zones": ZONES,
    "ledger": LEDGER,
}
"""Every table of the lake by name."""

PER_SEGMENT = ("observations", "tracklets", "embeddings")
"""Tables with one file per segment under `date=.../camera=.../`; the ledger has one too, written last."""

KEPT = ("detections", "frames")
"""Tables with such files only where a run was told to keep detections; a segment's `frames` are written last."""

STORED = ("stored_extents", "stored_crossings")
"""Tables found from the others and kept to be found once; their files' names say what they were made from."""

IDENTITY_TABLES = ("identities", "identity_evidence", "calibrations", "camera_looks", "identity_decisions")
"""What identifying leaves; views over those after the first show only what belongs to the identities there are."""

PICTURED = ("thumbnails",)
"""Tables with such files only where a run was told to keep thumbnails; a unit's are always of its rows."""
