"""Who does what next: a state machine without I/O. An event goes in, plain instructions come out.

Both executors feed it: the local one with a single worker, the Ray one with many. Within a shift units run in order,
because each continues the tracker state of the one before; shifts are independent and pulled longest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.execution.plan import FRESH, Shift, Unit, is_current
from pipeline.lake.ledger import LedgerEntry


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker has loaded its models."""

    worker: int


@dataclass(frozen=True, slots=True)
class UnitFinished:
    """A worker entered a unit in the ledger, done or quarantined."""

    worker: int
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker's process is gone, whatever it was doing."""

    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class QuarantineEntered:
    """The driver entered a quarantine it was told to."""

    entry: LedgerEntry


Event = WorkerReady | UnitFinished | WorkerDied | QuarantineEntered


@dataclass(frozen=True, slots=True)
class Assign:
    """Let the worker process the unit, with the state of this digest."""

    worker: int
    unit: Unit
    state_in_digest: str


@dataclass(frozen=True, slots=True)
class Skip:
    """The unit turned out to be done already."""

    unit: Unit
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Give the unit up: it took too many workers with it."""

    unit: Unit
    state_in_digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Start a new worker under this number."""

    worker: int


Instruction = Assign | Skip | Quarantine | Replace


@dataclass(slots=True)
class _Progress:
    """How far one shift has come."""

    shift: Shift
    position: int = 0
    state: str = FRESH
    attempts: int = 0
    taken: bool = False

    @property
    def unit(self) -> Unit:
        return self.shift.units[self.position]

    @property
    def over(self) -> bool:
        return self.position >= len(self.shift.units)

    def state_in(self) -> str:
        """Digest of the state the unit at hand receives."""
        return self.unit.received(self.state)

    def work_left(self) -> float:
        """Pixels still to be looked at, in units that only matter against each other."""
        units = self.shift.units[self.position :]
        return sum(u.segment.duration_us * u.segment.fps * u.segment.width_px * u.segment.height_px for u in units)


@dataclass(slots=True)
class Schedule:
    """The run's state. `attempts` is how many workers a unit may take with it before it is given up."""

    shifts: Iterable[Shift]
    ledger: Mapping[str, LedgerEntry]
    attempts: int
    _open: dict[str, _Progress] = field(init=False)
    _busy: dict[int, str] = field(init=False, default_factory=dict)
    _idle: list[int] = field(init=False, default_factory=list)
    _skipped: list[Skip] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._open = {shift.camera_id: _Progress(shift) for shift in self.shifts}
        for progress in list(self._open.values()):
            self._pass_over_done(progress)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return not self._open

    def start(self) -> list[Instruction]:
        """Return the skips that are known before any worker exists."""
        return self._drain_skips()

    def handle(self, event: Event) -> list[Instruction]:
        """Take in what happened and return what to do, in order."""
        out: list[Instruction] = []
        match event:
            case WorkerReady(worker):
                self._idle.append(worker)
            case UnitFinished(worker, entry):
                self._advance(self._open[self._busy.pop(worker)], entry)
                self._idle.append(worker)
            case QuarantineEntered(entry):
                self._advance(self._open[entry.camera_id], entry)
            case WorkerDied(worker, reason):
                out += self._bury(worker, reason)
        return out + self._drain_skips() + self._dispatch()

    def _advance(self, progress: _Progress, entry: LedgerEntry) -> None:
        """Step over the unit just entered, and over those after it that are done already."""
        progress.position += 1
        progress.state = entry.state_out_digest
        progress.attempts = 0
        progress.taken = False
        self._pass_over_done(progress)

    def _pass_over_done(self, progress: _Progress) -> None:
        while not progress.over:
            entry = self.ledger.get(progress.unit.segment.segment_id)
            if not is_current(progress.unit, progress.state_in(), entry):
                return
            self._skipped.append(Skip(progress.unit, entry))
            progress.position += 1
            progress.state = entry.state_out_digest
        del self._open[progress.shift.camera_id]

    def _bury(self, worker: int, reason: str) -> list[Instruction]:
        """Replace a dead worker; give its unit back, or up."""
        if worker in self._idle:
            self._idle.remove(worker)
        camera = self._busy.pop(worker, None)
        if camera is None:
            return [Replace(worker)] if not self.finished else []
        progress = self._open[camera]
        progress.attempts += 1
        if progress.attempts < self.attempts:
            progress.taken = False
            return [Replace(worker)]
        why = f"{progress.attempts} workers died while processing it, the last one: {reason}"
        return [Quarantine(progress.unit, progress.state_in(), why), Replace(worker)]

    def _dispatch(self) -> list[Instruction]:
        """Give the longest free shift to the lowest idle worker, until one of them runs out."""
        out: list[Instruction] = []
        free = [progress for progress in self._open.values() if not progress.taken]
        free.sort(key=lambda progress: (-progress.work_left(), progress.shift.camera_id))
        self._idle.sort()
        for progress in free[: len(self._idle)]:
            worker = self._idle.pop(0)
            progress.taken = True
            self._busy[worker] = progress.shift.camera_id
            out.append(Assign(worker, progress.unit, progress.state_in()))
        return out

    def _drain_skips(self) -> list[Instruction]:
        skips, self._skipped = self._skipped, []
        return list(skips)
