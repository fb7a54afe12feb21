"""How executors meet a bar: the worse extreme first, gaps, and nothing more at its close."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.backtest.config import as_config
from engine.backtest.results import BacktestResult
from engine.model.instruments import Settlement
from engine.testing.bar_market import Row, bars_of, run_on

FLAT: Row = (10_000, 10_000, 10_000, 10_000)


def run(
    rows: list[Row],
    *,
    path: str = "pessimistic",
    stop_fill: str = "path",
    executor: dict[str, Any] | None = None,
    **fields: Any,
) -> BacktestResult:
    barriers = {"open_order_type": "MARKET"} | fields.pop("barriers", {})
    market = {"connector_name": "backtest", "trading_pair": "ACME-USD", "side": "BUY"}
    plain = {
        "type": "position_executor",
        "amount": 100,
        "triple_barrier_config": barriers,
    }
    config = as_config(
        {
            "data": [{"symbol": "ACME", "path": "ACME.csv", "settlement": "derivative"}],
            "components": {"broker": {"params": {"path": path, "stop_fill": stop_fill}}},
            "executors": [market | (executor or plain) | fields],
        }
    )
    bars = bars_of(rows)
    derivative = replace(bars.instrument, settlement=Settlement.DERIVATIVE, shortable=True)
    return run_on(config, replace(bars, instrument=derivative))


def ticks_of(result: BacktestResult) -> list[int]:
    return [int(one) for one in result.fills["ticks"]]


@pytest.mark.parametrize(
    ("side", "bar", "exit_ticks", "close_type"),
    [
        # The nearer extreme is the target: the worse one comes first all the same.
        ("BUY", (10_000, 10_100, 9_800, 10_000), 9_800, "STOP_LOSS"),
        ("SELL", (10_000, 10_200, 9_900, 10_000), 10_200, "STOP_LOSS"),
        ("BUY", (10_000, 10_100, 9_990, 10_000), 10_100, "TAKE_PROFIT"),
    ],
    ids=["long", "short", "only the target"],
)
def test_a_bar_that_touches_both_closes_at_the_stop(
    side: str, bar: Row, exit_ticks: int, close_type: str
) -> None:
    barriers = {"stop_loss": "0.005", "take_profit": "0.005"}
    result = run([FLAT, bar, FLAT], side=side, barriers=barriers)
    assert ticks_of(result) == [10_000, exit_ticks]
    assert result.flags["close_types"] == {close_type: 1}


def test_a_flat_account_sees_the_nearer_extreme_first() -> None:
    """Bought at the low that comes first, sold at the high after it."""
    barriers = {"open_order_type": "LIMIT", "take_profit": "0.02"}
    bar: Row = (10_000, 10_300, 9_900, 10_000)
    result = run([FLAT, bar, FLAT], entry_price="99", barriers=barriers)
    assert ticks_of(result) == [9_900, 10_300]
    # The high is nearer: it is over when the entry is filled.
    bar = (10_000, 10_050, 9_900, 9_950)
    result = run([FLAT, bar, FLAT], entry_price="99", barriers=barriers | {"take_profit": "0.012"})
    assert ticks_of(result) == [9_900, 10_000]


@pytest.mark.parametrize(
    ("side", "price", "bar", "fill_ticks"),
    [
        ("BUY", "99", (9_800, 9_850, 9_750, 9_800), 9_800),
        ("BUY", "99", (10_000, 10_050, 9_750, 9_800), 9_900),
        ("SELL", "101", (10_200, 10_250, 10_150, 10_200), 10_200),
        ("SELL", "101", (10_000, 10_250, 9_950, 10_200), 10_100),
    ],
    ids=["buy at the gap", "buy at its limit", "sell at the gap", "sell at its limit"],
)
def test_a_resting_limit_fills_at_the_open_if_the_market_jumped_over_it(
    side: str, price: str, bar: Row, fill_ticks: int
) -> None:
    barriers = {"open_order_type": "LIMIT"}
    result = run([FLAT, bar], side=side, entry_price=price, barriers=barriers)
    assert ticks_of(result)[0] == fill_ticks


def test_what_is_asked_at_the_close_trades_at_the_next_open() -> None:
    """Armed at the high, the trailing stop fires at the close."""
    barriers = {"trailing_stop": "0.02,0.01"}
    rows: list[Row] = [FLAT, (10_000, 10_400, 10_000, 10_200), (10_150, 10_160, 10_140, 10_150)]
    result = run(rows, barriers=barriers)
    assert ticks_of(result) == [10_000, 10_150]
    assert result.flags["close_types"] == {"TRAILING_STOP": 1}
    assert int(result.fills["ts"][1]) == int(bars_of(rows).ts_open[2])


@pytest.mark.parametrize(
    ("side", "bar", "exit_ticks"),
    [
        ("BUY", (10_000, 10_100, 9_800, 10_000), 9_950),
        ("BUY", (9_900, 9_900, 9_800, 9_850), 9_900),
        ("SELL", (10_000, 10_200, 9_900, 10_000), 10_050),
        ("BUY", (10_000, 10_100, 9_990, 10_000), 10_050),
    ],
    ids=["stop of a long", "opened beyond it", "stop of a short", "target"],
)
def test_a_watched_barrier_can_fill_at_its_own_price(side: str, bar: Row, exit_ticks: int) -> None:
    barriers = {"stop_loss": "0.005", "take_profit": "0.005"}
    result = run([FLAT, bar, FLAT], side=side, barriers=barriers, stop_fill="barrier")
    assert ticks_of(result) == [10_000, exit_ticks]


def test_a_trailing_stop_fills_where_it_stands_after_the_high() -> None:
    """Armed and raised at 104: it stands 1 % of the entry below, and fires just under that."""
    barriers = {"trailing_stop": "0.02,0.01"}
    rows: list[Row] = [FLAT, (10_000, 10_400, 10_000, 10_200), FLAT]
    result = run(rows, barriers=barriers, stop_fill="barrier")
    assert ticks_of(result) == [10_000, 10_299]


def test_a_grid_stops_at_its_limit_price() -> None:
    grid = {
        "type": "grid_executor",
        "start_price": "98",
        "end_price": "101",
        "limit_price": "97",
        "total_amount_quote": "10000",
        "min_order_amount_quote": "1000",
        "min_spread_between_orders": "0.002",
        "triple_barrier_config": {"take_profit": "0.05", "open_order_type": "LIMIT"},
    }
    rows: list[Row] = [FLAT, (10_000, 10_000, 9_600, 9_650), FLAT]
    result = run(rows, stop_fill="barrier", executor=grid)
    assert ticks_of(result)[-1] == 9_700
    assert result.flags["close_types"] == {"STOP_LOSS": 1}


@pytest.mark.parametrize("mode", ["ONEWAY", "HEDGE"])
def test_a_long_and_a_short_of_one_market_end_by_themselves(mode: str) -> None:
    def executor(side: str, amount: int) -> dict[str, Any]:
        barriers = {"open_order_type": "MARKET", "take_profit": "0.02", "stop_loss": "0.04"}
        market = {"connector_name": "backtest", "trading_pair": "ACME-USD", "side": side}
        kind = {"type": "position_executor", "amount": amount}
        return {**market, **kind, "triple_barrier_config": barriers}

    entry = {"symbol": "ACME", "path": "ACME.csv", "settlement": "derivative"}
    config = as_config(
        {
            "data": [{**entry, "position_mode": mode}],
            "executors": [executor("BUY", 100), executor("SELL", 300)],
        }
    )
    rising: Row = (10_000, 10_250, 10_000, 10_250)
    higher: Row = (10_250, 10_450, 10_250, 10_450)
    bars = bars_of([FLAT, rising, higher, higher])
    derivative = replace(bars.instrument, settlement=Settlement.DERIVATIVE, shortable=True)
    result = run_on(config, replace(bars, instrument=derivative))
    assert ticks_of(result) == [10_000, 10_000, 10_250, 10_450]
    assert result.flags["close_types"] == {"STOP_LOSS": 1, "TAKE_PROFIT": 1}
    # 100 x 2.50 won, 300 x 4.50 lost, whichever way the account books it.
    assert result.metrics["total_return"] == pytest.approx(-0.011)
