"""Every sample strategy: its table of signals is what `on_bar` gives, and sees no future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.quotes import Bar
from engine.strategies.catalogue import strategy_types
from engine.strategies.signal_rows import FIELDS, SignalRow, TagIndex, row_of, rows_of
from engine.testing.bar_context import MARKET, BarContext

SCRIPT = [
    {"bar": 3, "side": "buy", "qty": 2, "limit": "7.5", "type": "LIMIT", "tag": "a"},
    {"bar": 3, "side": "sell", "qty": 1, "type": "stop", "stop": "3.2", "reduce_only": True},
    {"bar": 5, "kind": "direction", "side": "buy", "bracket": {"sl": 2, "tp": 20}},
    {"bar": 6, "side": "sell", "qty": -1},
    {"bar": 7, "side": "buy", "qty": 1, "bracket": {"sl": 2, "basis": "fill", "sl_trail": 1}},
    {"bar": 8, "cancel": "a"},
    {"bar": 9, "kind": "exit", "trail": {"pct": 3}, "type": "TRAILING_STOP"},
]
CASES: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("sma_cross", {"fast": 2, "slow": 4}),
    ("sma_cross", {"fast": 1, "slow": 3, "direction": "both"}),
    ("donchian", {"entry": 4, "exit": 2}),
    ("donchian", {"entry": 3, "exit": 3, "direction": "both"}),
    ("rsi_reversion", {"length": 3}),
    ("rsi_reversion", {"length": 2, "direction": "both", "oversold": 40, "overbought": 60}),
    ("bracket", {"fast": 1, "slow": 3, "direction": "both"}),
    ("bracket", {"every": 4, "trailing_stop": "0.05", "take_profit": None}),
    ("buy_and_hold", {}),
    ("buy_and_hold", {"weight": "0.5"}),
    ("scripted", {"orders": SCRIPT}),
)


def bars_of(steps: Sequence[tuple[int, int, int, int]]) -> list[Bar]:
    bars = []
    for index, (first, up, down, last) in enumerate(steps):
        low = max(1, min(first, last) - down)
        bars.append(Bar(MARKET, index, index + 1, first, max(first, last) + up, low, last))
    return bars


steps_ = st.lists(
    st.tuples(st.integers(4, 12), st.integers(0, 3), st.integers(0, 3), st.integers(4, 12)),
    max_size=40,
)


def table_rows(
    name: str, params: Mapping[str, Any], bars: Sequence[Bar], start: int
) -> list[tuple[SignalRow, str]]:
    strategy = strategy_types()[name].build(params)
    context = BarContext(strategy_types()[name].build(params))
    context.bars = list(bars)
    table = strategy.signals(context.columns(), start=start)
    assert table is not None
    return [(row, table.tags[row.tag]) for row in rows_of(table)]


def without_numbers(rows: Sequence[tuple[SignalRow, str]]) -> list[tuple[Any, ...]]:
    """Tags are compared by their text: tables may number them differently."""
    return [
        (tag, *(getattr(row, one) for one in FIELDS if not one.endswith("tag")))
        for row, tag in rows
    ]


@pytest.mark.parametrize(
    ("name", "params"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)]
)
@settings(max_examples=25, deadline=None)
@given(steps=steps_, start=st.integers(0, 12))
def test_the_table_is_what_on_bar_gives(
    name: str, params: Mapping[str, Any], steps: Sequence[tuple[int, int, int, int]], start: int
) -> None:
    bars = bars_of(steps)
    context = BarContext(strategy_types()[name].build(params))
    tags = TagIndex()
    given_rows = [
        row_of(signal, instrument=context.instrument(MARKET), bar=index, tags=tags)
        for index, signal in context.play(bars, start=start)
    ]
    expected = [(row, tags.tags[row.tag]) for row in given_rows]
    found = table_rows(name, params, bars, start)
    assert without_numbers(found) == without_numbers(expected)


@pytest.mark.parametrize(
    ("name", "params"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)]
)
@settings(max_examples=15, deadline=None)
@given(steps=steps_, cut=st.integers(1, 39))
def test_later_bars_never_change_earlier_rows(
    name: str, params: Mapping[str, Any], steps: Sequence[tuple[int, int, int, int]], cut: int
) -> None:
    bars = bars_of(steps)
    whole = without_numbers(table_rows(name, params, bars, 0))
    part = without_numbers(table_rows(name, params, bars[:cut], 0))
    known = [row for row in whole if row[1] < cut]
    assert part == known
