"""Work that is done again and again, with a pause that ends at once when it should."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Final

from engine.scheduling.clock import Clock
from engine.scheduling.timers import Timers

LOG: Final = logging.getLogger("engine.scheduling")


class Periodic:
    """Does *work* at once and then every *interval* seconds; survives its errors.

    *interval* is asked anew after `wake`; inf pauses until then.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        interval: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._name: Final = name
        self._work: Final = work
        self._interval: Final = interval
        self._clock: Final = clock
        self._pause: asyncio.Future[None] | None = None

    async def run(self, timers: Timers) -> None:
        """Go on until cancelled."""
        while True:
            began = self._clock.monotonic()
            try:
                await self._work()
            except Exception:
                LOG.exception("%s failed", self._name)
            while (left := began + self._interval() - self._clock.monotonic()) > 0:
                await self._wait(timers, left)

    def wake(self) -> None:
        """Ask for the interval again: it has changed."""
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)

    async def _wait(self, timers: Timers, seconds: float) -> None:
        self._pause = asyncio.get_running_loop().create_future()
        timer = None
        if seconds < math.inf:
            timer = timers.call_at(self._clock.monotonic() + seconds, self.wake)
        try:
            await self._pause
        finally:
            self._pause = None
            if timer is not None:
                timer.cancel()
