"""Rare ways through the framework: each ends in a defined state."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

import pytest

from engine.executors.actions import ActionCode, ExecutorAction
from engine.executors.base import ExecutorBase, UpdateRejectedError
from engine.executors.custom_info import CustomInfo
from engine.executors.executor_state import ExecutorState
from engine.executors.factory import ExecutorFactory
from engine.executors.held_order import HeldOrder
from engine.executors.position_config import PositionExecutorConfig
from engine.executors.position_executor import PositionExecutor
from engine.executors.position_store import PositionStore
from engine.executors.status import CloseType, RunnableStatus
from engine.executors.step import Step
from engine.executors.tracked_order import TrackedOrder
from engine.model.orders import (
    Fill,
    OrderState,
    OrderStatus,
    PositionAction,
    TradeType,
)
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench, bench_instrument


class StubbornConfig(PositionExecutorConfig):
    type: Literal["stubborn_executor"] = "stubborn_executor"  # type: ignore[assignment]  # another type string
    position_action: PositionAction = PositionAction.CLOSE


class StubbornExecutor(PositionExecutor):
    def on_time(self, now_ns: int) -> Step:
        raise RuntimeError("boom")

    def fail(self, reason: str) -> Step:
        raise RuntimeError("no end")


class Foreign:
    executor_info = None

    def __init__(self, strategy: Any, config: Any, interval: float, retries: int | None) -> None:
        del strategy, config, interval, retries

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def early_stop(self) -> None: ...


@pytest.fixture(params=[StubbornExecutor, Foreign])
def stubborn(request: pytest.FixtureRequest) -> Iterator[type]:
    """Another executor class for ``StubbornConfig``."""
    ExecutorFactory.register_executor(StubbornConfig, None, CustomInfo)(request.param)
    yield request.param
    ExecutorFactory.unregister(StubbornConfig)


def stubborn_config(bench: ExecutorBench, **fields: Any) -> StubbornConfig:
    plain = bench.config(**fields).model_dump() | {"type": "stubborn_executor", "id": "s"}
    return StubbornConfig.model_validate(plain)


def test_foreign_classes_and_endless_errors(bench: ExecutorBench, stubborn: type) -> None:
    action = ExecutorAction.create(stubborn_config(bench, time_limit=1))
    result = bench.orchestrator.execute_action(action)
    if stubborn is Foreign:
        assert result.code is ActionCode.CREATE_FAILED
        assert "Foreign must derive from ExecutorBase" in result.message
        assert ExecutorFactory.get_config_type_for_executor("s") is None
        return
    bench.pump()
    bench.advance(20)
    texts = [notice.text for notice in bench.orchestrator.take_notices()]
    assert any("cannot end: RuntimeError('no end')" in text for text in texts)
    executor = bench.orchestrator.find("s")
    assert isinstance(executor, ExecutorBase)
    assert executor.executor_info.custom_info == {"side": "BUY"}
    bench.orchestrator.force_stop()
    assert executor.is_done


def test_a_stop_before_the_start_ends_it(bench: ExecutorBench) -> None:
    config = bench.config().with_identity(now_ns=1, random_bits=1, controller_id="main")
    executor = PositionExecutor(bench.venue, config)
    assert executor.wakes.at_ns is None
    assert executor.early_stop().intents == ()
    assert (executor.status, executor.close_type) == (
        RunnableStatus.TERMINATED,
        CloseType.EARLY_STOP,
    )
    assert executor.fail("too late").intents == ()
    assert executor.close_type is CloseType.EARLY_STOP


def test_an_executor_that_fails_before_the_start(bench: ExecutorBench) -> None:
    config = bench.config().with_identity(now_ns=1, random_bits=1, controller_id="main")
    executor = PositionExecutor(bench.venue, config)
    executor.fail("broken")
    assert (executor.close_type, executor.is_done) == (CloseType.FAILED, True)


def test_types_without_updates_refuse_them(bench: ExecutorBench) -> None:
    executor = bench.create()
    with pytest.raises(UpdateRejectedError, match="takes no update, got 1"):
        ExecutorBase.update_live(executor, 1)


def test_an_amount_that_is_worth_too_little_fails_with_the_first_quote() -> None:
    bench = ExecutorBench()
    bench.venue.quotes.clear()
    executor = bench.create(amount="0.01")
    assert executor.status is RunnableStatus.RUNNING
    bench.price(500)
    assert executor.close_type is CloseType.FAILED
    assert "least notional" in executor.snapshot().last_error


def test_the_states_of_a_tracked_order(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    bench.create(entry_price="49", open_order_type="LIMIT")
    order = bench.venue.orders["O-2"]
    tracked = TrackedOrder(order.request, 5)
    states = [tracked.state]
    assert tracked.apply_order(order)
    states.append(tracked.state)
    assert states == [OrderState.PENDING_CREATE, OrderState.OPEN]
    assert not tracked.apply_order(order)
    fill = Fill(
        "F-1",
        "O-2",
        "x",
        "entry",
        BENCH_MARKET,
        TradeType.BUY,
        500,
        490,
        1,
        0,
        is_maker=True,
        ts_ns=9,
    )
    tracked.apply_fill(fill)
    assert (tracked.state, tracked.pending_lots) == (OrderState.PARTIALLY_FILLED, 1500)
    tracked.cancel_sent_ns = 9
    states.append(tracked.state)
    tracked.apply_order(replace(order, status=OrderStatus.REJECTED))
    assert tracked.pending_lots == 0
    states.append(tracked.state)
    tracked.apply_fill(replace(fill, fill_id="F-2", lots=1500))
    states.append(tracked.state)
    assert states[2:] == [OrderState.PENDING_CANCEL, OrderState.FAILED, OrderState.FILLED]


def test_restoring_ignores_foreign_fills_and_keeps_sent_cancels(
    manual_bench: ExecutorBench,
) -> None:
    bench = manual_bench
    executor = bench.create(entry_price="49", open_order_type="LIMIT")
    order = replace(bench.venue.orders["O-2"], is_cancel_requested=True)
    foreign = Fill(
        "F-1",
        "O-9",
        "x",
        "entry",
        BENCH_MARKET,
        TradeType.BUY,
        1,
        1,
        1,
        0,
        is_maker=True,
        ts_ns=9,
    )
    again = PositionExecutor(bench.venue, executor.config)
    again.restore(executor.runtime_state(), [order], [foreign])
    assert again.totals.entry_lots == 0
    assert next(iter(again._orders)).state is OrderState.PENDING_CANCEL


def test_restoring_a_terminated_one_keeps_its_dust(manual_bench: ExecutorBench) -> None:
    bench = manual_bench
    executor = bench.create()
    bench.venue.fill("O-2", 2000, 500)
    bench.pump()
    bench.stop(executor)
    bench.venue.fill("O-3", 1995, 510)
    bench.venue.cancel("O-3")
    bench.pump()
    assert executor.totals.residual_lots == 5
    again = PositionExecutor(bench.venue, executor.config)
    again.restore(executor.runtime_state(), bench.venue.orders.values(), bench.venue.fills)
    assert again.totals == executor.totals
    assert again.executor_info.net_pnl_quote == executor.executor_info.net_pnl_quote


@dataclass
class Closing:
    config: StubbornConfig


def test_a_hedged_close_goes_to_the_bucket_of_what_it_closes() -> None:
    bench = ExecutorBench(bench_instrument(is_hedged=True))
    store = PositionStore(bench.venue)
    order = HeldOrder("1", BENCH_MARKET, TradeType.BUY, 10, 100, 0)
    store.add(Closing(stubborn_config(bench)), "main", [order, order])
    (position,) = store.summaries("main")
    assert position.bucket_side is TradeType.SELL
    assert position.amount == Decimal("0.01")


def test_performance_with_and_without_reports_is_the_same(bench: ExecutorBench) -> None:
    for keep in (True, False, None):
        executor = bench.create()
        bench.price(505)
        if keep is not None:
            bench.stop(executor, keep=keep)
    cheap = bench.orchestrator.get_all_performance()
    full = bench.orchestrator.get_all_reports()
    assert cheap["main"] == full["main"].performance
    assert bench.orchestrator.archived_performance().done == 0
    bench.advance(2)
    assert bench.orchestrator.archived_performance().done == 2


def test_unknown_actions_are_a_programming_error(bench: ExecutorBench) -> None:
    with pytest.raises(TypeError, match="no such action: ExecutorAction"):
        bench.orchestrator.execute_action(ExecutorAction())


def test_the_instrument_of_the_bench_is_what_the_tests_assume() -> None:
    assert bench_instrument().atoms_per_tick_lot == 10_000


def test_a_bare_executor_looks_twice_a_second_and_the_types_once() -> None:
    defaults = {
        kind: inspect.signature(kind).parameters["update_interval"].default
        for kind in (ExecutorState, PositionExecutor)
    }
    assert defaults == {ExecutorState: 0.5, PositionExecutor: 1.0}
