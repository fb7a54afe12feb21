"""Batches: the workers that one caller hired, and the events that they run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from engine.flow.event import Event
from engine.flow.status import EventStatus


class Worker:
    """A task that runs events one after the other.

    Attributes:
        task: set as soon as there is one.
        event: what it runs, if it runs one.
        sequence: place of that event in the order of queueing.
        is_cancelled: whether its task was cancelled; it must not begin another event, which
            would inherit the cancellation.
        waiters: who waits until that event has settled.
    """

    __slots__ = ("event", "is_cancelled", "sequence", "task", "waiters")

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.event: Event | None = None
        self.sequence = 0
        self.is_cancelled = False
        self.waiters: list[asyncio.Future[None]] | None = None

    def cancel(self) -> None:
        """Cancel the event, also if it has not had its first step yet.

        A task that is cancelled before its first step never enters its code, and nobody would
        settle the event. Such an event is ended here; its worker then finds it terminal.
        """
        if self.event is not None:
            if self.event.execution.status is EventStatus.PENDING:
                cancel_pending(self.event)
            else:
                self.is_cancelled = True
                self.task.cancel()

    def notify(self) -> None:
        """Tell those who wait that the event has settled."""
        waiters, self.waiters = self.waiters, None
        wake_all(waiters or [])

    async def wait_settled(self) -> None:
        """Wait until the present event has ended and the index has followed."""
        if self.event is not None and self.task is not asyncio.current_task():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiters = [*(self.waiters or ()), waiter]
            await waiter


class Batch:
    """Workers of one caller; owns their tasks until they have ended.

    Attributes:
        is_loop: whether the background loop is the caller.
        runs: the worker of each running event, by the integer form of the event's id.
        began: number of events begun.
        is_closed: whether its workers must not begin another event.
        chainer: the worker that pauses between two events, if one does.
    """

    __slots__ = ("_waiter", "began", "chainer", "is_closed", "is_loop", "runs", "workers")

    def __init__(self, *, is_loop: bool) -> None:
        self.is_loop = is_loop
        self.runs: dict[int, Worker] = {}
        self.workers: set[Worker] = set()
        self.began = 0
        self.is_closed = False
        self.chainer: Worker | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __iter__(self) -> Iterator[Worker]:
        return iter(tuple(self.workers))

    def dismissed(self, worker: Worker) -> None:
        """Forget a worker that ends."""
        self.workers.discard(worker)
        if self._waiter is not None and not self.workers:
            wake(self._waiter)

    async def wait(self) -> None:
        """Wait until every worker has ended."""
        if self.workers:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def abandon(self) -> None:
        """Cancel every event and wait for the tasks to end, however often we are cancelled."""
        self.is_closed = True
        for worker in self:
            worker.cancel()
        while tasks := [worker.task for worker in self if not worker.task.done()]:
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError:  # the caller re-raises the cancellation it is handling
                continue


def cancel_pending(event: Event) -> None:
    """End an event that never began as cancelled."""
    reason = asyncio.CancelledError("cancelled before it began")
    event.execution.close(EventStatus.CANCELLED, reason, retryable=True)


def wake(waiter: asyncio.Future[None]) -> None:
    """Let the task that awaits *waiter* go on."""
    if not waiter.done():
        waiter.set_result(None)


def wake_all(waiters: list[asyncio.Future[None]]) -> None:
    """Let the tasks that await *waiters* go on."""
    for waiter in waiters:
        wake(waiter)
