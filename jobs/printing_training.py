"""How far a training is: a bar with the time left on a terminal, JSON lines otherwise."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:  # PyTorch comes with it, which other commands need not wait for
    from pipeline.training.stepping import Step


class TrainingProgress:
    """Hears of each step that is told; a context, at whose end the bar goes away."""

    def __init__(self, *, quiet: bool) -> None:
        """quiet  say nothing on a terminal, where the result is JSON"""
        self._bar: Progress | None = None
        self._tell: Callable[[int, int, dict[str, float], float], None] = self._line
        if sys.stderr.isatty():
            self._tell = self._nothing if quiet else self._move

    def __enter__(self) -> TrainingProgress:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._bar:
            self._bar.stop()

    def __call__(self, at: Step) -> None:
        """Tell of a step."""
        self._tell(at.step, at.steps, at.losses, at.pictures_per_s)

    def _nothing(self, *_: object) -> None: ...

    def _line(self, step: int, steps: int, losses: dict[str, float], pictures_per_s: float) -> None:
        shown = {name: round(value, 4) for name, value in losses.items()}
        line = {"event": "training", "step": step, "steps": steps, **shown, "pictures_per_s": round(pictures_per_s, 2)}
        print(json.dumps(line), file=sys.stderr, flush=True)

    def _move(self, step: int, steps: int, losses: dict[str, float], pictures_per_s: float) -> None:
        if self._bar is None:
            columns = (TextColumn("training"), BarColumn(), TextColumn("step {task.completed}/{task.total}"))
            times = (TextColumn("{task.fields[losses]}"), TimeElapsedColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, *times, console=Console(stderr=True))
            self._bar.add_task("training", total=steps, losses="")
            self._bar.start()
        text = f"loss {losses['loss']:.3f}, {pictures_per_s:.0f} pictures/s"  # all that 80 columns have room for
        self._bar.update(self._bar.task_ids[0], completed=step, losses=text)


def epoch(row: dict[str, float]) -> None:
    """Tell of an epoch of an embedder's training: a line on a terminal, a JSON line otherwise."""
    if not sys.stderr.isatty():
        shown = {name: round(value, 6) for name, value in row.items()}
        print(json.dumps({"event": "epoch", **shown}), file=sys.stderr, flush=True)
        return
    losses = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items() if name.startswith("loss")
    )
    print(
        f"round {row['round']:.0f}, epoch {row['epoch']:.0f} of {row['epochs']:.0f}: {losses}; validation mAP "
        f"{100 * row['mAP']:.1f} %; {row['wall_s']:.0f} s",
        file=sys.stderr,
        flush=True,
    )


def embedder(result: dict) -> None:
    """Print what came of an embedder's training, and how it is used."""
    print(
        f"{result['crops']} crops of {result['identities']} identities ({result['kind']}); validated with "
        f"{result['validation_crops']} of {result['validation_identities']}; {result['parameters']} parameters"
    )
    for one in result["rounds"]:
        start, scores = one["start"], one["scores"]
        for name in scores:
            before, after = 100 * start[name], 100 * scores[name]
            print(f"round {one['round']}, {name.replace('_', ' ')}: {before:.1f} % -> {after:.1f} %")
        ended = ", stopped early" if one["stopped_early"] else ""
        print(f"round {one['round']}: best after epoch {one['best_epoch']} of {one['epochs']}{ended}")
    for note in result["notes"]:
        print(f"note: {note}")
    use = f"trained:{result['weights']}"
    print(f"weights: {result['weights']}; to use them, set\n  models: {{embedder: {{use: '{use}'}}}}")


def calibrated(result: dict) -> None:
    """Print what scores said, and what they say now."""
    for name in ("before", "after"):
        print(f"{name} calibration: of boxes scored so, so many are right")
        for row in result[name]:
            print(
                f"  {row['from']:.2f} to {row['to']:.2f}  mean {row['mean_score']:.2f}  right {row['right']:.2f}  "
                f"of {row['boxes']}"
            )
    print(f"{result['pictures']} pictures; weights: {result['out']}")
