"""State that survives a restart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.executors.action_desk import RestartPolicy
from engine.executors.orchestrator import ExecutorOrchestrator
from engine.executors.position_executor import PositionExecutor
from engine.executors.status import CloseType, RunnableStatus
from engine.testing.executor_bench import ExecutorBench


def reborn(bench: ExecutorBench, executor: PositionExecutor, policy: RestartPolicy) -> Any:
    """Give the stored executor to a new orchestrator at the same venue."""
    fresh = ExecutorBench()
    fresh.venue = bench.venue
    fresh.orchestrator = ExecutorOrchestrator(strategy=bench.venue)
    fresh.orchestrator.resume(
        executor.config,
        json.loads(json.dumps(executor.runtime_state())),
        list(bench.venue.orders.values()),
        list(bench.venue.fills),
        policy,
    )
    fresh.pump()
    return fresh, fresh.orchestrator.find(executor.executor_id)


@pytest.fixture
def armed(bench: ExecutorBench) -> PositionExecutor:
    """An executor with an armed trailing stop and a resting take profit."""
    bench.price(500)
    executor = bench.create(
        stop_loss="0.02",
        trailing_stop="0.01,0.005",
        take_profit="0.5",
        take_profit_order_type="LIMIT",
        time_limit=600,
    )
    bench.price(510)
    return executor


def test_resume_goes_on_where_it_was(bench: ExecutorBench, armed: PositionExecutor) -> None:
    fresh, again = reborn(bench, armed, "resume")
    assert again.status is RunnableStatus.RUNNING
    assert again.totals == armed.totals
    assert again.levels == armed.levels
    assert again.wakes == armed.wakes
    assert len(bench.venue.orders) == 2
    fresh.price(507)
    assert (again.close_type, again.is_done) == (CloseType.TRAILING_STOP, True)


@pytest.mark.parametrize(
    ("policy", "close_type", "held"),
    [
        ("flatten", CloseType.EARLY_STOP, 0),
        ("hold", CloseType.POSITION_HOLD, 2000),
        ("ignore", CloseType.FAILED, 2000),
    ],
)
def test_other_policies_end_it(
    bench: ExecutorBench,
    armed: PositionExecutor,
    policy: RestartPolicy,
    close_type: CloseType,
    held: int,
) -> None:
    _, again = reborn(bench, armed, policy)
    assert (again.close_type, again.is_done) == (close_type, True)
    assert sum(order.lots for order in again.held_position_orders) == held
    assert bench.venue.live() == []


def test_missing_fills_are_applied_once(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(stop_loss="0.02")
    bench.venue.fill("O-2", 2000, 500)
    bench.venue.events.clear()
    fresh, again = reborn(bench, executor, "resume")
    assert again.totals.entry_lots == 2000
    fresh.price(490)
    assert again.close_type is CloseType.STOP_LOSS


def test_a_shutdown_goes_on(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create(stop_loss="0.02")
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.stop(executor)
    fresh, again = reborn(bench, executor, "resume")
    assert again.status is RunnableStatus.SHUTTING_DOWN
    assert len(bench.venue.orders) == 2
    bench.venue.fill("O-3", 2000, 501)
    fresh.pump()
    assert (again.close_type, again.is_done) == (CloseType.EARLY_STOP, True)
    assert again.snapshot().totals == again.totals


def test_a_terminated_one_keeps_its_figures(bench: ExecutorBench, armed: PositionExecutor) -> None:
    bench.stop(armed)
    _, again = reborn(bench, armed, "resume")
    assert again.is_done
    assert again.executor_info.net_pnl_quote == armed.executor_info.net_pnl_quote
    assert again.snapshot().closed_ns == armed.snapshot().closed_ns


def test_a_broken_blob_is_refused(bench: ExecutorBench, armed: PositionExecutor) -> None:
    fresh = ExecutorBench()
    with pytest.raises(ValueError, match="stored state misses 'close_type'"):
        fresh.orchestrator.resume(armed.config, {"status": "RUNNING"}, [], [])
    state = armed.runtime_state() | {"retries": "many"}
    with pytest.raises(ValueError, match="a whole number, got 'many'"):
        fresh.orchestrator.resume(armed.config, state, [], [])
