"""A strategy's context that keeps bars and signals: strategies alone, without a container."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from engine.containers.paper_indicator import columns_of
from engine.model.bar_columns import BarColumns
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import Bar, QuoteTick
from engine.strategies.indicators import IndicatorLine, find_indicator, indicator_types
from engine.strategies.signals import Signal
from engine.strategies.strategy import Strategy

MARKET = ConnectorPair("paper", "ACME-USD")


class BarContext:
    """Feeds bars to *strategy* and keeps ``(bar index, signal)`` in ``signals``."""

    def __init__(self, strategy: Strategy, market: ConnectorPair = MARKET) -> None:
        self.market = market
        self.markets = (market,)
        self.bars: list[Bar] = []
        self.signals: list[tuple[int, Signal]] = []
        self._strategy = strategy
        self._types = {**indicator_types(), **strategy.indicators}
        strategy.bind(self)
        strategy.on_start()

    def play(self, bars: Sequence[Bar], *, start: int = 0) -> list[tuple[int, Signal]]:
        """Call `on_bar` as a container does, and return all signals."""
        for bar in bars:
            self.bars.append(bar)
            if len(self.bars) > max(start, self._strategy.warmup):
                self._strategy.on_bar(bar)
        return self.signals

    def columns(self) -> BarColumns:
        """Return the bars so far as columns."""
        return columns_of(self.bars, self.instrument(self.market))

    def now_ns(self) -> int:
        """Return the end of the newest bar."""
        return self.bars[-1].ts_close_ns if self.bars else 0

    def bar_index(self, market: ConnectorPair | None = None) -> int:
        """Return the index of the newest bar."""
        del market
        return len(self.bars) - 1

    def signal(self, signal: Signal) -> None:
        """Keep *signal*."""
        self.signals.append((len(self.bars) - 1, signal))

    def history(self, market: ConnectorPair | int, n: int | None = None) -> Sequence[Bar]:
        """Return the last bars."""
        wanted = market if isinstance(market, int) else (n or 1)
        return self.bars[-wanted:]

    def indicator(
        self,
        name: str,
        *,
        market: ConnectorPair | None = None,
        **params: Any,  # noqa: ANN401 (parameters of the indicator)
    ) -> IndicatorLine:
        """Return an indicator over all bars so far."""
        del market
        kind = find_indicator(self._types, name)

        def value(back: int = 0) -> Any:  # noqa: ANN401 (int or float, as the indicator)
            return kind.compute(self.columns(), params)[-1 - back].item()

        return value

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return an instrument with whole steps."""
        return Instrument(market, tick=Decimal(1), lot=Decimal(1))

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return nothing: there are no quotes."""
        del market
        return None

    def net_lots(self, market: ConnectorPair) -> int:
        """Return no position."""
        del market
        return 0


def flat_bars(closes: Sequence[int], market: ConnectorPair = MARKET) -> list[Bar]:
    """Return bars whose four prices are the same, one nanosecond long each."""
    return [
        Bar(market, index, index + 1, close, close, close, close)
        for index, close in enumerate(closes)
    ]
