"""From every state a stop ends a progressive, DCA or grid executor."""

from __future__ import annotations

from typing import Any

import pytest

from engine.executors.dca_executor import DCAExecutor
from engine.executors.directional import DirectionalExecutor
from engine.executors.factory import ExecutorFactory
from engine.executors.grid_executor import GridExecutor
from engine.executors.order_roles import kind_of
from engine.executors.progressive_executor import ProgressiveExecutor
from engine.executors.status import CloseType, RunnableStatus
from engine.model.orders import Order
from engine.testing.type_bench import TypeBench

Bench = TypeBench[DirectionalExecutor]
R = RunnableStatus
MARKET = {"connector_name": "paper", "trading_pair": "BTC-USDT", "side": "BUY"}
TYPES: dict[str, tuple[type[DirectionalExecutor], dict[str, Any]]] = {
    "progressive_executor": (
        ProgressiveExecutor,
        {"amount": "1", "entry_price": "50", "triple_barrier_config": {"stop_loss": "0.05"}},
    ),
    "dca_executor": (DCAExecutor, {"amounts_quote": "10,20", "prices": "50,49"}),
    "grid_executor": (
        GridExecutor,
        {
            "start_price": "48",
            "end_price": "52",
            "limit_price": "0",
            "total_amount_quote": "100",
            "min_spread_between_orders": "0.02",
            "triple_barrier_config": {"take_profit": "0.01", "take_profit_order_type": "LIMIT"},
        },
    ),
}


def desk_of(name: str) -> Bench:
    kind, fields = TYPES[name]
    bench: Bench = TypeBench(kind, name, MARKET | fields)
    bench.venue.is_matching = False
    bench.price(500, 501)
    return bench


def entry(desk: Bench) -> Order:
    return next(o for o in desk.orders() if kind_of(o.request.role) == "entry")


@pytest.mark.parametrize("name", sorted(TYPES))
@pytest.mark.parametrize("keep", [None, True, False])
@pytest.mark.parametrize(
    "filled", ["nothing", "a part", "all"], ids=["unfilled", "partly", "filled"]
)
def test_a_stop_while_running(name: str, keep: bool | None, filled: str) -> None:
    desk = desk_of(name)
    executor = desk.create()
    lots = {"nothing": 0, "a part": 20, "all": entry(desk).request.lots}[filled]
    if lots:
        desk.fill(entry(desk), lots)
    desk.stop(executor, keep=keep)
    is_held = bool(keep) and bool(lots)
    assert executor.close_type is (CloseType.POSITION_HOLD if is_held else CloseType.EARLY_STOP)
    if lots and not keep:
        assert executor.status is R.SHUTTING_DOWN
        desk.fill(desk.venue.last("close"))
    assert executor.is_done
    assert desk.venue.live() == []
    held = sum(order.lots for order in executor.held_position_orders)
    assert held == (lots if is_held else 0)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_second_stop_changes_nothing(name: str) -> None:
    desk = desk_of(name)
    executor = desk.create()
    desk.fill(entry(desk))
    desk.stop(executor, keep=False)
    desk.stop(executor, keep=True)
    assert (executor.status, executor.close_type) == (R.SHUTTING_DOWN, CloseType.EARLY_STOP)
    desk.fill(desk.venue.last("close"))
    desk.stop(executor, keep=True)
    assert (executor.status, executor.close_type) == (R.TERMINATED, CloseType.EARLY_STOP)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_stop_before_the_start(name: str) -> None:
    desk = desk_of(name)
    config = ExecutorFactory.get_config_type(name)(**MARKET, **TYPES[name][1]).with_identity(
        now_ns=desk.venue.now_ns(), random_bits=1, controller_id="main"
    )
    executor = ExecutorFactory.create_executor(desk.venue, config, 1.0)
    assert executor.status is R.NOT_STARTED
    executor.early_stop(keep_position=False)
    assert (executor.status, executor.close_type) == (R.TERMINATED, CloseType.EARLY_STOP)
    assert executor.start(desk.venue.now_ns()).intents == ()


@pytest.mark.parametrize("name", sorted(TYPES))
@pytest.mark.parametrize("is_filled", [True, False])
def test_a_forced_stop(name: str, is_filled: bool) -> None:
    desk = desk_of(name)
    executor = desk.create()
    if is_filled:
        desk.fill(entry(desk))
    desk.orchestrator.force_stop()
    desk.pump()
    wanted = CloseType.POSITION_HOLD if is_filled else CloseType.FAILED
    assert (executor.status, executor.close_type) == (R.TERMINATED, wanted)
    assert desk.venue.live() == []
    assert bool(executor.held_position_orders) is is_filled


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_stop_ends_in_bounded_time_at_a_deaf_venue(name: str) -> None:
    desk = desk_of(name)
    executor = desk.create()
    desk.fill(entry(desk), 20)
    desk.venue.is_deaf = True
    desk.orchestrator.begin_stop(keep_positions=False)
    desk.pump()
    desk.advance(60)
    assert executor.is_done
    assert desk.orchestrator.is_stopped
    assert sum(order.lots for order in executor.held_position_orders) == 20
