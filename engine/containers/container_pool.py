"""Containers that are built ahead and used again after a reset (CONT-11)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from engine.containers.lifecycle import ContainerState
from engine.containers.scoped_container import ScopedContainer


class HasContainer(Protocol):
    """Something built around one container."""

    @property
    def container(self) -> ScopedContainer:
        """The container."""
        ...


T = TypeVar("T", bound=HasContainer)


class ContainerPool(Generic[T]):
    """Keeps up to *size* containers in READY; belongs to one thread.

    A released container is reset and kept only if every component declares that it can be used
    again; otherwise it is torn down and another one is built when it is needed.
    """

    def __init__(self, build: Callable[[], T], *, size: int) -> None:
        self._build = build
        self._size = size
        self._idle: deque[T] = deque()
        self.built = 0
        self.reused = 0

    def fill(self) -> None:
        """Build containers ahead until *size* are idle."""
        while len(self._idle) < self._size:
            self._idle.append(self._make())

    @property
    def idle_count(self) -> int:
        """Return how many containers wait."""
        return len(self._idle)

    def acquire(self) -> T:
        """Return a container in READY."""
        if self._idle:
            return self._idle.popleft()
        return self._make()

    def release(self, item: T) -> None:
        """Take *item* back: reset it, or tear it down if it cannot be used again."""
        container = item.container
        can_reuse = (
            container.state in (ContainerState.STOPPED, ContainerState.READY)
            and container.reusable
            and len(self._idle) < self._size
        )
        if not can_reuse:
            container.teardown_scope()
            return
        if container.state is ContainerState.STOPPED:  # in one that is READY nothing has run
            container.reset()
        self.reused += 1
        self._idle.append(item)

    def close(self) -> None:
        """Tear down what waits."""
        while self._idle:
            self._idle.popleft().container.teardown_scope()

    def _make(self) -> T:
        self.built += 1
        return self._build()
