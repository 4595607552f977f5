"""The thin shell around the schedule: passes events in, carries instructions out, reports progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pipeline.config import FleetConfig
from pipeline.execution.plan import Unit
from pipeline.execution.progress import Progress
from pipeline.execution.scheduling import (
    Assign,
    Event,
    Instruction,
    Quarantine,
    QuarantineEntered,
    Replace,
    Schedule,
    Skip,
    UnitFinished,
    WorkerDied,
)
from pipeline.execution.shift import RETRY_KEY, quarantine_unit
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake

POLL_S = 0.5
"""How often progress inside long segments is asked for."""


class Workers(Protocol):
    """Where units are processed: in this process, or in Ray actors."""

    def start(self, worker: int) -> None:
        """Start (or start again) the worker of this number; it answers with WorkerReady when its models are loaded."""

    def assign(self, worker: int, unit: Unit, state_in_digest: str) -> None:
        """Hand the worker a unit; it answers with UnitFinished."""

    def wait(self, timeout_s: float) -> list[Event]:
        """Return what has happened, after at most `timeout_s` seconds."""

    def frames_in_flight(self) -> dict[int, int]:
        """Return frames done so far of the unit each worker is at."""

    def close(self) -> None:
        """Stop every worker."""


def drive(
    schedule: Schedule,
    workers: Workers,
    n_workers: int,
    *,
    config: FleetConfig,
    lake: Lake,
    progress: Progress,
) -> tuple[list[LedgerEntry], list[LedgerEntry]]:
    """Run a schedule to its end. Returns the ledger entries made, and those of units found done already."""
    made: list[LedgerEntry] = []
    found: list[LedgerEntry] = []

    def carry_out(instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Assign(worker, unit, state_in_digest):
                    progress.unit_started(worker, unit.segment)
                    workers.assign(worker, unit, state_in_digest)
                case Replace(worker):
                    workers.start(worker)
                case Skip(_, entry):
                    found.append(entry)
                    progress.unit_skipped(entry)
                case Quarantine(unit, state_in_digest, reason):
                    entry = quarantine_unit(unit, state_in_digest, reason, key=RETRY_KEY, config=config, lake=lake)
                    take_in(QuarantineEntered(entry))

    def take_in(event: Event) -> None:
        match event:
            case UnitFinished(_, entry) | QuarantineEntered(entry):
                made.append(entry)
                progress.unit_finished(entry)
            case WorkerDied(worker, reason):
                progress.worker_died(worker, reason)
        carry_out(schedule.handle(event))

    carry_out(schedule.start())
    try:
        if not schedule.finished:
            for worker in range(n_workers):
                workers.start(worker)
        while not schedule.finished:
            for event in workers.wait(POLL_S):
                take_in(event)
            progress.frames_in_flight(workers.frames_in_flight())
    finally:
        workers.close()
    return made, found


def run_schedule(schedule: Schedule, open_workers: Callable[[], tuple[Workers, int]], **context) -> tuple:
    """Drive a schedule, starting workers only if there is anything to do; `context` is passed to `drive`."""
    if schedule.finished:
        return drive(schedule, _NoWorkers(), 0, **context)
    workers, n_workers = open_workers()
    return drive(schedule, workers, n_workers, **context)


class _NoWorkers:
    """Stands in where everything is done already."""

    def close(self) -> None:
        return None
