"""Which layout a file has: all that are known, in the order in which they are tried."""

from __future__ import annotations

from pipeline.perception.layouts.darknet import Darknet, Yolov3, Yolov3Suppressed
from pipeline.perception.layouts.detr import DeformableDetr, Detr, RfDetr, RtDetr, RtDetrBoxes
from pipeline.perception.layouts.layout import Layout, Signature
from pipeline.perception.layouts.one_shot import OneShot
from pipeline.perception.layouts.yolo import Yolov5, Yolov8, Yolov10
from pipeline.perception.layouts.yolox import Yolox, YoloxDecoded

LAYOUTS: tuple[type[Layout], ...] = (
    OneShot,
    RtDetrBoxes,
    Yolov3Suppressed,
    Detr,
    DeformableDetr,
    RtDetr,
    RfDetr,
    Darknet,
    Yolov3,
    Yolox,
    YoloxDecoded,
    Yolov5,
    Yolov8,
    Yolov10,
)
"""Those with telling names first; those told by a shape that others could have too, last."""


def by_name(name: str) -> type[Layout]:
    """Return a layout by its name."""
    return next(layout for layout in LAYOUTS if layout.name == name)


def recognised(signature: Signature) -> type[Layout] | None:
    """Return the first layout that a network looks like, None where it looks like none."""
    return next((layout for layout in LAYOUTS if layout.recognises(signature)), None)


def unrecognised(signature: Signature) -> str:
    """Return what to write in `layout:` for a network that looks like none, in words."""
    if signature.output("logits", "pred_logits") is not None and signature.output("pred_boxes") is not None:
        return "write `layout:` detr, deformable-detr or rt-detr, whichever it is: by its classes it could be any"
    names = ", ".join(layout.name for layout in LAYOUTS)
    return f"it looks like none of the known layouts; if it is one, write `layout:` {names} (docs/detectors.md)"
