"""One running factory per key; everybody else who wants the key waits for its outcome."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeAlias

import anyio

from engine.scheduling.pool_errors import PoolClosed, PoolError

Factory: TypeAlias = Callable[[], Awaitable[Any] | Any]
"""Makes a value; what it returns is awaited if it can be."""

_COMPUTING: ContextVar[frozenset[str]] = ContextVar("keys being computed", default=frozenset())


class _Flight:
    """One run of a factory, with everybody who waits for it."""

    __slots__ = ("done", "error", "is_current", "task", "traceback", "value", "waiters")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.waiters = 0
        self.is_current = True
        self.value: Any = None
        self.error: BaseException | None = None
        self.traceback: TracebackType | None = None
        self.task: asyncio.Task[None] | None = None

    def finish(self, value: object, error: BaseException | None) -> None:
        """Set the outcome; the first one stands."""
        if not self.done.is_set():
            self.value, self.error = value, error
            self.traceback = None if error is None else error.__traceback__
            self.done.set()


class SingleFlight:
    """The map of running factories.

    A factory runs in a task of its own, so that no waiter's cancellation reaches it while others
    wait; the last one to leave cancels it. It inherits the context of the caller who started it,
    and with it that caller's priority and deadline.
    """

    def __init__(self) -> None:
        self._flights: dict[str, _Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True

    async def run(
        self,
        key: str,
        factory: Factory,
        store: Callable[[Any], None],
    ) -> Any:  # noqa: ANN401 (what the factory makes)
        """Return what *factory* makes for *key*; *store* gets it once, unless `forget` came first.

        Raises:
            RuntimeError: the running factory of *key* asks for *key* itself.
            PoolClosed: the pool closed meanwhile.
            BaseException: whatever the factory raised, to every waiter.
        """
        if key in _COMPUTING.get():
            raise RuntimeError(f"the factory of cache key {key!r} waits for its own result")
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight()
            self._start(key, flight, factory, store)
        flight.waiters += 1
        try:
            await flight.done.wait()
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 and not flight.done.is_set():
                self._abandon(key, flight)
        if flight.error is not None:
            # With the traceback of the factory only: each waiter would lengthen it otherwise.
            raise flight.error.with_traceback(flight.traceback)
        return flight.value

    def forget(self, matches: Callable[[str], bool]) -> None:
        """Let running factories of these keys end, but do not store what they make."""
        for key, flight in self._flights.items():
            if matches(key):
                flight.is_current = False

    def reopen(self) -> None:
        """Take new work again."""
        self._is_open = True

    async def close(self) -> None:
        """Tell the waiters, cancel every factory, and return when the factories have ended."""
        self._is_open = False
        for flight in self._flights.values():
            flight.is_current = False
            flight.finish(None, PoolClosed("the pool was closed while a cache factory ran"))
        self._flights.clear()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _start(
        self,
        key: str,
        flight: _Flight,
        factory: Factory,
        store: Callable[[Any], None],
    ) -> None:
        work = self._compute(key, flight, factory, store)
        # Not in a task group: the flight outlives the caller who starts it, and ends with its
        # last waiter. Under an eager task factory it may be over when this returns.
        task = asyncio.get_running_loop().create_task(work, name=f"cache factory {key[:80]}")
        flight.task = task
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _compute(
        self,
        key: str,
        flight: _Flight,
        factory: Factory,
        store: Callable[[Any], None],
    ) -> None:
        _COMPUTING.set(_COMPUTING.get() | {key})
        value: object = None
        error: BaseException | None = None
        try:
            value = factory()
            if inspect.isawaitable(value):
                value = await value
            if flight.is_current:
                store(value)
        except asyncio.CancelledError as exc:
            error = PoolError(f"the factory of cache key {key!r} was cancelled", cause=exc)
        except Exception as exc:  # noqa: BLE001 (foreign factory; raised in every waiter)
            error = exc
        except BaseException as exc:
            error = exc
            raise
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]
            flight.finish(value, error)

    def _abandon(self, key: str, flight: _Flight) -> None:
        # Out of the map at once: who asks next gets a run of his own, not a dying one.
        if self._flights.get(key) is flight:
            del self._flights[key]
        flight.is_current = False
        if flight.task is not None:
            flight.task.cancel()


def checked_factory(factory: object) -> None:
    """Do nothing.

    Raises:
        TypeError: *factory* cannot be called; a coroutine in its place is closed.
    """
    if not callable(factory):
        if inspect.iscoroutine(factory):
            factory.close()
        raise TypeError(f"factory must be callable, not {type(factory).__name__}")
