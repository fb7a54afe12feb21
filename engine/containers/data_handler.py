"""The container's view of the markets: newest quotes, recent mids, bars built from quotes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from engine.model.clock import SECOND_NS
from engine.model.instruments import ConnectorPair, Instrument
from engine.model.quotes import Bar, QuoteTick

TREND_LENGTH: Final = 240
"""Mids kept per market, one for each second in which a quote came."""
BARS_KEPT: Final = 10_000
"""Complete bars kept per market for strategies."""


@dataclass(slots=True)
class _MarketState:
    instrument: Instrument
    quote: QuoteTick | None = None
    seen: int = 0
    first_mid_twice: int = 0
    open_bar: Bar | None = None
    bars: deque[Bar] = field(default_factory=lambda: deque(maxlen=BARS_KEPT))


class DataHandler:
    """Keeps what the components may know of the markets at this instant.

    Mids are held twice their value in ticks (bid + ask), which is always a whole number.
    """

    def __init__(
        self, *, instruments: Mapping[ConnectorPair, Instrument], bar_ns: int = 60 * SECOND_NS
    ) -> None:
        self._states = {key: _MarketState(value) for key, value in instruments.items()}
        self._trends: dict[ConnectorPair, deque[tuple[int, int]]] = {
            key: deque(maxlen=TREND_LENGTH) for key in instruments
        }
        self._bar_ns = bar_ns

    def instrument(self, market: ConnectorPair) -> Instrument:
        """Return the instrument of *market*.

        Raises:
            KeyError: the session does not trade it.
        """
        return self._states[market].instrument

    @property
    def markets(self) -> tuple[ConnectorPair, ...]:
        """Return the markets in the order of the configuration."""
        return tuple(self._states)

    def quote(self, market: ConnectorPair) -> QuoteTick | None:
        """Return the newest quote, or None before the first."""
        state = self._states.get(market)
        return state.quote if state else None

    def quotes_seen(self) -> dict[ConnectorPair, int]:
        """Return how many quotes each market that had one has given."""
        return {key: state.seen for key, state in self._states.items() if state.seen}

    def first_mid_twice(self, market: ConnectorPair) -> int:
        """Return twice the first mid of the session in ticks, 0 before the first quote."""
        return self._states[market].first_mid_twice

    def trend(self, market: ConnectorPair) -> tuple[tuple[int, int], ...]:
        """Return (ts_ns, twice the mid in ticks), oldest first, at most one per second."""
        return tuple(self._trends[market])

    def history(self, market: ConnectorPair, n: int) -> tuple[Bar, ...]:
        """Return at most the last *n* complete bars, oldest first."""
        bars = self._states[market].bars
        return tuple(islice(bars, max(0, len(bars) - n), None))

    def on_quote(self, quote: QuoteTick) -> Bar | None:
        """Take a quote; return the bar that it completes, if any.

        Raises:
            KeyError: the session does not trade the market.
        """
        state = self._states[quote.market]
        state.quote = quote
        state.seen += 1
        mid_twice = quote.bid_ticks + quote.ask_ticks
        if not state.first_mid_twice:
            state.first_mid_twice = mid_twice
        trend = self._trends[quote.market]
        if not trend or quote.ts_ns - trend[-1][0] >= SECOND_NS:
            trend.append((quote.ts_ns, mid_twice))
        return self._extend_bar(state, quote, mid_twice // 2)

    def _extend_bar(self, state: _MarketState, quote: QuoteTick, mid: int) -> Bar | None:
        opens_ns = quote.ts_ns - quote.ts_ns % self._bar_ns
        bar = state.open_bar
        if bar is None or bar.ts_open_ns != opens_ns:
            state.open_bar = Bar(
                quote.market, opens_ns, opens_ns + self._bar_ns, mid, mid, mid, mid
            )
            if bar is not None:
                state.bars.append(bar)
            return bar
        if mid == bar.close_ticks:
            return None
        state.open_bar = Bar(
            bar.market,
            bar.ts_open_ns,
            bar.ts_close_ns,
            bar.open_ticks,
            max(bar.high_ticks, mid),
            min(bar.low_ticks, mid),
            mid,
        )
        return None
