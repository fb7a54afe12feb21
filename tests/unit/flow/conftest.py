"""A loop whose time moves only when nothing else is left to do, and that reports a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._now = 1000.0
        self._select: Callable[[float | None], Any] = self._selector.select  # type: ignore[attr-defined]  # asyncio's own
        self._selector.select = self._skip  # type: ignore[attr-defined]  # asyncio's own

    def time(self) -> float:
        return self._now

    def block(self, seconds: float) -> None:
        """Let time pass as if somebody held the loop so long."""
        self._now += seconds

    def _skip(self, timeout: float | None) -> Any:
        events = self._select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("deadlock: every task waits, and no timer is set")
            self._now += timeout
        return events


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"loop_factory": VirtualLoop}
