"""Bars walked along their path as quotes, for trading executors in a backtest."""

from __future__ import annotations

from collections.abc import Iterator

from engine.execution.bar_settings import PathMode
from engine.model.bar_columns import MISSING, BarColumns
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import BarPoint, QuoteTick

DEPTH_LOTS = 10**12
"""Size that is shown on each side: bars say nothing of it."""


class BarQuoteSource:
    """A market that walks each bar: open, one extreme, the other, close.

    *path* says which extreme comes first: the nearer one (`adaptive`; ties: the low), the high
    (`ohlc`) or the low (`olhc`).

    The points lie at 0, 1/3 and 2/3 of the bar and just before its end, as in paper. Bid and ask
    are the price itself, or lie around it by the bar's spread if the data have one.
    """

    def __init__(
        self, bars: BarColumns, instrument: Instrument, path: PathMode = PathMode.ADAPTIVE
    ) -> None:
        self._high_first = {PathMode.OHLC: True, PathMode.OLHC: False}.get(path)
        self.market: ConnectorPair = instrument.market
        self.instrument = instrument
        self._bars = bars

    def ticks(self, start_ns: int) -> Iterator[QuoteTick]:
        """Return the quotes at the bars' own times; *start_ns* is the first bar's start."""
        del start_ns
        bars = self._bars
        rows = zip(
            bars.ts_open.tolist(),
            bars.ts_close.tolist(),
            bars.open.tolist(),
            bars.high.tolist(),
            bars.low.tolist(),
            bars.close.tolist(),
            self._spreads(),
            bars.is_synthetic.tolist(),
            strict=True,
        )
        for opens_ns, closes_ns, first, high, low, last, spread, is_synthetic in rows:
            if is_synthetic:
                continue
            length_ns = closes_ns - opens_ns
            is_high_first = self._high_first
            if is_high_first is None:
                is_high_first = high - first < first - low
            one, other = (high, low) if is_high_first else (low, high)
            yield self._quote(opens_ns, first, spread, BarPoint.OPEN)
            yield self._quote(opens_ns + length_ns // 3, one, spread)
            yield self._quote(opens_ns + 2 * length_ns // 3, other, spread)
            yield self._quote(closes_ns - 1, last, spread, BarPoint.CLOSE)

    def _spreads(self) -> list[int]:
        spread = self._bars.spread
        if spread is None:
            return [0] * len(self._bars)
        return [0 if value == MISSING else value for value in spread.tolist()]

    def _quote(
        self, ts_ns: int, price: int, spread: int, point: BarPoint = BarPoint.INSIDE
    ) -> QuoteTick:
        bid = max(1, price - spread // 2)
        depth = DEPTH_LOTS
        return QuoteTick(self.market, ts_ns, bid, bid + spread, depth, depth, bar_point=point)
