"""Ticks per second with 1,000 active executors, beside a loop that polls each of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio

from benchmarks.crowd import Crowd, write_session
from benchmarks.harness import Finding, rate_of, repeat
from benchmarks.polling_peer import poll_all, polled
from engine.api.engine import Engine
from engine.live.published import PublishedSession

EXECUTORS: Final = 1000
RUNS: Final = 5
QUOTES: Final = 10_000
POLLED_QUOTES: Final = 100
SHELL_SECONDS: Final = 600
PEER: Final = "each executor polled"


def measure() -> list[Finding]:
    """Measure the container alone, with quotes that fire nothing and some, then the whole shell."""
    with tempfile.TemporaryDirectory() as folder:
        quiet = Crowd(Path(folder), executors=EXECUTORS)
        busy = Crowd(Path(folder), executors=EXECUTORS, near_pct=0.05)
        reference = repeat(_polling(quiet), runs=RUNS)
        quiet_rates = repeat(_applying(quiet), runs=RUNS)
        before = busy.active
        busy_rates = repeat(_applying(busy), runs=RUNS, warm_up=0)
        fired = (before - busy.active) / RUNS
    shell = repeat(_shell, runs=2, warm_up=0)
    name = f"{EXECUTORS:,} executors"
    return [
        Finding(f"container, {name}, nothing fires", "ticks/s", quiet_rates, reference, PEER),
        Finding(
            f"container, {name}, {fired:.0f} of them fire in {QUOTES:,} ticks",
            "ticks/s",
            busy_rates,
            reference,
            PEER,
        ),
        Finding(
            f"session with journal and store, {name}, speed max",
            "ticks/s",
            shell,
            reference,
            PEER,
        ),
    ]


def _applying(crowd: Crowd) -> Callable[[], float]:
    def sample() -> float:
        quotes = crowd.take(QUOTES)
        apply = crowd.container.apply

        def work() -> int:
            for quote in quotes:
                apply(quote)
            return len(quotes)

        return rate_of(work)

    return sample


def _polling(crowd: Crowd) -> Callable[[], float]:
    executors = polled(crowd.container.orchestrator.snapshots())
    markets = {executor.market: executor.market for executor in executors}

    def sample() -> float:
        # Equal markets become the same object, so that the peer need only compare references.
        quotes = [
            replace(quote, market=markets[quote.market]) for quote in crowd.take(POLLED_QUOTES)
        ]

        def work() -> int:
            poll_all(executors, quotes)
            return len(quotes)

        return rate_of(work)

    return sample


def _shell() -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        path = write_session(
            home / "crowd.yaml", executors=EXECUTORS, end_after=f"{SHELL_SECONDS}s"
        )
        data_dir = home / "data"
        data_dir.mkdir(mode=0o700)
        return anyio.run(_run_session, path, data_dir)


async def _run_session(path: Path, data_dir: Path) -> float:
    """Return inputs per second, from when all executors are there to when they are stopped."""
    async with Engine.open(config=path, data_dir=data_dir) as engine:
        marks: list[tuple[float, int]] = []
        session: PublishedSession | None = None
        while session is None or session.state == "running":
            await anyio.sleep(0.005)
            newest = next(iter(engine.board.sessions.values()), None)
            is_new = newest is not None and newest is not session
            session = newest
            if session is not None and is_new and len(session.executors) == EXECUTORS:
                marks.append((time.perf_counter(), session.inputs))
        await engine.wait_until_ended()
    (first_at, first), (last_at, last) = marks[0], marks[-2]
    return (last - first) / (last_at - first_at)
