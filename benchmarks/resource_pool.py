"""What the resource pool adds to the bare cache, the bare rate limiter, the bare HTTP client."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import httpx2
from cachetools import TLRUCache
from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory

from benchmarks.harness import Finding, Sample, interleave
from engine.scheduling.clock import SystemClock
from engine.scheduling.rate_gate import RateGate
from engine.scheduling.resource_pool import ResourcePool

ENTRIES: Final = 10_000
RUNS: Final = 7
ENDLESS: Final = 1_000_000
URL: Final = "https://venue.test/v1/time"
GET_US: Final = 20.0
SET_US: Final = 60.0
PERMIT_US: Final = 100.0


def measure() -> list[Finding]:
    """Return cost by call in microseconds of wall time, beside the bare library's."""
    return [*_cache(), _permit(), _request()]


def _cache() -> list[Finding]:
    pool = ResourcePool({"cache_max_size": ENTRIES})
    bare: TLRUCache[str, int] = TLRUCache(ENTRIES, ttu=lambda _k, _v, now: now + 60.0)
    scanned = _ScannedCache()
    numbers = itertools.count()

    async def fill() -> None:
        for number in range(ENTRIES):
            await pool.cache_set(f"key{number}", number)

    def set_bare() -> None:
        bare[f"new{next(numbers)}"] = 1

    for number in range(ENTRIES):
        bare[f"key{number}"] = number
        scanned.set(f"key{number}", number)
    with asyncio.Runner() as runner:
        runner.run(fill())

        def ours(call: Callable[[int], Awaitable[object]], calls: int) -> Sample:
            async def work() -> float:
                started = time.perf_counter()
                for number in range(calls):
                    await call(number)
                return (time.perf_counter() - started) / calls * 1e6

            return lambda: runner.run(work())

        get = ours(lambda number: pool.cache_get(f"key{number % ENTRIES}"), 5_000)
        put = ours(lambda _number: pool.cache_set(f"fresh{next(numbers)}", 1), 5_000)
        gets = interleave(get, _each(lambda: bare.get("key5"), 5_000), runs=RUNS)
        puts = interleave(put, _each(set_bare, 5_000), runs=RUNS)
        scans = interleave(put, _each(lambda: scanned.set(f"s{next(numbers)}", 1), 20), runs=RUNS)
        runner.run(pool.close())
    name = "bare cachetools"
    return [
        _finding("cache get, 10k entries", *gets, name, GET_US),
        _finding("cache set when full, 10k entries", *puts, name, SET_US),
        _finding("cache set when full, 10k entries", *scans, "scan for the oldest", SET_US),
    ]


def _permit() -> Finding:
    gate = RateGate("venue", SystemClock(), 60.0)
    gate.set_limit(ENDLESS)
    bucket = InMemoryBucket([Rate(ENDLESS, 60_000)])
    limiter = Limiter(SingleBucketFactory(bucket, schedule_leak=False), buffer_ms=1)

    async def through(take: Callable[[], Awaitable[object]]) -> float:
        started = time.perf_counter()
        for _ in range(2_000):
            await take()
        return (time.perf_counter() - started) / 2_000 * 1e6

    async def ask_limiter() -> None:
        await limiter.try_acquire_async("venue")

    with asyncio.Runner() as runner:
        samples = interleave(
            lambda: runner.run(through(lambda: gate.take(2, float("inf")))),
            lambda: runner.run(through(ask_limiter)),
            runs=RUNS,
        )
    return _finding("rate permit, nobody waits", *samples, "pyrate-limiter's wait", PERMIT_US)


def _request() -> Finding:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json={"a": 1}))
    pool = ResourcePool(transport=transport)
    client = httpx2.AsyncClient(transport=transport)

    async def pooled() -> float:
        started = time.perf_counter()
        for _ in range(300):
            await pool.http_request("GET", URL, "venue", ENDLESS)
        return (time.perf_counter() - started) / 300 * 1e6

    async def bare() -> float:
        started = time.perf_counter()
        for _ in range(300):
            (await client.get(URL)).json()
        return (time.perf_counter() - started) / 300 * 1e6

    async def close() -> None:
        await pool.close()
        await client.aclose()

    with asyncio.Runner() as runner:
        samples = interleave(lambda: runner.run(pooled()), lambda: runner.run(bare()), runs=RUNS)
        runner.run(close())
    return _finding("request without network", *samples, "bare httpx2", None)


class _ScannedCache:
    """The simple design: the oldest entry is searched for."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def set(self, key: str, value: int) -> None:
        if len(self._entries) >= ENTRIES:
            del self._entries[min(self._entries, key=lambda one: self._entries[one][1])]
        self._entries[key] = (value, time.monotonic())


def _each(call: Callable[[], object], calls: int) -> Sample:
    def sample() -> float:
        started = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - started) / calls * 1e6

    return sample


def _finding(
    subject: str,
    ours: list[float],
    reference: list[float],
    reference_name: str,
    most: float | None,
) -> Finding:
    median = sorted(ours)[len(ours) // 2]
    return Finding(
        subject,
        "us",
        ours,
        reference,
        reference_name,
        "" if most is None else f"<= {most:g} us",
        None if most is None else median <= most,
    )
