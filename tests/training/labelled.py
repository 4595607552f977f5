"""Small labelled folders for tests: grey pictures with coloured oblongs, each colour an identity."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.training import stepping


class KilledError(Exception):
    """Stands for whatever ends a training before its time."""


def kill_at(monkeypatch: pytest.MonkeyPatch, run: type[stepping.Run], step: int) -> None:
    """Have runs of this kind die before a step, until `monkeypatch.undo`."""
    take = run.step

    def killed(self: stepping.Run) -> dict[str, float]:
        if self.done == step:
            raise KilledError
        return take(self)

    monkeypatch.setattr(run, "step", killed)


HEADER = "[Sequence]\nname={name}\nframeRate=10\nseqLength={n}\nimWidth={w}\nimHeight={h}\nimDir=img1\nimExt=.jpg\n"
CLASS_NAMES = "classNames=person,car\n"


def write_sequence(folder: Path, *, seed: int, n_frames: int, size_wh: tuple[int, int] = (160, 96)) -> None:
    """Write a sequence in which a tall red person and a wide blue car move; their ids are 1 and 2."""
    rng = np.random.default_rng(seed)
    width, height = size_wh
    (folder / "img1").mkdir(parents=True)
    (folder / "gt").mkdir()
    lines = []
    start = rng.uniform(10, 30, 2)
    for number in range(1, n_frames + 1):
        picture = np.full((height, width, 3), 120, np.uint8)
        picture += rng.integers(0, 12, picture.shape, dtype=np.uint8)
        boxes = ((1, 1, start[0] + 6 * number, 20.0, 14.0, 40.0), (2, 2, 90.0, start[1] + 3 * number, 44.0, 22.0))
        for identity, class_no, x, y, w, h in boxes:
            colour = (40, 40, 200) if identity == 1 else (200, 60, 30)
            cv2.rectangle(picture, (round(x), round(y)), (round(x + w) - 1, round(y + h) - 1), colour, -1)
            lines.append(f"{number},{identity},{round(x)},{round(y)},{w:.0f},{h:.0f},1,{class_no},1\n")
        cv2.imwrite(str(folder / "img1" / f"{number:06d}.jpg"), picture)
    (folder / "gt" / "gt.txt").write_text("".join(lines))
    info = HEADER.format(name=folder.name, n=n_frames, w=width, h=height) + CLASS_NAMES
    (folder / "seqinfo.ini").write_text(info)
