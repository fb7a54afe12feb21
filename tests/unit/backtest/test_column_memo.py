"""Indicators that many runs share are computed once (FAST-5)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.backtest.column_memo import IndicatorMemo
from engine.strategies.donchian import Donchian, DonchianParams
from engine.strategies.rsi_reversion import RsiReversion, RsiReversionParams
from engine.strategies.sma_cross import SmaCross, SmaCrossParams
from engine.strategies.strategy import Strategy
from engine.testing.backtest_scenarios import long_columns


def test_a_column_is_computed_once_and_cannot_be_written() -> None:
    memo = IndicatorMemo()
    first = memo.get("a", lambda: np.arange(5))
    again = memo.get("a", lambda: pytest.fail("it is known"))
    assert again is first
    assert memo.computed == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


def test_threads_that_ask_together_get_the_same_column() -> None:
    memo = IndicatorMemo()
    gate = threading.Barrier(4)

    def ask(_: int) -> object:
        gate.wait(10)
        return memo.get("a", lambda: np.arange(5))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert all(one is found[0] for one in found)
    assert memo.computed == 1


def test_beyond_its_memory_the_oldest_columns_are_let_go() -> None:
    memo = IndicatorMemo(most_bytes=100)
    for name in "abc":
        memo.get(name, lambda: np.zeros(6))  # 48 bytes
    memo.get("c", lambda: pytest.fail("it is known"))
    memo.get("b", lambda: pytest.fail("it is known"))
    memo.get("a", lambda: np.zeros(6))
    assert memo.computed == 4
    memo.get("b", lambda: pytest.fail("it was asked for later than c"))


def test_a_column_larger_than_the_memory_is_given_all_the_same() -> None:
    memo = IndicatorMemo(most_bytes=10)
    assert len(memo.get("a", lambda: np.zeros(6))) == 6


@pytest.mark.parametrize(
    ("strategies", "computed"),
    [
        (
            [
                SmaCross(SmaCrossParams(fast=fast, slow=slow))
                for fast in (5, 10, 20)
                for slow in (30, 40)
            ],
            5,
        ),
        ([Donchian(DonchianParams(entry=20, exit=length)) for length in (5, 10)], 3),
        ([RsiReversion(RsiReversionParams(length=14)) for _ in range(3)], 2),
    ],
    ids=["means", "channels", "gains and losses"],
)
def test_combinations_share_what_they_have_in_common(
    strategies: list[Strategy], computed: int
) -> None:
    bars = long_columns(3, 500)
    memo = IndicatorMemo()
    shared = bars.with_columns(memo=memo)
    for strategy in strategies:
        alone, together = strategy.signals(bars), strategy.signals(shared)
        assert alone is not None
        assert together is not None
        for name, column in alone.columns.items():
            assert column.tolist() == together[name].tolist()
    assert memo.computed == computed


def test_other_bars_never_have_the_memo_of_these() -> None:
    bars = long_columns(3, 50).with_columns(memo=IndicatorMemo())
    assert bars.memo is not None
    assert bars.slice(0, 20).memo is None
    assert bars.prefix(20).memo is None
    assert bars.with_columns(symbol="other").memo is None
