from __future__ import annotations

from decimal import Decimal

import numpy as np

from engine.model.bar_columns import BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.timeline import merge_timeline


def columns(*opens: int, length: int) -> BarColumns:
    starts = np.array(opens, dtype=np.int64)
    ones = np.ones(len(opens), dtype=np.int64)
    edges = day_sessions(starts, starts + length)
    return BarColumns(
        instrument=Instrument(ConnectorPair("backtest", "A"), Decimal(1), Decimal(1)),
        symbol="A",
        duration_ns=length,
        ts_open=starts,
        ts_close=starts + length,
        open=ones,
        high=ones,
        low=ones,
        close=ones,
        volume=ones,
        is_synthetic=np.zeros(len(opens), dtype=np.bool_),
        starts_session=edges[0],
        ends_session=edges[1],
    )


def test_bars_merge_by_their_end_finer_first_then_in_order_of_declaration_time_1() -> None:
    coarse, fine, other = (
        columns(0, 60, length=60),
        columns(0, 15, 30, 45, length=15),
        columns(45, length=15),
    )
    line = merge_timeline([coarse, fine, other])
    assert list(
        zip(line.ts_close.tolist(), line.symbol.tolist(), line.bar.tolist(), strict=True)
    ) == [
        (15, 1, 0),
        (30, 1, 1),
        (45, 1, 2),
        (60, 1, 3),
        (60, 2, 0),
        (60, 0, 0),
        (120, 0, 1),
    ]
    assert line.instants.tolist() == [0, 1, 2, 3, 6, 7]


def test_windows_limit_each_symbol() -> None:
    one, two = columns(0, 10, 20, length=10), columns(0, 10, 20, length=10)
    line = merge_timeline([one, two], starts=[1, 0], stops=[3, 1])
    assert line.symbol.tolist() == [1, 0, 0]
    assert line.bar.tolist() == [0, 1, 2]


def test_one_symbol_and_none() -> None:
    line = merge_timeline([columns(0, 10, length=10)])
    assert line.bar.tolist() == [0, 1]
    assert len(merge_timeline([])) == 0
    assert merge_timeline([]).instants.tolist() == [0]
