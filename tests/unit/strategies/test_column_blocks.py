"""Signals and indicators that are computed block by block are those of the whole columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from engine.backtest.column_memo import IndicatorMemo
from engine.backtest.indicator_columns import indicator_column
from engine.markets.mapped_columns import is_mapped, on_disk
from engine.model.bar_columns import BarColumns
from engine.strategies.column_blocks import bar_blocks, marked_rows
from engine.strategies.donchian import Donchian, DonchianParams
from engine.strategies.indicators import compute_indicator, indicator_types
from engine.strategies.regime import Edges, regime_signals
from engine.strategies.rsi_reversion import RsiReversion, RsiReversionParams
from engine.strategies.signal_rows import rows_of
from engine.strategies.sma_cross import CROSS, SmaCrossDirection, crosses
from engine.testing.bar_market import bars_of, wave

BLOCKS = (1, 2, 7, 16, 100)
BOTH = SmaCrossDirection.BOTH


@pytest.fixture(scope="module")
def bars() -> BarColumns:
    return bars_of(wave(300, seed=5))


def test_blocks_have_the_bars_that_their_values_look_back_to(bars: BarColumns) -> None:
    found = list(bar_blocks(bars, 10, block_rows=128))
    assert [(start, skip, len(part)) for start, skip, part in found] == [
        (0, 0, 128),
        (128, 10, 138),
        (256, 10, 54),
    ]
    shared = bars.with_columns(memo=IndicatorMemo())
    assert [part for _, _, part in bar_blocks(shared, 10, block_rows=128)] == [shared]


@pytest.mark.parametrize("block_rows", BLOCKS)
@pytest.mark.parametrize("start", [0, 3, 40, 250])
def test_crosses_in_blocks(bars: BarColumns, block_rows: int, start: int) -> None:
    params = {"fast": 3, "slow": 8}
    whole = crosses(bars, params)
    whole[:start] = 0
    rows, values = marked_rows(
        bars, lambda part: crosses(part, params), lookback=8, start=start, block_rows=block_rows
    )
    assert len(rows) > 2
    assert rows.tolist() == np.flatnonzero(whole).tolist()
    assert values.tolist() == whole[rows].tolist()


@pytest.mark.parametrize("block_rows", BLOCKS)
@pytest.mark.parametrize(
    ("edges", "lookback"),
    [
        (Donchian(DonchianParams(entry=9, exit=4, direction=BOTH)).edges, 9),
        (Donchian(DonchianParams(entry=5, exit=5)).edges, 5),
        (RsiReversion(RsiReversionParams(length=6, direction=BOTH)).edges, 6),
        (RsiReversion(RsiReversionParams(length=14)).edges, 14),
    ],
    ids=["donchian-both", "donchian-long", "rsi-both", "rsi-long"],
)
def test_regimes_in_blocks(
    bars: BarColumns,
    edges: Callable[[BarColumns], list[Edges]],
    lookback: int,
    block_rows: int,
) -> None:
    whole, cut = (
        regime_signals(bars, edges, lookback=lookback, start=lookback, block_rows=rows)
        for rows in (1000, block_rows)
    )
    assert len(whole) > 2
    assert rows_of(cut) == rows_of(whole)


KINDS = {
    **{name: (kind, {"length": 5}) for name, kind in indicator_types().items()},
    CROSS.name: (CROSS, {"fast": 3, "slow": 8}),
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_indicators_of_bars_in_files_are_those_in_memory(bars: BarColumns, name: str) -> None:
    kind, params = KINDS[name]
    expected = compute_indicator(kind, bars, params)
    first = kind.lookback(params) - 1
    for block_rows in BLOCKS:
        found = indicator_column(kind, on_disk(bars), params, block_rows=block_rows)
        assert is_mapped(found)
        assert not found.flags.writeable
        assert found.dtype == expected.dtype
        assert found[first:].tobytes() == expected[first:].tobytes()


def test_indicators_of_bars_in_memory_stay_there(bars: BarColumns) -> None:
    kind, params = KINDS["sma"]
    assert not is_mapped(indicator_column(kind, bars, params))
    none: Mapping[str, Any] = params
    assert len(indicator_column(kind, on_disk(bars).prefix(0), none)) == 0
