from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pytest

from engine.model.bar_columns import DAY_NS, BarColumns, day_sessions
from engine.model.instruments import ConnectorPair, Instrument

MakeBars = Callable[..., BarColumns]


@pytest.fixture(scope="session")
def make_bars() -> MakeBars:
    """Return a maker of regular bars whose prices rise by one tick each."""

    def make(
        count: int = 10,
        *,
        step_ns: int = DAY_NS,
        symbol: str = "A",
        start_ns: int = 0,
        base: int = 100,
    ) -> BarColumns:
        opens = start_ns + np.arange(count, dtype=np.int64) * step_ns
        prices = np.arange(base, base + count, dtype=np.int64)
        starts, ends = day_sessions(opens, opens + step_ns)
        return BarColumns(
            instrument=Instrument(ConnectorPair("backtest", symbol), Decimal("0.01"), Decimal(1)),
            symbol=symbol,
            duration_ns=step_ns,
            ts_open=opens,
            ts_close=opens + step_ns,
            open=prices,
            high=prices + 3,
            low=prices - 3,
            close=prices + 1,
            volume=np.full(count, 10, dtype=np.int64),
            is_synthetic=np.zeros(count, dtype=np.bool_),
            starts_session=starts,
            ends_session=ends,
        )

    return make
