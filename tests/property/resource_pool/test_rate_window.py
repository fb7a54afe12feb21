"""Never more than N starts in any window of length W, whatever happens at the gate."""

from __future__ import annotations

import bisect
from collections.abc import Coroutine
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scheduling.pool_errors import RateLimitTimeout
from engine.scheduling.rate_gate import RateGate
from tests.unit.resource_pool.conftest import StepClock, settle

INF = float("inf")
moments = st.floats(min_value=0.0, max_value=30.0, allow_nan=False)
callers = st.lists(
    st.tuples(
        moments,  # when it arrives
        st.integers(0, 4),  # priority
        st.one_of(st.none(), moments),  # after how long it is cancelled
        st.one_of(st.just(INF), moments),  # how much time it has
    ),
    min_size=1,
    max_size=40,
)


def run(work: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        await work

    anyio.run(main)


def most_in_any_window(starts: list[float], window_s: float) -> int:
    """Return the most starts in any closed interval of *window_s*; the worst one begins at one."""
    return max(
        bisect.bisect_right(starts, start + window_s) - index for index, start in enumerate(starts)
    )


@pytest.mark.parametrize("window_s", [1.0, 7.3])
@settings(max_examples=40, deadline=None)
@given(limit=st.integers(1, 6), arrivals=callers, closings=st.lists(moments, max_size=2))
def test_no_window_ever_holds_more_starts_than_its_limit(
    window_s: float,
    limit: int,
    arrivals: list[tuple[float, int, float | None, float]],
    closings: list[float],
) -> None:
    async def scenario() -> None:
        clock = StepClock(now=12345.678)
        gate = RateGate("venue", clock, window_s)
        gate.set_limit(limit)
        starts: list[float] = []
        refused = 0
        cancelled = 0

        async def caller(
            arrives: float, priority: int, patience: float | None, left: float
        ) -> None:
            nonlocal refused, cancelled
            await clock.sleep(arrives)
            with anyio.CancelScope() as scope:
                if patience is not None:
                    group.start_soon(cancel_later, scope, patience)
                try:
                    await gate.take(priority, clock.now + left)
                except RateLimitTimeout:
                    refused += 1
                    return
                starts.append(clock.now)
                return
            cancelled += 1

        async def cancel_later(scope: anyio.CancelScope, patience: float) -> None:
            await clock.sleep(patience)
            scope.cancel()

        async def close_later(moment: float) -> None:
            await clock.sleep(moment)
            gate.close_for(window_s / 2)

        async with anyio.create_task_group() as group:
            for arrival in arrivals:
                group.start_soon(caller, *arrival)
            for moment in closings:
                group.start_soon(close_later, moment)
            await clock.run_for(30.0 + window_s * (len(arrivals) + 2))
            await settle()
            assert len(starts) + refused + cancelled == len(arrivals)
            assert gate.waiting == 0
            group.cancel_scope.cancel()
        if starts:
            assert starts == sorted(starts)
            assert most_in_any_window(starts, window_s) <= limit

    run(scenario())


@settings(max_examples=40, deadline=None)
@given(
    limit=st.integers(1, 5),
    count=st.integers(1, 25),
    pauses=st.lists(st.floats(0.0, 3.0), min_size=25, max_size=25),
)
def test_nobody_waits_longer_than_the_window_demands(
    limit: int, count: int, pauses: list[float]
) -> None:
    """The gate is as fast as an exact sliding window can be: start k is at start k-N plus W."""

    async def scenario() -> None:
        clock = StepClock()
        gate = RateGate("venue", clock, 2.0)
        gate.set_limit(limit)
        arrived: list[float] = []
        starts: list[float] = []

        async def caller() -> None:
            arrived.append(clock.now)
            await gate.take(2, INF)
            starts.append(clock.now)

        async with anyio.create_task_group() as group:
            for pause in pauses[:count]:
                group.start_soon(caller)
                await clock.run_for(pause)
            await clock.run_for(2.1 * count)
        earliest: list[float] = []
        for index, moment in enumerate(arrived):
            before = earliest[index - 1] if index else 0.0
            window = earliest[index - limit] + 2.0 if index >= limit else 0.0
            earliest.append(max(moment, before, window))
        assert starts == pytest.approx(earliest, abs=0.001)

    run(scenario())
