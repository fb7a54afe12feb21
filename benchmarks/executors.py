"""Many position executors on one market: what a tick, a waking, an idle one and a report cost."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any, Final

from benchmarks.harness import Finding, repeat
from benchmarks.polling_peer import poll_all, polled
from benchmarks.woken_types import woken_findings
from engine.executors.actions import ExecutorAction
from engine.executors.performance import performance_report
from engine.executors.snapshot import ExecutorSnapshot
from engine.model.clock import SECOND_NS
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument

SIZES: Final = (1_000, 10_000, 100_000)
REPORTED: Final = 10_000
IDLE_TICKS: Final = 5_000
BUSY_TICKS: Final = 300
MEASURED: Final = 1_000
START_TICKS: Final = 640_000
STEP_NS: Final = SECOND_NS // 10
RUNS: Final = 5
PEER: Final = "each executor polled"


def measure() -> list[Finding]:
    """Measure ticks and wakings at each size, memory, and the performance report."""
    findings: list[Finding] = []
    idle: dict[int, list[float]] = {}
    for size in SIZES:
        crowd = _Crowd(size)
        snapshots = crowd.bench.orchestrator.snapshots() if size == SIZES[-1] else ()
        idle[size] = repeat(crowd.idle_tick_us, runs=RUNS)
        reference = repeat(_polling_us(snapshots), runs=3) if snapshots else []
        is_met = median(reference) >= 200 * median(idle[size]) if reference else None
        target = "200x faster than polling" if reference else ""
        name = f"tick that wakes nothing, {size:,} executors"
        findings.append(Finding(name, "us", idle[size], reference, PEER, target, is_met))
        if size >= REPORTED:
            findings += crowd.busy_findings()
        if size == REPORTED:
            findings += _report_findings(crowd)
    most, fewest = median(idle[SIZES[-1]]), median(idle[SIZES[0]])
    findings.append(
        Finding(
            "such a tick: most over fewest executors",
            "ratio",
            [most / fewest],
            target="at most 2",
            is_met=most <= 2 * fewest,
        )
    )
    return findings + woken_findings() + _memory_findings()


class _Crowd:
    """An orchestrator with open positions whose barriers are random, none nearer than 0.2 %."""

    def __init__(self, size: int) -> None:
        self.bench = ExecutorBench(bench_instrument(maker_ppb=100_000, taker_ppb=200_000))
        self._draw = random.Random(size)
        self._size = size
        self.bench.price(START_TICKS, START_TICKS + 1)
        for _ in range(size):
            self.add()
        self.settle()

    def add(self, **changes: Any) -> None:
        """Open one more position."""
        draw = self._draw
        fields: dict[str, Any] = {
            "side": draw.choice(["BUY", "SELL"]),
            "amount": "0.02",
            "stop_loss": f"{draw.uniform(0.002, 0.05):.6f}",
            "take_profit": f"{draw.uniform(0.002, 0.05):.6f}",
            "time_limit": draw.randint(86_400, 864_000),
        }
        if draw.random() < 0.5:
            activation, distance = draw.uniform(0.002, 0.05), draw.uniform(0.001, 0.01)
            fields["trailing_stop"] = f"{activation:.6f},{distance:.6f}"
        config = self.bench.config(**(fields | changes))
        self.bench.orchestrator.execute_action(ExecutorAction.create(config))
        self.settle()

    def settle(self) -> None:
        """Let the venue answer, and forget what only the venue needs."""
        self.bench.pump()
        self.bench.orchestrator.take_changed()
        self.bench.orchestrator.take_notices()
        self.bench.venue.orders.clear()
        self.bench.venue.fills.clear()

    def idle_tick_us(self) -> float:
        """Return processor time in us for a quote and a look at the clock that wake nobody."""
        orchestrator, venue = self.bench.orchestrator, self.bench.venue
        quotes = [
            venue.set_quote(BENCH_MARKET, START_TICKS + number % 5, START_TICKS + 6)
            for number in range(IDLE_TICKS)
        ]
        now_ns = venue.now_ns()
        gc.collect()
        started = time.thread_time()
        for quote in quotes:
            orchestrator.on_quote(quote)
            orchestrator.on_time(now_ns)
        return (time.thread_time() - started) / IDLE_TICKS * 1e6

    def busy_findings(self) -> list[Finding]:
        """Walk away from the start until barriers fire; return the rate and the cost of each.

        In processor time: a busy machine must not look like a slow executor.
        """
        orchestrator, venue, draw = self.bench.orchestrator, self.bench.venue, random.Random(5)
        price, spent, woken = START_TICKS, 0.0, 0
        costs: list[float] = []
        for _ in range(BUSY_TICKS):
            price += draw.choice((-30, 10, 20, 30))
            quote = venue.set_quote(BENCH_MARKET, price, price + 1)
            venue.clock.advance_to(venue.now_ns() + STEP_NS)
            before = orchestrator.woken
            started = time.thread_time()
            orchestrator.on_quote(quote)
            orchestrator.on_time(venue.now_ns())
            took = time.thread_time() - started
            count = orchestrator.woken - before
            spent, woken = spent + took, woken + count
            if count:
                costs.append(took / count * 1e6)
            self.settle()
        name = f"{self._size:,} executors, {woken / BUSY_TICKS:.1f} woken by each tick"
        cost = spent / max(woken, 1) * 1e6
        return [
            Finding(name, "ticks/s", [BUSY_TICKS / spent]),
            Finding("of them one woken", "us", [cost], target="at most 50", is_met=cost <= 50),
            Finding("the same, by tick", "us", costs or [0.0]),
        ]


def _polling_us(snapshots: tuple[ExecutorSnapshot, ...]) -> Callable[[], float]:
    executors = polled(snapshots)
    bench = ExecutorBench()
    quote = bench.venue.set_quote(executors[0].market, START_TICKS, START_TICKS + 1)

    def sample() -> float:
        started = time.thread_time()
        poll_all(executors, [quote])
        return (time.thread_time() - started) * 1e6

    return sample


def _report_findings(crowd: _Crowd) -> list[Finding]:
    orchestrator = crowd.bench.orchestrator

    def ours() -> float:
        started = time.perf_counter()
        orchestrator.get_performance_report("main")
        return (time.perf_counter() - started) * 1e3

    def reference() -> float:
        started = time.perf_counter()
        infos = (executor.executor_info for executor in orchestrator.executors("main"))
        performance_report(orchestrator.archived_performance(), infos, ())
        return (time.perf_counter() - started) * 1e3

    samples = repeat(ours, runs=20)
    name = f"performance report of {REPORTED:,} executors"
    is_met = median(samples) < 1
    peer = "computed from all reports"
    return [Finding(name, "ms", samples, repeat(reference, runs=2), peer, "below 1", is_met)]


def _memory_findings() -> list[Finding]:
    return [
        _memory("open position, all barriers", {"trailing_stop": "0.02,0.005"}),
        _memory("open position, random barriers", {}),
        _memory("waiting for its entry", {"open_order_type": "LIMIT", "entry_price": "32000"}),
    ]


def _memory(what: str, changes: dict[str, Any]) -> Finding:
    """Return the bytes that one more idle executor takes, its configuration included."""
    crowd = _Crowd(50)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(MEASURED):
        crowd.add(**changes)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    each = grown / MEASURED / 1024
    return Finding(
        f"memory of an idle executor: {what}",
        "KiB",
        [each],
        target="at most 4",
        is_met=each <= 4,
    )
