"""The log of a training: one row an epoch, as CSV, and for TensorBoard where that is installed."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import UserError

CSV_NAME = "log.csv"
BOARD_NAME = "tensorboard"

Row = Mapping[str, float]


def write_csv(rows: Sequence[Row], folder: Path) -> None:
    """Write all rows anew, so that what a broken-off training logged after its checkpoint is gone."""
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
    temporary = folder / f".{CSV_NAME}.{os.getpid()}"
    try:
        temporary.write_text(text.getvalue(), encoding="utf-8")
        os.replace(temporary, folder / CSV_NAME)
    except OSError as error:
        raise UserError(f"{folder / CSV_NAME}: cannot be written: {error.strerror}; give another --out") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


class Board:
    """TensorBoard's event files; nothing where the package tensorboard is not installed."""

    def __init__(self, folder: Path, *, after_epoch: int) -> None:
        """after_epoch: later rows of an earlier run are hidden, as they are about to come again."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._writer = None
        else:
            self._writer = SummaryWriter(str(folder / BOARD_NAME), purge_step=after_epoch + 1)

    @property
    def is_kept(self) -> bool:
        """Whether anything is written."""
        return self._writer is not None

    def add(self, row: Row) -> None:
        """Add the row of an epoch, which its value `epoch` numbers."""
        if self._writer is not None:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, int(row["epoch"]))
            self._writer.flush()

    def close(self) -> None:
        """Close the files."""
        if self._writer is not None:
            self._writer.close()
