"""Round trips from fills, exact to the atom (backtest.md PF-7, COORD-7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.model.bar_columns import BarColumns, FloatArray, IntArray
from engine.model.rounding import half_even_div
from engine.model.run_tables import Table

TradeMatching: TypeAlias = Literal["fifo", "average", "flat"]

TRADE_DTYPE: Final = np.dtype(
    [
        ("symbol", "<u2"),
        ("side", "<i1"),
        ("lots", "<i8"),
        ("entry_bar", "<i8"),
        ("exit_bar", "<i8"),
        ("entry_ts", "<i8"),
        ("exit_ts", "<i8"),
        ("entry_atoms", "<i8"),
        ("exit_atoms", "<i8"),
        ("gross_atoms", "<i8"),
        ("fees_atoms", "<i8"),
        ("pnl_atoms", "<i8"),
        ("bars_held", "<i8"),
        ("mae_atoms", "<i8"),
        ("mfe_atoms", "<i8"),
        ("entry_seq", "<u4"),
        ("exit_seq", "<u4"),
        ("exit_reason", "<u1"),
    ]
)
"""Round trips in the order of their exits.

``side`` is +1 for a long trade. ``entry_atoms`` and ``exit_atoms`` are notionals, so the price of
the entry is ``entry_atoms / (lots * atoms_per_tick_lot)`` ticks. ``pnl_atoms`` is gross minus
fees. ``mae_atoms`` (at most 0) and ``mfe_atoms`` (at least 0) are the worst and best gross result
on the way: prices of entry and exit, and the ranges of the bars that were held from their open
point to their end. ``exit_reason`` counts in `FILL_REASONS`."""


@dataclass(frozen=True, slots=True)
class OpenLots:
    """What is still open of one symbol after the last fill.

    ``lots`` is signed, ``entry_atoms`` is the notional paid for it, ``fees_atoms`` the fees of its
    entries, which belong to no trade yet.
    """

    symbol: int
    lots: int
    entry_atoms: int
    fees_atoms: int


@dataclass(frozen=True, slots=True, eq=False)
class TradeLog:
    """Closed round trips and what is still open."""

    trades: Table
    open_lots: tuple[OpenLots, ...] = ()

    @property
    def returns(self) -> FloatArray:
        """Return the net result of each trade as a fraction of its entry value."""
        return trade_returns(self.trades)


def trade_returns(trades: Table) -> FloatArray:
    """Return pnl / entry value of each trade; 0 where the entry had no value."""
    pnl = trades["pnl_atoms"].astype(np.float64)
    entry = np.abs(trades["entry_atoms"].astype(np.float64))
    return np.divide(pnl, entry, out=np.zeros_like(pnl), where=entry > 0)


_Row: TypeAlias = tuple[int, ...]


@dataclass(slots=True)
class _Fill:
    """A fill while it is matched: what is left of its lots and of its fee."""

    bar: int
    ts: int
    seq: int
    reason: int
    side: int
    ticks: int
    lots: int
    fee: int

    def take(self, lots: int) -> int:
        """Take *lots* off; return their share of the fee, the last lots get what is left."""
        fee = half_even_div(self.fee * lots, self.lots)
        self.lots -= lots
        self.fee -= fee
        return fee


class _Book:
    """The position of one symbol, and the trades that close it."""

    def __init__(self, symbol: int, atoms_per_tick_lot: int) -> None:
        self.symbol = symbol
        self.scale = atoms_per_tick_lot
        self.trades: list[_Row] = []

    def _trade(
        self, entry: _Fill, exit_: _Fill, lots: int, entry_atoms: int, exit_atoms: int, fees: int
    ) -> None:
        gross = entry.side * (exit_atoms - entry_atoms)
        self.trades.append(
            (
                self.symbol,
                entry.side,
                lots,
                entry.bar,
                exit_.bar,
                entry.ts,
                exit_.ts,
                entry_atoms,
                exit_atoms,
                gross,
                fees,
                gross - fees,
                exit_.bar - entry.bar,
                0,
                0,
                entry.seq,
                exit_.seq,
                exit_.reason,
            )
        )

    def apply(self, fill: _Fill) -> None:
        raise NotImplementedError

    def open_lots(self) -> OpenLots:
        raise NotImplementedError


class _Fifo(_Book):
    """Entry lots are consumed in the order in which they came."""

    def __init__(self, symbol: int, atoms_per_tick_lot: int) -> None:
        super().__init__(symbol, atoms_per_tick_lot)
        self._open: deque[_Fill] = deque()

    def apply(self, fill: _Fill) -> None:
        opened = self._open
        while fill.lots and opened and opened[0].side != fill.side:
            entry = opened[0]
            lots = min(entry.lots, fill.lots)
            fees = entry.take(lots) + fill.take(lots)
            worth = lots * self.scale
            self._trade(entry, fill, lots, entry.ticks * worth, fill.ticks * worth, fees)
            if not entry.lots:
                opened.popleft()
        if fill.lots:
            opened.append(fill)

    def open_lots(self) -> OpenLots:
        return OpenLots(
            self.symbol,
            sum(one.side * one.lots for one in self._open),
            sum(one.lots * one.ticks for one in self._open) * self.scale,
            sum(one.fee for one in self._open),
        )


class _Pooled(_Book):
    """One position with its cost; every exit (average) or only the last one (flat) is a trade."""

    def __init__(self, symbol: int, atoms_per_tick_lot: int, *, is_flat: bool) -> None:
        super().__init__(symbol, atoms_per_tick_lot)
        self._is_flat = is_flat
        self._first: _Fill | None = None
        self._lots = self._cost = self._fees = 0
        self._entered = self._entry_atoms = self._exit_atoms = self._all_fees = 0

    def apply(self, fill: _Fill) -> None:
        if self._first is not None and self._first.side != fill.side:
            self._reduce(self._first, fill, min(self._lots, fill.lots))
        if fill.lots:
            self._enter(fill)

    def _enter(self, fill: _Fill) -> None:
        if self._first is None:
            self._first = fill
            self._entered = self._entry_atoms = self._exit_atoms = self._all_fees = 0
        atoms = fill.lots * fill.ticks * self.scale
        self._lots += fill.lots
        self._cost += atoms
        self._fees += fill.fee
        self._entered += fill.lots
        self._entry_atoms += atoms
        self._all_fees += fill.fee

    def _reduce(self, first: _Fill, fill: _Fill, lots: int) -> None:
        removed = half_even_div(self._cost * lots, self._lots)
        fees = half_even_div(self._fees * lots, self._lots)
        exit_fee = fill.take(lots)
        exit_atoms = lots * fill.ticks * self.scale
        self._lots -= lots
        self._cost -= removed
        self._fees -= fees
        self._exit_atoms += exit_atoms
        self._all_fees += exit_fee
        if not self._is_flat:
            self._trade(first, fill, lots, removed, exit_atoms, fees + exit_fee)
        elif not self._lots:
            self._trade(
                first, fill, self._entered, self._entry_atoms, self._exit_atoms, self._all_fees
            )
        if not self._lots:
            self._first = None

    def open_lots(self) -> OpenLots:
        if self._first is None:
            return OpenLots(self.symbol, 0, 0, 0)
        side = self._first.side
        if self._is_flat:  # what was already sold of the trade is still part of it
            return OpenLots(
                self.symbol,
                side * self._lots,
                self._entry_atoms - self._exit_atoms,
                self._all_fees,
            )
        return OpenLots(self.symbol, side * self._lots, self._cost, self._fees)


def build_trades(
    fills: Table, bars: Sequence[BarColumns], *, matching: TradeMatching = "fifo"
) -> TradeLog:
    """Return the round trips of *fills*.

    ``fifo`` consumes entry lots first in, first out; ``average`` closes at the average cost (PF-2);
    ``flat`` makes one trade from flat to flat. Fees of entries and exits are shared by quantity,
    half to even, the last lots get what is left, so no atom is lost.

    Args:
        fills: a table of `FILL_DTYPE` in match order.
        bars: the columns of each symbol, for scales and excursions.
        matching: how exits find their entries.
    """
    make = _BOOKS[matching]
    books = [make(symbol, one.instrument.atoms_per_tick_lot) for symbol, one in enumerate(bars)]
    names = ("symbol", "bar", "ts", "order_seq", "reason", "side", "ticks", "lots", "fee_atoms")
    rows = zip(*(fills[name].tolist() for name in names), strict=True)
    exits: list[tuple[int, int]] = []
    for symbol, *values in rows:
        book = books[symbol]
        before = len(book.trades)
        book.apply(_Fill(*values))
        exits.extend((symbol, place) for place in range(before, len(book.trades)))
    ordered = [books[symbol].trades[place] for symbol, place in exits]
    trades = np.array(ordered, dtype=TRADE_DTYPE)
    for symbol, one in enumerate(bars):
        chosen = np.flatnonzero(trades["symbol"] == symbol)
        if len(chosen):
            trades["mae_atoms"][chosen], trades["mfe_atoms"][chosen] = _excursions(
                trades[chosen], one
            )
    opened = tuple(lots for book in books if (lots := book.open_lots()).lots)
    return TradeLog(trades, opened)


_BOOKS: Final[dict[str, Callable[[int, int], _Book]]] = {
    "fifo": _Fifo,
    "average": lambda symbol, scale: _Pooled(symbol, scale, is_flat=False),
    "flat": lambda symbol, scale: _Pooled(symbol, scale, is_flat=True),
}


def _excursions(trades: Table, bars: BarColumns) -> tuple[IntArray, IntArray]:
    """Return (mae, mfe) of trades of one symbol."""
    entry_bar, exit_bar = trades["entry_bar"], trades["exit_bar"]
    first = entry_bar + (trades["entry_ts"] > bars.ts_open[entry_bar])
    stop = exit_bar + (trades["exit_ts"] >= bars.ts_close[exit_bar])
    worth = trades["lots"] * bars.instrument.atoms_per_tick_lot
    side = trades["side"].astype(np.int64)
    ends = np.minimum(0, trades["gross_atoms"]), np.maximum(0, trades["gross_atoms"])
    has_bars = stop > first
    lows = _range_reduce(np.minimum, bars.low, first, stop, has_bars)
    highs = _range_reduce(np.maximum, bars.high, first, stop, has_bars)
    at_low = side * (lows * worth - trades["entry_atoms"])
    at_high = side * (highs * worth - trades["entry_atoms"])
    worst = np.where(has_bars, np.minimum(at_low, at_high), 0)
    best = np.where(has_bars, np.maximum(at_low, at_high), 0)
    return np.minimum(ends[0], worst), np.maximum(ends[1], best)


def _range_reduce(
    reduce: np.ufunc, values: IntArray, first: IntArray, stop: IntArray, is_used: IntArray
) -> IntArray:
    """Return the reduction of ``values[first:stop]`` for each pair, 0 where it is not used."""
    result = np.zeros(len(first), dtype=np.int64)
    used = np.flatnonzero(is_used)
    if len(used):
        # `reduceat` takes pairs: the odd results, between the ranges, are thrown away.
        pairs = np.column_stack((first[used], stop[used])).ravel()
        padded = np.append(values, values[-1])
        result[used] = reduce.reduceat(padded, pairs)[::2]
    return result


def open_pnl_atoms(
    open_lots: Sequence[OpenLots], marks: Sequence[int], bars: Sequence[BarColumns]
) -> int:
    """Return the gross result of what is open at the last *marks* (ticks by symbol)."""
    total = 0
    for one in open_lots:
        worth = abs(one.lots) * marks[one.symbol] * bars[one.symbol].instrument.atoms_per_tick_lot
        sign = 1 if one.lots > 0 else -1
        total += sign * (worth - one.entry_atoms)
    return total


def consistency_gap(
    log: TradeLog, *, equity_change_atoms: int, open_pnl: int, other_atoms: int = 0
) -> int:
    """Return by how many atoms the trades fail to explain the equity; 0 is consistent (COORD-7).

    Sum of trade pnl + open pnl - unmatched costs = equity change. The unmatched costs are the fees
    of what is open and *other_atoms*: funding, borrow and negative interest paid, less dividends.
    """
    realised: int = sum(log.trades["pnl_atoms"].tolist())
    unmatched = sum(one.fees_atoms for one in log.open_lots) + other_atoms
    return equity_change_atoms - (realised + open_pnl - unmatched)
