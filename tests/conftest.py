"""Fixtures for every kind of test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from math import inf

import pytest
import textual.app
import textual.pilot
import textual.screen
from hypothesis import settings

# The same examples everywhere, and no limit on time: a slow machine is no failed test.
settings.register_profile("quarterdeck", deadline=None, derandomize=True, database=None)
settings.load_profile("quarterdeck")

_SOON_S = 0.05
"""As long as Textual holds back the first picture of another screen."""
_FRAME_S = 0.004
_WAITS = 8


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run half as many processes again as there are cores: many tests wait for others."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the engine's only backend."""
    return "asyncio"


async def _until_nothing_is_due(min_sleep: float = 0.0, max_sleep: float = 0.0) -> None:
    """Wait until the loop has nothing to do, and no timer that falls due soon."""
    del min_sleep, max_sleep
    loop = asyncio.get_running_loop()
    for _ in range(_WAITS):  # a screen that is drawn all the time would never let us go
        await asyncio.sleep(0)
        while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 (no event tells it)
            await asyncio.sleep(0)
        timers = loop._scheduled  # type: ignore[attr-defined]
        wait_s = min((one.when() for one in timers if not one.cancelled()), default=inf)
        wait_s -= loop.time()
        if wait_s > _SOON_S:
            return
        await asyncio.sleep(max(0.0, wait_s))


@pytest.fixture(autouse=True, scope="session")
def _pilots_wait_for_work_not_for_time() -> Iterator[None]:
    """Let Textual's pilot look at the loop: it watches the processor's time, which others use too.

    One thread that is left over would make it wait a second at each key.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textual.app, "wait_for_idle", _until_nothing_is_due)
        patch.setattr(textual.pilot, "wait_for_idle", _until_nothing_is_due)
        patch.setattr(textual.screen, "UPDATE_PERIOD", _FRAME_S)
        yield
