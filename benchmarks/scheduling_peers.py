"""What the execution engine is measured against: the least that can work, and APScheduler 3."""

from __future__ import annotations

import asyncio
import heapq
import importlib.util
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from engine.scheduling import ExecutionEngine

Work = Callable[[Any], Awaitable[Any]]

INSTALL_PEER: Final = "APScheduler 3 is not installed: pip install -e '.[bench]'"


class Subject(Protocol):
    """Something that runs tasks on the running loop, now or after a delay in seconds."""

    name: str

    async def start(self) -> None: ...

    async def submit(self, work: Work, delay: float = 0.0) -> None: ...

    async def stop(self) -> None: ...


class OurEngine:
    """The execution engine with 10 slots, deadlines and statistics, as it comes."""

    name = "execution engine"

    def __init__(self, **options: Any) -> None:
        # The load sampler wakes up by design; everything else stays as it comes.
        self.engine = ExecutionEngine(
            {"scheduler": {"system_sample_interval": 0}, "max_queue_size": 0, **options}
        )

    async def start(self) -> None:
        await self.engine.start()

    async def submit(self, work: Work, delay: float = 0.0) -> None:
        await self.engine.schedule_task("agent", "work", work, delay=delay)

    async def stop(self) -> None:
        await self.engine.stop(grace=0)


class BareHeap:
    """A time heap, an event that wakes one loop, a task for each entry.

    No slots, priorities, deadlines or statistics; tasks are kept from being collected, because
    without that it would not work at all.
    """

    name = "bare heap"

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Work]] = []
        self.seq = 0
        self.wake = asyncio.Event()
        self.live: set[asyncio.Task[Any]] = set()
        self.runner: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.runner = asyncio.create_task(self._run())
        await asyncio.sleep(0)

    async def submit(self, work: Work, delay: float = 0.0) -> None:
        self.seq += 1
        heapq.heappush(self.heap, (time.monotonic() + delay, self.seq, work))
        self.wake.set()

    async def stop(self) -> None:
        if self.runner is not None:
            self.runner.cancel()
            await asyncio.wait([self.runner])

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        timer = None
        while True:
            now = time.monotonic()
            while self.heap and self.heap[0][0] <= now:
                work = heapq.heappop(self.heap)[2]
                task: asyncio.Task[Any] = loop.create_task(work(None))  # type: ignore[arg-type]  # a coroutine
                self.live.add(task)
                task.add_done_callback(self.live.discard)
            if timer is not None:
                timer.cancel()
            timer = None
            if self.heap:
                timer = loop.call_later(self.heap[0][0] - now, self.wake.set)
            self.wake.clear()
            await self.wake.wait()


class ApScheduler:
    """APScheduler 3 on asyncio with its memory store, told not to drop what is late."""

    name = "APScheduler 3"

    def __init__(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        logging.getLogger("apscheduler").setLevel(logging.CRITICAL)
        self.scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "max_instances": 1_000_000}
        )

    async def start(self) -> None:
        self.scheduler.start()
        await asyncio.sleep(0)

    async def submit(self, work: Work, delay: float = 0.0) -> None:
        if delay:
            when = datetime.now(UTC) + timedelta(seconds=delay)
            self.scheduler.add_job(work, "date", run_date=when, args=(None,))
        else:
            self.scheduler.add_job(work, args=(None,))

    async def stop(self) -> None:
        self.scheduler.shutdown(wait=False)
        await asyncio.sleep(0)


def has_apscheduler() -> bool:
    """Return whether the peer is installed."""
    return importlib.util.find_spec("apscheduler") is not None
