"""Progress of a run: a bar with an ETA on a terminal, JSON lines elsewhere, silence where asked for."""

from __future__ import annotations

import json
import sys
import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from pipeline.lake.ledger import LedgerEntry
from pipeline.types import Segment


class Progress(Protocol):
    """What hears of a run's progress. The driver calls it; it never answers."""

    def begin(self, segments: list[Segment]) -> None:
        """The run is about to process these."""

    def unit_started(self, worker: int, segment: Segment) -> None:
        """A worker took a segment."""

    def unit_skipped(self, entry: LedgerEntry) -> None:
        """A segment was found done."""

    def unit_finished(self, entry: LedgerEntry) -> None:
        """A segment was entered in the ledger."""

    def worker_died(self, worker: int, reason: str) -> None:
        """A worker is gone and will be replaced."""

    def frames_in_flight(self, frames: dict[int, int]) -> None:
        """Frames done so far of the segment each worker is at."""

    def stage(self, name: str) -> None:
        """A stage other than the segments began (starting workers, identities, ...)."""

    def rendering(self, frames_done: int, frames: int) -> None:
        """The demo's town is being rendered."""

    def making(self, what: str, done_s: float, total_s: float) -> None:
        """A video is being made: seconds of footage done, of all."""

    def end(self) -> None:
        """The run is over."""


class _Footage:
    """Seconds of footage done, for the share and the ETA."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self.done_s = 0.0
        self._duration_s: dict[str, float] = {}
        self._at: dict[int, Segment] = {}
        self._part_s: dict[int, float] = {}

    def begin(self, segments: list[Segment]) -> None:
        self._duration_s = {s.segment_id: s.duration_us / 1e6 for s in segments}
        self.total_s = sum(self._duration_s.values())

    def start(self, worker: int, segment: Segment) -> None:
        self._at[worker] = segment
        self._part_s[worker] = 0.0

    def finish(self, segment_id: str) -> None:
        self.done_s += self._duration_s.pop(segment_id, 0.0)
        for worker, segment in list(self._at.items()):
            if segment.segment_id == segment_id:
                del self._at[worker], self._part_s[worker]

    def die(self, worker: int) -> None:
        self._at.pop(worker, None)
        self._part_s.pop(worker, None)

    def in_flight(self, frames: dict[int, int]) -> None:
        for worker, n_frames in frames.items():
            if worker in self._at:
                segment = self._at[worker]
                self._part_s[worker] = min(n_frames / segment.fps, segment.duration_us / 1e6)

    @property
    def now_s(self) -> float:
        return min(self.done_s + sum(self._part_s.values()), self.total_s)


class TerminalProgress:
    """One bar over the seconds of footage, with an ETA."""

    def __init__(self, console: Console | None = None) -> None:
        self._footage = _Footage()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        self._console = console or Console(stderr=True)
        self._bar = RichProgress(*columns, console=self._console)
        self._task = None
        self._rendering = None
        self._making = None

    def begin(self, segments: list[Segment]) -> None:
        """Draw the bar."""
        self._footage.begin(segments)
        self._bar.start()
        self._task = self._bar.add_task("starting", total=max(self._footage.total_s, 1e-9), unit="s of footage")

    def rendering(self, frames_done: int, frames: int) -> None:
        """Draw a bar of its own for the rendering."""
        if self._rendering is None:
            self._bar.start()
            self._rendering = self._bar.add_task("rendering the town", total=frames, unit="frames")
        self._bar.update(self._rendering, completed=frames_done)

    def making(self, what: str, done_s: float, total_s: float) -> None:
        """Draw a bar of its own for the videos."""
        if self._making is None:
            self._bar.start()
            self._making = self._bar.add_task("", total=total_s, unit="s of footage")
        self._bar.update(self._making, completed=min(done_s, total_s), total=total_s, description=escape(what))

    def unit_started(self, worker: int, segment: Segment) -> None:
        """Name the segment."""
        self._footage.start(worker, segment)
        self._show(segment.segment_id)

    def unit_skipped(self, entry: LedgerEntry) -> None:
        """Count it as done."""
        self._footage.finish(entry.segment_id)
        self._show()

    def unit_finished(self, entry: LedgerEntry) -> None:
        """Move the bar; say so where a segment was quarantined."""
        self._footage.finish(entry.segment_id)
        if entry.status == "quarantined":
            told = escape(f"{entry.segment_id}: {entry.reason}")
            self._bar.console.print(f"[yellow]quarantined[/] {told}", highlight=False, emoji=False)
        self._show()

    def worker_died(self, worker: int, reason: str) -> None:
        """Say that a worker is replaced."""
        self._footage.die(worker)
        self._bar.console.print(f"[yellow]worker {worker} died and is replaced[/]: {escape(reason)}", highlight=False)

    def frames_in_flight(self, frames: dict[int, int]) -> None:
        """Move the bar inside segments."""
        self._footage.in_flight(frames)
        self._show()

    def stage(self, name: str) -> None:
        """Name the stage."""
        self._show(name)

    def end(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()

    def _show(self, description: str | None = None) -> None:
        if self._task is not None:
            extra = {} if description is None else {"description": escape(description)}
            self._bar.update(self._task, completed=self._footage.now_s, **extra)


class JsonProgress:
    """One JSON object a line, on stderr: for logs and for other programs. Progress inside segments every 10 seconds."""

    EVERY_S = 10.0

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._footage = _Footage()
        self._began = time.monotonic()
        self._said = self._began
        self._taken: dict[str, float] = {}

    def begin(self, segments: list[Segment]) -> None:
        """Say how much there is."""
        self._footage.begin(segments)
        self._say("begin", segments=len(segments), footage_s=round(self._footage.total_s, 1))

    def unit_started(self, worker: int, segment: Segment) -> None:
        """Say which worker took which segment."""
        self._footage.start(worker, segment)
        self._taken[segment.segment_id] = time.monotonic()
        self._say("segment_started", worker=worker, segment_id=segment.segment_id)

    def unit_skipped(self, entry: LedgerEntry) -> None:
        """Count it as done."""
        self._footage.finish(entry.segment_id)

    def unit_finished(self, entry: LedgerEntry) -> None:
        """Say how it ended, with the share done and the ETA.

        `wall_s` is what this took: an entry of an earlier run, to which thumbnails were added, holds what that took.
        """
        self._footage.finish(entry.segment_id)
        taken = self._taken.pop(entry.segment_id, None)
        wall_s = round(entry.wall_s if taken is None else time.monotonic() - taken, 2)
        reason = {"reason": entry.reason} if entry.reason else {}
        facts = {"segment_id": entry.segment_id, "status": entry.status, **reason}
        self._say("segment_finished", **facts, frames=entry.frames, wall_s=wall_s, **self._share())

    def worker_died(self, worker: int, reason: str) -> None:
        """Say that a worker is replaced."""
        self._footage.die(worker)
        self._say("worker_died", worker=worker, reason=reason)

    def frames_in_flight(self, frames: dict[int, int]) -> None:
        """Say where we are, now and then."""
        self._footage.in_flight(frames)
        if time.monotonic() - self._said >= self.EVERY_S:
            self._say("progress", **self._share())

    def stage(self, name: str) -> None:
        """Say which stage began."""
        self._say("stage", name=name)

    def rendering(self, frames_done: int, frames: int) -> None:
        """Say where the rendering is, now and then, and when it is done."""
        if frames_done == frames or time.monotonic() - self._said >= self.EVERY_S:
            self._say("rendering", frames=frames_done, of=frames)

    def making(self, what: str, done_s: float, total_s: float) -> None:
        """Say where the videos are, now and then, with the ETA."""
        if time.monotonic() - self._said >= self.EVERY_S:
            elapsed_s, share = time.monotonic() - self._began, done_s / total_s if total_s else 1.0
            left_s = None if share <= 0 else round(elapsed_s * (1 - share) / share, 1)
            self._say("making", what=what, share=round(share, 4), eta_s=left_s)

    def end(self) -> None:
        """Say that it is over."""
        self._say("end")

    def _share(self) -> dict:
        now_s, elapsed_s = self._footage.now_s, time.monotonic() - self._began
        left_s = (self._footage.total_s - now_s) * elapsed_s / now_s if now_s > 0 else None
        share = now_s / self._footage.total_s if self._footage.total_s else 1.0
        return {"share": round(share, 4), "eta_s": None if left_s is None else round(left_s, 1)}

    def _say(self, event: str, **facts) -> None:
        self._said = time.monotonic()
        elapsed_s = round(self._said - self._began, 2)
        print(json.dumps({"event": event, "elapsed_s": elapsed_s, **facts}), file=self._stream, flush=True)


class Silence:
    """Hears and says nothing."""

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: None
