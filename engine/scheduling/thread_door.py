"""Lets other threads submit tasks to the engine's loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from engine.scheduling.errors import EngineNotRunning
from engine.scheduling.task_handle import TaskHandle


class ThreadDoor:
    """Gives a `concurrent.futures.Future` for a task that is submitted on the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Final = loop

    def submit(self, submit: Callable[[], TaskHandle]) -> concurrent.futures.Future[Any]:
        """Call *submit* on the loop; the future gets the task's value or its exception.

        Cancelling the future cancels the task.

        Raises:
            EngineNotRunning: the loop is closed.
        """
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._call(partial(self._submit, submit, future))
        return future

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError as error:
            raise EngineNotRunning("the loop of the execution engine is closed") from error

    def _submit(
        self, submit: Callable[[], TaskHandle], future: concurrent.futures.Future[Any]
    ) -> None:
        if future.cancelled():
            return
        try:
            handle = submit()
        except Exception as error:  # noqa: BLE001 (it belongs to whoever waits for the future)
            _settle(future, None, error)
            return
        future.add_done_callback(partial(self._follow_cancel, handle))
        handle.when_ended(partial(_finish, handle, future))

    def _follow_cancel(self, handle: TaskHandle, future: concurrent.futures.Future[Any]) -> None:
        if future.cancelled() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(handle.cancel)


def _finish(handle: TaskHandle, future: concurrent.futures.Future[Any]) -> None:
    _settle(future, handle.value, handle.error)


def _settle(
    future: concurrent.futures.Future[Any], value: object, error: BaseException | None
) -> None:
    if not future.set_running_or_notify_cancel():
        return  # cancelled meanwhile, from another thread
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
