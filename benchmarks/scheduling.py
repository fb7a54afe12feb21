"""The execution engine beside APScheduler 3 and a bare heap, in the same run.

Submit-to-start latency when idle, tasks per CPU second, lateness of delayed tasks, memory of a
queued task, wake-ups when idle; and what its figures and its dispatching cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.harness import Finding, percentile
from benchmarks.scheduling_peers import (
    INSTALL_PEER,
    ApScheduler,
    BareHeap,
    OurEngine,
    Subject,
    has_apscheduler,
)

SIZES: Final = (1_000, 10_000, 100_000)
RUNS: Final = {1_000: 15, 10_000: 5, 100_000: 3}
"""Runs of ours and of the bare heap; of the slow peer one or a few."""
PEER_RUNS: Final = {1_000: 3, 10_000: 2, 100_000: 1}
LATENCY_ROUNDS: Final = 25
LATENCY_TASKS: Final = 100
WARM_UP: Final = 20
LATE_TASKS: Final = 10_000
LATE_SPREAD_S: Final = 2.0
LATE_ROUNDS: Final = 3
QUEUED: Final = 20_000
IDLE_S: Final = 3.0
DEPTH: Final = 100_000
AGENTS: Final = 1_000

Maker = Callable[[], Subject]


async def noop(_: Any) -> None:
    """Do nothing."""


def measure() -> list[Finding]:
    """Measure everything; without APScheduler its columns are left out, and that is said."""
    peers: list[Maker] = [BareHeap]
    if has_apscheduler():
        peers.append(ApScheduler)
    else:
        print(INSTALL_PEER)
    return [
        *_latency(peers),
        *_throughput(peers),
        *_lateness(peers),
        *_memory(peers),
        *_idle(peers),
        *_costs(),
    ]


# --- latency -----------------------------------------------------------------------------------


def _latency(peers: Sequence[Maker]) -> list[Finding]:
    makers: list[Maker] = [OurEngine, *peers]
    shares = (0.5, 0.99)
    # The percentiles of each round, not of all samples: a round that the machine disturbed is one
    # of many, and the median passes over it.
    rounds: list[list[list[float]]] = [[[] for _ in shares] for _ in makers]
    for _ in range(LATENCY_ROUNDS):
        for found, maker in zip(rounds, makers, strict=True):
            gc.collect()  # what the round before left is not this one's
            samples = asyncio.run(_idle_latency_us(maker))
            for kept, share in zip(found, shares, strict=True):
                kept.append(percentile(samples, share))
    findings = []
    for other, maker in zip(rounds[1:], peers, strict=True):
        for own, reference, share in zip(rounds[0], other, shares, strict=True):
            wanted = share == 0.99 and maker is BareHeap
            findings.append(
                Finding(
                    f"idle submit to start, p{share * 100:.0f} of {LATENCY_TASKS}",
                    "us",
                    own,
                    reference,
                    _name(maker),
                    "at most 3x" if wanted else "",
                    median(own) <= 3 * median(reference) if wanted else None,
                )
            )
    return findings


async def _idle_latency_us(maker: Maker) -> list[float]:
    found = []
    async with _running(maker()) as subject:
        loop = asyncio.get_running_loop()
        for _ in range(WARM_UP + LATENCY_TASKS):
            started: asyncio.Future[float] = loop.create_future()

            async def work(_: Any, started: asyncio.Future[float] = started) -> None:
                started.set_result(time.perf_counter())

            begin = time.perf_counter()
            await subject.submit(work)
            found.append((await started - begin) * 1e6)
            await asyncio.sleep(0.0003)
    return found[WARM_UP:]


# --- throughput --------------------------------------------------------------------------------


def _throughput(peers: Sequence[Maker]) -> list[Finding]:
    findings = []
    for size in SIZES:
        ours: list[float] = []
        others: dict[Maker, list[float]] = {maker: [] for maker in peers}
        for run in range(RUNS[size]):
            ours.append(asyncio.run(_tasks_per_cpu_s(OurEngine, size)))
            for maker, found in others.items():
                if maker is BareHeap or run < PEER_RUNS[size]:
                    found.append(asyncio.run(_tasks_per_cpu_s(maker, size)))
        for maker, found in others.items():
            factor = 0.5 if maker is BareHeap else 4
            findings.append(
                Finding(
                    f"{size:,} ready no-op tasks",
                    "tasks/cpu-s",
                    ours,
                    found,
                    _name(maker),
                    f"at least {factor:g}x",
                    median(ours) >= factor * median(found),
                )
            )
    return findings


async def _tasks_per_cpu_s(maker: Maker, size: int) -> float:
    left = size
    over = asyncio.Event()

    async def work(_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            over.set()

    async with _running(maker()) as subject:
        gc.collect()
        begin = time.process_time()
        for _ in range(size):
            await subject.submit(work)
        await over.wait()
        return size / (time.process_time() - begin)


# --- lateness ----------------------------------------------------------------------------------


def _lateness(peers: Sequence[Maker]) -> list[Finding]:
    makers: list[Maker] = [OurEngine, *peers]
    limits = {0.5: 5.0, 0.99: 50.0}
    rounds: list[dict[float, list[float]]] = [{share: [] for share in limits} for _ in makers]
    for run in range(LATE_ROUNDS):
        for kept, maker in zip(rounds, makers, strict=True):
            if maker is ApScheduler and run:
                continue  # it takes long, and nothing is asked of it
            late = asyncio.run(_late_ms(maker))
            for share, values in kept.items():
                values.append(percentile(late, share))
    findings = []
    for other, maker in zip(rounds[1:], peers, strict=True):
        for share, limit in limits.items():
            own, reference = median(rounds[0][share]), median(other[share])
            is_bare = maker is BareHeap
            findings.append(
                Finding(
                    f"lateness of 10k tasks due over 2 s, p{share * 100:.0f}",
                    "ms",
                    rounds[0][share],
                    other[share],
                    _name(maker),
                    f"at most {limit:g} ms or 5x" if is_bare else "",
                    (own <= limit or own <= 5 * reference) if is_bare else None,
                )
            )
    return findings


async def _late_ms(maker: Maker) -> list[float]:
    late: list[float] = []
    over = asyncio.Event()
    # The time it takes to submit is not lateness: everything is due after a head start.
    head_start = 8.0 if maker is ApScheduler else 1.0

    async with _running(maker()) as subject:
        begin = time.monotonic()
        for number in range(LATE_TASKS):
            due = begin + head_start + number * LATE_SPREAD_S / LATE_TASKS

            async def work(_: Any, due: float = due) -> None:
                late.append((time.monotonic() - due) * 1e3)
                if len(late) == LATE_TASKS:
                    over.set()

            await subject.submit(work, max(1e-6, due - time.monotonic()))
        await over.wait()
    return late


# --- memory ------------------------------------------------------------------------------------


def _memory(peers: Sequence[Maker]) -> list[Finding]:
    ours = asyncio.run(_bytes_per_task(OurEngine))
    return [
        Finding(
            "memory of a queued task",
            "bytes",
            [ours],
            [asyncio.run(_bytes_per_task(maker))],
            _name(maker),
            "at most 600 bytes",
            ours <= 600,
        )
        for maker in peers
    ]


async def _bytes_per_task(maker: Maker) -> float:
    async with _running(maker()) as subject:
        await subject.submit(noop, 10_000.0)
        gc.collect()
        tracemalloc.start()
        for number in range(QUEUED):
            await subject.submit(noop, 10_000.0 + number)
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    return size / QUEUED


# --- idleness ----------------------------------------------------------------------------------


class _CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often it wakes up."""

    passes = 0

    def _run_once(self) -> None:
        self.passes += 1
        super()._run_once()  # type: ignore[misc]  # not in the type stubs


def _idle(peers: Sequence[Maker]) -> list[Finding]:
    wakes, cpu_ms = _idle_figures(OurEngine)
    findings = []
    for maker in peers:
        other_wakes, other_cpu_ms = _idle_figures(maker)
        findings += [
            Finding(
                "wake-ups when idle with one far task",
                "per s",
                [wakes],
                [other_wakes],
                _name(maker),
                "none",
                wakes == 0,
            ),
            Finding(
                "cpu when idle with one far task",
                "ms per s",
                [cpu_ms],
                [other_cpu_ms],
                _name(maker),
                "at most 1",
                cpu_ms <= 1,
            ),
        ]
    return findings


def _idle_figures(maker: Maker) -> tuple[float, float]:
    """Return wake-ups and CPU milliseconds per second; the two passes of the wait not counted."""
    loop = _CountingLoop()
    try:
        return loop.run_until_complete(_wait_idle(maker, loop))
    finally:
        loop.close()


async def _wait_idle(maker: Maker, loop: _CountingLoop) -> tuple[float, float]:
    async with _running(maker()) as subject:
        await subject.submit(noop, 10_000.0)
        await asyncio.sleep(0.5)
        passes, begin = loop.passes, time.process_time()
        await asyncio.sleep(IDLE_S)
        # One pass to go to sleep and one to wake up belong to the wait itself.
        extra = loop.passes - passes - 2
        return max(0, extra) / IDLE_S, (time.process_time() - begin) * 1e3 / IDLE_S


# --- costs -------------------------------------------------------------------------------------


def _costs() -> list[Finding]:
    stats_ms = asyncio.run(_stats_ms())
    slices = asyncio.run(_dispatch_slices())
    stop_ms = [asyncio.run(_stop_ms()) for _ in range(5)]
    worst = percentile([one.own_ms for one in slices], 0.99)
    return [
        Finding(
            f"get_stats() with {DEPTH:,} queued, {AGENTS:,} agents",
            "ms",
            stats_ms,
            target="at most 1 ms",
            is_met=median(stats_ms) <= 1,
        ),
        Finding(
            f"dispatch slice with {DEPTH:,} ready, p99",
            "cpu ms",
            [worst],
            target="at most 5 ms",
            is_met=worst <= 5,
        ),
        Finding(
            "the same with the collector's pauses, p99",
            "cpu ms",
            [percentile([one.total_ms for one in slices], 0.99)],
        ),
        Finding(
            "longest dispatch slice, with the collector's pause",
            "cpu ms",
            [max(one.total_ms for one in slices)],
        ),
        Finding(
            "stop() when idle", "ms", stop_ms, target="at most 50 ms", is_met=median(stop_ms) <= 50
        ),
    ]


async def _stats_ms() -> list[float]:
    ours = OurEngine()
    async with _running(ours):
        for number in range(DEPTH):
            await ours.engine.schedule_task(f"agent-{number % AGENTS}", "work", noop, delay=1e4)
        for _ in range(2_000):
            await ours.submit(noop)
        await asyncio.sleep(0.2)
        found = []
        for _ in range(200):
            begin = time.perf_counter()
            ours.engine.get_stats()
            found.append((time.perf_counter() - begin) * 1e3)
    return found


@dataclass(frozen=True, slots=True)
class _Slice:
    """One uninterrupted run of the dispatcher, CPU milliseconds."""

    total_ms: float
    collecting_ms: float

    @property
    def own_ms(self) -> float:
        return self.total_ms - self.collecting_ms


class _Collector:
    """Measures what the garbage collector takes of this thread's CPU time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __call__(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.seconds += time.thread_time() - self._began


async def _dispatch_slices() -> list[_Slice]:
    ours = OurEngine(max_concurrent_tasks=10_000)
    dispatcher = ours.engine._dispatcher
    plain = dispatcher._dispatch
    found: list[_Slice] = []
    collector = _Collector()

    def timed(now: float) -> None:
        collected = collector.seconds
        begin = time.thread_time()  # what others do with the processor meanwhile is not ours
        plain(now)
        took = (time.thread_time() - begin) * 1e3
        if took > 0.05:  # a slice, not the one task that follows the end of another
            found.append(_Slice(took, (collector.seconds - collected) * 1e3))

    dispatcher._dispatch = timed  # type: ignore[method-assign]  # to time it

    left = DEPTH
    over = asyncio.Event()

    async def work(_: Any) -> None:
        nonlocal left
        await asyncio.sleep(0)
        left -= 1
        if not left:
            over.set()

    gc.callbacks.append(collector)
    try:
        async with _running(ours):
            for _ in range(DEPTH):
                await ours.submit(work)
            await over.wait()
    finally:
        gc.callbacks.remove(collector)
    return found


async def _stop_ms() -> float:
    ours = OurEngine()
    await ours.start()
    await asyncio.sleep(0.05)
    begin = time.perf_counter()
    await ours.stop()
    return (time.perf_counter() - begin) * 1e3


@contextlib.asynccontextmanager
async def _running(subject: Subject) -> AsyncIterator[Subject]:
    await subject.start()
    try:
        yield subject
    finally:
        await subject.stop()


def _name(maker: Maker) -> str:
    name: str = getattr(maker, "name", "")
    return name
