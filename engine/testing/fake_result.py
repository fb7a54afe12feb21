"""A stored result that was never stored: the tables of a viewer, from a formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np

from engine.backtest.result_view import TradeRow, TradeTerm
from engine.backtest.results import InstrumentFacts
from engine.backtest.return_tables import (
    Histogram,
    MonthReturn,
    monthly_returns,
    return_histogram,
)
from engine.backtest.sampling import Candles, candles, min_max_buckets
from engine.model.bar_columns import DAY_NS, FloatArray, IntArray

_START_NS: Final = 1_041_379_200 * 10**9  # 2003-01-01
_REASONS: Final = ("signal", "stop_loss", "take_profit")
_CASH: Final = 100_000.0


class FakeResult:
    """Keeps the contract of ``ResultTables`` over a made-up price and equally long trades.

    Args:
        seed: which curve.
        days: number of daily bars.
        trades: number of round trips, evenly spread.
        metrics: what the metrics tab shows.
        final: the last equity.
        symbols: one or several; trades take turns.
    """

    def __init__(
        self,
        *,
        seed: int,
        days: int,
        trades: int,
        metrics: Mapping[str, Any],
        final: float,
        symbols: Sequence[str] = ("SPX",),
    ) -> None:
        self.metrics: Mapping[str, Any] = metrics
        self.document: Mapping[str, Any] = {"metrics": {"values": metrics}, "warnings": []}
        self.instruments = tuple(
            InstrumentFacts(one, Decimal("0.01"), Decimal(1), Decimal(1), 1) for one in symbols
        )
        steps = np.arange(days)
        self._ts: IntArray = (_START_NS + (steps + 1) * DAY_NS).astype(np.int64)
        noise = np.sin(steps * 0.71 + seed) + np.sin(steps * 0.173 * (1 + seed % 5)) * 1.7
        drift = np.sin(steps / (90.0 + seed)) * 120 + steps * 0.4
        self._close: FloatArray = np.round(900.0 + drift + noise * 9, 2)
        wave = np.sin(steps / (60.0 + seed) + seed) * 4_000 + noise * 350
        curve = _CASH + np.linspace(0.0, final - _CASH, days) + wave - wave[0]
        curve[-1] = final
        self._equity: FloatArray = curve
        self.trade_count = trades

    @property
    def span_ns(self) -> tuple[int, int]:
        """Return the first and the last stamp."""
        return int(self._ts[0]), int(self._ts[-1])

    def equity(
        self, buckets: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Return (stamps, equity)."""
        return self._cut(self._equity, buckets, from_ns, to_ns)

    def drawdown(
        self, buckets: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> tuple[IntArray, FloatArray]:
        """Return (stamps, drawdown as a positive fraction)."""
        peak = np.maximum.accumulate(self._equity)
        return self._cut(1 - self._equity / peak, buckets, from_ns, to_ns)

    def _range(self, from_ns: int | None, to_ns: int | None) -> slice:
        start = 0 if from_ns is None else int(np.searchsorted(self._ts, from_ns))
        stop = len(self._ts) if to_ns is None else int(np.searchsorted(self._ts, to_ns, "right"))
        return slice(start, stop)

    def _cut(
        self, values: FloatArray, buckets: int, from_ns: int | None, to_ns: int | None
    ) -> tuple[IntArray, FloatArray]:
        part = self._range(from_ns, to_ns)
        return min_max_buckets(self._ts[part], values[part], buckets)

    def has_prices(self, symbol: int = 0) -> bool:
        """Whether there are bars of *symbol*."""
        return symbol < len(self.instruments)

    def price(
        self,
        buckets: int,
        *,
        symbol: int = 0,
        from_ns: int | None = None,
        to_ns: int | None = None,
    ) -> Candles:
        """Return at most *buckets* bars."""
        part = self._range(from_ns, to_ns)
        close = self._close[part] + 100.0 * symbol
        prices = (close - 1.0, close + 4.0, close - 5.0, close)
        return candles(self._ts[part] - DAY_NS, self._ts[part], prices, buckets)

    def trades(
        self,
        start: int,
        count: int,
        *,
        sort: str = "number",
        descending: bool = False,
        where: Sequence[TradeTerm] = (),
    ) -> list[TradeRow]:
        """Return *count* trades from place *start* of the order by *sort*, those of *where*."""
        order = [one for one in self._order(sort, descending) if self._is_in(one, where)]
        return [self._trade(one) for one in order[start : start + count]]

    def count_trades(self, where: Sequence[TradeTerm]) -> int:
        """Return how many trades *where* is true of."""
        return sum(self._is_in(one, where) for one in range(self.trade_count))

    def place_of(
        self,
        number: int,
        *,
        sort: str = "number",
        descending: bool = False,
        where: Sequence[TradeTerm] = (),
    ) -> int | None:
        """Return the place of trade *number* in the order by *sort*; None if *where* is not so."""
        order = [one for one in self._order(sort, descending) if self._is_in(one, where)]
        return order.index(number) if number in order else None

    def _is_in(self, number: int, where: Sequence[TradeTerm]) -> bool:
        """Know the fields side and pnl; enough for a screen."""
        row = self._trade(number)
        for field, sign, value, is_not in where:
            if isinstance(value, str):
                holds = value in ("long" if row.side > 0 else "short")
            else:
                pnl = float(row.pnl)
                holds = {"pnl>": pnl > value, "pnl<": pnl < value}[f"{field}{sign}"]
            if holds == is_not:
                return False
        return True

    def trades_between(self, from_ns: int, to_ns: int, *, most: int = 500) -> list[TradeRow]:
        """Return trades that touch the time between two stamps."""
        rows = map(self._trade, range(self.trade_count))
        return [row for row in rows if row.exit_ns >= from_ns and row.entry_ns <= to_ns][:most]

    @property
    def months(self) -> list[MonthReturn]:
        """Return the return of each month."""
        return monthly_returns(self._ts, self._equity, _CASH)

    def distribution(self, bins: int = 41) -> Histogram:
        """Return how the daily returns are spread."""
        return return_histogram(np.diff(self._equity) / self._equity[:-1], bins)

    def _order(self, sort: str, descending: bool) -> list[int]:  # noqa: FBT001 (private)
        numbers = list(range(self.trade_count))
        field = {
            "return": "return_pct",
            "entry": "entry_ns",
            "exit": "exit_ns",
            "bars": "bars_held",
        }
        name = field.get(sort, sort)
        if name != "number":
            numbers.sort(key=lambda one: getattr(self._trade(one), name))
        return numbers[::-1] if descending else numbers

    def _trade(self, number: int) -> TradeRow:
        room = len(self._ts) // max(1, self.trade_count)
        first = number * room + 1
        last = min(first + max(1, room * 2 // 3), len(self._ts) - 1)
        bought, sold = float(self._close[first]), float(self._close[last])
        side = -1 if number % 5 == 4 else 1
        gain = round((sold - bought) * side * 90, 2)
        return TradeRow(
            number=number, symbol=self.instruments[number % len(self.instruments)].symbol,
            side=side, qty=Decimal(90), entry_bar=first,
            exit_bar=last, entry_ns=int(self._ts[first]), exit_ns=int(self._ts[last]),
            entry_price=bought, exit_price=sold, pnl=Decimal(str(gain)), fees=Decimal("2.00"),
            return_pct=(sold / bought - 1) * side, mae=Decimal(-120), mfe=Decimal(310),
            bars_held=last - first, exit_reason=_REASONS[number % 3],
        )  # fmt: skip
