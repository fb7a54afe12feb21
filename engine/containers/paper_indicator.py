"""A registered indicator over the bars that a session has built so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.containers.data_handler import BARS_KEPT, DataHandler
from engine.model.bar_columns import BarColumns
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import Bar
from engine.strategies.indicators import IndicatorType


class PaperIndicator:
    """Computes the value from as many bars as it needs, when it is asked; O(lookback).

    A recursive indicator looks at all bars that are kept.
    """

    def __init__(
        self,
        kind: IndicatorType,
        params: Mapping[str, Any],
        *,
        data_handler: DataHandler,
        market: ConnectorPair,
    ) -> None:
        self._kind = kind
        self._params = dict(params)
        self._data_handler = data_handler
        self._market = market
        self._lookback = kind.lookback(self._params)

    def __call__(self, back: int = 0) -> Any:  # noqa: ANN401 (int or float, as the indicator)
        """Return the value *back* bars before the newest one; None before the first.

        Raises:
            ValueError: *back* is negative: that bar is not known yet.
        """
        if back < 0:
            raise ValueError(f"bar {back} before the current one lies in the future")
        wanted = BARS_KEPT if self._kind.is_recursive else self._lookback + back
        bars = self._data_handler.history(self._market, wanted)
        if len(bars) < self._lookback + back:
            return None
        columns = columns_of(bars, self._data_handler.instrument(self._market))
        return self._kind.compute(columns, self._params)[-1 - back].item()


def columns_of(bars: Sequence[Bar], instrument: Instrument) -> BarColumns:
    """Return *bars* as columns."""
    no = np.zeros(len(bars), dtype=np.bool_)
    table = np.asarray(
        [
            (
                bar.ts_open_ns,
                bar.ts_close_ns,
                bar.open_ticks,
                bar.high_ticks,
                bar.low_ticks,
                bar.close_ticks,
                bar.volume_lots,
            )
            for bar in bars
        ],
        dtype=np.int64,
    ).reshape(len(bars), 7)
    ts_open, ts_close, opens, highs, lows, closes, volumes = table.T
    return BarColumns(
        instrument=instrument,
        symbol=instrument.market.trading_pair,
        duration_ns=bars[0].ts_close_ns - bars[0].ts_open_ns if bars else 0,
        ts_open=ts_open,
        ts_close=ts_close,
        open=opens,
        high=highs,
        low=lows,
        close=closes,
        volume=volumes,
        is_synthetic=no,
        starts_session=no,
        ends_session=no,
    )
