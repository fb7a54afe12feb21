"""Choosing executors by their reports."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.executors.executor_filter import ExecutorFilter, filter_executors
from engine.executors.info import ExecutorInfo
from engine.executors.status import CloseType, RunnableStatus
from engine.model.instruments import ConnectorPair
from engine.model.orders import TradeType
from engine.testing.executor_bench import ExecutorBench


@pytest.fixture
def infos(bench: ExecutorBench) -> list[ExecutorInfo]:
    """A running long, a closed short that lost, and one on two venues."""
    running = bench.create(id="long", timestamp=100).executor_info
    closed = bench.create(id="short", side="SELL", timestamp=200)
    bench.stop(closed)
    pair = (ConnectorPair("paper", "BTC-USDT"), ConnectorPair("other", "WBTC-EUR"))
    two = replace(
        running, id="two", type="arbitrage_executor", markets=pair, custom_info={"side": None}
    )
    return [running, closed.executor_info, replace(two, controller_id="mine", timestamp=300.0)]


@pytest.mark.parametrize(
    ("criteria", "chosen"),
    [
        ({}, ["long", "short", "two"]),
        ({"executor_ids": ["long", "two", "gone"]}, ["long", "two"]),
        ({"executor_ids": []}, []),
        ({"connector_names": ["other"]}, ["two"]),
        ({"trading_pairs": ["WBTC-EUR", "ETH-USDT"]}, ["two"]),
        ({"trading_pairs": ["BTC-USDT"]}, ["long", "short", "two"]),
        ({"executor_types": ["position_executor"]}, ["long", "short"]),
        ({"statuses": [RunnableStatus.TERMINATED]}, ["short"]),
        ({"sides": [TradeType.BUY]}, ["long"]),
        ({"is_active": True}, ["long", "two"]),
        ({"is_active": False}, ["short"]),
        ({"is_trading": True}, ["long", "two"]),
        ({"close_types": [CloseType.EARLY_STOP, CloseType.FAILED]}, ["short"]),
        ({"controller_ids": ["mine"]}, ["two"]),
        ({"max_pnl_quote": Decimal(-1)}, []),
        ({"min_pnl_quote": Decimal("-0.2")}, ["long", "short", "two"]),
        ({"min_pnl_pct": Decimal(0)}, []),
        ({"max_pnl_pct": Decimal(0)}, ["long", "short", "two"]),
        ({"min_timestamp": 200.0}, ["short", "two"]),
        ({"max_timestamp": 200.0}, ["long", "short"]),
        ({"min_close_timestamp": 0.0}, ["short"]),
        ({"max_close_timestamp": 0.0}, []),
        ({"sides": [TradeType.BUY, TradeType.SELL], "is_active": False}, ["short"]),
        ({"sides": [TradeType.BUY], "is_active": False}, []),
    ],
)
def test_all_criteria_hold_and_one_of_a_list_is_enough(
    infos: list[ExecutorInfo], criteria: dict[str, Any], chosen: list[str]
) -> None:
    found = filter_executors(infos, ExecutorFilter(**criteria))
    assert [info.id for info in found] == chosen


def test_without_a_filter_all_go_through_and_an_empty_list_stays_empty(
    infos: list[ExecutorInfo],
) -> None:
    assert filter_executors(infos) == tuple(infos)
    assert filter_executors([], ExecutorFilter()) == ()
    assert filter_executors([]) == ()
