"""ExecutorInfo and custom info."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from fractions import Fraction

import pytest

from engine.executors.custom_info import CustomInfo
from engine.executors.factory import ExecutorFactory
from engine.executors.info import ExecutorInfo
from engine.executors.plain import to_plain
from engine.executors.position_info import PositionCustomInfo
from engine.executors.status import Lifecycle
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType
from engine.testing.executor_bench import BENCH_MARKET, ExecutorBench

POSITION_FIELDS = {
    "level_id",
    "current_position_average_price",
    "side",
    "current_retries",
    "max_retries",
    "close_price",
    "open_order_last_update",
    "order_ids",
    "held_position_orders",
    "remaining_amount",
    "trailing_stop_trigger_pct",
    "stop_loss_price",
    "take_profit_price",
    "end_time",
    "stale_price",
    "residual_amount_base",
}


@pytest.mark.parametrize("keep", [True, False, None])
def test_json_survives_the_round_trip(bench: ExecutorBench, keep: bool | None) -> None:
    executor = bench.create(
        stop_loss="0.02", trailing_stop="0.001,0.0005", time_limit=60, level_id="7"
    )
    bench.price(503)
    if keep is not None:
        bench.stop(executor, keep=keep)
    info = executor.executor_info
    again = ExecutorInfo.from_json(info.to_json(), ExecutorFactory.get_config_type)
    assert ExecutorInfo.from_json(info.to_json()) == again
    assert again == info


def test_an_unknown_type_in_json_is_an_error(bench: ExecutorBench) -> None:
    text = bench.create().executor_info.to_json().replace("position_executor", "other_executor")
    with pytest.raises(ValueError, match="no executor type 'other_executor'; known: position"):
        ExecutorInfo.from_json(text, ExecutorFactory.get_config_type)


def test_derived_fields(bench: ExecutorBench) -> None:
    executor = bench.create(side="SELL")
    info = executor.executor_info
    assert info.side is TradeType.SELL
    assert (info.connector_name, info.trading_pair) == ("paper", "BTC-USDT")
    assert info.markets == (BENCH_MARKET,)
    assert info.lifecycle is Lifecycle.RUNNING
    assert not info.is_done
    assert info.custom_info.keys() == POSITION_FIELDS


def test_custom_info_of_a_running_position(bench: ExecutorBench) -> None:
    bench.price(500)
    executor = bench.create(stop_loss="0.02", take_profit="0.04", time_limit=60)
    info = PositionCustomInfo.from_executor(executor)
    assert (info.stop_loss_price, info.take_profit_price) == (Decimal("49.0"), Decimal("52.0"))
    assert info.end_time == 1060.0
    assert info.remaining_amount == 2
    assert info.close_price is None
    assert info.order_ids == ("O-2",)
    bench.stop(executor, keep=True)
    (held,) = PositionCustomInfo.from_executor(executor).held_position_orders
    assert held["client_order_id"] == "O-2"
    assert held["executed_amount_base"] == "2.000"
    assert held["executed_amount_quote"] == "100.00000000"
    assert held["last_state"] == 5
    assert held["position"] == "OPEN"
    assert held["cumulative_fee_paid_quote"] == "0E-8"


def test_the_average_price_of_the_exits(bench: ExecutorBench) -> None:
    executor = bench.create()
    bench.price(510)
    bench.stop(executor)
    assert PositionCustomInfo.from_executor(executor).close_price == Decimal("51.0")


def test_taking_a_report_changes_nothing(bench: ExecutorBench) -> None:
    executor = bench.create(stop_loss="0.02")
    version, orders = executor.version, len(bench.venue.orders)
    bench.venue.quotes.clear()
    assert executor.executor_info.net_pnl_quote == 0
    assert (executor.version, len(bench.venue.orders)) == (version, orders)


def test_a_failing_custom_info_falls_back(
    bench: ExecutorBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = bench.create()

    def broken(executor: object) -> CustomInfo:
        raise RuntimeError("boom")

    registration = ExecutorFactory._registrations[type(executor.config)]
    assert registration.custom_info_type is not None
    monkeypatch.setattr(registration.custom_info_type, "from_executor", broken)
    assert executor.executor_info.custom_info == {"side": "BUY"}
    bench.orchestrator.get_executors_report()
    assert any("boom" in notice.text for notice in bench.orchestrator.take_notices())


def test_plain_values() -> None:
    class Colour(Enum):
        RED = 1

    assert to_plain({"a": (Decimal("1.10"), Fraction(1, 3), Colour.RED, None)}) == {
        "a": ["1.10", "1/3", "RED", None]
    }
    assert to_plain(ConnectorPair("a", "B-C")) == {"connector_name": "a", "trading_pair": "B-C"}
    with pytest.raises(TypeError, match="no plain JSON form"):
        to_plain(object())
