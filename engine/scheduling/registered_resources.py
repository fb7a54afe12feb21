"""Objects that live as long as the pool and are closed with it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from engine.scheduling.clock import Clock
from engine.scheduling.timed_wait import DeadlinePassed, within

LOG: Final = logging.getLogger(__name__)
CLOSER_LIMIT_S: Final = 10.0
"""Time that one closer gets."""

Closer: TypeAlias = Callable[[Any], Awaitable[object] | object]
"""Called with the object; what it returns is awaited if it can be."""


class RegisteredResources:
    """The objects, in the order in which they were registered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._closers: dict[str, tuple[object, Closer]] = {}

    def add(self, name: str, obj: object, closer: Closer) -> None:
        """Keep *obj* until `close`.

        Raises:
            ValueError: the name is taken or empty.
            TypeError: *closer* cannot be called.
        """
        if not name:
            raise ValueError("the name of a resource must not be empty")
        if not callable(closer):
            raise TypeError(f"closer of {name!r} must be callable, not {closer!r}")
        if name in self._closers:
            raise ValueError(f"resource {name!r} is registered already")
        self._closers[name] = (obj, closer)

    async def close(self) -> None:
        """Close all of them, the last one first; a failure is logged and stops nothing."""
        while self._closers:
            name, (obj, closer) = self._closers.popitem()
            try:
                await within(self._clock, CLOSER_LIMIT_S, partial(_closed, closer, obj))
            except DeadlinePassed:
                LOG.exception("resource %s did not close within %g s", name, CLOSER_LIMIT_S)
            except Exception:
                LOG.exception("resource %s failed to close", name)


async def _closed(closer: Closer, obj: object) -> None:
    outcome = closer(obj)
    if inspect.isawaitable(outcome):
        await outcome
