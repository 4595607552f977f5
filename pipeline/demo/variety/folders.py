"""Training pictures on disk: folders in MOTChallenge's form, one for each camera of each world."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from pipeline.demo.scene import Seen
from pipeline.demo.truth import Sightings, listed

CLASS_NAMES = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
SMALLEST_PX = 8.0
"""Less high than this, nothing can be told from a stain: such rows are to be ignored."""


class Sequence:
    """Writes one camera's pictures and truth into DATA/<world>/<sequence>.

    A row's box is amodal and cut to the picture; its confidence is 1 where truth.py would list it. It is 0,
    to be ignored, where the middle of its uncut box is outside, less than LISTED_FROM is to be seen, or it is tiny.
    """

    def __init__(self, folder: Path, size: tuple[int, int], kinds: list[str]) -> None:
        self.folder, self.size, self.kinds = folder, size, kinds
        self.frames = self.boxes = 0
        self._rows = io.StringIO()
        (folder / "img1").mkdir(parents=True)
        (folder / "gt").mkdir()

    def add(self, picture: np.ndarray, seen: list[Seen], quality: int) -> None:
        """Append a picture (H, W, 3) uint8 RGB as JPEG of `quality` with what is in it."""
        self.frames += 1
        path = self.folder / "img1" / f"{self.frames:06}.jpg"
        coded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        path.write_bytes(coded.tobytes())
        found = Sightings(
            frame=np.full(len(seen), self.frames - 1, np.int64),
            object_index=np.array([s.index for s in seen], np.int64),
            xyxy=np.array([s.xyxy for s in seen], np.float64).reshape(-1, 4),
            visibility=np.array([s.visibility for s in seen], np.float64),
        )
        certain = listed(found, *self.size)
        for row in np.flatnonzero(found.visibility > 0):
            x1, y1, x2, y2 = np.clip(found.xyxy[row], 0, (*self.size, *self.size))
            if x2 - x1 < 1 or y2 - y1 < 1:
                continue
            index = int(found.object_index[row])
            sure = int(certain[row] and y2 - y1 >= SMALLEST_PX)
            self.boxes += sure
            self._rows.write(
                f"{self.frames},{index + 1},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{sure},"
                f"{CLASS_NAMES.index(self.kinds[index]) + 1},{found.visibility[row]:.4f}\n"
            )

    def close(self) -> None:
        """Write gt.txt and seqinfo.ini; a sequence without the latter is not finished."""
        (self.folder / "gt" / "gt.txt").write_text(self._rows.getvalue(), encoding="utf-8")
        (self.folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={self.folder.name}\nimDir=img1\nframeRate=1\nseqLength={self.frames}\n"
            f"imWidth={self.size[0]}\nimHeight={self.size[1]}\nimExt=.jpg\nclassNames={','.join(CLASS_NAMES)}\n",
            encoding="utf-8",
        )
