"""A training that goes step by step: its log, its checkpoints and its word to the user, whatever is trained."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from pipeline.errors import UserError
from pipeline.perception.networks.one_shot import SIZE_MULTIPLE
from pipeline.training import checkpoint
from pipeline.training.log import Board, write_csv
from pipeline.training.one_shot_batches import Batches

PRECISIONS = ("float32", "bfloat16")
"""In which a training may compute."""
LOG_EVERY = 20
KEPT_EVERY = 200
"""Steps after which a checkpoint is written; ten times in a short run."""
AVERAGE_OVER = 500
"""Steps the running average of the weights looks back, at most; less in the beginning (Polyak and Juditsky 1992)."""


@dataclass(frozen=True)
class Step:
    """What is told of a step."""

    step: int
    steps: int
    losses: dict[str, float]
    pictures_per_s: float


class Run(ABC):
    """What changes while something is trained.

    changing   names of the attributes with a state dict that change with every step
    batches    where its batches come from
    done       steps behind it
    signature  digest of all that must be equal for a killed training to go on
    """

    changing: ClassVar[tuple[str, ...]]
    batches: Batches
    done: int = 0
    signature: str

    @abstractmethod
    def step(self) -> dict[str, float]:
        """Learn from the next batch; returns the losses before it, "loss" their sum."""

    @abstractmethod
    def write(self, path: Path) -> None:
        """Write the weights as they are used in the night."""

    def state(self, rows: list[dict[str, float]]) -> dict[str, Any]:
        """Return all that a resumed run needs; `rows` is the log so far."""
        parts = {name: getattr(self, name).state_dict() for name in self.changing}
        return {"done": self.done, "rows": rows, **parts}

    def restore(self, state: dict[str, Any] | None) -> list[dict[str, float]]:
        """Go on from a state, or begin where there is none; returns the log so far."""
        if state is None:
            return []
        for name in self.changing:
            getattr(self, name).load_state_dict(state[name])
        self.done = state["done"]
        return state["rows"]

    def close(self) -> None:
        """Let go of what makes batches."""
        self.batches.close()


def check_options(size_hw: tuple[int, int], precision: str) -> None:
    """Raise UserError where --height and --width are no multiples of SIZE_MULTIPLE, or --precision is none there is."""
    for option, pixels in zip(("--height", "--width"), size_hw, strict=True):
        if pixels % SIZE_MULTIPLE:
            raise UserError(f"{option}: expected a multiple of {SIZE_MULTIPLE}, got {pixels}")
    if precision not in PRECISIONS:
        raise UserError(f"--precision: expected {' or '.join(PRECISIONS)}, got {precision!r}")


def begin(out: Path, *, resume: bool) -> None:
    """Raise UserError where the folder `out` holds a training that is not to be resumed."""
    if (out / checkpoint.NAME).exists() and not resume:
        raise UserError(f"{out}: a training is there already; add --resume to go on with it, or give another --out")


def make_folder(out: Path) -> None:
    """Make the folder of a training. Raises UserError where that is not possible."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out}: cannot be made: {error.strerror or error}; give another --out") from None


def lead(
    run: Run,
    rows: list[dict[str, float]],
    weights: Path,
    *,
    steps: int,
    pictures: int,
    rate: float,
    tell: Callable[[Step], None],
) -> Path:
    """Take all steps of `steps` that are left; returns `weights`, the file they are written to.

    rows      the log of the steps before
    pictures  of a batch, for the speed that is told
    rate      highest learning rate, for what is said where it was too high

    Raises UserError where the loss becomes infinite.
    """
    out, started_at = weights.parent, run.done
    board = Board(out, after_epoch=started_at)
    began_s = time.monotonic()
    try:
        while run.done < steps:
            losses = run.step()
            if not math.isfinite(losses["loss"]):
                raise UserError(
                    f"{out}: the loss is no number any more after step {run.done}; train with a lower --rate than "
                    f"{rate:g}"
                )
            if run.done % LOG_EVERY == 0 or run.done == steps:
                rows.append({"epoch": run.done, **losses})
                board.add(rows[-1])
                write_csv([{"step" if name == "epoch" else name: v for name, v in row.items()} for row in rows], out)
                speed = (run.done - started_at) * pictures / (time.monotonic() - began_s)
                tell(Step(run.done, steps, losses, speed))
            if run.done % max(1, min(KEPT_EVERY, steps // 10)) == 0 and run.done < steps:
                checkpoint.save(out, run.signature, run.state(rows))
                run.write(weights)
    finally:
        run.close()
        board.close()
    run.write(weights)
    # Kept, so that the same command again does nothing, and another one does not write over it.
    checkpoint.save(out, run.signature, run.state(rows))
    return weights


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, step: int) -> None:
    """Move the average a little towards the network at a step; counters and batch norm's statistics with it."""
    share = max(1 / (step + 1), 1 / AVERAGE_OVER)
    for mine, theirs in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, share)
        else:
            mine.copy_(theirs)
