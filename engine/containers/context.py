"""What a container gives to each of its components when it is initialised (CONT-4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from engine.containers.bus import EventBus
from engine.model.clock import Clock
from engine.model.draws import mix

USER_STREAM: Final = 100
"""First stream of random draws that does not belong to the engine (DET-3)."""

LogLine = tuple[str, str, Mapping[str, Any]]
"""(level, text, context): the shell writes it."""


class ContainerContext:
    """The container as its components see it: bus, clock, draws, other components, log.

    Nothing in it leads to another container.
    """

    __slots__ = ("_log", "_resolve", "_rng", "bus", "clock", "container_id", "mode", "seed")

    def __init__(
        self,
        *,
        container_id: str,
        bus: EventBus,
        clock: Clock,
        resolve: Callable[[str], object],
        log: Callable[[str, str, str], None],
        seed: int = 0,
        mode: str = "",
    ) -> None:
        self.container_id = container_id
        self.bus = bus
        self.clock = clock
        self.seed = seed
        self.mode = mode
        self._resolve = resolve
        self._log = log
        self._rng: np.random.Generator | None = None

    def resolve(self, name: str) -> object:
        """Return the component or shared service *name*.

        Raises:
            UnresolvedComponent: there is none.
        """
        return self._resolve(name)

    def log(self, level: str, text: str, symbol: str = "") -> None:
        """Add a line to the container's log; it carries id, mode, symbol and bar index (CONT-8)."""
        self._log(level, text, symbol)

    @property
    def rng(self) -> np.random.Generator:
        """Return the generator of this container, seeded by mix(seed ^ stream 100) (DET-3)."""
        if self._rng is None:
            self._rng = np.random.Generator(np.random.PCG64(mix(self.seed ^ USER_STREAM)))
        return self._rng
