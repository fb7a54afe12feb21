"""Stops the engine's work: with a grace for what runs, and a list of what did not (10.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

from engine.scheduling.agent_book import AgentBook
from engine.scheduling.dispatcher import Dispatcher
from engine.scheduling.stop_report import StopReport
from engine.scheduling.task_counters import TaskCounters
from engine.scheduling.task_handle import TaskHandle
from engine.scheduling.task_snapshot import TaskSnapshot
from engine.scheduling.task_state import TaskState
from engine.scheduling.timers import Timers

CHUNK: Final = 500
"""Waiting tasks called off between two chances for others to run."""


class Shutdown:
    """One stop of the engine.

    Tasks that asked for the stop are spared: waiting for them would be waiting for oneself.
    """

    def __init__(self, dispatcher: Dispatcher, book: AgentBook, timers: Timers) -> None:
        self._dispatcher: Final = dispatcher
        self._book: Final = book
        self._timers: Final = timers
        self._spared: Final[set[TaskHandle]] = set()
        self._pending: Final[list[tuple[int, TaskSnapshot]]] = []
        self._gate: asyncio.Future[None] | None = None
        self._is_hurried = False

    def spare(self, handle: TaskHandle) -> None:
        """Do not wait for *handle*, nor cancel it."""
        self._spared.add(handle)
        self._look()

    def hurry(self) -> None:
        """Give no more grace: cancel what runs."""
        self._is_hurried = True
        self._open_gate()

    async def run(self, grace: float, *, drain: bool) -> StopReport:
        """Stop everything; running tasks get *grace* seconds, with *drain* ready ones too."""
        dispatcher = self._dispatcher
        before = _tally(dispatcher.counters)
        dispatcher.is_repeating = False
        until = dispatcher.now() + grace
        dispatcher.when_calm(self._look)
        try:
            if drain:
                await self._drop({TaskState.DELAYED})
                await self._wait(until)
            dispatcher.rest()
            await self._drop({TaskState.DELAYED, TaskState.READY, TaskState.PARKED})
            await self._wait(until)
            self._cancel_running()
            await self._wait(None)
        finally:
            dispatcher.rest()
            dispatcher.when_calm(None)
            self._cancel_running()
            self._drop_now()
        ended, cancelled, abandoned = (
            after - early for after, early in zip(_tally(dispatcher.counters), before, strict=True)
        )
        return StopReport(
            completed=ended,
            cancelled=max(0, cancelled - len(self._pending)),
            abandoned=abandoned,
            pending=[snapshot for _, snapshot in sorted(self._pending, key=lambda one: one[0])],
        )

    def _is_calm(self) -> bool:
        dispatcher = self._dispatcher
        running = dispatcher.running
        if len(running) > sum(handle in running for handle in self._spared):
            return False
        return not dispatcher.is_starting or not (dispatcher.ready_count + dispatcher.parked_count)

    def _look(self) -> None:
        if self._is_calm():
            self._open_gate()

    def _open_gate(self) -> None:
        if self._gate is not None and not self._gate.done():
            self._gate.set_result(None)

    async def _wait(self, until: float | None) -> None:
        """Wait for calm, at most *until*; without it as long as cancelled tasks may take."""
        self._dispatcher.sweep()
        if self._is_calm():
            return
        if until is not None and (self._is_hurried or until <= self._dispatcher.now()):
            return
        gate = self._gate = asyncio.get_running_loop().create_future()
        timer = None if until is None else self._timers.call_at(until, self._open_gate)
        try:
            await gate
        finally:
            self._gate = None
            if timer is not None:
                timer.cancel()

    def _cancel_running(self) -> None:
        for handle in list(self._dispatcher.running):
            if handle not in self._spared:
                handle.cancel()

    async def _drop(self, states: Collection[TaskState]) -> None:
        """Call off what waits in one of *states*, and keep what it was."""
        for number, handle in enumerate(self._waiting(states), start=1):
            self._drop_one(handle, states)
            if number % CHUNK == 0:
                await asyncio.sleep(0)

    def _drop_now(self) -> None:
        states = (TaskState.DELAYED, TaskState.READY, TaskState.PARKED)
        for handle in self._waiting(states):
            self._drop_one(handle, states)

    def _waiting(self, states: Collection[TaskState]) -> list[TaskHandle]:
        return [one for record in self._book for one in record.queued if one.state in states]

    def _drop_one(self, handle: TaskHandle, states: Collection[TaskState]) -> None:
        if handle.state in states:  # it may have moved while others had their turn
            self._pending.append((handle.seq, handle.snapshot()))
            handle.cancel()


def _tally(counters: TaskCounters) -> tuple[int, int, int]:
    """Return how many ended by themselves, how many were cancelled, how many abandoned."""
    late = counters.abandoned - counters.abandoned_cancelled
    ended = counters.completed + counters.failed + counters.timed_out - late
    return ended, counters.cancelled - counters.abandoned_cancelled, counters.abandoned
