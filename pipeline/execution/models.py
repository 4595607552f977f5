"""The models of one worker process, loaded when the first unit needs them: tracks made anew need none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.config import FleetConfig

if TYPE_CHECKING:
    from pipeline.perception.perception import Perception


class Models:
    """The fleet's detectors and embedder on one device, "auto", "cpu" or "cuda"."""

    def __init__(self, config: FleetConfig, device: str) -> None:
        self._config = config
        self._device = device
        self._perception: Perception | None = None

    def perception(self) -> Perception:
        """Return them, loaded now if they were not yet. Raises WeightsError where they cannot be."""
        if self._perception is None:
            from pipeline.perception.perception import Perception  # the driver never needs the model libraries

            threads = self._config.execution.threads_per_worker
            perception = Perception(self._config.models.embedder, device=self._device, threads=threads)
            perception.load(self._config.detector_for(camera) for camera in self._config.cameras)
            self._perception = perception
        return self._perception

    def release(self) -> None:
        """Let go of them."""
        self._perception = None
