"""Which event loop an object belongs to."""

from __future__ import annotations

import asyncio
import threading
from asyncio.events import _get_running_loop as running_loop

__all__ = ["LoopOwner", "running_loop"]  # the latter: None where no loop runs, for hot paths


class LoopOwner:
    """The loop that started the engine; its methods refuse everybody else."""

    __slots__ = ("_thread", "loop")

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def take(self) -> asyncio.AbstractEventLoop:
        """Belong to the running loop from now on; return it."""
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        return self.loop

    def release(self) -> None:
        """Belong to nobody."""
        self.loop = None

    def check(self) -> None:
        """Raise RuntimeError for a caller on another loop, or on another thread.

        The owner's thread may call while its loop is not running.
        """
        running = running_loop()
        if self.loop is None or running is self.loop:
            return
        if running is not None or threading.get_ident() != self._thread:
            raise RuntimeError(
                "the scheduling engine belongs to the loop that started it; from elsewhere use"
                " schedule_threadsafe, get_stats or agent_stats"
            )
