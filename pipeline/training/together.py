"""Several processes that train one network: each learns from its part of a batch, and all take the mean step.

On a processor two processes of one thread each get through twice the pictures of one process of two threads: small
networks have too little to do in an operation to share it.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

from pipeline.errors import UserError
from pipeline.perception.device import settle

PATIENCE = timedelta(minutes=10)
"""So long one waits for another to start, or to be done with its part of a batch."""

ENDING_S = 1.0
"""So long a process that lost its connections may take to end."""


@dataclass(frozen=True)
class Share:
    """Which of `count` processes this is; 0 is the one that writes and tells."""

    rank: int = 0
    count: int = 1

    def part(self, n: int) -> slice:
        """Return which of n things are this process's, all processes having equally many."""
        each = n // self.count
        return slice(self.rank * each, (self.rank + 1) * each)


@contextmanager
def helpers(count: int, assist: Callable[..., None], *args: Any) -> Iterator[Share]:
    """Start `count` - 1 processes that call assist(share, *args), and be the first of them all meanwhile.

    Raises UserError where one of them ends before its time.
    """
    if count == 1:
        yield Share()
        return
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="nightfleet-train-") as folder:
        where = str(Path(folder) / "meeting")
        work = [(Share(rank, count), where, torch.get_num_threads(), assist, args) for rank in range(1, count)]
        processes = [context.Process(target=_help, args=one, daemon=True) for one in work]
        for process in processes:
            process.start()
        try:
            _join(Share(0, count), where)
            yield Share(0, count)
        except RuntimeError as error:  # what torch says of a connection that broke
            for process in processes:
                process.join(ENDING_S)  # its connections go before it does
            if all(process.is_alive() for process in processes):
                raise
            raise UserError(
                f"one of the {count} processes that train together ended ({error}); give --processes 1, or make room "
                "in memory, and add --resume to go on"
            ) from None
        finally:
            _leave()
            for process in processes:
                process.terminate()
                process.join()


def _help(share: Share, where: str, threads: int, assist: Callable[..., None], args: tuple) -> None:
    """Be one of the other processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one ends them
    settle(threads)
    _join(share, where)
    try:
        assist(share, *args)
    except RuntimeError:  # the first one is gone, and has said why
        return
    finally:
        _leave()


def _join(share: Share, where: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{where}", rank=share.rank, world_size=share.count, timeout=PATIENCE
    )


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def meet(share: Share) -> None:
    """Wait until all processes are here."""
    if share.count > 1:
        distributed.barrier()


@torch.no_grad()
def average(share: Share, tensors: list[torch.Tensor]) -> None:
    """Give these tensors, float32, in every process the mean over all of them; equal to the last bit everywhere."""
    if share.count == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    flat /= share.count
    for tensor, values in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(values.view(tensor.shape))
