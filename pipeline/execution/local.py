"""One worker in this very process: for small fleets, tests, and machines without Ray."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.config import FleetConfig
from pipeline.execution.models import Models
from pipeline.execution.plan import Unit
from pipeline.execution.scheduling import Event, UnitFinished, WorkerReady
from pipeline.execution.shift import process_unit
from pipeline.lake.writer import Lake
from pipeline.tracking import compiled


class LocalWorkers:
    """Implements `driver.Workers` with exactly one worker, number 0.

    on_frames  hears of progress inside a segment
    preload    whether some unit is known to need the models; otherwise they are loaded once one does
    """

    def __init__(
        self, config: FleetConfig, lake: Lake, on_frames: Callable[[dict[int, int]], None], *, preload: bool
    ) -> None:
        self._config = config
        self._lake = lake
        self._on_frames = on_frames
        self._preload = preload
        self._models = Models(config, config.execution.device)
        self._events: list[Event] = []
        self._assigned: tuple[int, Unit, str] | None = None

    def start(self, worker: int) -> None:
        """Load the models where they are needed, and the tracker's core. Raises WeightsError where models cannot be."""
        if self._preload:
            self._models.perception()
        compiled.warm_up()
        self._events.append(WorkerReady(worker))

    def assign(self, worker: int, unit: Unit, state_in_digest: str) -> None:
        """Remember the unit; `wait` processes it."""
        self._assigned = (worker, unit, state_in_digest)

    def wait(self, timeout_s: float) -> list[Event]:
        """Process the assigned unit, however long it takes, and return its event."""
        if self._assigned is not None:
            worker, unit, state_in_digest = self._assigned
            self._assigned = None
            entry = process_unit(
                unit,
                state_in_digest,
                config=self._config,
                perception=self._models.perception,
                lake=self._lake,
                on_frames=lambda n_frames: self._on_frames({worker: n_frames}),
            )
            self._events.append(UnitFinished(worker, entry))
        events, self._events = self._events, []
        return events

    def frames_in_flight(self) -> dict[int, int]:
        """Nothing is in flight between two units."""
        return {}

    def close(self) -> None:
        """Let go of the models."""
        self._models.release()
