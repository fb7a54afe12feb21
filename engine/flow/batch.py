"""Batches: the runs that one caller began and answers for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from engine.flow.event import Event
from engine.flow.status import EventStatus


class Run(NamedTuple):
    """One event on its way.

    Attributes:
        sequence: its entry's place in the order of queueing.
    """

    event: Event
    task: asyncio.Task[None]
    sequence: int

    def cancel(self) -> None:
        """Cancel the event, also if its task has not had its first step yet.

        A task that is cancelled before its first step never enters its code, and nobody would
        settle the event. Such an event is ended here; its task then finds it terminal.
        """
        if self.event.status is EventStatus.PENDING:
            cancel_pending(self.event)
        else:
            self.task.cancel()


class Batch:
    """Runs by the integer form of the event's id; owns their tasks until they have ended."""

    __slots__ = ("_waiter", "began", "runs")

    def __init__(self) -> None:
        self.runs: dict[int, Run] = {}
        self.began = 0
        self._waiter: asyncio.Future[None] | None = None

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self.runs.values()))

    def ended(self, key: int) -> None:
        """Forget a run that has settled its event."""
        self.runs.pop(key, None)
        if self._waiter is not None and not self.runs and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until every run has settled its event."""
        if self.runs:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def abandon(self) -> None:
        """Cancel every run and wait for the tasks to end, however often we are cancelled."""
        for run in self:
            run.cancel()
        while tasks := [run.task for run in self if not run.task.done()]:
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError:  # the caller re-raises the cancellation it is handling
                continue


def cancel_pending(event: Event) -> None:
    """End an event that never began as cancelled."""
    reason = asyncio.CancelledError("cancelled before it began")
    event.execution.close(EventStatus.CANCELLED, reason, retryable=True)
