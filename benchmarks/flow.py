"""What the event engine costs, beside a bare `asyncio.PriorityQueue` in the same run.

Every line prints our figure, the reference's or the target, and the ratio. Times are CPU seconds
and medians, so that a busy machine disturbs them little; only ratios are comparable between
machines.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from engine import flow

SMALL, LARGE, HUGE = 10_000, 100_000, 1_000_000
WORKERS = 10
ROUNDS = 5


class NoOp(flow.Event):
    async def _invoke(self) -> None:
        return None


class NoOpProcessor(flow.Processor):
    event_type: ClassVar[type[flow.Event]] = NoOp


class NoOps(flow.Executor):
    processor_type: ClassVar[type[flow.Processor]] = NoOpProcessor


def executor(**settings: Any) -> NoOps:
    # At most 10,000 events begin in a window, so the shortest one: no event waits for it.
    limits = {"queue_capacity": 10_000, "capacity_refresh_time": 0.01, "max_queue_size": 10**9}
    return NoOps({**limits, **settings})


async def join(ours: NoOps) -> None:
    if ours.processor is not None:
        await ours.processor.join()


def expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"the benchmark is wrong: {found} events, not {wanted}")


def line(what: str, ours: float, other: float, unit: str, note: str) -> None:
    ratio = ours / other if other else float("inf")
    print(f"{what:<52}{ours:>12,.2f}{other:>12,.2f}  {unit:<9}{ratio:>7.2f}x  {note}")


# --- throughput --------------------------------------------------------------------------------


class Nothing:
    """The least that a worker can await."""

    async def _invoke(self) -> None:
        return None


async def bare(size: int, make: Callable[[], Nothing | NoOp]) -> float:
    """Return CPU microseconds for each job of a bare priority queue with workers.

    A job is made, queued, and its `_invoke()` awaited; nothing is tracked, limited or kept.
    """
    queue: asyncio.PriorityQueue[tuple[float, int, Nothing | NoOp]] = asyncio.PriorityQueue()

    async def work() -> None:
        while True:
            _, _, job = await queue.get()
            await job._invoke()
            queue.task_done()

    gc.collect()  # what the run before left is not ours
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(work()) for _ in range(WORKERS)]
        started = time.process_time()
        for number in range(size):
            await queue.put((float(number), number, make()))
        await queue.join()
        cost = (time.process_time() - started) / size * 1e6
        for worker in workers:
            worker.cancel()
    return cost


async def tracked(size: int) -> float:
    """Return CPU microseconds to create, append, run and complete each event."""
    gc.collect()  # what the run before left is not ours
    ours = executor()
    await ours.start()
    started = time.process_time()
    for number in range(size):
        await ours.append(NoOp(), float(number))
    await join(ours)
    cost = (time.process_time() - started) / size * 1e6
    expect(ours.status_counts()["completed"], size)
    await ours.shutdown()
    return cost


def throughput() -> None:
    asyncio.run(tracked(1000))
    gc.collect()
    gc.freeze()  # collections do not walk over what other benchmarks have imported
    costs: dict[int, float] = {}
    one = Nothing()
    for size in (SMALL, LARGE):
        # Alternating, so that all sides see the same noise.
        rounds = [
            (
                asyncio.run(tracked(size)),
                asyncio.run(bare(size, NoOp)),
                asyncio.run(bare(size, lambda: one)),
            )
            for _ in range(ROUNDS)
        ]
        ours, same, least = (statistics.median(costs) for costs in zip(*rounds, strict=True))
        costs[size] = ours
        name = f"throughput, {size:,} no-op events"
        target = "bare queue, same no-op; target >= 0.20x, stretch 0.30x"
        line(name, 1e6 / ours, 1e6 / same, "events/s", target)
        line(name, 1e6 / ours, 1e6 / least, "events/s", "bare queue, one shared job")
        line(f"cost of an event, {size:,}", ours, 45 if size == SMALL else 60, "us", "limit")
    line("cost at 100k over 10k", costs[LARGE], costs[SMALL], "us", "target <= 1.50x")
    gc.unfreeze()


# --- memory ------------------------------------------------------------------------------------


def allocated(build: Callable[[], object]) -> tuple[object, int]:
    gc.collect()
    tracemalloc.start()
    built = build()
    gc.collect()
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return built, size


async def completed(size: int) -> NoOps:
    ours = executor()
    await ours.start()
    for number in range(size):
        await ours.append(NoOp(), float(number))
    await join(ours)
    await ours.shutdown()
    return ours


def memory() -> None:
    kept, total = allocated(lambda: asyncio.run(completed(LARGE)))
    line("memory of a retained completed event", total / LARGE, 1024, "bytes", "target <= 1.00x")
    del kept

    async def queued() -> NoOps:
        ours = executor()
        ours.processor = NoOpProcessor(
            10_000, 0.01, ours.states.items, executor=ours, max_queue_size=10**9
        )
        for number in range(LARGE):
            await ours.append(NoOp(), float(number))
        return ours

    kept, total = allocated(lambda: asyncio.run(queued()))
    line("memory of a queued event, entry included", total / LARGE, 1229, "bytes", "<= 1.00x")
    del kept

    def plain() -> flow.Pile[NoOp]:
        pile: flow.Pile[NoOp] = flow.Pile()
        for _ in range(LARGE):
            event = NoOp()
            event.execution.close(flow.EventStatus.COMPLETED, None, retryable=False, duration=0.5)
            pile.add(event)
        return pile

    kept, total = allocated(plain)
    pile_bytes = total / LARGE

    async def append() -> NoOps:
        ours = executor()
        for event in kept:  # type: ignore[attr-defined]  # the pile of plain()
            await ours.append(event)
        ours.states.items.clear()
        return ours

    _, total = allocated(lambda: asyncio.run(append()))
    line(
        "seven progressions beside a plain pile",
        total / LARGE,
        pile_bytes,
        "bytes",
        "target <= 0.11x, or 64 bytes",
    )


# --- looking -----------------------------------------------------------------------------------


async def filled(size: int) -> tuple[NoOps, flow.Event]:
    ours = executor()
    for _ in range(size):
        await ours.append(NoOp())
    some = list(ours.states.items)[size // 2 : size // 2 + 100]
    for event in some:
        await ours._update_progression(event, flow.EventStatus.FAILED)
    return ours, some[0]


def look_times(ours: NoOps, one: flow.Event) -> dict[str, float]:
    looks: dict[str, Callable[[], object]] = {
        "status_counts()": ours.status_counts,
        "get_events_by_status(), 100 found,": lambda: ours.get_events_by_status("failed"),
        "in": lambda: one in ours,
        "repr()": lambda: repr(ours),
        "inspect_state()": ours.inspect_state,
    }
    times = {}
    for name, look in looks.items():
        rounds = []
        for _ in range(200):
            started = time.perf_counter()
            for _ in range(10):
                look()
            rounds.append((time.perf_counter() - started) / 10 * 1e6)
        times[name] = statistics.median(rounds)
    return times


def looking() -> None:
    sizes = (1000, LARGE, HUGE)
    executors = {size: asyncio.run(filled(size)) for size in sizes}
    # Measured one after the other when all are there, so that each sees the same machine.
    found = {size: look_times(*pair) for size, pair in executors.items()}
    for name, small in found[1000].items():
        for size in sizes[1:]:
            line(f"{name} at {size:,} over 1,000", found[size][name], small, "us", "flat: ~1.00x")


# --- cleaning ----------------------------------------------------------------------------------


async def cleaning() -> tuple[float, float]:
    """Return CPU seconds to remove 100k of 200k events, and of the loop's longest step."""
    ours = executor()
    for number in range(2 * LARGE):
        event = NoOp()
        await ours.append(event)
        if number % 2:
            event.status = flow.EventStatus.COMPLETED
            await ours._update_progression(event)
    gc.collect()
    longest = 0.0
    is_over = False

    async def watch() -> None:
        nonlocal longest
        last = time.thread_time()
        while not is_over:
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await asyncio.sleep(0)
        started = time.thread_time()
        expect(await ours.cleanup_events(), LARGE)
        took = time.thread_time() - started
        is_over = True
    return took, longest


def cleanup() -> None:
    found = [asyncio.run(cleaning()) for _ in range(3)]
    line(
        "cleanup of 100k out of 200k", statistics.median(f[0] for f in found), 0.5, "s", "<= 1.00x"
    )
    stall = statistics.median(f[1] for f in found) * 1e3
    line("longest stall of the loop meanwhile", stall, 20, "ms", "<= 1.00x")


def resident() -> float:
    """Return resident kilobytes; the peak where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize() / 1024


async def session(size: int) -> None:
    """Print the resident memory of this process after 10,000 events and after *size*."""
    ours = executor()
    await ours.start()
    for number in range(1, size + 1):
        await ours.append(NoOp(), 1.0)
        if number % 1000 == 0:
            await join(ours)
            await ours.cleanup_events()
        if number in (SMALL, size):
            print(resident())
    await ours.shutdown()


def long_session() -> None:
    # A process of its own, without what the other benchmarks left.
    code = f"import asyncio, benchmarks.flow as b; asyncio.run(b.session({HUGE}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    early, late = (float(number) for number in run.stdout.split())
    line("memory after a million events over 10k", late, early, "KiB", "target <= 1.10x")


def main() -> None:
    """Print every figure of the event engine."""
    print(f"{'what':<52}{'ours':>12}{'other':>12}  {'unit':<9}{'ratio':>8}  note")
    throughput()
    memory()
    looking()
    cleanup()
    long_session()


if __name__ == "__main__":
    main()
