"""Which extreme of a bar comes first, by what the account holds: the worse one for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.model.bar_columns import BarColumns
from engine.model.quotes import BarPoint, QuoteTick


class ExposedPath:
    """Puts the extremes of each bar of one market into the order that its position fears.

    A net long position meets the low first, a net short one the high: a bar that touches both
    stop and target closes at the stop. A flat account sees them as the quotes come. It is decided
    once for each bar, after its open was traded. Works on the quotes of a ``BarQuoteSource``, in
    their order: open, two extremes, close.
    """

    def __init__(self, bars: BarColumns) -> None:
        self._rows = self._extremes(bars)
        self._bar = (0, 0)
        self._other: int | None = None
        self._is_next_first = False

    def placed(self, quote: QuoteTick, net_lots: int) -> QuoteTick:
        """Return *quote*, or the other extreme in its place; *net_lots* is the signed position."""
        if quote.bar_point is BarPoint.OPEN:
            self._bar = next(self._rows)
            self._is_next_first = True
            return quote
        if self._is_next_first:
            self._is_next_first = False
            high, low = self._bar
            self._other = None
            if not net_lots:
                return quote
            first, self._other = (low, high) if net_lots > 0 else (high, low)
            return _at(quote, first)
        if quote.bar_point is BarPoint.INSIDE and self._other is not None:
            return _at(quote, self._other)
        return quote

    @staticmethod
    def _extremes(bars: BarColumns) -> Iterator[tuple[int, int]]:
        rows = zip(bars.high.tolist(), bars.low.tolist(), bars.is_synthetic.tolist(), strict=True)
        return ((high, low) for high, low, is_synthetic in rows if not is_synthetic)


def _at(quote: QuoteTick, price: int) -> QuoteTick:
    """Return *quote* around *price*, with the spread that it has."""
    spread = quote.ask_ticks - quote.bid_ticks
    bid = max(1, price - spread // 2)
    return replace(quote, bid_ticks=bid, ask_ticks=bid + spread)
