"""A fair lock between the tasks of one event loop."""

from __future__ import annotations

import asyncio
from collections import deque


class AsyncLock:
    """Lock for multi-step critical sections; not re-entrant; waiters are served in order.

    An uncontended acquire neither suspends nor allocates, so a step that is itself synchronous
    may skip the lock when `is_held` is False.
    """

    __slots__ = ("_waiters", "is_held")

    def __init__(self) -> None:
        self.is_held = False
        self._waiters: deque[asyncio.Future[None]] = deque()

    async def acquire(self) -> None:
        """Take the lock, after everyone who asked before."""
        if not self.is_held:
            self.is_held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # handed over in the same step as the cancellation
                self.release()
            elif turn in self._waiters:
                self._waiters.remove(turn)
            raise

    def release(self) -> None:
        """Hand the lock to the next waiter, or free it."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.is_held = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()
