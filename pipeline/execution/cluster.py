"""Ray actors pinned to GPUs or CPUs: each loads the models at most once and processes one segment at a time.

Faults are ours to handle, not Ray's: an actor is never restarted by Ray (a restart would run its constructor again and
lose the call), it is replaced by the schedule, and the unit it was at is assigned anew. Frames never travel: a worker
decodes where the model is and only ledger entries come back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from pipeline.config import ExecutionConfig, FleetConfig
from pipeline.errors import NightfleetError, UserError
from pipeline.execution.models import Models
from pipeline.execution.plan import Unit
from pipeline.execution.scheduling import Event, UnitFinished, WorkerDied, WorkerReady
from pipeline.execution.shift import process_unit
from pipeline.lake.ledger import LedgerEntry
from pipeline.lake.writer import Lake
from pipeline.tracking import compiled

CONNECT_S = 10.0
"""A head node on the same network answers in milliseconds; ten seconds also cover one far away."""

LOAD_DEATHS = 3
"""Workers that may die in a row before any of them has loaded its models; then the run is given up."""


class SegmentWorker:
    """The actor: models loaded once, then one unit after another. Progress is answered from a second thread."""

    def __init__(self, config: FleetConfig, device: str) -> None:
        self._config = config
        self._models = Models(config, device)
        self._frames = 0

    def load(self, preload: bool) -> int:
        """Open the lake, load the models where some unit is known to need them, and the tracker's core.

        Returns the process id. Raises WeightsError where weights do not fit.
        """
        self._lake = Lake.open(self._config.lake)
        if preload:
            self._models.perception()
        compiled.warm_up()
        return os.getpid()

    def process(self, unit: Unit, state_in_digest: str) -> LedgerEntry:
        """Process one unit and enter it in the ledger."""
        self._frames = 0
        return process_unit(
            unit,
            state_in_digest,
            config=self._config,
            perception=self._models.perception,
            lake=self._lake,
            on_frames=self._count,
        )

    def frames(self) -> int:
        """Return the frames done of the unit at hand."""
        return self._frames

    def _count(self, n_frames: int) -> None:
        self._frames = n_frames


class RayWorkers:
    """Implements `driver.Workers` with Ray actors on the cluster that `connect` joined.

    preload  whether some unit is known to need the models; otherwise an actor loads them once one does
    """

    def __init__(self, config: FleetConfig, gpus_per_worker: float, *, preload: bool, owns_cluster: bool) -> None:
        execution = config.execution
        self._preload = preload
        self._owns_cluster = owns_cluster
        self._config = ray.put(config)
        self._device = execution.device if gpus_per_worker > 0 else "cpu"
        self._actor_class = ray.remote(SegmentWorker).options(
            num_cpus=execution.cpus_per_worker,
            num_gpus=gpus_per_worker,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,  # one for the unit, one for the progress question
        )
        self._actors: dict[int, ray.actor.ActorHandle] = {}
        self._calls: dict[ray.ObjectRef, tuple[int, str]] = {}
        self._questions: dict[ray.ObjectRef, int] = {}
        self._frames: dict[int, int] = {}
        self._load_deaths = 0

    def start(self, worker: int) -> None:
        """Start an actor under this number and let it load its models."""
        actor = self._actor_class.remote(self._config, self._device)
        self._actors[worker] = actor
        self._calls[actor.load.remote(self._preload)] = (worker, "load")

    def assign(self, worker: int, unit: Unit, state_in_digest: str) -> None:
        """Hand a unit to the actor."""
        self._frames[worker] = 0
        self._calls[self._actors[worker].process.remote(unit, state_in_digest)] = (worker, "process")

    def wait(self, timeout_s: float) -> list[Event]:
        """Return the answers and deaths of the last `timeout_s` seconds. Raises what a worker raised as its own."""
        done, _ = ray.wait(list(self._calls), num_returns=1, timeout=timeout_s)
        events = []
        for call in done:
            worker, kind = self._calls.pop(call)
            try:
                answer = ray.get(call)
            except RayTaskError as error:
                raise _own(error) from None
            except RayActorError as error:
                events.append(self._died(worker, kind, error))
                continue
            self._frames.pop(worker, None)
            if kind == "load":
                self._load_deaths = 0
            events.append(WorkerReady(worker) if kind == "load" else UnitFinished(worker, answer))
        return events

    def frames_in_flight(self) -> dict[int, int]:
        """Return the last known frame counts, and ask for newer ones without waiting."""
        questions = list(self._questions)
        answered, _ = ray.wait(questions, num_returns=len(questions), timeout=0) if questions else ([], [])
        for question in answered:
            worker = self._questions.pop(question)
            with contextlib.suppress(RayError):
                n_frames = ray.get(question)
                if worker in self._frames:
                    self._frames[worker] = n_frames
        for worker in self._frames:
            if worker not in self._questions.values():
                self._questions[self._actors[worker].frames.remote()] = worker
        return dict(self._frames)

    def close(self) -> None:
        """Kill the actors, and end the cluster if it was started for them; one that was joined goes on."""
        for actor in self._actors.values():
            with contextlib.suppress(RayError):
                ray.kill(actor, no_restart=True)
        self._actors.clear()
        if self._owns_cluster:
            ray.shutdown()

    def _died(self, worker: int, kind: str, error: RayActorError) -> WorkerDied:
        self._frames.pop(worker, None)
        self._actors.pop(worker, None)
        if kind == "load":
            self._load_deaths += 1
            if self._load_deaths >= LOAD_DEATHS:
                raise UserError(
                    f"{self._load_deaths} workers in a row died while loading their models: {_first_line(error)}; "
                    "give them more memory, or fewer workers"
                ) from None
        return WorkerDied(worker, _first_line(error))


def open_workers(config: FleetConfig, address: str | None, n_shifts: int, *, preload: bool) -> tuple[RayWorkers, int]:
    """Join the Ray cluster at `address`, or start one on this machine, and return its workers and how many to start.

    `preload` says whether some unit is known to need the models. Raises UserError where there is no cluster, or no
    worker fits on it.
    """
    owns_cluster = connect(config.execution, address)
    try:
        n_workers, gpus_per_worker = fitting_workers(config.execution, n_shifts)
        return RayWorkers(config, gpus_per_worker, preload=preload, owns_cluster=owns_cluster), n_workers
    except BaseException:
        if owns_cluster:
            ray.shutdown()
        raise


def connect(execution: ExecutionConfig, address: str | None) -> bool:
    """Join the Ray cluster at `address`, or start one on this machine. Returns whether it was started here."""
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as later releases of Ray do by default
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is not None:
            _require_listener(address)
            ray.init(address=address, **quiet)
            return True
        store = execution.object_store_mib * 2**20
        ray.init(address="local", object_store_memory=store, include_dashboard=False, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
        token = "; if the cluster asks for a token, set RAY_AUTH_MODE=token" if address else ""
        raise UserError(f"cannot reach or start {where}: {_first_line(error)}{token}") from None
    return True


def _require_listener(address: str) -> None:
    """Raise OSError at once where nobody listens at host:port; Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition(":")
    if "/" in address or not (colon and port.isdigit()):
        return  # "auto", or a ray:// client address
    socket.create_connection((host, int(port)), timeout=CONNECT_S).close()


def fitting_workers(execution: ExecutionConfig, n_shifts: int) -> tuple[int, float]:
    """Return how many workers to start and the GPU share of each, from the cluster's resources.

    Raises UserError where not a single worker fits.
    """
    resources = ray.cluster_resources()
    gpus = resources.get("GPU", 0.0)
    share = execution.gpus_per_worker
    if share is None:
        share = 1.0 if gpus >= 1 and execution.device != "cpu" else 0.0
    room = [resources.get("CPU", 0.0) / execution.cpus_per_worker] if execution.cpus_per_worker else []
    room += [gpus / share] if share else []
    fit = int(min(room, default=n_shifts) + 1e-9)
    if fit < 1:
        raise UserError(
            f"no worker fits on the cluster: one needs {execution.cpus_per_worker:g} CPUs and {share:g} GPUs, "
            f"there are {resources.get('CPU', 0):g} and {gpus:g}; lower execution.cpus_per_worker or gpus_per_worker"
        )
    return min(execution.workers or fit, fit, n_shifts), share


def _own(error: RayTaskError) -> Exception:
    """Return our own exception out of Ray's wrapping, or Ray's where it is none of ours."""
    cause = error.cause
    return cause if isinstance(cause, NightfleetError) else error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
